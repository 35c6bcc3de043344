"""Budgets of calls and contexts, with the real SDK: what goes out and what is refused."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import openai
import pydantic
import pytest

from client.recorder import Recorder
from client.scripted_server import CHUNKS, FINISH, MESSAGES, ScriptedServer, chunk, completion
from client.sdk import needs
from genops import BudgetError, BudgetExceededError, BudgetUncheckedError, set_governance_context
from genops.providers.openrouter import (
    GenOpsOpenRouterAdapter,
    instrument_openrouter,
    patch_openrouter,
    unpatch_openrouter,
)
from genops.providers.openrouter_pricing import calculate_openrouter_cost

MODEL = "openai/gpt-4o"
CALL: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": 1000}  # some 0.01 USD


def costing(usd: float | None, **usage: object) -> dict[str, object]:
    """A completion whose usage states a cost."""
    counts = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
    return completion(model=MODEL, usage={**counts, "cost": usd, **usage})


@pytest.fixture
def adapter(client: openai.OpenAI, spans: Recorder) -> GenOpsOpenRouterAdapter:
    return instrument_openrouter(client)


@pytest.fixture
def estimate(adapter: GenOpsOpenRouterAdapter) -> float:
    """What CALL may cost, in USD."""
    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(**CALL, budget_limit=0)
    return caught.value.estimate_usd


def test_a_cheaper_tier_without_a_price_of_its_own_is_held_at_the_list_price(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float
) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(**CALL, service_tier="flex", budget_limit=0)
    assert caught.value.estimate_usd == estimate

    with pytest.raises(BudgetUncheckedError, match="service tier priority"):
        adapter.chat_completions_create(**CALL, service_tier="priority", budget_limit=1)
    assert not server.requests


@pytest.mark.parametrize(
    ("modalities", "usd"),
    [(None, 0.03), (["image", "text"], 0.03), (["text"], 0.0025)],
)
def test_an_output_that_may_be_an_image_is_held_at_the_price_of_one(
    adapter: GenOpsOpenRouterAdapter, modalities: list[str] | None, usd: float
) -> None:
    call = CALL | {"model": "google/gemini-2.5-flash-image"}
    if modalities:
        call["modalities"] = modalities
    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(**call, budget_limit=0)

    assert caught.value.estimate_usd == pytest.approx(usd, rel=0.1)


def left(adapter: GenOpsOpenRouterAdapter) -> BudgetExceededError:
    """What stands in the books here, asked by a call that never fits."""
    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(**CALL | {"max_tokens": 10**9})
    return caught.value


def test_a_call_within_its_budget_goes_out_and_says_so(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(costing(0.002))

    response = adapter.chat_completions_create(**CALL, team="search", budget_limit=0.05)

    assert response.usage.total_tokens == 1200
    assert spans.attributes["genops.budget.limit"] == 0.05
    assert "genops.budget_limit" not in spans.attributes
    assert not [name for name in spans.attributes if name.startswith("genops.cost.total")]
    assert set(server.last.body) == {"model", "messages", "max_tokens"}


@needs("chat.completions.parse")
@pytest.mark.parametrize("finish_reason", ["stop", "length", "content_filter"])
def test_an_answer_that_the_sdk_rejects_is_counted_as_spent(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, finish_reason: str
) -> None:
    class Answer(pydantic.BaseModel):
        value: int

    message = {"role": "assistant", "content": "no JSON"}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    server.answer(completion(choices=[choice]))

    with set_governance_context(budget_limit=1):
        with pytest.raises((pydantic.ValidationError, openai.OpenAIError)):
            adapter.chat.completions.parse(**CALL, response_format=Answer)

        assert left(adapter).spent_usd > 0


@pytest.mark.parametrize("name", ["budget_limit", "max_budget"])
def test_a_call_over_its_budget_is_not_made_and_leaves_no_span(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, spans: Recorder, name: str
) -> None:
    with pytest.raises(
        BudgetExceededError, match=r"gpt-4o was not made: it may cost 0\.010"
    ) as err:
        adapter.chat_completions_create(**CALL, **{name: 0.01})

    error = err.value
    assert isinstance(error, BudgetError)
    assert (error.limit_usd, error.spent_usd, error.reserved_usd) == (0.01, 0.0, 0.0)
    assert 0.01 < error.estimate_usd < 0.011
    assert error.model == MODEL
    assert "max_tokens" in str(error)
    assert server.requests == []
    assert spans.all == ()


def test_the_guides_call_of_the_premium_model_fits_its_cent(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    server.answer(completion())

    adapter.chat_completions_create(
        model="anthropic/claude-3-sonnet",
        messages=[{"role": "user", "content": "Long text to process..."}],
        team="content-team",
        budget_limit=0.01,
    )

    assert len(server.requests) == 1


def test_calls_share_the_budget_of_their_context(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(costing(0.02))

    with set_governance_context(team="search", budget_limit=0.05):
        adapter.chat_completions_create(**CALL)
        adapter.chat_completions_create(**CALL)
        with pytest.raises(BudgetExceededError) as caught:
            adapter.chat_completions_create(**CALL)
    adapter.chat_completions_create(**CALL)

    assert (caught.value.spent_usd, caught.value.reserved_usd) == (0.04, 0.0)
    assert len(server.requests) == 3
    inside, _, outside = spans.all
    assert inside.attributes is not None
    assert outside.attributes is not None
    assert inside.attributes["genops.team"] == "search"
    assert inside.attributes["genops.budget.limit"] == 0.05
    assert "genops.budget.limit" not in outside.attributes


def test_every_enclosing_budget_holds_and_the_tightest_is_on_the_span(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(costing(0.02))

    with set_governance_context(budget_limit=0.03):
        with set_governance_context({"max_budget": Decimal(5)}):
            adapter.chat_completions_create(**CALL)
            with pytest.raises(BudgetExceededError) as inner:
                adapter.chat_completions_create(**CALL)
        with pytest.raises(BudgetExceededError) as outer:
            adapter.chat_completions_create(**CALL, budget_limit=1)

    assert inner.value.limit_usd == outer.value.limit_usd == 0.03
    assert spans.attributes["genops.budget.limit"] == 0.03
    assert len(server.requests) == 1


@pytest.fixture
def patched() -> Iterator[None]:
    patch_openrouter()
    yield
    unpatch_openrouter()


@pytest.mark.usefixtures("patched")
def test_a_budget_holds_for_unchanged_sdk_calls_too(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(costing(0.04))

    with set_governance_context(budget_limit=0.05):
        client.chat.completions.create(**CALL)
        with pytest.raises(BudgetExceededError):
            client.chat.completions.create(**CALL)
        with pytest.raises(BudgetExceededError):
            client.chat.completions.with_raw_response.create(**CALL)

    assert len(server.requests) == 1


@pytest.mark.usefixtures("patched")
def test_a_call_through_adapter_and_patch_is_counted_once(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    server.answer(costing(0.02))

    with set_governance_context(budget_limit=0.05):
        adapter.chat_completions_create(**CALL)
        assert left(adapter).spent_usd == 0.02


@pytest.mark.parametrize(
    ("response", "spent"),
    [
        (costing(0.02), 0.02),
        (costing(0.001, is_byok=True, cost_details={"upstream_inference_cost": 0.02}), 0.021),
        # 1000 tokens at 2.50 and 200 at 10 USD per million, by our own count:
        (costing(None), 0.0045),
        (costing(0.001, is_byok=True), 0.0045),  # only OpenRouter's fee; the bill is not known
        (costing(0), 0.0045),  # a cost of nothing for an answer is no cost
        (costing(0, completion_tokens=0), 0.0),  # nothing came out, nothing is billed
    ],
)
def test_what_a_call_cost_takes_the_place_of_its_estimate(
    adapter: GenOpsOpenRouterAdapter,
    server: ScriptedServer,
    response: dict[str, object],
    spent: float,
) -> None:
    server.answer(response)

    with set_governance_context(budget_limit=1):
        adapter.chat_completions_create(**CALL)
        books = left(adapter)

    assert (books.spent_usd, books.reserved_usd) == (spent, 0.0)


@needs("responses.create")
@pytest.mark.usefixtures("patched")
def test_the_responses_api_is_under_the_budget_too(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200}
    server.answer({"id": "gen-1", "object": "response", "model": MODEL, "usage": usage})
    create = adapter.client.responses.create

    with set_governance_context(budget_limit=1):
        create(model=MODEL, input="Hello", max_output_tokens=1000)
        assert left(adapter).spent_usd == 0.0045
        with pytest.raises(BudgetUncheckedError, match="previous_response_id"):
            create(model=MODEL, input="And then?", previous_response_id="gen-1")

    assert len(server.requests) == 1


def test_a_raw_response_is_counted_too(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, patched: None
) -> None:
    server.answer(costing(0.02))

    with set_governance_context(budget_limit=1):
        adapter.client.chat.completions.with_raw_response.create(**CALL)
        assert left(adapter).spent_usd == 0.02


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 1000}])
def test_an_answer_without_its_usage_counts_as_estimated(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float, usage: object
) -> None:
    server.answer(completion(model=MODEL, usage=usage))

    with set_governance_context(budget_limit=1):
        adapter.chat_completions_create(**CALL)
        assert left(adapter).spent_usd == estimate


def test_a_refused_call_gives_its_reservation_back(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    server.answer({"error": {"message": "no", "code": 502}}, status=502)

    with set_governance_context(budget_limit=1):
        with pytest.raises(openai.InternalServerError):
            adapter.chat_completions_create(**CALL)
        books = left(adapter)

    assert (books.spent_usd, books.reserved_usd) == (0.0, 0.0)


def test_a_call_that_timed_out_may_be_billed_and_counts_as_estimated(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float
) -> None:
    hold = threading.Event()
    server.answer(costing(0.02), hold=hold)

    with set_governance_context(budget_limit=1):
        try:
            with pytest.raises(openai.APITimeoutError):
                adapter.chat_completions_create(**CALL, timeout=0.05)
        finally:
            hold.set()
        assert left(adapter).spent_usd == estimate


def test_a_cancelled_call_may_be_billed_and_counts_as_estimated(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float
) -> None:
    hold = threading.Event()
    server.answer(costing(0.02), hold=hold)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="sk-secret") as client:
            call = asyncio.ensure_future(
                instrument_openrouter(client).chat_completions_create(**CALL)
            )
            await asyncio.to_thread(server.arrived.wait, 30)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    with set_governance_context(budget_limit=1):
        try:
            asyncio.run(main())
        finally:
            hold.set()
        assert left(adapter).spent_usd == estimate


def test_a_stream_holds_its_estimate_until_its_end_tells_the_cost(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float
) -> None:
    server.stream()

    with set_governance_context(budget_limit=1):
        stream = adapter.chat_completions_create(**CALL, stream=True)
        next(stream)
        during = left(adapter)
        assert len(list(stream)) == len(CHUNKS) - 1
        after = left(adapter)

    assert (during.spent_usd, during.reserved_usd) == (0.0, estimate)
    assert (after.spent_usd, after.reserved_usd) == (0.0123, 0.0)


@pytest.mark.parametrize("how", ["closed", "dropped", "broken"])
def test_an_abandoned_stream_without_usage_counts_as_estimated(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float, how: str
) -> None:
    server.stream((chunk(), FINISH), done=how != "broken", truncated=how == "broken")

    with set_governance_context(budget_limit=1):
        stream = adapter.chat_completions_create(**CALL, stream=True)
        next(stream)
        if how == "closed":
            stream.close()
        elif how == "broken":
            with pytest.raises(Exception, match=r"(?i)connection"):
                list(stream)
        del stream
        gc.collect()
        books = left(adapter)

    assert (books.spent_usd, books.reserved_usd) == (estimate, 0.0)


def test_of_ten_calls_at_once_only_those_go_out_that_fit_together(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float
) -> None:
    hold = threading.Event()
    server.answer(costing(0.0001), hold=hold)
    refused = threading.Semaphore(0)

    def call() -> bool:
        try:
            adapter.chat_completions_create(**CALL)
        except BudgetExceededError:
            refused.release()
            return False
        return True

    with (
        set_governance_context(budget_limit=estimate * 5.5),
        ThreadPoolExecutor(10) as pool,
    ):
        made = [pool.submit(contextvars.copy_context().run, call) for _ in range(10)]
        all_refused = [refused.acquire(timeout=60) for _ in range(5)]
        hold.set()
        fitted = [future.result(60) for future in made]

    assert all(all_refused)
    assert sum(fitted) == len(server.requests) == 5


def test_of_ten_tasks_at_once_only_those_go_out_that_fit_together(
    server: ScriptedServer, adapter: GenOpsOpenRouterAdapter, estimate: float
) -> None:
    server.answer(costing(0.0001))

    async def main() -> list[object]:
        async with openai.AsyncOpenAI(
            base_url=server.url, api_key="sk-secret", max_retries=0
        ) as client:
            create = instrument_openrouter(client).chat_completions_create
            with set_governance_context(budget_limit=estimate * 5.5):
                calls = [asyncio.ensure_future(create(**CALL)) for _ in range(10)]
                return list(await asyncio.gather(*calls, return_exceptions=True))

    results = asyncio.run(main())

    refused = [result for result in results if isinstance(result, BudgetExceededError)]
    assert len(refused) == len(server.requests) == 5


def test_a_plain_thread_is_outside_the_context_and_its_budget(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    server.answer(costing(0.02))

    with set_governance_context(budget_limit=0), ThreadPoolExecutor(1) as pool:
        pool.submit(adapter.chat_completions_create, **CALL).result(60)

    assert len(server.requests) == 1


def test_a_scope_that_is_entered_again_has_spent_what_it_has_spent(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    server.answer(costing(0.02))

    with set_governance_context(budget_limit=1) as scope:
        adapter.chat_completions_create(**CALL)
    with scope:
        assert left(adapter).spent_usd == 0.02


def test_without_a_setup_budgets_hold_all_the_same(
    client: openai.OpenAI, server: ScriptedServer
) -> None:
    adapter = instrument_openrouter(client)
    server.answer(costing(0.02))

    with set_governance_context(budget_limit=0.03):
        adapter.chat_completions_create(**CALL)
        assert left(adapter).spent_usd == 0.02
        server.answers.clear()
        server.stream()
        list(adapter.chat_completions_create(**CALL | {"max_tokens": 10}, stream=True))
        assert left(adapter).spent_usd == 0.02 + 0.0123


def test_of_several_models_the_dearest_must_fit(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    dear = "anthropic/claude-3-opus"

    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(**CALL, fallbacks=[dear], budget_limit=0.05)

    assert caught.value.model == dear
    assert caught.value.estimate_usd > 0.075
    assert server.requests == []


@pytest.mark.parametrize(
    "provider", ["azure", {"only": ["azure"]}, {"order": ["azure"], "allow_fallbacks": False}]
)
def test_a_provider_that_is_asked_for_counts_at_its_own_price(
    adapter: GenOpsOpenRouterAdapter, provider: Any
) -> None:
    model = "deepseek/deepseek-r1"
    base = calculate_openrouter_cost(model, output_tokens=10**6)
    own = calculate_openrouter_cost(model, "azure", output_tokens=10**6)

    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(
            model=model, messages=[], max_tokens=10**6, provider=provider, budget_limit=0
        )

    assert base < own == caught.value.estimate_usd


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({}, 512),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 7, "n": 3}, 21),
        ({"extra_body": {"max_tokens": 7}}, 7),
        ({"max_tokens": openai.NOT_GIVEN}, 512),
    ],
)
def test_the_estimate_follows_the_longest_answer_that_is_allowed(
    adapter: GenOpsOpenRouterAdapter, answer: dict[str, Any], tokens: int
) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(model=MODEL, messages=[], **answer, budget_limit=0)

    assert caught.value.estimate_usd == pytest.approx(tokens * 10e-6)


@pytest.mark.parametrize(
    ("where", "mark", "price"),
    [
        ("nowhere", {}, 3),
        ("part", {"type": "ephemeral"}, 3.75),
        ("part", {"type": "ephemeral", "ttl": "5m"}, 3.75),
        ("part", {"type": "ephemeral", "ttl": "1h"}, 6),
        ("body", {"type": "ephemeral", "ttl": "1h"}, 6),
    ],
)
def test_what_the_call_asks_to_cache_counts_at_the_price_of_writing_it(
    adapter: GenOpsOpenRouterAdapter, where: str, mark: dict[str, str], price: float
) -> None:
    part: dict[str, Any] = {"type": "text", "text": "x" * 40_000}
    body = {"cache_control": mark} if where == "body" else {}

    def estimate() -> float:
        with pytest.raises(BudgetExceededError) as caught:
            adapter.chat_completions_create(
                model="anthropic/claude-sonnet-4.5",
                messages=[{"role": "user", "content": [part]}],
                max_tokens=0,
                extra_body=body,
                budget_limit=0,
            )
        return caught.value.estimate_usd

    if where == "part":
        part["cache_control"] = mark

    assert estimate() == pytest.approx(10_000 * price * 1e-6, rel=0.01)


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("x" * 4000, 1000),
        ([{"type": "text", "text": "x" * 4000}], 1000),
        ([{"type": "image_url", "image_url": {"url": "data:" + "x" * 4000}}], 1600),
    ],
)
def test_the_estimate_follows_the_size_of_the_input(
    adapter: GenOpsOpenRouterAdapter, content: Any, tokens: int
) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(
            model=MODEL,
            messages=[{"role": "user", "content": content}],
            max_tokens=0,
            budget_limit=0,
        )

    framing = caught.value.estimate_usd / 2.5e-6 - tokens
    assert 0 < framing < 10


def test_tools_and_earlier_answers_are_part_of_the_input(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, estimate: float
) -> None:
    server.answer(costing(0.02))
    message = adapter.chat_completions_create(**CALL).choices[0].message
    parameters = {"type": "object", "properties": {"type": {"type": "string", "maxLength": 9}}}
    function = {"name": "f", "description": "x" * 4000, "parameters": parameters}
    tool = {"type": "function", "function": function}

    with pytest.raises(BudgetExceededError) as caught:
        adapter.chat_completions_create(
            **CALL | {"messages": [*MESSAGES, message]}, tools=[tool], budget_limit=0
        )

    assert caught.value.estimate_usd > estimate + 1000 * 2.5e-6


def test_an_embedding_has_no_output(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, patched: None
) -> None:
    model = "openai/text-embedding-3-small"
    usage = {"prompt_tokens": 1000, "total_tokens": 1000}
    server.answer({"object": "list", "model": model, "data": [], "usage": usage})
    with set_governance_context(budget_limit=1):
        adapter.client.embeddings.create(model=model, input="Hello", encoding_format="float")
        assert left(adapter).spent_usd == 0.00002

    with set_governance_context(budget_limit=0), pytest.raises(BudgetExceededError) as texts:
        adapter.client.embeddings.create(model="openai/text-embedding-3-small", input="x" * 4000)
    with set_governance_context(budget_limit=0), pytest.raises(BudgetExceededError) as tokens:
        adapter.client.embeddings.create(model="openai/text-embedding-3-small", input=[1, 2, 3])

    assert texts.value.estimate_usd == pytest.approx(1000 * 0.02e-6)
    assert tokens.value.estimate_usd == pytest.approx(3 * 0.02e-6)


def test_a_free_model_fits_an_empty_budget(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    server.answer(completion(model="google/gemma-4-31b-it:free", usage=None))

    adapter.chat_completions_create(
        **CALL | {"model": "google/gemma-4-31b-it:free"}, budget_limit=0
    )

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ({"model": "openai/gpt-4oo"}, r"unknown_model.*Closest names: openai/gpt-4o,"),
        ({"model": "openrouter/auto"}, "dynamic_price"),
        ({"fallbacks": ["acme/none"]}, "acme/none was not made"),
        ({"model": None}, "names no model"),
        ({"messages": iter(MESSAGES)}, "give a list"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "a part of type 'input_audio'",
        ),
    ],
)
def test_a_budget_that_cannot_be_checked_stops_the_call_and_names_the_fix(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer, call: dict[str, Any], why: str
) -> None:
    with pytest.raises(BudgetUncheckedError, match=why) as caught:
        adapter.chat_completions_create(**CALL | call, budget_limit=100)

    assert isinstance(caught.value, BudgetError)
    assert "eave out the budget" in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf"), "0.5", True])
def test_what_is_no_amount_of_money_is_no_budget(
    adapter: GenOpsOpenRouterAdapter, limit: object
) -> None:
    with pytest.raises(ValueError, match="budget_limit="):
        adapter.chat_completions_create(**CALL, budget_limit=limit)
    with pytest.raises(ValueError, match="max_budget="):
        set_governance_context(max_budget=limit)


def test_two_different_limits_of_one_budget_are_an_error(
    adapter: GenOpsOpenRouterAdapter, server: ScriptedServer
) -> None:
    with pytest.raises(ValueError, match=r"budget_limit=1 and max_budget=2"):
        adapter.chat_completions_create(**CALL, budget_limit=1, max_budget=2)

    server.answer(costing(0.02))
    adapter.chat_completions_create(**CALL, budget_limit=1, max_budget=1.0)


def test_without_a_budget_no_price_is_loaded(server: ScriptedServer) -> None:
    server.answer(costing(0.02))
    code = f"""
import sys, openai, genops
from genops.providers.openrouter import instrument_openrouter
client = instrument_openrouter(base_url={server.url!r}, api_key="sk-secret", max_retries=0)
with genops.set_governance_context(team="search"):
    client.chat_completions_create(model="openai/gpt-4o", messages=[])
print([name for name in sys.modules if name.startswith(("genops_pricing", "tiktoken"))])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (ran.stdout, ran.stderr) == ("[]\n", "")
