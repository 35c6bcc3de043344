"""Which names are dropped or hashed: patterns as shells have them, and named groups of patterns.

`*` stands for any characters, dots too, `?` for one, `[ab]` and `[!ab]` for one of some or none of
them. A pattern is the whole name, in the case in which it is written, as OTLP compares keys.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from enum import IntEnum

from genops_enricher.config.groups import GROUPS

__all__ = ["BODY", "GROUP", "STATUS_MESSAGE", "Action", "Rules", "expand"]

GROUP = "group:"
"""What a pattern begins with that names a group."""

# What is no attribute, but can hold the same things, has a name that patterns can match.
BODY = "log.body"
STATUS_MESSAGE = "span.status.message"

_LITERAL = re.compile(r"[^*?\[]*")


class Action(IntEnum):
    """What becomes of an attribute; of two the higher one counts."""

    KEEP = 0
    HASH = 1
    DROP = 2


class Rules:
    """The patterns of a configuration."""

    def __init__(self, drop: Iterable[str] = (), hash: Iterable[str] = ()) -> None:  # noqa: A002
        """What to drop and what to hash, as patterns or `group:NAME`. To drop wins."""
        self.patterns = {Action.DROP: expand(drop), Action.HASH: expand(hash)}
        self._matchers = [
            (action, re.compile("|".join(map(fnmatch.translate, patterns))))
            for action, patterns in self.patterns.items()
            if patterns
        ]

    def __bool__(self) -> bool:
        return bool(self._matchers)

    def action(self, name: str) -> Action:
        """What becomes of the attribute called `name`."""
        for action, matcher in self._matchers:
            if matcher.match(name):
                return action
        return Action.KEEP

    def hints(self, *, bodies: bool = False) -> tuple[bytes, ...]:
        """Bytes of which one stands wherever a name that matches can stand.

        Few and short, since whole requests are searched for each. An empty one is found in
        everything: there is a pattern for which nothing can be said.

        Args:
            bodies: also for bodies of log records, whose names are made up: `log.body` stands
                nowhere, and of `EVENT.body` only the event.
        """
        hints = set()
        for pattern in (p for patterns in self.patterns.values() for p in patterns):
            if fnmatch.fnmatchcase(BODY if bodies else STATUS_MESSAGE, pattern):
                return (b"",)
            head = _LITERAL.match(pattern)
            literal = head[0] if head else ""
            namespace, dot, _ = literal.partition(".")
            if bodies:  # the event may be all that stands before the dot
                hints.add(namespace)
            elif literal:
                hints.add(namespace + dot)
            else:  # what stands in brackets, and behind them, is left alone: where do they end?
                hints.add(max(re.split(r"[*?]", pattern.partition("[")[0]), key=len))
        return tuple(
            sorted(
                hint.encode()
                for hint in hints
                if not any(other in hint for other in hints if other != hint)
            )
        )


def expand(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns with groups replaced by what is in them. A group that is not there: KeyError."""
    return tuple(
        dict.fromkeys(
            each
            for pattern in patterns
            for each in (
                GROUPS[pattern.removeprefix(GROUP)].patterns
                if pattern.startswith(GROUP)
                else (pattern,)
            )
        )
    )
