"""Record the calls of the OpenAI SDK, for OpenRouter and for everything else that it talks to.

Decides which methods are wrapped (`OPERATIONS`) and how a call becomes a `Request`; how its result
is followed to the end is decided in `openai_results`. `patch` and `unpatch` work on the SDK's
classes, so clients made before and after are covered alike; but a `with_raw_response` or
`with_streaming_response` that was used before keeps the method that it found. Two names share the
wrappers: "openrouter" records calls to OpenRouter, "openai" records all others.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MethodType, ModuleType
from typing import Any, Final

from genops import _runtime
from genops.core import call as calls
from genops.core.budget import Budget, Reservation
from genops.core.call import Call
from genops.core.context import current_budgets
from genops.core.governance import Scalar, text
from genops.core.guard import guard
from genops.core.recording import Request, get
from genops.providers import openrouter_routing as routing
from genops.providers.hosts import OPENROUTER, address, provider_of
from genops.providers.openai_results import Create, run, run_async

__all__ = [
    "OPERATIONS",
    "Operation",
    "begin",
    "is_patched",
    "patch",
    "provider_of_client",
    "record_resource",
    "unpatch",
]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of the SDK and what it does, in the words of the conventions."""

    module: str
    resource: str  # the synchronous class; its twin has the prefix Async
    method: str
    name: str

    @property
    def path(self) -> tuple[str, ...]:
        """Where a client has the resource: ("chat", "completions")."""
        return tuple(self.module.split(".")[2:])


# `stream()` helpers call `create`; `parse` does not, and stood under `beta` in old versions; in new
# ones what a client has under `beta` is the resource itself once more, so `create` is listed too.
# What an installed version lacks is passed over. Not listed: `beta.responses`, which takes half a
# second to import.
OPERATIONS: Final = (
    Operation("openai.resources.chat.completions", "Completions", "create", "chat"),
    Operation("openai.resources.chat.completions", "Completions", "parse", "chat"),
    Operation("openai.resources.beta.chat.completions", "Completions", "create", "chat"),
    Operation("openai.resources.beta.chat.completions", "Completions", "parse", "chat"),
    Operation("openai.resources.completions", "Completions", "create", "text_completion"),
    Operation("openai.resources.embeddings", "Embeddings", "create", "embeddings"),
    Operation("openai.resources.responses", "Responses", "create", "chat"),
    Operation("openai.resources.responses", "Responses", "parse", "chat"),
)

# How a call of a resource begins, given the operation's name, the resource and the keywords.
_Begin = Callable[[str, object, dict[str, Any]], tuple[Call | None, dict[str, Any]]]

_lock = threading.Lock()
_enabled: frozenset[str] = frozenset()
# By class and method, while patched: ours, and what stood there before.
_replaced: dict[tuple[type, str], tuple[Create, Create]] = {}


def patch(name: str) -> None:
    """Record calls to OpenRouter (name "openrouter") or to all other hosts ("openai").

    Raises:
        ImportError: the OpenAI SDK is not installed.
        RuntimeError: the installed SDK has none of the methods to wrap.
    """
    global _enabled
    with _lock:
        if not _replaced:
            _wrap_all()
        _enabled |= {name}


def unpatch(name: str) -> None:
    """Undo `patch(name)`. The SDK gets its own methods back when no name is left."""
    global _enabled
    with _lock:
        _enabled -= {name}
        if _enabled:
            return
        for (resource, method), (ours, original) in _replaced.items():
            # If another library wrapped ours, it stays in that chain and does nothing.
            if resource.__dict__.get(method) is ours:
                setattr(resource, method, original)
        _replaced.clear()


def is_patched(name: str) -> bool:
    """Whether calls of this name are being recorded."""
    return name in _enabled


def _wrap_all() -> None:
    import openai

    for operation in OPERATIONS:
        try:
            module: ModuleType = importlib.import_module(operation.module)
        except ImportError:
            continue
        for resource_name, wrap in (
            (operation.resource, _wrapper),
            ("Async" + operation.resource, _async_wrapper),
        ):
            resource = getattr(module, resource_name, None)
            original = resource.__dict__.get(operation.method) if resource is not None else None
            if resource is not None and original is not None:
                ours = wrap(operation, original, _begin_if_enabled)
                _replaced[resource, operation.method] = (ours, original)
                setattr(resource, operation.method, ours)
    if not _replaced:
        raise RuntimeError(
            f"openai {openai.__version__} has none of the methods that genops records"
        )


def record_resource(client: object, name: str, *, provider: str) -> None:
    """Record the calls made through `client.<name>`, of this client alone, patched or not.

    Args:
        client: The SDK's client. Its resources keep the recording methods.
        name: The first step to the resource: "chat", "responses"…
        provider: `gen_ai.provider.name`.
    """
    raw = name in ("with_raw_response", "with_streaming_response")  # views of all resources
    if not raw and not any(operation.path[0] == name for operation in OPERATIONS):
        return
    begin = partial(_begin_of_client, provider)
    for operation in OPERATIONS:
        # `beta.chat.completions.stream` of old versions calls `chat.completions.create`. Other
        # resources are left alone: the SDK loads them when they are asked for.
        if not raw and operation.path[0] not in (name, "chat"):
            continue
        resource: Any = get(client, *operation.path)
        original = inspect.getattr_static(type(resource), operation.method, None)
        if original is not None and operation.method not in vars(resource):
            wrap = _async_wrapper if type(resource).__name__.startswith("Async") else _wrapper
            create = wrap(operation, _of_class(operation.method, original), begin)
            setattr(resource, operation.method, MethodType(create, resource))


def _of_class(method: str, original: Create) -> Create:
    """The method that a resource's class has when it is called: others may wrap it later."""

    @functools.wraps(original)
    def create(resource: Any, *args: Any, **kwargs: Any) -> Any:
        return _bound(inspect.getattr_static(type(resource), method), resource)(*args, **kwargs)

    return create


def _bound(method: Any, resource: object) -> Create:
    """The method, bound as Python would.

    Wrappers of other libraries (wrapt) look at what they are bound to, and a mock takes no `self`.
    """
    bind = getattr(method, "__get__", None)
    return method if bind is None else bind(resource)  # type: ignore[no-any-return]


def _wrapper(operation: Operation, original: Create, begin: _Begin) -> Create:
    @functools.wraps(original)
    def create(resource: Any, *args: Any, **kwargs: Any) -> Any:
        begin_call = partial(begin, operation.name, resource, kwargs)
        return run(begin_call, partial(_bound(original, resource), *args))

    return create


def _async_wrapper(operation: Operation, original: Create, begin: _Begin) -> Create:
    @functools.wraps(original)
    async def create(resource: Any, *args: Any, **kwargs: Any) -> Any:
        begin_call = partial(begin, operation.name, resource, kwargs)
        return await run_async(begin_call, partial(_bound(original, resource), *args))

    return create


def _begin_if_enabled(
    operation: str, resource: object, kwargs: dict[str, Any]
) -> tuple[Call | None, dict[str, Any]]:
    if not _enabled or calls.recording_here():
        return None, kwargs
    provider: str | None = None
    with guard("finding the provider"):
        client = get(resource, "_client")
        provider = provider_of_client(client)
    if provider and is_patched(OPENROUTER if provider == OPENROUTER else "openai"):
        return begin(operation, client, kwargs, provider=provider)
    return None, kwargs


def _begin_of_client(
    provider: str, operation: str, resource: object, kwargs: dict[str, Any]
) -> tuple[Call | None, dict[str, Any]]:
    if calls.recording_here():
        return None, kwargs
    return begin(operation, get(resource, "_client"), kwargs, provider=provider)


def provider_of_client(client: object) -> str:
    """The provider behind a client of the SDK."""
    return provider_of(str(get(client, "base_url")), _runtime.current().openrouter_base_url)


def begin(
    operation: str,
    client: object,
    kwargs: dict[str, Any],
    *,
    provider: str,
    route: str | None = None,
    governance: Mapping[str, Scalar] | None = None,
    budget: Budget | None = None,
) -> tuple[Call | None, dict[str, Any]]:
    """Start the span of a call; returns it and the keywords to make the call with.

    Without a span (None), because starting one failed, the call is made unrecorded.

    Args:
        operation: `gen_ai.operation.name`.
        client: The SDK's client.
        kwargs: Keywords for the SDK's method; not changed.
        provider: `gen_ai.provider.name`.
        route: The caller's routing strategy, as given to the OpenRouter adapter.
        governance: Attributes of this call alone, by span attribute name.
        budget: Of this call alone; those of the context hold too.

    Raises:
        BudgetError: a budget would be exceeded, or it can't be told whether it would.
    """
    reservation: Reservation | None = None
    budgets = (*current_budgets(), budget) if budget is not None else current_budgets()
    if budgets:
        from genops.providers import estimate  # prices are loaded only if there is a budget

        reservation = estimate.reserve(budgets, operation, client, kwargs, provider=provider)
    call: Call | None = None
    with guard("starting the span"):
        settings = _runtime.current()
        is_openrouter = provider == OPENROUTER
        is_stream = bool(kwargs.get("stream"))
        look_up = None
        if is_openrouter and is_stream and settings.openrouter_complete_aborted:
            from genops.providers import openrouter_generation  # loaded only if it is asked for

            openrouter_generation.prepare_lookups()
            look_up = partial(openrouter_generation.look_up, client)
        host, port = address(str(get(client, "base_url")))
        model, extra_body = kwargs.get("model"), kwargs.get("extra_body")
        call = calls.start(
            Request(
                operation=operation,
                provider=provider,
                model=text(model) if isinstance(model, str) else None,
                stream=is_stream,
                address=host,
                port=port,
                asked=routing.asked(extra_body, route) if is_openrouter else {},
                observe=routing.observer(model, extra_body) if is_openrouter else None,
                look_up=look_up,
                content=kwargs if settings.capture_content else None,
            ),
            governance,
            reservation,
        )
        if is_openrouter and call.is_recording and settings.openrouter_metadata:
            kwargs = _with_metadata_header(client, kwargs)
    if call is None and reservation is not None:
        reservation.settle(None)  # nobody will see what the call costs
    return call, kwargs


def _with_metadata_header(client: object, kwargs: dict[str, Any]) -> dict[str, Any]:
    name, value = routing.METADATA_HEADER
    # `default_headers` would be made anew, with all that the SDK adds.
    own = {**(get(client, "_custom_headers") or {}), **(kwargs.get("extra_headers") or {})}  # type: ignore[dict-item]
    if any(str(key).lower() == name.lower() for key in own):
        return kwargs
    return {**kwargs, "extra_headers": {**(kwargs.get("extra_headers") or {}), name: value}}
