"""The calls that every emitter is made to record: what is asked, and what the fake is told to do.

A call is data, so that drivers in any language can make it. Each has a label, which the fake's
ledger repeats, and a script for the fake's `X-Fake-Scenario` header. How a package says these
things is its driver's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["CALLS", "Call", "as_json"]

SONNET, HAIKU = "anthropic/claude-sonnet-4.5", "anthropic/claude-haiku-4.5"
MINI, REASONER = "openai/gpt-4o-mini", "openai/gpt-5-mini"
READ = "prompt_tokens=4000, cached_tokens=3000, completion_tokens=200"
WRITE = "prompt_tokens=4000, cache_write_tokens=3000, completion_tokens=200"
BOTH = "prompt_tokens=5000, cached_tokens=2000, cache_write_tokens=1500, completion_tokens=300"
REASONED = "prompt_tokens=120, completion_tokens=900, reasoning_tokens=640"
COUNTED = "prompt_tokens=1000, completion_tokens=100"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an API. `body` has, beside `model`, what OpenRouter adds to OpenAI's fields."""

    label: str
    model: str
    script: str = COUNTED  # token counts and behaviour, in the words of `X-Fake-Scenario`
    api: str = "chat"  # chat | completions | embeddings | responses
    stream: bool = False
    asynchronous: bool = False
    tool: bool = False  # offer a function, `weather`, which takes no arguments
    abort: bool = False  # leave the stream after its first piece
    body: Mapping[str, Any] = field(default_factory=dict)


CALLS = (
    Call("plain", MINI),
    Call("stream", MINI, stream=True),
    Call("async", MINI, asynchronous=True),
    Call("async_stream", MINI, stream=True, asynchronous=True),
    Call("cache_read", SONNET, READ),
    Call("cache_read_stream", SONNET, READ, stream=True),
    Call("cache_write", SONNET, WRITE),
    Call("cache_read_write", SONNET, BOTH),
    Call("cache_read_write_stream", SONNET, BOTH, stream=True),
    Call("reasoning", REASONER, REASONED),
    Call("reasoning_stream", REASONER, REASONED, stream=True),
    Call("audio", "google/gemini-2.5-flash", f"{COUNTED}, audio_tokens=400"),
    Call("tool_call", MINI, tool=True),
    Call("tool_call_stream", MINI, tool=True, stream=True),
    # The first two endpoints fail; a third one of the same model answers.
    Call("fallback_provider", SONNET, f"{COUNTED}, failures=2"),
    # All three endpoints of the model asked for fail; the second model answers, at its own price.
    Call("fallback_model", SONNET, f"{COUNTED}, failures=3", body={"models": ["openai/gpt-4o"]}),
    Call("dated", HAIKU, f"{COUNTED}, dated"),
    Call("router", "openrouter/auto"),
    Call("suffix", f"{MINI}:nitro"),
    Call("byok", MINI, f"{COUNTED}, byok"),
    Call("byok_stream", MINI, f"{COUNTED}, byok", stream=True),
    Call("byok_waived", MINI, f"{COUNTED}, byok_waived"),
    Call("free", "meta-llama/llama-3.2-3b-instruct:free"),
    # On the fake's price list and on no other.
    Call("unknown_model", "example/preview-1"),
    Call(
        "over_200k",
        "google/gemini-2.5-pro",
        "prompt_tokens=250000, cached_tokens=50000, completion_tokens=100",
    ),
    Call("no_cost", MINI, f"{COUNTED}, no_cost"),
    Call("no_usage", MINI, f"{COUNTED}, no_usage"),
    Call("no_usage_stream", MINI, f"{COUNTED}, no_usage", stream=True),
    Call("usage_on_finish", MINI, f"{COUNTED}, usage_on_finish", stream=True),
    Call("aborted_stream", MINI, stream=True, abort=True),
    Call("stream_error", MINI, f"{COUNTED}, stream_error", stream=True),
    Call("http_429", MINI, "status=429"),
    Call(
        "completion",
        "openai/gpt-3.5-turbo-instruct",
        "prompt_tokens=100, completion_tokens=50",
        "completions",
    ),
    Call("embedding", "openai/text-embedding-3-small", "prompt_tokens=500", "embeddings"),
    Call(
        "embedding_async",
        "openai/text-embedding-3-small",
        "prompt_tokens=500",
        "embeddings",
        asynchronous=True,
    ),
    Call("response", REASONER, f"{REASONED}, cached_tokens=60", "responses"),
    Call("response_stream", REASONER, f"{REASONED}, cached_tokens=60", "responses", stream=True),
    Call("response_tool_call", MINI, COUNTED, "responses", tool=True),
    Call("response_stream_error", MINI, f"{COUNTED}, stream_error", "responses", stream=True),
)


def as_json(call: Call) -> dict[str, Any]:
    """The call for a driver; its script names its label."""
    return asdict(call) | {"script": f"label={call.label}, {call.script}"}
