"""From a request body and a scenario to the `Generation` that answers it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from genops_enricher.demo.fake_openrouter.billing import Bill, Tokens, bill
from genops_enricher.demo.fake_openrouter.generation import Generation
from genops_enricher.demo.fake_openrouter.routing import Route, choose_route
from genops_enricher.demo.fake_openrouter.scenario import Scenario

__all__ = ["answer_request", "texts_of"]

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English; the fake needs no better one


def answer_request(
    api: str,
    body: Mapping[str, Any],
    scenario: Scenario,
    *,
    generation_id: str,
    created: int,
) -> Generation:
    """Route, count and bill one request.

    Raises:
        RouteError: nothing can serve the request.
        ValueError: the scenario's counts contradict each other.
    """
    route = choose_route(body, failures=scenario.failures)
    tool = _tool(body)
    text = f"{route.model.name} says that all is well, and would say so again tomorrow."
    tokens, finish_reason = _count(body, scenario, text if api != "embeddings" else "")
    return Generation(
        id=generation_id,
        created=created,
        api=api,
        route=route,
        scenario=scenario,
        tokens=tokens,
        bill=_bill(route, tokens, scenario),
        finish_reason="tool_calls" if tool else finish_reason,
        text=text,
        tool=tool,
        streamed=bool(body.get("stream")),
        user=body.get("user"),
    )


def texts_of(value: Any) -> Iterable[str]:
    """Every text in messages, a prompt or an input, whatever their nesting."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from texts_of(value.get("content"))
        yield from texts_of(value.get("text"))
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def _count(body: Mapping[str, Any], scenario: Scenario, text: str) -> tuple[Tokens, str]:
    """The token counts, and whether `max_tokens` cut the answer short."""
    asked = "".join(texts_of([body.get(key) for key in ("messages", "prompt", "input")]))
    prompt = scenario.prompt_tokens
    if prompt is None:
        prompt = _tokens(asked) + (
            scenario.cached_tokens + scenario.cache_write_tokens + scenario.audio_tokens
        )
    completion = scenario.completion_tokens
    if completion is None:
        completion = _tokens(text) + scenario.reasoning_tokens
    limits = (body.get(key) for key in ("max_tokens", "max_completion_tokens", "max_output_tokens"))
    limit = min((limit for limit in limits if isinstance(limit, int)), default=completion)
    tokens = Tokens(
        prompt=prompt,
        completion=min(completion, limit),
        cached=scenario.cached_tokens,
        cache_write=scenario.cache_write_tokens,
        audio=scenario.audio_tokens,
        reasoning=scenario.reasoning_tokens,
    )
    return tokens, "length" if completion > limit else "stop"


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _bill(route: Route, tokens: Tokens, scenario: Scenario) -> Bill:
    if scenario.stream_error:  # a call that an upstream failure ends is not charged
        return Bill(Decimal(0), Decimal(0))
    is_byok = scenario.byok or scenario.byok_waived
    return bill(route.model, tokens, is_byok=is_byok, fee_waived=scenario.byok_waived)


def _tool(body: Mapping[str, Any]) -> str | None:
    """The function that the answer calls: the first one offered.

    None where tools are switched off, or where the last thing said is the result of one.
    """
    tools = body.get("tools")
    if not tools or body.get("tool_choice") == "none" or _is_tool_result(_last(body)):
        return None
    return str(tools[0].get("function", tools[0])["name"])  # the responses API has no `function`


def _last(body: Mapping[str, Any]) -> Any:
    said = body.get("messages") or body.get("input")
    return said[-1] if isinstance(said, list) and said else None


def _is_tool_result(item: Any) -> bool:
    return isinstance(item, Mapping) and (
        item.get("role") == "tool" or item.get("type") == "function_call_output"
    )
