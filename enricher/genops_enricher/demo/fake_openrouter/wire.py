"""The JSON that the fake answers: OpenRouter's documented shapes, built from one `Generation`.

Pure: no sockets, no clock. Shapes are those of https://openrouter.ai/docs/api/api-reference and of
its OpenAPI document; the top-level `provider` and `native_finish_reason` are in real responses
though the document leaves them out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from genops_enricher.demo.fake_openrouter.billing import MILLION, Model
from genops_enricher.demo.fake_openrouter.generation import Generation

__all__ = [
    "chat_chunks",
    "chat_completion",
    "embeddings",
    "error_body",
    "generation_details",
    "key_details",
    "model_list",
    "response",
    "response_events",
    "text_chunks",
    "text_completion",
]

Json = dict[str, Any]

# The documented answers to failures: https://openrouter.ai/docs/api/reference/errors-and-debugging
ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("Invalid request parameters", "invalid_request"),
    401: ("User not found.", "authentication"),
    402: ("Insufficient credits. Add more using https://openrouter.ai/credits", "payment_required"),
    403: ("Request blocked by moderation", "permission_denied"),
    404: ("Resource not found", "not_found"),
    408: ("Operation timed out. Please try again later.", "timeout"),
    413: ("Request payload too large", "payload_too_large"),
    422: ("Invalid argument", "unprocessable"),
    429: ("Rate limit exceeded", "rate_limit_exceeded"),
    500: ("Internal Server Error", "server"),
    502: ("Provider returned error", "provider_unavailable"),
    503: ("Service temporarily unavailable", "provider_unavailable"),
    524: ("Request timed out. Please try again later.", "timeout"),
    529: ("Provider returned error", "provider_overloaded"),
}


def error_body(status: int, message: str | None = None, provider: str | None = None) -> Json:
    """The body of an error answer."""
    default, error_type = ERRORS.get(status, ERRORS[500])
    metadata: Json = {"error_type": error_type}
    if provider is not None:
        metadata["provider_name"] = provider
    error = {"code": status, "message": message or default, "metadata": metadata}
    return {"error": error, "user_id": "user_fake"}


def chat_completion(generation: Generation, *, metadata: bool) -> Json:
    """The answer of POST /chat/completions."""
    message: Json = {
        "role": "assistant",
        "content": None if generation.tool else generation.text,
        "refusal": None,
        "reasoning": "Thinking." if generation.tokens.reasoning else None,
    }
    if generation.tool:
        message["tool_calls"] = [_tool_call(generation)]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": generation.finish_reason,
        "native_finish_reason": generation.finish_reason,
    }
    body = _envelope(generation, "chat.completion", [choice])
    return body | {"system_fingerprint": None} | _closing(generation, metadata)


def chat_chunks(generation: Generation, *, metadata: bool) -> Iterator[Json]:
    """The chunks of a streamed chat completion, without the comments and the closing [DONE]."""
    role: Json = {"role": "assistant"}
    if generation.tool:
        deltas = [role | {"content": None, "tool_calls": [_tool_call(generation) | {"index": 0}]}]
    else:
        deltas = [role | {"content": words} for words in _pieces(generation.text)]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    end = {"index": 0, "delta": role | {"content": ""}}
    yield from _chunks(generation, "chat.completion.chunk", choices, end, metadata)


def text_completion(generation: Generation, *, metadata: bool) -> Json:
    """The answer of POST /completions."""
    choice = {
        "index": 0,
        "text": generation.text,
        "logprobs": None,
        "finish_reason": generation.finish_reason,
        "native_finish_reason": generation.finish_reason,
    }
    return _envelope(generation, "text_completion", [choice]) | _closing(generation, metadata)


def text_chunks(generation: Generation, *, metadata: bool) -> Iterator[Json]:
    """The chunks of a streamed text completion, without the comments and the closing [DONE]."""
    choices = [
        {"index": 0, "text": words, "finish_reason": None} for words in _pieces(generation.text)
    ]
    yield from _chunks(generation, "text_completion", choices, {"index": 0, "text": ""}, metadata)


def embeddings(generation: Generation, inputs: Sequence[str]) -> Json:
    """The answer of POST /embeddings: three numbers for each input, made from its hash."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:3]],
        }
        for index, text in enumerate(inputs)
    ]
    body: Json = {
        "id": generation.id,
        "object": "list",
        "data": data,
        "model": generation.model,
        "provider": generation.route.provider,
    }
    if not generation.scenario.no_usage:
        tokens = generation.tokens
        body["usage"] = {
            "prompt_tokens": tokens.prompt,
            "total_tokens": tokens.prompt,
        } | _cost(generation, "prompt", "completions")
    return body


def response(generation: Generation, *, metadata: bool) -> Json:
    """The answer of POST /responses."""
    tokens = generation.tokens
    body: Json = {
        "id": generation.id,
        "object": "response",
        "created_at": generation.created,
        "completed_at": generation.created,
        "model": generation.model,
        "provider": generation.route.provider,
        "status": "incomplete" if generation.finish_reason == "length" else "completed",
        "output": [_function_call(generation) if generation.tool else _message(generation)],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "tool_choice": "auto",
        "tools": [],
    }
    if not generation.scenario.no_usage:
        body["usage"] = {
            "input_tokens": tokens.prompt,
            "input_tokens_details": {
                "cached_tokens": tokens.cached,
                "cache_write_tokens": tokens.cache_write,
            },
            "output_tokens": tokens.completion,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
            "total_tokens": tokens.prompt + tokens.completion,
        } | _cost(generation, "input", "output")
    if metadata:
        body["openrouter_metadata"] = _metadata(generation)
    return body


def response_events(generation: Generation, *, metadata: bool) -> Iterator[Json]:
    """The events of a streamed response, without the comments and the closing [DONE]."""
    whole = response(generation, metadata=metadata)
    begun = whole | {"status": "in_progress", "completed_at": None, "output": [], "usage": None}
    begun.pop("openrouter_metadata", None)
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *(_call_events(generation) if generation.tool else _message_events(generation)),
        {"type": f"response.{whole['status']}", "response": whole},
    ]
    if generation.scenario.stream_error:
        error = {"code": "server_error", "message": ERRORS[502][0]}
        failed = begun | {"status": "failed", "error": error}
        events[3:] = [{"type": "response.failed", "response": failed}]
    for number, event in enumerate(events):
        yield event | {"sequence_number": number}


def generation_details(generation: Generation) -> Json:
    """The answer of GET /generation."""
    tokens = generation.tokens
    return {
        "data": {
            "id": generation.id,
            "upstream_id": None,
            "total_cost": float(generation.bill.cost),
            "usage": float(generation.bill.cost),
            "cache_discount": None,
            "upstream_inference_cost": float(generation.bill.upstream),
            "is_byok": generation.bill.is_byok,
            "created_at": datetime.fromtimestamp(generation.created, UTC).isoformat(),
            "model": generation.model,
            "provider_name": generation.route.provider,
            "provider_responses": [
                {"provider_name": attempt.provider, "status": attempt.status}
                for attempt in generation.route.attempts
            ],
            "router": "openrouter/auto" if generation.route.strategy == "auto" else None,
            "api_type": "embeddings" if generation.api == "embeddings" else "completions",
            "streamed": generation.streamed,
            "cancelled": False,
            "finish_reason": generation.finish_reason,
            "native_finish_reason": generation.finish_reason,
            "tokens_prompt": tokens.prompt,
            "tokens_completion": tokens.completion,
            "native_tokens_prompt": tokens.prompt,
            "native_tokens_completion": tokens.completion,
            "native_tokens_completion_images": 0,
            "native_tokens_reasoning": tokens.reasoning,
            "native_tokens_cached": tokens.cached,
            "num_media_prompt": None,
            "num_input_audio_prompt": None,
            "num_media_completion": None,
            "num_search_results": None,
            "num_fetches": None,
            "web_search_engine": None,
            "latency": 1,
            "moderation_latency": None,
            "generation_time": 1,
            "service_tier": None,
            "data_region": "global",
            "origin": "",
            "http_referer": None,
            "user_agent": None,
            "external_user": generation.user,
            "app_id": None,
            "preset_id": None,
            "workspace_id": None,
        }
    }


def model_list(models: Sequence[Model]) -> Json:
    """The answer of GET /models."""
    return {
        "data": [_model(model) for model in models],
        "total_count": len(models),
        "links": {"next": None},
    }


def key_details(credits_used: Decimal, byok_used: Decimal) -> Json:
    """The answer of GET /key: a key without a limit that has spent these sums (USD)."""
    used, byok = float(credits_used), float(byok_used)
    return {
        "data": {
            "label": "sk-or-v1-fak...e00",
            "limit": None,
            "limit_remaining": None,
            "limit_reset": None,
            "include_byok_in_limit": False,
            **{f"usage{period}": used for period in ("", "_daily", "_weekly", "_monthly")},
            **{f"byok_usage{period}": byok for period in ("", "_daily", "_weekly", "_monthly")},
            "is_free_tier": False,
            "is_management_key": False,
            "is_provisioning_key": False,
            "creator_user_id": None,
            "rate_limit": {
                "requests": -1,
                "interval": "10s",
                "note": "This field is deprecated and safe to ignore.",
            },
        }
    }


def _message(generation: Generation) -> Json:
    return {
        "id": f"msg_{generation.id}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": generation.text, "annotations": []}],
    }


def _function_call(generation: Generation) -> Json:
    return {
        "id": f"fc_{generation.id}",
        "type": "function_call",
        "call_id": f"call_{generation.id}",
        "name": generation.tool,
        "arguments": "{}",
        "status": "completed",
    }


def _message_events(generation: Generation) -> Iterator[Json]:
    message = _message(generation)
    [part] = message["content"]
    item = {"output_index": 0, "item_id": message["id"], "content_index": 0}
    yield _item_event("added", message | {"status": "in_progress", "content": []})
    yield item | {"type": "response.content_part.added", "part": part | {"text": ""}}
    for words in _pieces(generation.text):
        delta = {"type": "response.output_text.delta", "delta": words, "logprobs": []}
        yield item | delta
    done = {"type": "response.output_text.done", "text": generation.text, "logprobs": []}
    yield item | done
    yield item | {"type": "response.content_part.done", "part": part}
    yield _item_event("done", message)


def _call_events(generation: Generation) -> Iterator[Json]:
    call = _function_call(generation)
    arguments = {"output_index": 0, "item_id": call["id"]}
    yield _item_event("added", call | {"status": "in_progress", "arguments": ""})
    yield arguments | {
        "type": "response.function_call_arguments.delta",
        "delta": call["arguments"],
    }
    yield arguments | {
        "type": "response.function_call_arguments.done",
        "name": call["name"],
        "arguments": call["arguments"],
    }
    yield _item_event("done", call)


def _item_event(what: str, item: Json) -> Json:
    return {"type": f"response.output_item.{what}", "output_index": 0, "item": item}


def _chunks(
    generation: Generation, kind: str, choices: Sequence[Json], end: Json, metadata: bool
) -> Iterator[Json]:
    """Content, then a choice that finishes, then usage with no choice."""
    if generation.scenario.stream_error:
        yield _envelope(generation, kind, [choices[0]])
        yield _envelope(generation, kind, [end | {"finish_reason": "error"}]) | {
            "error": error_body(502, provider=generation.route.provider)["error"]
        }
        return
    for choice in choices:
        yield _envelope(generation, kind, [choice])
    reason = generation.finish_reason
    finish = _envelope(
        generation, kind, [end | {"finish_reason": reason, "native_finish_reason": reason}]
    )
    closing = _closing(generation, metadata)
    if generation.scenario.usage_on_finish or not closing:
        yield finish | closing
    else:
        yield finish
        yield _envelope(generation, kind, []) | closing


def _envelope(generation: Generation, kind: str, choices: Sequence[Json]) -> Json:
    return {
        "id": generation.id,
        "object": kind,
        "created": generation.created,
        "model": generation.model,
        "provider": generation.route.provider,
        "choices": list(choices),
    }


def _closing(generation: Generation, metadata: bool) -> Json:
    """What only the answer, or the last chunk of a stream, carries."""
    closing: Json = {}
    if not generation.scenario.no_usage:
        closing["usage"] = _usage(generation)
    if metadata:
        closing["openrouter_metadata"] = _metadata(generation)
    return closing


def _usage(generation: Generation) -> Json:
    tokens = generation.tokens
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cached,
            "cache_write_tokens": tokens.cache_write,
            "audio_tokens": tokens.audio,
            "video_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    } | _cost(generation, "prompt", "completions")


def _cost(generation: Generation, prompt: str, completion: str) -> Json:
    """The cost fields of `usage`; the chat and responses APIs name the two halves differently."""
    if generation.scenario.no_cost:
        return {}
    bill = generation.bill
    return {
        "cost": float(bill.cost),
        "is_byok": bill.is_byok,
        "cost_details": {
            "upstream_inference_cost": float(bill.upstream),
            f"upstream_inference_{prompt}_cost": float(bill.prompt),
            f"upstream_inference_{completion}_cost": float(bill.completion),
        },
    }


def _metadata(generation: Generation) -> Json:
    """https://openrouter.ai/docs/guides/features/router-metadata."""
    route = generation.route
    served = (route.provider, route.model.id)
    metadata: Json = {
        "requested": route.requested,
        "strategy": route.strategy,
        "region": "iad",
        "summary": f"available={len(route.endpoints)}, selected={route.provider}",
        "attempt": len(route.attempts),
        "is_byok": generation.bill.is_byok,
        "endpoints": {
            "total": len(route.endpoints),
            "available": [
                {"provider": provider, "model": model, "selected": (provider, model) == served}
                for provider, model in route.endpoints
            ],
        },
    }
    if len(route.attempts) > 1:
        metadata["attempts"] = [
            {"provider": attempt.provider, "model": attempt.model, "status": attempt.status}
            for attempt in route.attempts
        ]
    return metadata


def _tool_call(generation: Generation) -> Json:
    return {
        "id": f"call_{generation.id}",
        "type": "function",
        "function": {"name": generation.tool, "arguments": json.dumps({})},
    }


def _pieces(text: str) -> list[str]:
    """The text as it streams: three words at a time."""
    words = text.split(" ")
    pieces = [" ".join(words[start : start + 3]) for start in range(0, len(words), 3)]
    return [piece if index == 0 else f" {piece}" for index, piece in enumerate(pieces)]


def _model(model: Model) -> Json:
    rates = model.rates
    prices = {
        "prompt": rates.input,
        "completion": rates.output,
        "input_cache_read": rates.cache_read,
        "input_cache_write": rates.cache_write,
        "audio": rates.audio,
    }
    return {
        "id": model.id,
        "canonical_slug": model.slug,
        "name": model.name,
        "created": model.created,
        "description": "",
        "context_length": model.context_length,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            name: format((price / MILLION).normalize(), "f")  # USD per token, without exponent
            for name, price in prices.items()
            if price is not None
        },
        "top_provider": {
            "context_length": model.context_length,
            "max_completion_tokens": None,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "temperature", "tools"],
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/api/v1/models/{model.slug}/endpoints"},
    }
