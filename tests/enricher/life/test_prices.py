"""How old the catalog may be is a bound, and being beyond it is said with what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from genops_enricher.life.prices import Prices
from genops_enricher.telemetry import Telemetry
from genops_pricing import bundled_catalog

DAY_S = 86400
CATALOG = bundled_catalog()


@pytest.mark.parametrize(("age_s", "degraded"), [(30 * DAY_S, False), (30 * DAY_S + 1, True)])
def test_a_catalog_is_degraded_once_it_is_older_than_it_may_be(
    age_s: int, *, degraded: bool
) -> None:
    telemetry = Telemetry()
    prices = Prices(telemetry, lambda: CATALOG.released + timedelta(seconds=age_s))
    prices.use(CATALOG, 30 * DAY_S)

    reasons = prices.degraded()

    assert bool(reasons) is degraded
    assert all("30.0 days: prices may be others by now. Install" in reason for reason in reasons)
    assert telemetry.value("genops_catalog_age_seconds") == age_s
    assert telemetry.labelled("genops_catalog_info") == [({"version": CATALOG.version}, 1)]


def test_without_a_bound_an_old_catalog_is_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    prices = Prices(Telemetry(), lambda: CATALOG.released + timedelta(days=61))
    assert prices.degraded() == []

    prices.use(CATALOG, None)

    assert prices.degraded() == []
    assert "is 61 days old" in caplog.text
