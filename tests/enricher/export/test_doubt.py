"""How often a healthy request would be given up, by simulation; and when a poisonous one is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from genops_enricher.export.doubt import CONVICTED, SUSPECTED, Doubt, Others

RATES = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
Rate = Callable[[int], float]


def steady(rate: float) -> Rate:
    return lambda _number: rate


def weather(number: int) -> float:
    """Good and bad times that change in the middle of the trial of one request."""
    return (0.1, 0.7, 1.0, 0.95)[number // 7 % 4]


def fail_until(weight: float, rate: Rate, chance: random.Random, per_interval: int) -> list[float]:
    """Let a request fail until the evidence has that weight; give the rate at each failure."""
    others = Others()
    doubt = Doubt(others.count)
    rates: list[float] = []
    while doubt.weight < weight:
        now = rate(len(rates))
        for _ in range(chance.randint(0, 2 * per_interval)):
            others.tried(taken=chance.random() >= now)
        doubt.failed(others.count)
        rates.append(now)
    return rates


def false_verdicts(weight: float, rate: Rate, per_interval: int, runs: int = 50) -> float:
    """The probability that a healthy request gets there.

    Not by waiting for it to happen, at one in 10^9: what the others do is drawn, and the chance of
    a healthy request to fail each time meanwhile is known.
    """
    chance = random.Random(1)
    return (
        sum(math.prod(fail_until(weight, rate, chance, per_interval)) for _ in range(runs)) / runs
    )


@pytest.mark.parametrize("per_interval", [1, 4, 50])
@pytest.mark.parametrize("rate", RATES)
def test_a_healthy_request_is_given_up_once_in_a_milliard_at_most(
    rate: float, per_interval: int
) -> None:
    # The rule before: ten failures with a success of others in each interval.
    assert rate**10 > 1e-4 or rate == 0.5

    assert false_verdicts(CONVICTED, steady(rate), per_interval) <= 1e-9
    assert false_verdicts(SUSPECTED, steady(rate), per_interval) <= 1 / 8


@pytest.mark.parametrize("per_interval", [1, 4, 50])
def test_the_bound_holds_while_the_rate_of_failures_changes(per_interval: int) -> None:
    assert false_verdicts(CONVICTED, weather, per_interval) <= 1e-9
    assert false_verdicts(SUSPECTED, weather, per_interval) <= 1 / 8


def test_what_is_computed_is_what_happens() -> None:
    """The same by plain simulation, where it happens often enough: healthy requests suspected."""
    chance = random.Random(2)
    runs, verdicts = 20_000, 0
    for _ in range(runs):
        others = Others()
        doubt = Doubt(others.count)
        while doubt.weight < SUSPECTED and chance.random() < 0.7:
            for _ in range(8):
                others.tried(taken=chance.random() >= 0.7)
            doubt.failed(others.count)
        verdicts += doubt.weight >= SUSPECTED

    assert 0 < verdicts / runs <= 1 / 8


def test_in_an_outage_there_is_no_evidence_however_long_it_lasts() -> None:
    others = Others()
    doubt = Doubt(others.count)
    for _ in range(100_000):
        others.tried(taken=False)
        doubt.failed(others.count)

    assert doubt.weight == 0


def test_nothing_follows_from_successes_before_and_after_an_outage() -> None:
    """Only what happened between two attempts is compared with the second."""
    others = Others()
    for _ in range(1000):
        others.tried(taken=True)
    doubt = Doubt(others.count)
    for _ in range(120):
        others.tried(taken=False)
        doubt.failed(others.count)
    for _ in range(1000):
        others.tried(taken=True)
    doubt.failed(others.count)

    assert doubt.weight == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("rate", "failures"), [(0.0, 31), (0.5, 35), (0.7, 65), (0.9, 215), (0.95, 450)]
)
def test_what_breaks_the_destination_is_found_out(rate: float, failures: int) -> None:
    chance = random.Random(3)
    counts = [len(fail_until(CONVICTED, steady(rate), chance, 50)) for _ in range(50)]

    assert min(counts) >= 30
    assert sum(counts) / 50 <= failures
