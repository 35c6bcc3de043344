"""Record the calls of the OpenAI SDK, for OpenRouter and for everything else that it talks to.

Decides which methods are wrapped (`OPERATIONS`), how a call becomes a `Request`, and how each kind
of result is followed to its end. `patch` and `unpatch` work on the SDK's classes, so clients made
before and after are covered alike. Two names share the wrappers: "openrouter" records calls to
OpenRouter, "openai" records all others.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Final

from genops import _runtime
from genops.core import call as calls
from genops.core.call import Call
from genops.core.governance import Scalar, text
from genops.core.guard import guard
from genops.core.recording import Request, get
from genops.core.streaming import AsyncChunks, Chunks, StreamRecorder
from genops.providers import openrouter_routing as routing
from genops.providers.hosts import OPENROUTER, address, provider_of

__all__ = ["OPERATIONS", "Operation", "begin", "is_patched", "patch", "run", "run_async", "unpatch"]

Create = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of the SDK and what it does, in the words of the conventions."""

    module: str
    resource: str  # the synchronous class; its twin has the prefix Async
    method: str
    name: str


# `stream()` helpers call `create`; `parse` does not. What an installed version
# lacks is passed over.
OPERATIONS: Final = (
    Operation("openai.resources.chat.completions", "Completions", "create", "chat"),
    Operation("openai.resources.chat.completions", "Completions", "parse", "chat"),
    Operation("openai.resources.completions", "Completions", "create", "text_completion"),
    Operation("openai.resources.embeddings", "Embeddings", "create", "embeddings"),
    Operation("openai.resources.responses", "Responses", "create", "chat"),
    Operation("openai.resources.responses", "Responses", "parse", "chat"),
)

_lock = threading.Lock()
_enabled: frozenset[str] = frozenset()
_originals: dict[tuple[type, str], Create] = {}  # by class and method, while patched


def patch(name: str) -> None:
    """Record calls to OpenRouter (name "openrouter") or to all other hosts ("openai").

    Raises:
        ImportError: the OpenAI SDK is not installed.
        RuntimeError: the installed SDK has none of the methods to wrap.
    """
    global _enabled
    with _lock:
        if not _originals:
            _wrap_all()
        _enabled |= {name}


def unpatch(name: str) -> None:
    """Undo `patch(name)`. The SDK gets its own methods back when no name is left."""
    global _enabled
    with _lock:
        _enabled -= {name}
        if _enabled:
            return
        for (resource, method), original in _originals.items():
            # If another library wrapped our wrapper, it stays in that chain and does nothing.
            if getattr(resource.__dict__.get(method), "_genops_original", None) is original:
                setattr(resource, method, original)
        _originals.clear()


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
                _originals[resource, operation.method] = original
                setattr(resource, operation.method, wrap(operation, original))
    if not _originals:
        raise RuntimeError(
            f"openai {openai.__version__} has none of the methods that genops records"
        )


def _wrapper(operation: Operation, original: Create) -> Create:
    @functools.wraps(original)
    def create(resource: Any, *args: Any, **kwargs: Any) -> Any:
        started = _begin_if_enabled(operation.name, resource, kwargs)
        if started is None:
            return original(resource, *args, **kwargs)
        call, kwargs = started
        return run(call, partial(original, resource, *args), kwargs)

    create._genops_original = original  # type: ignore[attr-defined]
    return create


def _async_wrapper(operation: Operation, original: Create) -> Create:
    @functools.wraps(original)
    async def create(resource: Any, *args: Any, **kwargs: Any) -> Any:
        started = _begin_if_enabled(operation.name, resource, kwargs)
        if started is None:
            return await original(resource, *args, **kwargs)
        call, kwargs = started
        return await run_async(call, partial(original, resource, *args), kwargs)

    create._genops_original = original  # type: ignore[attr-defined]
    return create


def _begin_if_enabled(
    operation: str, resource: object, kwargs: dict[str, Any]
) -> tuple[Call, dict[str, Any]] | None:
    if not _enabled or calls.recording_here():
        return None
    with guard("starting the span"):
        client = get(resource, "_client")
        provider = provider_of(str(get(client, "base_url")), _runtime.current().openrouter_base_url)
        if is_patched(OPENROUTER if provider == OPENROUTER else "openai"):
            return begin(operation, client, kwargs, provider=provider)
    return None


def begin(
    operation: str,
    client: object,
    kwargs: dict[str, Any],
    *,
    provider: str,
    route: str | None = None,
    governance: Mapping[str, Scalar] | None = None,
) -> tuple[Call, dict[str, Any]]:
    """Start the span of a call; returns it and the keywords to make the call with.

    Args:
        operation: `gen_ai.operation.name`.
        client: The SDK's client.
        kwargs: Keywords for the SDK's method; not changed.
        provider: `gen_ai.provider.name`.
        route: The caller's routing strategy, as given to the OpenRouter adapter.
        governance: Attributes of this call alone, by span attribute name.
    """
    host, port = address(str(get(client, "base_url")))
    model = kwargs.get("model")
    is_openrouter = provider == OPENROUTER
    extra_body = kwargs.get("extra_body")
    call = calls.start(
        Request(
            operation=operation,
            provider=provider,
            model=text(model) if isinstance(model, str) else None,
            stream=kwargs.get("stream") is True,
            address=host,
            port=port,
            asked=routing.asked(extra_body, route) if is_openrouter else {},
            observe=routing.observer(model, extra_body) if is_openrouter else None,
        ),
        governance,
    )
    if is_openrouter and call.is_recording and _runtime.current().openrouter_metadata:
        with guard("asking for routing metadata"):
            kwargs = _with_metadata_header(client, kwargs)
    return call, kwargs


def _with_metadata_header(client: object, kwargs: dict[str, Any]) -> dict[str, Any]:
    name, value = routing.METADATA_HEADER
    own = {**(get(client, "default_headers") or {}), **(kwargs.get("extra_headers") or {})}  # type: ignore[dict-item]
    if any(str(key).lower() == name.lower() for key in own):
        return kwargs
    return {**kwargs, "extra_headers": {**(kwargs.get("extra_headers") or {}), name: value}}


def run(call: Call, create: Create, kwargs: Mapping[str, Any]) -> Any:
    """Make a call of a synchronous client and follow its result."""
    with call:
        result = create(**kwargs)
    followed = False
    with guard("following the response"):
        followed = _follow(call, result, _stream_of(call, result), "close")
    if not followed:
        call.succeed()
    return result


async def run_async(
    call: Call, create: Callable[..., Awaitable[Any]], kwargs: Mapping[str, Any]
) -> Any:
    """Make a call of an asynchronous client and follow its result."""
    with call:
        result = await create(**kwargs)
    followed = False
    with guard("following the response"):
        stream = _stream_of(call, result)
        if isinstance(stream, Awaitable):
            stream = await stream
        followed = _follow(call, result, stream, "aclose")
    if not followed:
        call.succeed()
    return result


def _stream_of(call: Call, result: Any) -> Any:
    """The stream of chunks in a result, or None.

    The raw response classes make the stream in `parse` without reading, and keep it, so that the
    caller's own `parse` returns the same one. A span that does not record has nothing to follow.
    """
    if not (call.is_recording and call.request.stream):
        return None
    return result.parse() if hasattr(result, "http_response") else result


def _follow(call: Call, result: Any, stream: Any, close: str) -> bool:
    """Arrange that the span ends when the result is complete; False if there is nothing to follow.

    Streams are followed in place, so the caller keeps the SDK's own object. All ways to close one
    (its own `close` and `with`, the `stream()` helpers, the raw response) end in the close of the
    HTTP response.
    """
    if get(stream, "_iterator") is not None and hasattr(get(stream, "response"), close):
        recorder = StreamRecorder(call)
        _on_close(stream.response, close, lambda: _stream_closed(recorder, stream.response))
        chunks = Chunks if close == "close" else AsyncChunks
        stream._iterator = chunks(stream._iterator, recorder)
        return True
    response: Any = get(result, "http_response")
    if response is None:
        call.succeed(result)
    elif response.is_closed:
        call.succeed(_json(response))
    else:  # with_streaming_response: the caller reads, or does not, and leaves the block
        _on_close(response, close, _UnreadBody(call, response).closed)
    return True


class _UnreadBody:
    """Waits for the body of a response that the caller may or may not read."""

    def __init__(self, call: Call, response: Any) -> None:
        self._call = call
        self._response = response
        self._received = False

    def closed(self) -> None:
        """The HTTP response was closed.

        That happens when the body has been received, though it cannot be had yet, and (again) when
        the caller leaves the block.
        """
        body = _json(self._response)
        if body is None and self._response.is_stream_consumed and not self._received:
            self._received = True
        else:
            self._call.succeed(body)


def _stream_closed(recorder: StreamRecorder, response: Any) -> None:
    # Who reads the lines of a raw response by hand passes the recorder by: then it is not known
    # whether the stream was read to its end.
    by_hand = recorder.chunks == 0 and response.is_stream_consumed
    recorder.closed(completed=None if by_hand else False)


def _json(response: Any) -> object:
    """The decoded body of an HTTP response; None if it was not read or is no JSON."""
    try:
        return response.json()
    except Exception:  # noqa: BLE001 - the HTTP library decides what it raises for an unread body
        return None


def _on_close(response: Any, close: str, report: Callable[[], None]) -> None:
    """Call `report` after the HTTP response is closed; it must not raise."""
    original = getattr(response, close)
    if close == "close":

        @functools.wraps(original)
        def closing() -> None:
            try:
                original()
            finally:
                report()

        response.close = closing
    else:

        @functools.wraps(original)
        async def aclosing() -> None:
            try:
                await original()
            finally:
                report()

        response.aclose = aclosing
