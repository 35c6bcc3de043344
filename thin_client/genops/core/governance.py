"""Turn what an application says about itself (team, project, customer…) into span attributes.

Decides which keys and values are accepted; where they come from (defaults, context, the call) is
decided in `context` and in the providers. A key becomes `genops.<key>`. Any key may be used, the
documented ones are always text, since a column has one type; names that carry measured facts cannot
be overwritten.
"""

from __future__ import annotations

import datetime
import enum
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from genops.core.guard import guard, warn_once

__all__ = [
    "DOCUMENTED_KEYS",
    "RESERVED",
    "VALUE_CHARS_MAX",
    "Scalar",
    "as_text",
    "clean",
    "is_scalar",
    "text",
]

Scalar = str | bool | int | float

DOCUMENTED_KEYS: Final = (
    "team",
    "project",
    "customer_id",
    "customer",
    "environment",
    "cost_center",
    "feature",
    "user_id",
    "experiment_id",
    "region",
    "model_version",
    "priority",
    "compliance_level",
)

# First segments of the names under `genops.` that the client or the enricher writes.
RESERVED: Final = frozenset(
    {
        "provider",
        "model",
        "model_family",
        "model_tier",
        "tokens",
        "usage",
        "cost",
        "pricing",
        "openrouter",
        "stream",
        "content",
        "budget",
    }
)

# Datadog cuts tag values at 200-256 characters; longer values are text, not dimensions.
VALUE_CHARS_MAX: Final = 256
_KEY_CHARS_MAX: Final = 128

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1  # OTLP carries integers as int64
_SCALARS = (
    *(str, bool, int, float, enum.Enum),
    *(uuid.UUID, Decimal, datetime.date, datetime.time),  # written as text
)


def is_scalar(value: object) -> bool:
    """Whether a value can be a governance attribute: text, a number, a flag, or None."""
    return value is None or isinstance(value, _SCALARS)


def text(value: str) -> str:
    """The text as it may stand on a span: bounded, and encodable as UTF-8.

    A lone surrogate would make the exporter lose the whole batch.
    """
    if type(value) is str and len(value) <= VALUE_CHARS_MAX and value.isascii():
        return value  # nearly always
    return str.__str__(value)[:VALUE_CHARS_MAX].encode("utf-8", "replace").decode("utf-8")


def clean(attributes: Mapping[str, object]) -> dict[str, Scalar]:
    """The acceptable part of the given attributes, by full span attribute name.

    None means "not set" and is left out silently. Reserved keys, and values that are no scalars
    (they could hold content), are left out with one warning per key.
    """
    cleaned: dict[str, Scalar] = {}
    for key, value in attributes.items():
        if value is None:
            continue
        if not isinstance(key, str) or not 0 < len(key) <= _KEY_CHARS_MAX:
            warn_once(
                ("key", type(key)), "governance keys are text of 1 to %d characters", _KEY_CHARS_MAX
            )
        elif key.split(".", 1)[0].lower() in RESERVED:
            warn_once(
                ("reserved", key),
                "governance key %r is left out: genops.%s is a measured fact. Use another name",
                key,
                key,
            )
        elif not is_scalar(value):
            warn_once(
                ("value", key),
                "governance key %r is left out: a %s is no text, number or flag",
                key,
                type(value).__name__,
            )
        else:
            with guard("reading a governance value"):  # its class decides how it becomes text
                written = _coerce(value)
                cleaned["genops." + text(key)] = (
                    as_text(written) if key in DOCUMENTED_KEYS else written
                )
    return cleaned


def as_text(value: Scalar) -> str:
    """The value where only text can stand."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _coerce(value: object) -> Scalar:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if _INT64_MIN <= value <= _INT64_MAX else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return text(value if isinstance(value, str) else str(value))
