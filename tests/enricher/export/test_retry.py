from __future__ import annotations

from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_enricher.config.model import RetryConfig
from genops_enricher.export.retry import SERVER_DELAY_MAX_S, Backoff

MIDDLE = 0.5  # the random number that changes nothing


def delays(config: RetryConfig, count: int, random: float = MIDDLE) -> list[float | None]:
    backoff = Backoff(config, lambda: random)
    return [backoff.next_delay_s(elapsed_s=0, server_delay_s=None) for _ in repeat(None, count)]


def test_the_defaults_grow_as_those_of_the_collector() -> None:
    assert delays(RetryConfig(), 6) == pytest.approx([5, 7.5, 11.25, 16.875, 25.3125, 30])


def test_jitter_spreads_to_both_sides() -> None:
    assert delays(RetryConfig(), 1, random=0) == [2.5]
    assert delays(RetryConfig(), 1, random=1) == [7.5]


@given(
    random=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
    factor=st.floats(0, 1),
    multiplier=st.floats(1, 10),
)
def test_no_wait_leaves_its_bounds(random: list[float], factor: float, multiplier: float) -> None:
    config = RetryConfig(randomization_factor=factor, multiplier=multiplier)
    numbers = iter(random)
    backoff = Backoff(config, lambda: next(numbers))

    for _ in random:
        delay_s = backoff.next_delay_s(elapsed_s=1e9, server_delay_s=None)
        assert delay_s is not None
        assert config.initial_interval_s * (1 - factor) <= delay_s
        assert delay_s <= config.max_interval_s * (1 + factor)


@pytest.mark.parametrize(
    ("asked_s", "waits_s"),
    [(0.1, 5), (60, 60), (SERVER_DELAY_MAX_S, SERVER_DELAY_MAX_S), (1e12, SERVER_DELAY_MAX_S)],
)
def test_the_wish_of_the_destination_is_a_floor_within_reason(
    asked_s: float, waits_s: float
) -> None:
    backoff = Backoff(RetryConfig(), lambda: MIDDLE)

    assert backoff.next_delay_s(elapsed_s=0, server_delay_s=asked_s) == waits_s


def test_it_gives_up_when_the_next_wait_would_end_too_late() -> None:
    config = RetryConfig(max_elapsed_time_s=15)
    backoff = Backoff(config, lambda: MIDDLE)

    assert backoff.next_delay_s(elapsed_s=10, server_delay_s=None) == 5
    assert backoff.next_delay_s(elapsed_s=10, server_delay_s=None) is None


def test_it_never_gives_up_by_default_and_at_once_when_disabled() -> None:
    assert Backoff(RetryConfig(), lambda: 0).next_delay_s(elapsed_s=1e9, server_delay_s=None)
    assert delays(RetryConfig(enabled=False), 1) == [None]
