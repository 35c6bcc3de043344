"""The short form of the delivery audit, and the proof that it can fail. `make soak` is the long."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from soak.account import Account, Balance
from soak.audit import GRPC, HTTP, Plan, run
from soak.senders import SPANS_PER_REQUEST


def test_nothing_acknowledged_is_lost_across_kills_and_failing_backends(tmp_path: Path) -> None:
    report = run(Plan(kills=3, run_s_max=1.5, minutes=1.0, drain_s=60, seed=1), tmp_path)

    log = (tmp_path / "enricher.log").read_text()
    assert report.passed, f"{report.table()}\n{log}"
    assert report.kills == 3
    assert report.failures > 0
    assert not report.refused
    assert report.account.acknowledged >= SPANS_PER_REQUEST
    assert all(balance.unknown == 0 for balance in report.account.balances())

    report.account.forget(GRPC)

    assert not report.passed
    assert "lost 1" in report.table()


@pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")
def test_nothing_is_lost_across_kills_of_workers_and_their_supervisor(tmp_path: Path) -> None:
    plan = Plan(kills=5, workers=2, run_s_max=2.0, minutes=1.0, drain_s=60, seed=4)
    report = run(plan, tmp_path)

    assert report.passed, f"{report.table()}\n{(tmp_path / 'enricher.log').read_text()}"
    assert 0 < report.kills_of_workers < report.kills == 5
    assert not report.refused
    assert report.account.acknowledged >= SPANS_PER_REQUEST
    assert all(balance.unknown == 0 for balance in report.account.balances())


def test_an_enricher_that_loses_some_requests_is_found_out(tmp_path: Path) -> None:
    """It loses over HTTP only, and says that it delivered: no metric of it would show that."""
    plan = Plan(kills=1, run_s_max=1.5, minutes=1.0, drain_s=60, seed=2, losing=True)
    report = run(plan, tmp_path)

    lost = {balance.destination: balance.lost for balance in report.account.balances()}
    assert not report.passed
    assert lost[HTTP] > 0
    assert lost[GRPC] == 0


def test_the_account_tells_lost_duplicated_and_unknown_spans_apart() -> None:
    account = Account(["a", "b"])
    first = account.send(4)
    account.acknowledge(first, 3)  # the fourth was never acknowledged
    account.deliver("a", [0, 1, 2, 3])
    account.deliver("b", [0, 0, 0, 1, 99])

    assert account.balances() == [
        Balance("a", delivered=4, lost=0, duplicated=0, unknown=0),
        Balance("b", delivered=2, lost=1, duplicated=2, unknown=1),
    ]
    assert account.lost == 1


def test_numbers_are_never_used_twice() -> None:
    account = Account(["a"])

    assert [account.send(2), account.send(3), account.send(1)] == [0, 2, 5]
