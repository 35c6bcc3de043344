"""The books of a budget: exact, whole, and safe wherever a call ends."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from fractions import Fraction

import pytest

from genops.core.budget import Budget, BudgetExceededError, budget_of, reserve


def costs(usd: str) -> Fraction:
    return Fraction(usd)


def test_tenths_add_up_to_the_limit_exactly() -> None:
    budget = budget_of({"budget_limit": 0.3})
    assert budget is not None

    for _ in range(3):
        reserve([budget], costs("0.1"), "m", lambda _: costs("0.1")).settle({})

    with pytest.raises(BudgetExceededError) as caught:
        reserve([budget], costs("0.000000001"), "m", lambda _: None)
    assert caught.value.spent_usd == 0.3


def test_a_call_that_does_not_fit_one_budget_is_held_in_none() -> None:
    wide, tight = Budget(costs("1")), Budget(costs("0.1"))

    with pytest.raises(BudgetExceededError):
        reserve([wide, tight], costs("0.5"), "m", lambda _: None)

    with pytest.raises(BudgetExceededError) as caught:
        reserve([wide], costs("2"), "m", lambda _: None)
    assert caught.value.reserved_usd == 0.0


def test_a_cost_that_cannot_be_read_counts_as_estimated() -> None:
    budget = Budget(costs("1"))

    def fail(_: object) -> Fraction:
        raise RuntimeError("a bug")

    reservation = reserve([budget], costs("0.5"), "m", fail)
    with pytest.raises(RuntimeError):
        reservation.settle({})

    with pytest.raises(BudgetExceededError) as caught:
        reserve([budget], costs("2"), "m", fail)
    assert (caught.value.spent_usd, caught.value.reserved_usd) == (0.5, 0.0)


def test_threads_that_reserve_and_settle_at_once_lose_nothing() -> None:
    budget = Budget(costs("1000"))
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait(60)
        for _ in range(500):
            reserve([budget], costs("0.02"), "m", lambda _: costs("0.01")).settle({})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    with pytest.raises(BudgetExceededError) as caught:
        reserve([budget], costs("1000"), "m", lambda _: None)
    assert (caught.value.spent_usd, caught.value.reserved_usd) == (40.0, 0.0)


def test_a_process_forked_while_another_thread_reserves_can_reserve() -> None:
    code = """
import os, signal, threading
from fractions import Fraction
from genops.core import budget
held, done = threading.Event(), threading.Event()

def reserving():
    with budget._lock:
        held.set()
        done.wait(60)

threading.Thread(target=reserving).start()
held.wait(60)
child = os.fork()
if child == 0:
    signal.alarm(10)
    budget.reserve([budget.Budget(Fraction(1))], Fraction(1), "m", lambda _: None)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done.set()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ran.stdout == "7\n"


def test_the_error_survives_a_process_boundary_and_speaks_plainly() -> None:
    error = BudgetExceededError(0.5, 0.0001234, 0.0, 0.000_000_5, "openai/gpt-4o")

    copy = pickle.loads(pickle.dumps(error))

    assert str(copy) == str(error)
    assert "it may cost 0.0000005 USD" in str(error)
    assert "budget of 0.5 USD, 0.0001234 USD are spent and 0 USD reserved" in str(error)
