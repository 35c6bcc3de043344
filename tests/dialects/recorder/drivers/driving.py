"""What the Python drivers share: calls in on stdin, one at a time, and out to the fake.

Runs inside the recorded package's own environment, so it needs nothing of this project. Emitters
are to see a request to the real OpenRouter, as some decide by its address who the provider is, and
some record its headers. So requests are redirected, and given the header that tells the fake what
to do, below everything that an instrumentation wraps: in httpx's transports.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

BASE_URL = "https://openrouter.ai/api/v1"
API_KEY = os.environ["OPENROUTER_API_KEY"]
_SCRIPT: dict[str, str] = {}  # the header of the call that is being made
WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {}}}


def drive(make_call: Callable[[dict[str, Any]], Any], export: Callable[[], Any]) -> None:
    """Make each call that the recorder asks for, export its spans, and say so."""
    # LiteLLM leaves streams to the garbage collector. Collected while a connection pool holds its
    # lock, they wait for that lock for ever; so they are collected between the calls.
    gc.disable()
    for call in _calls():
        _SCRIPT["X-Fake-Scenario"] = call["script"]
        try:
            make_call(call)
        except Exception as error:  # noqa: BLE001 - failing calls are part of what is recorded
            sys.stderr.write(f"{call['label']}: {type(error).__name__}: {str(error)[:200]}\n")
        gc.collect()
        export()
        sys.stdout.write(f"done {call['label']}\n")
        sys.stdout.flush()


def _calls() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def new_provider() -> Any:
    """A tracer provider of the SDK, set as the global one. It exports when it is flushed."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "recorded"}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=600_000)
    )
    trace.set_tracer_provider(provider)
    return provider


def redirect() -> None:
    """Send what goes to openrouter.ai to the fake. Call before anything wraps the transports."""
    for name in ("httpx", "httpx2"):  # the OpenAI SDK has moved to the second
        if importlib.util.find_spec(name) is not None:
            _redirect(importlib.import_module(name))


def _redirect(httpx: Any) -> None:
    fake = httpx.URL(os.environ["FAKE_URL"])
    send = httpx.HTTPTransport.handle_request
    send_async = httpx.AsyncHTTPTransport.handle_async_request

    def redirected(request: Any) -> Any:
        if request.url.host != "openrouter.ai":
            return request
        return httpx.Request(
            request.method,
            request.url.copy_with(scheme=fake.scheme, host=fake.host, port=fake.port),
            headers={**request.headers, **_SCRIPT},
            stream=request.stream,
            extensions=request.extensions,
        )

    def handle(transport: Any, request: Any) -> Any:
        return send(transport, redirected(request))

    async def handle_async(transport: Any, request: Any) -> Any:
        return await send_async(transport, redirected(request))

    httpx.HTTPTransport.handle_request = handle
    httpx.AsyncHTTPTransport.handle_async_request = handle_async
