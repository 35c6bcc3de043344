"""Sort the keywords of one call of the OpenRouter client by whom they are for.

Decides what is sent (the SDK's own parameters, OpenRouter's fields, routing) and what is recorded
as governance and not sent. A keyword of content or of a key is never governance, and one that looks
like a misspelled parameter is reported, since the call then went out without that parameter.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from genops.core.budget import KEYWORDS as BUDGET_KEYWORDS
from genops.core.budget import Budget, budget_of
from genops.core.governance import DOCUMENTED_KEYS, Scalar, clean, is_scalar
from genops.core.guard import warn_once
from genops.providers.openrouter_routing import BODY_FIELDS, body

__all__ = ["Keywords", "sort_keywords"]

_ROUTING: Final = ("provider", "route", "fallbacks")
_OURS: Final = frozenset({*_ROUTING, *BUDGET_KEYWORDS, "max_retries"})

# Parameters of other methods and APIs, written by mistake: as attributes they would put content or
# a key on the span. They go to the SDK, which refuses them by name.
_NEVER_GOVERNANCE: Final = frozenset(
    {
        *("content", "input", "instructions", "message", "prompt", "system", "system_prompt"),
        *("api_key", "authorization", "openrouter_api_key", "password", "secret", "token"),
    }
)

# Where the SDK declares the parameters of a method, and what its signature has beside them. The
# signature itself may be hidden by a wrapper of another library, or by a mock.
_DECLARED: Final = {
    "chat": "openai.types.chat.completion_create_params",
    "text_completion": "openai.types.completion_create_params",
}
_OPTIONS: Final = ("stream", "extra_headers", "extra_query", "extra_body", "timeout")

# How alike two names are (difflib's ratio) for one to be taken for a slip of the other. A missing
# letter or plural is above; `session` beside `session_id` and `tier` beside `service_tier` below.
_ALIKE: Final = 0.85


@dataclass(frozen=True, slots=True)
class Keywords:
    """The keywords of one call, sorted."""

    api: dict[str, Any]  # for the SDK's method
    governance: dict[str, Scalar]  # by span attribute name
    route: str | None
    max_retries: int | None
    budget: Budget | None


def sort_keywords(kwargs: Mapping[str, Any], operation: str) -> Keywords:
    """The keywords of a call, sorted.

    Args:
        kwargs: As the caller gave them; not changed.
        operation: `gen_ai.operation.name`: "chat" or "text_completion".

    Raises:
        ValueError: the route is unknown, or the budget is no amount of money.
    """
    parameters = _parameters(operation)
    api: dict[str, Any] = {}
    extra: dict[str, object] = {}
    governance: dict[str, object] = {}
    for name, value in kwargs.items():
        if name in _OURS:
            continue
        if name in parameters:
            api[name] = value
        elif name in BODY_FIELDS:
            extra[name] = value
        elif name in DOCUMENTED_KEYS or (is_scalar(value) and name not in _NEVER_GOVERNANCE):
            _report_slip(name, parameters)
            governance[name] = value
        else:
            api[name] = value  # the SDK takes it, or says by name that it does not
    extra_body = {**extra, **(api.get("extra_body") or {})}
    routing = {name: kwargs[name] for name in _ROUTING if name in kwargs}
    merged = body(extra_body, model=api.get("model"), **routing)
    if merged:
        api["extra_body"] = merged
    return Keywords(
        api=api,
        governance=clean(governance),
        route=kwargs.get("route"),
        max_retries=kwargs.get("max_retries"),
        budget=budget_of(kwargs),
    )


@cache
def _parameters(operation: str) -> frozenset[str]:
    declared = importlib.import_module(_DECLARED[operation]).CompletionCreateParamsBase
    return frozenset({*declared.__annotations__, *_OPTIONS})


def _report_slip(name: str, parameters: frozenset[str]) -> None:
    meant = _meant(name, parameters)
    if meant is not None:
        warn_once(
            ("slip", name),
            "unknown keyword %r: did you mean %r? It was not sent, but recorded as the governance "
            "attribute genops.%s",
            name,
            meant,
            name,
        )


@lru_cache(maxsize=1024)  # applications use a few names, again and again
def _meant(name: str, parameters: frozenset[str]) -> str | None:
    if name in DOCUMENTED_KEYS:
        return None
    known = {*parameters, *_OURS, *BODY_FIELDS, *DOCUMENTED_KEYS}
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=_ALIKE)
    return close[0] if close else None
