from __future__ import annotations

import pytest
from openapi_schema_validator import OAS31Validator

from client.scripted_server import METADATA, completion
from genops.providers.openrouter_routing import asked, body, observe, observer

# Of OpenRouter's OpenAPI document: what the schemas ProviderPreferences and ChatRequest say of the
# fields that wishes are written to.
SLUGS = {"type": ["array", "null"], "items": {"type": "string"}}
FLAG = {"type": ["boolean", "null"]}
CHAT_REQUEST = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "models": {"type": "array", "items": {"type": "string"}},
        "provider": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                "allow_fallbacks": FLAG,
                "ignore": SLUGS,
                "only": SLUGS,
                "order": SLUGS,
                "sort": {"enum": ["price", "throughput", "latency", "exacto", None]},
                "zdr": FLAG,
            },
        },
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("keywords", "sent"),
    [
        ({}, {}),
        ({"provider": "openai"}, {"provider": {"order": ["openai"]}}),
        ({"provider": ["a", "b"]}, {"provider": {"order": ["a", "b"]}}),
        ({"provider": {"only": ["a"]}}, {"provider": {"only": ["a"]}}),
        ({"route": "least-cost"}, {"provider": {"sort": "price"}}),
        ({"route": "fastest"}, {"provider": {"sort": "throughput"}}),
        ({"route": "fallback"}, {"provider": {"allow_fallbacks": True}}),
        (
            {"provider": "a", "route": "fallback"},
            {"provider": {"order": ["a"], "allow_fallbacks": True}},
        ),
        ({"fallbacks": ["b", "c"]}, {"models": ["m", "b", "c"]}),
        ({"fallbacks": "b"}, {"models": ["m", "b"]}),
        ({"provider": None, "route": None, "fallbacks": None}, {}),
    ],
)
def test_wishes_become_the_documented_body(
    keywords: dict[str, object], sent: dict[str, object]
) -> None:
    made = body(None, model="m", **keywords)  # type: ignore[arg-type]

    assert made == sent
    OAS31Validator(CHAT_REQUEST).validate(made)


def test_wishes_fill_in_what_extra_body_leaves_open() -> None:
    own = {"provider": {"sort": "latency", "zdr": True}, "transforms": []}

    merged = body(own, model="m", provider="a", route="least-cost", fallbacks=["b"])

    assert merged == {
        "provider": {"order": ["a"], "sort": "latency", "zdr": True},
        "transforms": [],
        "models": ["m", "b"],
    }
    assert own == {"provider": {"sort": "latency", "zdr": True}, "transforms": []}


def test_an_unknown_route_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'least-cost', 'fastest', 'fallback'"):
        body(None, model="m", route="cheapest")


@pytest.mark.parametrize(
    "keywords",
    [{"route": ["fastest"]}, {"provider": 5}, {"provider": [5]}, {"fallbacks": {"models": []}}],
)
def test_a_wish_of_another_type_is_refused_by_name(keywords: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(keywords))}="):
        body(None, model="m", **keywords)  # type: ignore[arg-type]


def test_only_what_the_caller_gave_is_predicted() -> None:
    assert asked({"provider": {"order": ["anthropic", "x"]}}, "fallback") == {
        "genops.openrouter.routing_strategy": "fallback",
        "genops.openrouter.preferred_provider": "anthropic",
        "genops.openrouter.predicted_provider": "anthropic",
    }
    assert asked({"provider": {"sort": "price"}}) == {}
    assert asked("nonsense") == {}


def test_metadata_tells_the_route() -> None:
    seen = observe(completion(provider="Anthropic", openrouter_metadata=METADATA))

    assert seen.attributes == {
        "genops.cost.reported": 0.0123,
        "genops.openrouter.is_byok": False,
        "genops.openrouter.actual_provider": "amazon-bedrock",
        "genops.openrouter.actual_provider_name": "Amazon Bedrock",
        "genops.openrouter.router_strategy": "direct",
        "genops.openrouter.region": "iad",
        "genops.openrouter.attempts": 2,
        "genops.openrouter.fallback_used": True,
        "genops.openrouter.generation_id": "gen-1",
    }
    assert seen.failed_attempts == (
        {
            "genops.openrouter.attempt.provider": "Anthropic",
            "genops.openrouter.attempt.model": "anthropic/claude-3-sonnet",
            "genops.openrouter.attempt.status": 503,
        },
    )


def test_without_metadata_only_the_provider_is_known() -> None:
    seen = observe({"id": "chatcmpl-1", "provider": "Google AI Studio", "usage": None})

    assert seen.attributes == {
        "genops.openrouter.actual_provider": "google-ai-studio",
        "genops.openrouter.actual_provider_name": "Google AI Studio",
    }


def test_the_accepted_attempt_served_if_no_endpoint_is_marked() -> None:
    metadata = {**METADATA, "endpoints": {"total": 0, "available": []}}

    seen = observe({"openrouter_metadata": metadata})

    assert seen.attributes["genops.openrouter.actual_provider"] == "amazon-bedrock"


@pytest.mark.parametrize(
    ("served", "metadata", "used"),
    [
        ("a/first", None, None),
        ("a/first", {"attempt": 1}, False),
        ("a/first-2026-01-01", {"attempt": 1}, False),
        ("a/first", {"attempt": 2}, True),
        ("b/second", None, True),
        ("b/second", {"attempt": 1}, True),
        ("b/second:free", None, None),
        ("a/first:free", None, True),
        ("c/other", None, None),
        (None, {"attempt": 0}, None),
    ],
)
def test_fallback_is_told_only_where_it_is_known(
    served: str | None, metadata: object, used: bool | None
) -> None:
    read = observer("a/first:nitro", {"models": ["a/first", "b/second", "a/first:free"]})

    seen = read({"model": served, "openrouter_metadata": metadata})

    assert seen.attributes.get("genops.openrouter.fallback_used") is used


def test_the_upstream_cost_is_a_second_bill_only_with_an_own_key() -> None:
    usage = {"cost": 0.00008, "cost_details": {"upstream_inference_cost": 0.0016}}

    shared = observe({"usage": {**usage, "is_byok": False}}).attributes
    own = observe({"usage": {**usage, "is_byok": True}}).attributes

    assert "genops.cost.upstream_reported" not in shared
    assert own["genops.cost.reported"] == 0.00008
    assert own["genops.cost.upstream_reported"] == 0.0016


@pytest.mark.parametrize("key", ["server_tool_use_details", "server_tool_use"])
def test_web_searches_are_counted_apart_from_tool_calls(key: str) -> None:
    usage = {key: {"web_search_requests": 2, "tool_calls_requested": 3, "tool_calls_executed": 3}}

    assert observe({"usage": usage}).attributes == {"genops.usage.web_search_requests": 2}


@pytest.mark.parametrize("tools", [None, "many", {}, {"web_search_requests": None}])
def test_a_count_of_web_searches_that_is_not_there_is_left_out(tools: object) -> None:
    assert observe({"usage": {"server_tool_use_details": tools}}).attributes == {}


@pytest.mark.parametrize("cost", [None, "0.1", -1, True, float("nan"), float("inf")])
def test_a_cost_that_is_no_amount_is_left_out(cost: object) -> None:
    assert "genops.cost.reported" not in observe({"usage": {"cost": cost}}).attributes


def test_a_reported_cost_is_a_double_even_if_it_came_as_an_integer() -> None:
    cost = observe({"usage": {"cost": 0}}).attributes["genops.cost.reported"]

    assert isinstance(cost, float)
    assert cost == 0


@pytest.mark.parametrize(
    "metadata",
    [
        "x",
        [],
        {"endpoints": None, "attempts": "x", "attempt": "2", "region": None, "strategy": 3},
        {"endpoints": {"available": [None, 3]}, "attempts": [None, {"status": "503"}]},
    ],
)
def test_metadata_of_any_shape_is_read_without_failing(metadata: object) -> None:
    assert observe({"openrouter_metadata": metadata}).attributes == {}
