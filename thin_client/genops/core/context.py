"""Governance attributes for all calls made inside a block of code.

    with set_governance_context(team="search", customer_id="acme"):
        client.chat.completions.create(...)   # the span carries genops.team, genops.customer_id

Scopes nest; the inner value wins. The scope is a context variable: tasks started inside inherit it,
and so do threads that run in a copied context (`contextvars.copy_context().run`,
`asyncio.to_thread`); a plain thread starts without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType

from genops.core.governance import Scalar, clean

__all__ = ["GovernanceScope", "current_governance", "set_governance_context"]

Attributes = Mapping[str, Scalar]

_EMPTY: Attributes = MappingProxyType({})
_current: ContextVar[Attributes] = ContextVar("genops_governance", default=_EMPTY)


class GovernanceScope:
    """The handle of `set_governance_context`; leaving it restores what was set before."""

    __slots__ = ("_added", "_before", "_here", "_token")

    def __init__(self, added: Attributes) -> None:
        self._added = added
        self._token: Token[Attributes] | None = None
        self._before: Attributes = _EMPTY
        self._here: Attributes = _EMPTY
        self._set()

    def _set(self) -> None:
        self._before = _current.get()
        self._here = MappingProxyType({**self._before, **self._added})
        self._token = _current.set(self._here)

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
        if token is None:
            return
        try:
            _current.reset(token)
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
        **more: The same as keywords; they win over the mapping.

    Returns:
        A context manager that restores the attributes set before.
    """
    return GovernanceScope(clean({**(attributes or {}), **more}))


def current_governance() -> Attributes:
    """The attributes in force here, by full span attribute name (`genops.team`)."""
    return _current.get()
