"""Above the limit requests are refused, below it they are not, and people are told."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from genops_enricher.errors import RetryableError
from genops_enricher.host.memory import MemoryGuard, resident_bytes
from genops_enricher.receive.in_flight import InFlight
from genops_enricher.telemetry import Telemetry

MIB = 1 << 20
REFUSED = "genops_memory_refused_requests_total"


class Process:
    """A process of some size."""

    def __init__(self, mib: int | None) -> None:
        self.mib = mib

    def __call__(self) -> int | None:
        return None if self.mib is None else self.mib * MIB


def wait_until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def is_admitted(guard: MemoryGuard) -> bool:
    try:
        guard.admit()
    except RetryableError:
        return False
    return True


def test_a_request_above_the_limit_is_refused_until_there_is_room_again() -> None:
    process, telemetry = Process(100), Telemetry()
    guard = MemoryGuard(telemetry, process)
    guard.set_limit(100 * MIB)
    guard.admit()
    process.mib = 101
    wait_until(lambda: not is_admitted(guard))

    with pytest.raises(RetryableError, match=r"service\.memory_limit_mib") as caught:
        guard.admit()
    assert caught.value.retry_after_s == 1
    (reason,) = guard.degraded()
    assert reason.startswith("memory: 101 MiB are in use, more than service.memory_limit_mib (100)")
    assert telemetry.total(REFUSED) >= 2
    assert telemetry.value("genops_memory_limit_bytes") == 100 * MIB

    process.mib = 99
    wait_until(lambda: is_admitted(guard))
    assert guard.degraded() == []


def test_without_a_limit_nothing_is_refused_and_no_limit_is_shown() -> None:
    telemetry = Telemetry()
    guard = MemoryGuard(telemetry, Process(10**6))
    guard.set_limit(MIB)
    assert not is_admitted(guard)

    guard.set_limit(None)

    assert is_admitted(guard)
    assert telemetry.labelled("genops_memory_limit_bytes") == []


def test_where_the_system_does_not_tell_the_size_there_is_no_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = MemoryGuard(Telemetry(), Process(None))
    guard.set_limit(MIB)

    assert is_admitted(guard)
    assert "there is no limit" in caplog.text


def test_a_refused_request_takes_nothing_of_what_is_in_flight() -> None:
    guard = MemoryGuard(Telemetry(), Process(2))
    guard.set_limit(MIB)
    in_flight = InFlight(10, guard.admit)

    with pytest.raises(RetryableError), in_flight.request() as share:
        share.take(10)
    guard.set_limit(None)
    with in_flight.request() as share, in_flight.request() as other:
        share.take(5)
        other.take(5)


def test_the_resident_set_is_that_of_this_process() -> None:
    size = resident_bytes()
    if size is None:
        pytest.skip("this system has no /proc")
    assert 10 * MIB < size < 10_000 * MIB
