"""Governance attributes as W3C baggage: to downstream services, and from upstream ones.

Opt-in (`genops.init(propagate_governance=True)`). OpenTelemetry's propagator carries baggage in the
header of that name (https://www.w3.org/TR/baggage/), to whatever an instrumented HTTP client calls
and from whoever calls an instrumented server. So what comes is the word of strangers: it is bounded
in number and size, and cannot take the names of measured facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import Token
from itertools import islice
from typing import Final

from opentelemetry import context

from genops.core.governance import RESERVED, Scalar, as_text, text

__all__ = ["ENTRIES_MAX", "attach", "detach", "received"]

ENTRIES_MAX: Final = 32

# Other keys need no such characters, and would be quoted by one propagator and refused by another.
_NAME: Final = re.compile(r"genops\.([A-Za-z0-9_-]{1,64})(\.[A-Za-z0-9._-]{1,64})?")


def attach(attributes: Mapping[str, Scalar]) -> Token[context.Context]:
    """Add attributes (by span attribute name) to the baggage of the current context."""
    from opentelemetry import baggage  # not part of the cost of `import genops`

    here = context.get_current()
    for name, value in attributes.items():
        if _NAME.fullmatch(name):
            here = baggage.set_baggage(name, as_text(value), here)
    return context.attach(here)


def detach(token: Token[context.Context]) -> None:
    """Undo `attach`."""
    context.detach(token)


def received() -> dict[str, str]:
    """The governance attributes in the baggage of the current context. All values are text."""
    from opentelemetry import baggage

    acceptable = (
        (name, text(value))
        for name, value in baggage.get_all().items()
        if isinstance(value, str)
        and value.isprintable()
        and (parts := _NAME.fullmatch(name))
        and parts[1].lower() not in RESERVED
    )
    return dict(islice(acceptable, ENTRIES_MAX))
