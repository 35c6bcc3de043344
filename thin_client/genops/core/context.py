"""Governance attributes for all calls made inside a block of code.

    with set_governance_context(team="search", customer_id="acme"):
        client.chat.completions.create(...)   # the span carries genops.team, genops.customer_id

Scopes nest; the inner value wins. The scope is a context variable: tasks started inside inherit it,
and so do threads that run in a copied context (`contextvars.copy_context().run`,
`asyncio.to_thread`); a plain thread starts without it. Other services are reached by `baggage`, if
`genops.init` was told so.

A scope may also carry a budget (`budget_limit=0.50`), which all calls inside share.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import NamedTuple

from opentelemetry.context import Context

from genops import _runtime
from genops.core import baggage
from genops.core.budget import KEYWORDS, Budget, budget_of
from genops.core.governance import Scalar, clean

__all__ = ["GovernanceScope", "current_budgets", "current_governance", "set_governance_context"]

Attributes = Mapping[str, Scalar]


class _InForce(NamedTuple):
    attributes: Attributes
    budgets: tuple[Budget, ...]  # of all scopes, the outermost first


_NOTHING = _InForce(MappingProxyType({}), ())
_current: ContextVar[_InForce] = ContextVar("genops_governance", default=_NOTHING)


class GovernanceScope:
    """The handle of `set_governance_context`; leaving it restores what was set before."""

    __slots__ = ("_added", "_baggage", "_before", "_budget", "_here", "_token")

    def __init__(self, added: Attributes, budget: Budget | None = None) -> None:
        self._added = added
        self._budget = budget
        self._token: Token[_InForce] | None = None
        self._baggage: Token[Context] | None = None
        self._before = _NOTHING
        self._here = _NOTHING
        self._set()

    def _set(self) -> None:
        self._before = _current.get()
        self._here = _InForce(
            MappingProxyType({**self._before.attributes, **self._added}),
            (*self._before.budgets, self._budget) if self._budget else self._before.budgets,
        )
        self._token = _current.set(self._here)
        if _runtime.current().propagate_governance:
            self._baggage = baggage.attach(self._added)

    def __enter__(self) -> GovernanceScope:
        if self._token is None:  # entered again after it was left
            self._set()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        token, self._token = self._token, None
        carried, self._baggage = self._baggage, None
        if token is None:
            return
        try:
            _current.reset(token)
            if carried is not None:
                baggage.detach(carried)
        except ValueError:
            # Left in another context than entered, as async generators and fixtures do. A copy of
            # that context has our value; in any other one there is nothing to undo.
            if _current.get() is self._here:
                _current.set(self._before)


def set_governance_context(
    attributes: Mapping[str, object] | None = None, /, **more: object
) -> GovernanceScope:
    """Set governance attributes for the calls that follow in this context.

    They hold from this call on: until the end of the block if used in a `with` statement, else
    until the current context (task, thread, request) ends.

    Args:
        attributes: Keys and values as a mapping.
        **more: The same as keywords; they win over the mapping. Of both, `budget_limit` (or
            `max_budget`) is no attribute but what the recorded calls in this context may cost
            together, in USD. The budgets of all enclosing contexts hold.

    Returns:
        A context manager that restores the attributes and budgets set before.

    Raises:
        ValueError: the budget is no amount of money.
    """
    given = {**(attributes or {}), **more}
    budget = budget_of(given)
    return GovernanceScope(
        clean({key: value for key, value in given.items() if key not in KEYWORDS}), budget
    )


def current_governance() -> Attributes:
    """The attributes in force here, by full span attribute name (`genops.team`).

    What other services sent yields to what is set here.
    """
    local = _current.get().attributes
    return {**baggage.received(), **local} if _runtime.current().propagate_governance else local


def current_budgets() -> tuple[Budget, ...]:
    """The budgets in force here, the outermost first."""
    return _current.get().budgets
