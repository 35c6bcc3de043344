"""A gate lets requests through, or sends them away, and knows when none is left inside."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from genops_enricher.errors import RetryableError
from genops_enricher.receive.gate import Gate


class Inside:
    def __init__(self) -> None:
        self.entered = threading.Event()
        self.may_leave = threading.Event()

    def accept(self, payload: bytes) -> None:
        self.entered.set()
        assert self.may_leave.wait(60)


def test_a_closed_gate_tells_senders_to_try_again() -> None:
    gate = Gate()

    with pytest.raises(RetryableError, match="being reloaded; try again"):
        gate.accept(b"")


def test_closing_waits_for_the_request_in_work_and_lets_no_other_in() -> None:
    gate, inside = Gate(), Inside()
    gate.open(inside)
    with ThreadPoolExecutor(2) as pool:
        request = pool.submit(gate.accept, b"")
        assert inside.entered.wait(60)

        assert not gate.close(0.05)
        with pytest.raises(RetryableError):
            gate.accept(b"")
        closing = pool.submit(gate.close, 20)
        inside.may_leave.set()

        assert closing.result(60)
        request.result(60)


def test_a_request_that_fails_inside_has_left() -> None:
    class Refusing:
        def accept(self, payload: bytes) -> None:
            raise RetryableError("full")

    gate = Gate()
    gate.open(Refusing())

    with pytest.raises(RetryableError, match="full"):
        gate.accept(b"")
    assert gate.close(0)
