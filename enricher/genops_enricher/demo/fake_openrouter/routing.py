"""Which upstream provider serves a request: the part of OpenRouter's router that a client can see.

Honoured from the body: `model`, `models` (tried in order), and of `provider` the keys `order`,
`only`, `ignore` and `allow_fallbacks`. `openrouter/auto` picks a model of its own. Prices and
latencies play no part: endpoints are tried as the model lists them.
https://openrouter.ai/docs/guides/routing/provider-selection
https://openrouter.ai/docs/guides/routing/model-fallbacks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from genops_enricher.demo.fake_openrouter.billing import MODELS, Model

__all__ = ["Attempt", "Route", "RouteError", "choose_route", "provider_slug"]

AUTO_ROUTER = "openrouter/auto"
AUTO_ROUTER_CHOICE = "openai/gpt-4o-mini"
ROUTING_SUFFIXES = (":nitro", ":floor", ":online", ":exacto")  # ways to route, not models


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one endpoint, with the HTTP status that it answered."""

    provider: str
    model: str
    status: int


@dataclass(frozen=True, slots=True)
class Route:
    """The endpoint that answers, and how the router came to it."""

    requested: str
    strategy: str
    model: Model
    attempts: tuple[Attempt, ...]  # the last one is the one that answers
    endpoints: tuple[tuple[str, str], ...]  # (provider, model id) that could have answered

    @property
    def provider(self) -> str:
        """The display name of the provider that answers."""
        return self.attempts[-1].provider


class RouteError(Exception):
    """Nothing can answer: the HTTP status, the message, and the provider that failed last."""

    def __init__(self, status: int, message: str, provider: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.provider = provider


def provider_slug(name: str) -> str:
    """The slug that `provider.order` and its kin take: `Amazon Bedrock` is `amazon-bedrock`."""
    return name.lower().replace(" ", "-")


def choose_route(body: Mapping[str, Any], *, failures: int = 0) -> Route:
    """Choose the endpoint for a request body; the first `failures` attempts fail with 503.

    Raises:
        RouteError: 400 no or an unknown model, or a field of the wrong type; 404 no endpoint is
            allowed; 502 every endpoint failed.
    """
    requested = _requested(body)
    strategy = "fallback" if len(requested) > 1 else "direct"
    if requested[0] == AUTO_ROUTER:
        strategy = "auto"
    models = [model for name in requested if (model := _model(name)) is not None]
    if not models:
        raise RouteError(400, f"{requested[0]} is not a valid model ID")

    preferences = body.get("provider") or {}
    if not isinstance(preferences, Mapping):
        raise RouteError(400, "provider: expected an object")
    endpoints = [(name, model) for model in models for name in _allowed(model, preferences)]
    if not endpoints:
        raise RouteError(404, "No endpoints found matching your provider preferences.")
    tried = endpoints if preferences.get("allow_fallbacks", True) else endpoints[:1]
    if failures >= len(tried):
        raise RouteError(502, "Provider returned error", tried[-1][0])

    attempts = [Attempt(name, model.id, 503) for name, model in tried[:failures]]
    name, model = tried[failures]
    return Route(
        requested=requested[0],
        strategy=strategy,
        model=model,
        attempts=(*attempts, Attempt(name, model.id, 200)),
        endpoints=tuple((name, model.id) for name, model in endpoints),
    )


def _requested(body: Mapping[str, Any]) -> list[str]:
    fallbacks = body.get("models") or []
    if not isinstance(fallbacks, list):
        raise RouteError(400, "models: expected an array")
    names = [body.get("model"), *fallbacks]
    requested = list(dict.fromkeys(name for name in names if isinstance(name, str) and name))
    if not requested:
        raise RouteError(400, "No models provided")
    return requested


def _model(name: str) -> Model | None:
    if name == AUTO_ROUTER:
        return MODELS[AUTO_ROUTER_CHOICE]
    for suffix in ROUTING_SUFFIXES:
        name = name.removesuffix(suffix)
    by_slug = {model.slug: model for model in MODELS.values()}
    return MODELS.get(name) or by_slug.get(name)


def _allowed(model: Model, preferences: Mapping[str, Any]) -> Iterable[str]:
    """The model's providers, best first, as the preferences filter and order them."""
    only, ignore, order = (
        [provider_slug(name) for name in preferences.get(key) or ()]
        for key in ("only", "ignore", "order")
    )
    allowed = [
        name
        for name in model.providers
        if (not only or provider_slug(name) in only) and provider_slug(name) not in ignore
    ]
    # A stable sort: what `order` does not name keeps its place behind what it names.
    return sorted(
        allowed,
        key=lambda name: (
            order.index(slug) if (slug := provider_slug(name)) in order else len(order)
        ),
    )
