"""OpenRouter's routing: what a caller asks for, and what a response tells about it.

Pure. Two directions: the guide's `provider=`, `route=` and `fallbacks=` become fields of the
documented request body, and `openrouter_metadata`, usage and ids become span attributes.

Sources: https://openrouter.ai/docs/features/provider-routing (the `provider` object),
https://openrouter.ai/docs/features/model-routing (`models`), and the OpenAPI schemas ChatRequest,
ChatUsage and OpenRouterMetadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeGuard

from genops.core import attributes as names
from genops.core.governance import text
from genops.core.recording import Attributes, Observation, count, get

__all__ = ["BODY_FIELDS", "METADATA_HEADER", "ROUTES", "asked", "body", "observe", "observer"]

# Asks OpenRouter to put `openrouter_metadata` into the response.
METADATA_HEADER: Final = ("X-OpenRouter-Metadata", "enabled")

# The guide's strategies in terms of the `provider` object. The `:floor` and `:nitro` suffixes are
# no substitute: they also admit other service tiers, which bill differently.
ROUTES: Final[Mapping[str, Mapping[str, object]]] = {
    "least-cost": {"sort": "price"},
    "fastest": {"sort": "throughput"},
    "fallback": {"allow_fallbacks": True},
}

# Where OpenRouter counts web searches, which are billed beside the tokens: the schemas ChatUsage
# and Usage (of responses) have the first name, those of its other APIs the second.
_SERVER_TOOLS: Final = ("server_tool_use_details", "server_tool_use")

# Suffixes of a model's name that say how to route; others (`:free`) name models of their own.
_ROUTING_VARIANTS: Final = frozenset({"nitro", "floor", "online", "exacto"})

# Fields of the request that the OpenAI SDK's create() does not take as keywords: OpenRouter's own
# (schema ChatRequest), and OpenAI's that came after the oldest supported version of the SDK.
BODY_FIELDS: Final = frozenset(
    {
        "cache_control",
        "debug",
        "image_config",
        "min_p",
        "models",
        "plugins",
        "reasoning",
        "repetition_penalty",
        "session_id",
        "stop_server_tools_when",
        "top_a",
        "top_k",
        "trace",
        "transforms",
        *("moderation", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *("reasoning_effort", "safety_identifier", "verbosity", "web_search_options"),
    }
)


def body(
    extra_body: Mapping[str, object] | None,
    *,
    model: object,
    provider: str | Sequence[str] | Mapping[str, object] | None = None,
    route: str | None = None,
    fallbacks: str | Sequence[str] | None = None,
) -> dict[str, object]:
    """The request body's extra fields for the given routing.

    The keywords fill in what `extra_body` leaves open; where both speak, `extra_body` wins.

    Args:
        extra_body: The caller's own extra fields; not changed.
        model: The model asked for, the first of the models to try.
        provider: A provider slug to prefer, several in order, or the whole `provider` object.
        route: "least-cost", "fastest" or "fallback".
        fallbacks: Models to try, in order, if the first one fails.

    Raises:
        ValueError: the route is unknown, or providers or models are not given as text.
    """
    if route is not None and not (isinstance(route, str) and route in ROUTES):
        known = ", ".join(repr(name) for name in ROUTES)
        raise ValueError(
            f"route={route!r} is not a routing strategy; known are {known}. "
            "Other routing goes into extra_body={'provider': {…}}"
        )
    merged: dict[str, object] = dict(extra_body or {})
    preferences: dict[str, object] = {}
    if isinstance(provider, Mapping):
        preferences.update(provider)
    elif provider:
        preferences["order"] = _texts("provider", provider)
    if route is not None:
        preferences.update(ROUTES[route])
    if preferences:
        own = merged.get("provider")
        merged["provider"] = {**preferences, **own} if isinstance(own, Mapping) else preferences
    if fallbacks:
        merged.setdefault("models", [model, *_texts("fallbacks", fallbacks)])
    return merged


def _texts(keyword: str, value: object) -> list[str]:
    """One text or several, as a list."""
    texts = [value] if isinstance(value, str) else value
    if not _is_list(texts) or not all(isinstance(item, str) for item in texts):
        raise ValueError(f"{keyword}={value!r} is neither a name nor a list of names")
    return [item for item in texts if isinstance(item, str)]


def asked(extra_body: object, route: str | None = None) -> dict[str, str]:
    """What the caller asked of the router, as span attributes."""
    attributes: dict[str, str] = {}
    if route is not None:
        attributes[names.ROUTING_STRATEGY] = route
    order = get(extra_body, "provider", "order")
    if _is_list(order) and order and isinstance(order[0], str):
        attributes[names.PREFERRED_PROVIDER] = text(order[0])
        attributes[names.PREDICTED_PROVIDER] = text(order[0])
    return attributes


def observer(model: object, extra_body: object) -> Callable[[object], Observation]:
    """A reader of the responses to one request, for `Request.observe`."""
    models = get(extra_body, "models")
    alternatives = tuple(
        name
        for name in (models if _is_list(models) else ())
        if isinstance(name, str) and not (isinstance(model, str) and _same_model(name, model))
    )
    return partial(observe, alternatives=alternatives)


def observe(response: object, *, alternatives: Sequence[str] = ()) -> Observation:
    """What the response tells about routing and cost.

    Args:
        response: A whole response, as an SDK object or decoded JSON.
        alternatives: The models of the request besides the first choice.
    """
    metadata = get(response, "openrouter_metadata")
    attributes: Attributes = {
        **_billing(response, metadata),
        **_routing(response, metadata, alternatives),
    }
    return Observation(attributes, _failed_attempts(metadata))


def _billing(response: object, metadata: object) -> Attributes:
    attributes: Attributes = {}
    usage = get(response, "usage")
    is_byok = get(usage, "is_byok")
    if not isinstance(is_byok, bool):
        is_byok = get(metadata, "is_byok")
    if isinstance(is_byok, bool):
        attributes[names.IS_BYOK] = is_byok
    for key in _SERVER_TOOLS:
        searches = count(get(usage, key, "web_search_requests"))
        if searches is not None:
            attributes[names.USAGE_WEB_SEARCHES] = searches
            break
    cost = _money(get(usage, "cost"))
    if cost is not None:
        attributes[names.COST_REPORTED] = cost
    # Without an own key the upstream cost repeats `cost`; with one it is a second bill.
    upstream = _money(get(usage, "cost_details", "upstream_inference_cost"))
    if is_byok is True and upstream is not None:
        attributes[names.COST_UPSTREAM_REPORTED] = upstream
    return attributes


def _routing(response: object, metadata: object, alternatives: Sequence[str]) -> Attributes:
    attributes: Attributes = {}
    provider = _served_by(metadata) or get(response, "provider")
    if isinstance(provider, str) and provider:
        attributes[names.ACTUAL_PROVIDER_NAME] = text(provider)
        attributes[names.ACTUAL_PROVIDER] = text("-".join(provider.lower().split()))
    for name, key in ((names.ROUTER_STRATEGY, "strategy"), (names.REGION, "region")):
        value = get(metadata, key)
        if isinstance(value, str) and value:
            attributes[name] = text(value)
    attempts = count(get(metadata, "attempt")) or None  # counted from 1
    if attempts is not None:
        attributes[names.ATTEMPTS] = attempts
    used = _fallback_used(attempts, get(response, "model"), alternatives)
    if used is not None:
        attributes[names.FALLBACK_USED] = used
    identity = get(response, "generation_id") or get(response, "id")
    if isinstance(identity, str) and identity.startswith("gen-"):
        attributes[names.GENERATION_ID] = text(identity)
    return attributes


def _served_by(metadata: object) -> object:
    """The host that served: the selected endpoint, else the attempt that was accepted."""
    endpoints = get(metadata, "endpoints", "available")
    for endpoint in endpoints if _is_list(endpoints) else ():
        if get(endpoint, "selected") is True:
            return get(endpoint, "provider")
    for attempt in _attempts(metadata):
        if get(attempt, "status") == 200:
            return get(attempt, "provider")
    return None


def _fallback_used(
    attempts: int | None, served: object, alternatives: Sequence[str]
) -> bool | None:
    """Whether another endpoint or model than the first choice answered; None if unknown.

    The served model's name may differ from the one asked for without any fallback (dated names,
    `openrouter/auto`), so it tells something only where it is the name of an alternative.
    """
    if attempts is not None and attempts > 1:
        return True
    if isinstance(served, str) and any(_same_model(served, name) for name in alternatives):
        return True
    return False if attempts is not None else None


def _same_model(one: str, other: str) -> bool:
    return _without_routing(one) == _without_routing(other)


def _without_routing(model: str) -> str:
    base, _, variant = model.partition(":")
    return base if variant in _ROUTING_VARIANTS else model


def _failed_attempts(metadata: object) -> tuple[Attributes, ...]:
    failed: list[Attributes] = []
    for attempt in _attempts(metadata):
        status = count(get(attempt, "status"))
        if status is None or 200 <= status < 300:
            continue
        event: Attributes = {names.ATTEMPT_STATUS: status}
        for name, key in ((names.ATTEMPT_PROVIDER, "provider"), (names.ATTEMPT_MODEL, "model")):
            value = get(attempt, key)
            if isinstance(value, str):
                event[name] = text(value)
        failed.append(event)
    return tuple(failed)


def _attempts(metadata: object) -> Sequence[object]:
    attempts = get(metadata, "attempts")
    return attempts if _is_list(attempts) else ()


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _money(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None
