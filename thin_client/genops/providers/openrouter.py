"""Use OpenRouter through an instrumented client, or record all calls to it without touching code.

`instrument_openrouter` wraps one OpenAI SDK client: its methods take governance attributes and
routing wishes beside the SDK's own parameters. `patch_openrouter` records every OpenRouter call
that the SDK makes. The two may be used together; a call is recorded once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from genops import _runtime
from genops.core.guard import guard
from genops.providers import openai as sdk
from genops.providers.hosts import DEFAULT_BASE_URL, OPENAI_COMPATIBLE, OPENROUTER
from genops.providers.openai_results import run, run_async
from genops.providers.openrouter_keywords import sort_keywords
from genops.validation.report import print_validation_result
from genops.validation.setup import (
    ValidationIssue,
    ValidationResult,
    validate_setup,
)

if TYPE_CHECKING:
    import openai

__all__ = [
    "DEFAULT_BASE_URL",
    "GenOpsOpenRouterAdapter",
    "ValidationIssue",
    "ValidationResult",
    "instrument_openrouter",
    "patch_openrouter",
    "print_validation_result",
    "unpatch_openrouter",
    "validate_setup",
]

# Attribution headers (https://openrouter.ai/docs/api-reference/overview#headers) and the
# environment variables that fill them.
_ATTRIBUTION_HEADERS: Final = (
    ("HTTP-Referer", "OPENROUTER_HTTP_REFERER", ("http-referer",)),
    ("X-OpenRouter-Title", "OPENROUTER_X_TITLE", ("x-openrouter-title", "x-title")),
)


class GenOpsOpenRouterAdapter:
    """An OpenRouter client whose calls carry governance attributes.

    Each method takes the parameters of the OpenAI SDK's method, passes them on unchanged, and
    takes three kinds more:

    - routing: `provider` (a slug, several in order of preference, or OpenRouter's whole `provider`
      object), `route` ("least-cost", "fastest" or "fallback"), `fallbacks` (models), and
      OpenRouter's other body fields (`reasoning`, `plugins`, `models`…);
    - `max_retries`, for this call;
    - `budget_limit` (or `max_budget`), what this call may cost in USD;
    - governance: every other keyword with a plain value becomes the span attribute
      `genops.<keyword>` and is not sent. Names of content and keys (`prompt`, `api_key`, …) are
      refused.

    With an `openai.AsyncOpenAI` client the methods return awaitables.

    Everything else that the SDK's client has is there too (`chat`, `responses`, `embeddings`,
    `models`, `close`, `with`…), as it is in the SDK: such calls are recorded, and take their
    governance from the context.
    """

    def __init__(self, client: openai.OpenAI | openai.AsyncOpenAI) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        if name == "client" or name.startswith("__"):  # asked of a copy that is not made yet
            raise AttributeError(name)
        with guard("recording a client"):
            sdk.record_resource(self.client, name, provider=_provider(self.client))
        return getattr(self.client, name)

    def with_options(self, **options: Any) -> GenOpsOpenRouterAdapter:
        """The same with other settings; see `openai.OpenAI.with_options`."""
        return GenOpsOpenRouterAdapter(self.client.with_options(**options))

    copy = with_options

    def __enter__(self) -> Self:
        self.client.__enter__()  # type: ignore[union-attr] # an asynchronous one says so itself
        return self

    def __exit__(self, *error: Any) -> None:
        self.client.__exit__(*error)  # type: ignore[union-attr]

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()  # type: ignore[union-attr]
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.client.__aexit__(*error)  # type: ignore[union-attr]

    def chat_completions_create(self, **kwargs: Any) -> Any:
        """Create a chat completion; see `openai.resources.chat.Completions.create`.

        Returns:
            What the SDK returns: a `ChatCompletion`, a `Stream` of chunks with `stream=True`, or an
            awaitable of those for an asynchronous client.

        Raises:
            ValueError: `route` is unknown, or the budget is no amount of money.
            BudgetError: the call would exceed a budget, or it can't be told whether it would. It
                was not made, and leaves no span.
            TypeError: a keyword is neither the API's nor a plain governance value.
        """
        return self._create("chat", lambda client: client.chat.completions, kwargs)

    def completions_create(self, **kwargs: Any) -> Any:
        """Create a text completion (legacy API); see `openai.resources.Completions.create`."""
        return self._create("text_completion", lambda client: client.completions, kwargs)

    def _create(self, operation: str, resource_of: Any, kwargs: Mapping[str, Any]) -> Any:
        import openai

        client: Any = self.client
        keywords = sort_keywords(kwargs, operation)
        if keywords.max_retries is not None:
            client = client.with_options(max_retries=keywords.max_retries)
        create = resource_of(client).create
        begin = partial(
            sdk.begin,
            operation,
            client,
            keywords.api,
            provider=_provider(client),
            route=keywords.route,
            governance=keywords.governance,
            budget=keywords.budget,
        )
        if isinstance(client, openai.AsyncOpenAI):
            return run_async(begin, create)
        return run(begin, create)


def _provider(client: object) -> str:
    """OpenRouter, unless the client's host is known to be somebody else."""
    with guard("finding the provider"):
        found = sdk.provider_of_client(client)
        if found != OPENAI_COMPATIBLE:
            return found
    return OPENROUTER


def instrument_openrouter(
    client: openai.OpenAI | openai.AsyncOpenAI | None = None,
    *,
    openrouter_api_key: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    async_client: bool = False,
    **client_kwargs: Any,
) -> GenOpsOpenRouterAdapter:
    """An instrumented OpenRouter client.

    In an application that has neither called `genops.init` nor set up a tracer provider, spans go
    where the environment says (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER), if it does.

    Args:
        client: An existing client to wrap. It is used as it is, so no other argument goes with it.
        openrouter_api_key: The key; by default the environment's OPENROUTER_API_KEY. An OpenAI
            key is never used in its place: it would be sent to OpenRouter.
        api_key: The same under the SDK's name.
        base_url: Where OpenRouter is; by default GENOPS_OPENROUTER_BASE_URL or openrouter.ai.
        async_client: Make an `openai.AsyncOpenAI`: the methods return awaitables.
        **client_kwargs: For the SDK's client: timeout (seconds), max_retries, default_headers, …
            The headers HTTP-Referer and X-OpenRouter-Title are filled from
            OPENROUTER_HTTP_REFERER and OPENROUTER_X_TITLE unless given.

    Raises:
        ImportError: the OpenAI SDK is not installed.
        TypeError: a client came together with arguments to make one.
        ValueError: there is no key.
    """
    openai = _import_sdk()
    if client is not None:
        if client_kwargs or openrouter_api_key or api_key or base_url or async_client:
            raise TypeError(
                "instrument_openrouter got a client and also arguments to make one. "
                "Configure the client itself, e.g. client.with_options(timeout=30.0)"
            )
        _export()
        return GenOpsOpenRouterAdapter(client)
    key = openrouter_api_key or api_key or os.environ.get("OPENROUTER_API_KEY")
    if not key:
        raise ValueError(
            "no OpenRouter key: pass openrouter_api_key= or set OPENROUTER_API_KEY. "
            "Keys are made at https://openrouter.ai/keys"
        )
    headers = dict(client_kwargs.pop("default_headers", None) or {})
    given = {name.lower() for name in headers}
    for header, variable, aliases in _ATTRIBUTION_HEADERS:
        value = os.environ.get(variable)
        if value and given.isdisjoint(aliases):
            headers[header] = value
    make = openai.AsyncOpenAI if async_client else openai.OpenAI
    _export()
    return GenOpsOpenRouterAdapter(
        make(
            api_key=key,
            base_url=base_url or _runtime.current().openrouter_base_url or DEFAULT_BASE_URL,
            default_headers=headers,
            **client_kwargs,
        )
    )


def patch_openrouter(auto_track: bool = True) -> None:
    """Record every call to OpenRouter that the OpenAI SDK makes in this process.

    Spans go where those of `instrument_openrouter` go.

    Args:
        auto_track: False makes this a no-op.

    Raises:
        ImportError: the OpenAI SDK is not installed.
    """
    if auto_track:
        _import_sdk()
        _export()
        sdk.patch(OPENROUTER)


def unpatch_openrouter() -> None:
    """Undo `patch_openrouter`. Clients and their settings are left as they are."""
    sdk.unpatch(OPENROUTER)


def _export() -> None:
    """See to it that what is recorded goes where the environment says, if it says so."""
    with guard("starting the exporter"):
        from genops._lifecycle import export_if_the_environment_asks  # it imports this package

        export_if_the_environment_asks()


def _import_sdk() -> Any:
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            "OpenRouter is called through the OpenAI SDK, which is not installed. "
            "hint: pip install openai"
        ) from error
    return openai
