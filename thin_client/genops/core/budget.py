"""Budgets: what calls may cost together, kept before money is spent.

Decides whether a call fits and keeps the books: spent, reserved by calls in flight, limit. What a
call may cost, and what it cost in the end, is told by the provider (`providers.estimate`); where
budgets come from is decided in `context` and in the providers.

Money is exact (`Fraction` of USD) until it leaves as a double. A budget lives in one process: a
fork continues with a copy of it.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from genops.core.recording import Attributes

__all__ = [
    "KEYWORDS",
    "Budget",
    "BudgetError",
    "BudgetExceededError",
    "BudgetUncheckedError",
    "Reservation",
    "budget_of",
    "reserve",
]

KEYWORDS: Final = ("budget_limit", "max_budget")  # two names of one thing

# What a call cost, from the attributes of its response; None if that is not known.
CostOf = Callable[[Attributes], Fraction | None]


class BudgetError(Exception):
    """A budget is in force, and the call was not made because it can't be kept or checked."""


class BudgetUncheckedError(BudgetError):
    """The call was not made: it can't be told before it what it may cost."""


class BudgetExceededError(BudgetError):
    """The call was not made: with what it may cost, a budget would be exceeded.

    Attributes:
        limit_usd: The budget.
        spent_usd: What calls under it have cost so far.
        reserved_usd: What calls in flight may cost.
        estimate_usd: What this call may cost.
        model: The model asked for; of several that may answer, the dearest.
    """

    def __init__(
        self,
        limit_usd: float,
        spent_usd: float,
        reserved_usd: float,
        estimate_usd: float,
        model: str,
    ) -> None:
        super().__init__(limit_usd, spent_usd, reserved_usd, estimate_usd, model)
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.reserved_usd = reserved_usd
        self.estimate_usd = estimate_usd
        self.model = model

    def __str__(self) -> str:
        return (
            f"the call to {self.model} was not made: it may cost {_usd(self.estimate_usd)} USD. "
            f"Of the budget of {_usd(self.limit_usd)} USD, {_usd(self.spent_usd)} USD are spent "
            f"and {_usd(self.reserved_usd)} USD reserved by calls in flight. "
            "Give a smaller max_tokens, a cheaper model or a higher budget_limit"
        )


class Budget:
    """A limit in USD and what has been spent of it. Safe to share between threads and tasks."""

    __slots__ = ("_ended", "_reserved", "_spent", "limit")

    def __init__(self, limit: Fraction) -> None:
        self.limit = limit
        self._spent = Fraction(0)
        self._reserved = Fraction(0)
        # Estimate and cost of calls that ended and are not in the books yet. A stream may be ended
        # by the garbage collector at any point, in the middle of a sum too: it only appends here.
        self._ended: deque[tuple[Fraction, Fraction]] = deque()

    def check(self, estimate: Fraction, model: str) -> None:
        """Raise `BudgetExceededError` if the estimate does not fit. What is free always fits."""
        while self._ended:
            reserved, cost = self._ended.popleft()
            self._reserved -= reserved
            self._spent += cost
        if estimate and self._spent + self._reserved + estimate > self.limit:
            raise BudgetExceededError(
                float(self.limit),
                float(self._spent),
                float(self._reserved),
                float(estimate),
                model,
            )

    def hold(self, estimate: Fraction) -> None:
        """Reserve the estimate for a call that is about to be made."""
        self._reserved += estimate

    def end(self, estimate: Fraction, cost: Fraction) -> None:
        """Put the cost of a call in the place of its estimate."""
        self._ended.append((estimate, cost))


_lock = threading.RLock()  # one for all budgets: a call may be under several


def _new_lock() -> None:
    global _lock
    _lock = threading.RLock()  # another thread may have held it while this process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


class Reservation:
    """What one call may cost, held in all budgets over it until the call ends."""

    __slots__ = ("_budgets", "_cost_of", "_estimate")

    def __init__(self, budgets: Sequence[Budget], estimate: Fraction, cost_of: CostOf) -> None:
        self._budgets = budgets
        self._estimate = estimate
        self._cost_of = cost_of

    @property
    def limit_usd(self) -> float:
        """The tightest limit in force."""
        return float(min(budget.limit for budget in self._budgets))

    def settle(self, attributes: Attributes | None) -> None:
        """Count what the call cost; its estimate where that is not known. To be called once.

        Args:
            attributes: What the response told; None if nothing is known of it.
        """
        cost: Fraction | None = None
        try:
            if attributes is not None:
                cost = self._cost_of(attributes)
        finally:
            for budget in self._budgets:
                budget.end(self._estimate, self._estimate if cost is None else cost)


def reserve(
    budgets: Sequence[Budget], estimate: Fraction, model: str, cost_of: CostOf
) -> Reservation:
    """Hold the estimate in all budgets, or in none.

    Args:
        budgets: All that are in force for the call.
        estimate: What it may cost, in USD.
        model: For the message of the error.
        cost_of: Reads from the response's attributes what the call cost, in USD.

    Raises:
        BudgetExceededError: the estimate does not fit into one of them.
    """
    with _lock:
        for budget in budgets:
            budget.check(estimate, model)
        for budget in budgets:
            budget.hold(estimate)
    return Reservation(budgets, estimate, cost_of)


def budget_of(given: Mapping[str, object]) -> Budget | None:
    """The budget that `budget_limit=` or `max_budget=` (USD) asks for, unspent; None without one.

    Raises:
        ValueError: a limit is no finite number from 0, or the two differ.
    """
    limits = {name: _limit(name, given[name]) for name in KEYWORDS if given.get(name) is not None}
    if not limits:
        return None
    if len(set(limits.values())) > 1:
        stated = " and ".join(f"{name}={given[name]!r}" for name in limits)
        raise ValueError(f"{stated} are two names of one budget and differ. Give one of them")
    return Budget(next(iter(limits.values())))


def _limit(name: str, value: object) -> Fraction:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise ValueError(
            f"{name}={value!r} is no budget. Give US dollars as a number, such as {name}=0.50"
        )
    return Fraction(str(value))  # 0.1 means a tenth, not the double next to it


def _usd(amount: float) -> str:
    """Dollars for people: no exponent, no trailing zeros, billionths at the least."""
    return f"{amount:.9f}".rstrip("0").rstrip(".")
