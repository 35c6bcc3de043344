from __future__ import annotations

import pytest

from client.scripted_server import SECRET, completion
from genops.core import attributes as names
from genops.core.governance import RESERVED
from genops.core.recording import (
    Request,
    error_attributes,
    request_attributes,
    response_attributes,
)


def test_a_chat_response_gives_model_id_reasons_and_all_counts() -> None:
    assert response_attributes(completion(service_tier="flex")) == {
        "gen_ai.response.model": "anthropic/claude-3-sonnet",
        "gen_ai.response.id": "gen-1",
        "openai.response.service_tier": "flex",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 200,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.cache_write.input_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 80,
        "gen_ai.usage.audio.input_tokens": 7,
        "gen_ai.usage.audio.output_tokens": 5,
        "gen_ai.usage.image.output_tokens": 3,
        "genops.tokens.input": 1000,
        "genops.tokens.output": 200,
        "genops.tokens.total": 1200,
    }


def test_the_responses_api_spells_its_counts_differently() -> None:
    response = {
        "id": "resp-1",
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 6,
            "output_tokens_details": {"reasoning_tokens": 5},
        },
    }

    attributes = response_attributes(response)

    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 4
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 5
    assert attributes["genops.tokens.total"] == 16


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": 2**53},
        {"prompt_tokens": True, "completion_tokens": 1.5},
        {"prompt_tokens": "12"},
        "many",
        [],
    ],
)
def test_counts_that_are_absent_or_impossible_are_left_out(usage: object) -> None:
    attributes = response_attributes(completion(usage=usage))

    assert not [name for name in attributes if "usage" in name or "tokens" in name]


def test_a_count_of_zero_is_a_fact() -> None:
    attributes = response_attributes({"usage": {"prompt_tokens": 3, "completion_tokens": 0}})

    assert attributes["gen_ai.usage.output_tokens"] == 0
    assert attributes["genops.tokens.total"] == 3


@pytest.mark.parametrize("response", [None, "text", b"", 3, [], {"choices": None}, {"choices": 1}])
def test_a_response_of_any_shape_is_read_without_failing(response: object) -> None:
    assert response_attributes(response) == {}


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        ({"error": {"code": 502, "message": SECRET}}, "502"),
        ({"error": {"code": "server_error"}}, "server_error"),
        ({"error": {"message": SECRET}}, "_OTHER"),
        ({"choices": [{"finish_reason": "error", "error": {"code": 429}}]}, "429"),
    ],
)
def test_an_error_in_an_accepted_response_gives_its_code(body: object, error_type: str) -> None:
    attributes = response_attributes(body)

    assert attributes["error.type"] == error_type
    assert SECRET not in str(attributes)


def test_an_exception_gives_its_class_and_status_only() -> None:
    class RefusedError(Exception):
        status_code = 429

    assert error_attributes(RefusedError(SECRET)) == {
        "error.type": "RefusedError",
        "http.response.status_code": 429,
    }


def test_a_request_without_a_model_is_named_by_its_operation() -> None:
    request = Request(operation="chat", provider="openai")

    assert request.span_name == "chat"
    assert request_attributes(request) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "genops.provider": "openai",
    }


def test_names_that_the_client_writes_are_reserved_from_governance() -> None:
    written = [value for name, value in vars(names).items() if name.isupper()]
    ours = {name.split(".")[1] for name in written if name.startswith("genops.")}

    assert ours <= RESERVED
