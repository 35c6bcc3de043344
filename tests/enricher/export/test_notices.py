from __future__ import annotations

import logging

import pytest

from genops_enricher.export.notices import Notices
from genops_enricher.export.outcome import Delivered, Hold, Rejected, Retry


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notices(clock: Clock, caplog: pytest.LogCaptureFixture) -> Notices:
    caplog.set_level(logging.INFO)
    return Notices("a (traces)", clock)


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        notices.attempt(Retry("down"))
    assert notices.status() == (True, "retrying: down")
    notices.attempt(Delivered())

    assert notices.status() == (True, "")
    assert caplog.messages == [
        "a (traces): retrying: down",
        "a (traces): the destination answers again",
    ]


def test_a_flapping_destination_does_not_flood_the_log(
    notices: Notices, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    for _ in range(100):
        notices.attempt(Retry("down"))
        notices.attempt(Delivered())
    assert len(caplog.messages) == 2

    clock.now_s = 10
    notices.attempt(Retry("down"))
    assert len(caplog.messages) == 3


def test_a_held_destination_is_unhealthy_until_it_answers(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    notices.attempt(Hold("no key"))
    notices.attempt(Hold("no key"))
    notices.attempt(Retry("down"))
    well, reason = notices.status()
    assert not well
    assert reason.startswith("held: no key. Correct the endpoint")
    assert len(caplog.messages) == 1

    notices.attempt(Rejected("bad"))
    assert notices.status() == (True, "")


def test_a_remark_that_comes_with_every_answer_is_one_line(
    notices: Notices, caplog: pytest.LogCaptureFixture
) -> None:
    for remark in ("old endpoint", "old endpoint", "slow down"):
        notices.warned(remark)

    assert caplog.messages == [
        "a (traces): the destination says: old endpoint",
        "a (traces): the destination says: slow down",
    ]


def test_losses_are_summed_up_and_none_is_left_unsaid(
    notices: Notices, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    for _ in range(5):
        notices.lost(2, "bad")
    clock.now_s = 10
    notices.lost(1, "worse")
    notices.lost(1, "worst")
    notices.close()

    assert caplog.messages == [
        "a (traces): 2 items lost: bad",
        "a (traces): 9 items lost: worse",
        "a (traces): 1 more items lost",
    ]
