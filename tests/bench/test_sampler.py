"""The sampler names the module that works."""

from __future__ import annotations

import signal

from bench.sampler import sampled
from genops_pricing.compiled import load_bundled


def test_time_counts_for_the_module_of_ours_that_spends_it_or_has_it_spent() -> None:
    shares = sampled(load_bundled, 0.5)

    assert sum(shares.values()) > 0.99
    assert next(iter(shares)) == "genops_pricing/compiled"
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_time_outside_of_ours_counts_for_nobody() -> None:
    shares = sampled(lambda: sum(range(10_000)), 0.3)

    assert set(shares) == {""}
