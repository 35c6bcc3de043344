"""What is added to a span, given what the span says. Prices are the catalog's for late 2026:

openai/gpt-4o on OpenRouter is 2.50 USD per million tokens in, 10 out, 1.25 read from a cache.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from genops_enricher.config.model import AttributionRule
from genops_enricher.enrich.attributes import ATTRIBUTES, COST_PARTS
from genops_enricher.enrich.enricher import NOT_LLM, Enricher
from genops_enricher.enrich.status import Status
from genops_pricing import bundled_catalog, load_catalog
from otlp import JULY_2024_NS, Value, chat, plain_attributes, span

M = Decimal(1_000_000)
CATALOG = bundled_catalog()


@pytest.fixture
def enricher() -> Enricher:
    return Enricher(CATALOG)


def added(enricher: Enricher, message: Span, resource: bytes = b"") -> dict[str, object]:
    """The attributes that the enricher adds; checks that it leaves the span's bytes alone."""
    before = message.SerializeToString()
    outcome = enricher.enrich(before, resource)
    after = plain_attributes(Span.FromString(before + outcome.addition))
    return {k: v for k, v in after.items() if k not in plain_attributes(message)}


def client_span(model: str, more: Mapping[str, Value] = {}) -> dict[str, Value]:
    """A span as the genops client writes it: it has all that an enricher could only copy."""
    return chat(
        model,
        {
            "genops.provider": "openrouter",
            "genops.model": model,
            "genops.tokens.input": 1000,
            "genops.tokens.output": 100,
            "genops.tokens.total": 1100,
            **more,
        },
    )


def test_a_call_gets_its_cost_split_family_tier_and_the_price_row_used(enricher: Enricher) -> None:
    attributes = added(
        enricher,
        span(client_span("openai/gpt-4o", {"gen_ai.usage.cache_read.input_tokens": 200})),
    )

    fresh, cached, output = (800 * Decimal("2.5"), 200 * Decimal("1.25"), 100 * Decimal(10))
    assert attributes == {
        "genops.cost.total": float((fresh + cached + output) / M),
        "genops.cost.input": float(fresh / M),
        "genops.cost.cache_read": float(cached / M),
        "genops.cost.output": float(output / M),
        "genops.cost.currency": "USD",
        "genops.cost.source": "computed",
        "genops.cost.status": "priced",
        "genops.model_family": "gpt-4o",
        "genops.model_tier": "premium",
        "genops.pricing.version": CATALOG.version,
        "genops.pricing.entry": attributes["genops.pricing.entry"],
        "genops.pricing.effective_from": attributes["genops.pricing.effective_from"],
    }
    assert str(attributes["genops.pricing.entry"]).startswith("openrouter/openai/gpt-4o@")


def test_web_searches_are_charged_beside_the_tokens(enricher: Enricher) -> None:
    """anthropic/claude-sonnet-4.5 on OpenRouter: 3 USD per million in, 15 out, 0.01 a search."""
    attributes = added(
        enricher,
        span(client_span("anthropic/claude-sonnet-4.5", {"genops.usage.web_search_requests": 2})),
    )

    assert attributes["genops.cost.web_search"] == 0.02
    assert attributes["genops.cost.total"] == float((1000 * 3 + 100 * 15) / M + Decimal("0.02"))


def test_a_call_is_priced_at_the_price_in_force_when_it_ended(enricher: Enricher) -> None:
    then = added(enricher, span(chat("openai/gpt-4o"), end_ns=JULY_2024_NS))
    now = added(enricher, span(chat("openai/gpt-4o")))

    assert then["genops.cost.total"] == float((1000 * Decimal(5) + 100 * Decimal(15)) / M)
    assert now["genops.cost.total"] == float((1000 * Decimal("2.5") + 100 * Decimal(10)) / M)


def test_an_unknown_model_gets_status_reason_and_version_and_nothing_else(
    enricher: Enricher,
) -> None:
    message = span(client_span("acme/never-heard-of-it"))
    outcome = enricher.enrich(message.SerializeToString())

    assert (outcome.status, outcome.reason) == (Status.UNPRICED, "unknown_model")
    assert outcome.unknown_in == "openrouter"
    assert added(enricher, message) == {
        "genops.cost.status": "unpriced",
        "genops.cost.unpriced_reason": "unknown_model",
        "genops.pricing.version": CATALOG.version,
    }


def test_other_emitters_spans_get_the_names_that_queries_use(enricher: Enricher) -> None:
    attributes = added(enricher, span(chat("openai/gpt-4o")))

    assert attributes["genops.provider"] == "openrouter"
    assert attributes["genops.model"] == "openai/gpt-4o"
    assert attributes["genops.tokens.input"] == 1000
    assert attributes["genops.tokens.output"] == 100
    assert attributes["genops.tokens.total"] == 1100


def test_of_the_token_names_only_those_that_are_missing_are_added(enricher: Enricher) -> None:
    attributes = added(enricher, span(chat("openai/gpt-4o", {"genops.tokens.total": 1100})))

    assert attributes["genops.tokens.input"] == 1000
    assert attributes["genops.tokens.output"] == 100


def test_an_aggregate_gets_no_tokens_so_that_a_sum_over_spans_counts_each_once(
    enricher: Enricher,
) -> None:
    attributes = added(
        enricher, span(chat("openai/gpt-4o", {"gen_ai.operation.name": "invoke_agent"}))
    )

    assert attributes["genops.model"] == "openai/gpt-4o"
    assert not [name for name in attributes if name.startswith("genops.tokens.")]


def test_names_of_any_length_neither_hold_up_others_nor_stay_in_memory(enricher: Enricher) -> None:
    name = "openai/gpt-4o" + ":nitro" * 30_000
    tracemalloc.start()
    try:
        outcomes = [enricher.enrich(span(chat(f"{name}{n}")).SerializeToString()) for n in range(3)]
        kept_bytes, _ = tracemalloc.get_traced_memory()
        reasons = {outcome.reason for outcome in outcomes}
        added_bytes = sum(len(outcome.addition) for outcome in outcomes)
    finally:
        tracemalloc.stop()

    assert reasons == {"unknown_model"}
    assert kept_bytes < added_bytes + len(name)


def test_the_model_that_served_the_call_is_priced_and_the_one_asked_is_named(
    enricher: Enricher,
) -> None:
    attributes = added(
        enricher,
        span(chat("openai/gpt-4o", {"gen_ai.response.model": "anthropic/claude-3-haiku"})),
    )

    assert attributes["genops.model"] == "openai/gpt-4o"
    assert attributes["genops.model_family"] == "claude-3"
    assert attributes["genops.cost.total"] == float(
        (1000 * Decimal("0.25") + 100 * Decimal("1.25")) / M
    )


@pytest.mark.parametrize(
    "values",
    [
        {"http.request.method": "POST", "url.full": "https://openrouter.ai/api/v1"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
        {"gen_ai.conversation.id": "c-1", "http.route": "/chat"},
        {"genops.team": "search", "db.system": "postgresql"},
        {"gen_ai.operation.name": "invoke_workflow"},
        {},
    ],
    ids=["http", "tool", "conversation", "governance-only", "workflow", "empty"],
)
def test_spans_that_are_no_llm_calls_get_nothing(
    enricher: Enricher, values: dict[str, Value]
) -> None:
    assert enricher.enrich(span(values).SerializeToString()) is NOT_LLM


def test_an_enriched_span_passes_unchanged(enricher: Enricher) -> None:
    before = span(chat("openai/gpt-4o")).SerializeToString()
    enriched = before + enricher.enrich(before).addition

    again = enricher.enrich(enriched)
    assert (again.status, again.addition) == ("already_enriched", b"")


def test_a_resend_is_priced_the_same(enricher: Enricher) -> None:
    data = span(chat("openai/gpt-4o")).SerializeToString()

    assert enricher.enrich(data) == enricher.enrich(data)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (chat("openai/gpt-4o", {"genops.cost.total": 0.5}), "foreign_cost"),
        (chat("openai/gpt-4o", {"gen_ai.operation.name": "invoke_agent"}), "aggregate"),
        (chat("openrouter/auto"), "dynamic_price"),
        (chat("openai/gpt-4o", input_tokens=-5), "bad_usage"),
        (
            chat("openai/gpt-4o", {"gen_ai.usage.audio.input_tokens": 1001}),
            "bad_usage",
        ),
        (chat("openai/gpt-4o", {"gen_ai.usage.output_tokens": "many"}), "bad_usage"),
        ({"gen_ai.operation.name": "chat", "gen_ai.request.model": "openai/gpt-4o"}, "no_usage"),
        (
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.usage.output_tokens": 5,
            },
            "no_model",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_price_says_why_and_has_no_cost(
    enricher: Enricher, values: dict[str, Value], reason: str
) -> None:
    attributes = added(enricher, span(values))

    assert attributes["genops.cost.status"] == "unpriced"
    assert attributes["genops.cost.unpriced_reason"] == reason
    assert not [
        name
        for name in attributes
        if name.endswith((".total", ".source", "currency")) and name.startswith("genops.cost")
    ]


def test_a_model_on_a_server_of_ones_own_is_not_priced_as_openrouters(enricher: Enricher) -> None:
    values = chat("meta-llama/llama-3.1-8b-instruct")
    values |= {"gen_ai.provider.name": "openai_compatible", "server.address": "gpu-7.internal"}
    outcome = enricher.enrich(span(values).SerializeToString())

    assert (outcome.status, outcome.reason) == (Status.UNPRICED, "unknown_model")
    assert outcome.unknown_in == "openai_compatible"


def test_a_call_before_the_models_first_price_is_not_yet_priced(enricher: Enricher) -> None:
    attributes = added(enricher, span(chat("openai/gpt-4o"), end_ns=1_500_000_000_000_000_000))

    assert attributes["genops.cost.unpriced_reason"] == "not_yet_priced"


def test_the_service_tier_that_served_the_call_decides_its_price(tmp_path: Path) -> None:
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(
        "overlay: acme\nmarket: openrouter\nauthor: acme\nmodels:\n"
        "  - {id: acme/tiered, prices: [{effective_from: 2026-01-01,\n"
        '      usd_per_mtok: {input: "2", output: "8"},\n'
        '      overrides: [{when: {service_tier: flex}, multiply: "0.5"}]}]}\n'
    )
    enricher = Enricher(load_catalog([overlay]))
    standard = added(enricher, span(chat("acme/tiered")))
    flex = added(enricher, span(chat("acme/tiered", {"openai.response.service_tier": "flex"})))

    assert standard["genops.cost.total"] == float((1000 * Decimal(2) + 100 * Decimal(8)) / M)
    assert flex["genops.cost.total"] == float((1000 * Decimal(1) + 100 * Decimal(4)) / M)


def test_a_host_that_binds_the_call_to_a_region_raises_its_price(enricher: Enricher) -> None:
    def total(host: str) -> object:
        values: dict[str, Value] = {"gen_ai.provider.name": "openai", "server.address": host}
        return added(enricher, span(chat("gpt-5.4", values)))["genops.cost.total"]

    assert total("api.openai.com") == 0.004  # 1000 x 2.50 + 100 x 15 per million
    assert total("eu.api.openai.com") == 0.0044


def test_only_calls_with_cached_tokens_need_a_cache_price_that_nobody_tells(tmp_path: Path) -> None:
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(
        "overlay: acme\nmarket: openrouter\nauthor: acme\nmodels:\n"
        "  - {id: acme/untold, prices: [{effective_from: 2026-01-01,\n"
        '      usd_per_mtok: {input: "2", output: "8"}, unknown: [cache_read]}]}\n'
    )
    enricher = Enricher(load_catalog([overlay]))
    plain = added(enricher, span(chat("acme/untold")))
    cached = added(
        enricher, span(chat("acme/untold", {"gen_ai.usage.cache_read.input_tokens": 200}))
    )

    assert plain["genops.cost.status"] == "priced"
    assert plain["genops.cost.total"] == float((1000 * Decimal(2) + 100 * Decimal(8)) / M)
    assert cached["genops.cost.status"] == "unpriced"
    assert cached["genops.cost.unpriced_reason"] == "suspect_price"
    assert "genops.cost.total" not in cached


def test_every_part_of_a_charge_has_an_attribute_of_its_own() -> None:
    assert set(COST_PARTS.values()) <= {a.name for a in ATTRIBUTES if a.type == "double"}


def test_a_free_model_costs_a_stated_zero(enricher: Enricher) -> None:
    free = next(m for m in CATALOG.models() if m.id.endswith(":free"))
    attributes = added(enricher, span(chat(free.id)))

    assert attributes["genops.cost.status"] == "free"
    assert attributes["genops.cost.total"] == 0.0
    assert attributes["genops.cost.currency"] == "USD"


def test_existing_attributes_are_neither_overwritten_nor_repeated(enricher: Enricher) -> None:
    message = span(chat("openai/gpt-4o", {"genops.model_family": "mine", "genops.cost.input": 9.0}))
    data = message.SerializeToString()
    after = plain_attributes(Span.FromString(data + enricher.enrich(data).addition))

    assert after["genops.model_family"] == "mine"
    assert after["genops.cost.input"] == 9.0
    assert after["genops.cost.status"] == "priced"


class TestReportedCost:
    def test_what_the_provider_reports_is_the_total_and_ours_stands_beside(
        self, enricher: Enricher
    ) -> None:
        attributes = added(
            enricher, span(client_span("openai/gpt-4o", {"genops.cost.reported": 0.004}))
        )

        assert attributes["genops.cost.total"] == 0.004
        assert attributes["genops.cost.source"] == "reported"
        assert attributes["genops.cost.estimated"] == 0.0035
        assert attributes["genops.model_tier"] == "premium"

    def test_with_a_key_of_ones_own_the_upstream_bill_is_added_to_the_fee(
        self, enricher: Enricher
    ) -> None:
        byok: dict[str, Value] = {
            "genops.cost.reported": 0.000175,
            "genops.cost.upstream_reported": 0.0035,
            "genops.openrouter.is_byok": True,
        }
        attributes = added(enricher, span(client_span("openai/gpt-4o", byok)))

        assert attributes["genops.cost.total"] == 0.000175 + 0.0035

    def test_without_one_upstream_is_a_breakdown_and_not_added(self, enricher: Enricher) -> None:
        reported: dict[str, Value] = {
            "genops.cost.reported": 0.0035,
            "genops.cost.upstream_reported": 0.0035,
        }
        attributes = added(enricher, span(client_span("openai/gpt-4o", reported)))

        assert attributes["genops.cost.total"] == 0.0035

    def test_a_fee_whose_upstream_bill_is_not_known_is_no_total(self, enricher: Enricher) -> None:
        byok: dict[str, Value] = {
            "genops.cost.reported": 0.000175,
            "genops.openrouter.is_byok": True,
        }
        attributes = added(enricher, span(client_span("openai/gpt-4o", byok)))

        assert attributes["genops.cost.source"] == "computed"
        assert not enricher.enrich(
            span(client_span("openai/gpt-4o", byok)).SerializeToString()
        ).drift

    def test_a_free_model_for_which_something_was_charged_is_priced(
        self, enricher: Enricher
    ) -> None:
        """As for a web search: OpenRouter charges it on `:free` models too."""
        free = next(m for m in CATALOG.models() if m.id.endswith(":free"))
        message = span(client_span(free.id, {"genops.cost.reported": 0.02}))
        attributes = added(enricher, message)

        assert enricher.enrich(message.SerializeToString()).status is Status.PRICED
        assert attributes["genops.cost.status"] == "priced"
        assert attributes["genops.cost.total"] == 0.02
        assert attributes["genops.cost.estimated"] == 0.0

    def test_zero_for_a_free_model_is_free(self, enricher: Enricher) -> None:
        free = next(m for m in CATALOG.models() if m.id.endswith(":free"))
        attributes = added(enricher, span(client_span(free.id, {"genops.cost.reported": 0.0})))

        assert attributes["genops.cost.status"] == "free"
        assert attributes["genops.cost.source"] == "reported"

    def test_zero_is_free_where_a_free_variant_was_asked_for_and_its_base_is_named(
        self, enricher: Enricher
    ) -> None:
        """Some name what answered by its base, or by a slug that both variants share."""
        asked = "deepseek/deepseek-r1-0528:free"
        for served in ("deepseek/deepseek-r1-0528", "deepseek-r1-0528"):
            message = span(
                client_span(asked, {"gen_ai.response.model": served, "genops.cost.reported": 0.0})
            )
            attributes = added(enricher, message)

            assert attributes["genops.cost.total"] == 0.0, served
            assert attributes["genops.cost.status"] == "free"
            assert not enricher.enrich(message.SerializeToString()).drift

    @pytest.mark.parametrize(
        ("served", "reported"), [("openai/gpt-4o", 0.0), ("deepseek/deepseek-r1-0528", 0.001)]
    )
    def test_another_model_that_answered_for_a_free_one_is_charged(
        self, enricher: Enricher, served: str, reported: float
    ) -> None:
        asked = "deepseek/deepseek-r1-0528:free"
        message = span(
            client_span(asked, {"gen_ai.response.model": served, "genops.cost.reported": reported})
        )
        attributes = added(enricher, message)

        assert attributes["genops.cost.status"] == "priced"
        assert attributes["genops.cost.total"] == (reported or 0.0035)
        assert enricher.enrich(message.SerializeToString()).drift is (reported == 0)

    def test_an_unknown_model_is_priced_by_it_without_estimate_family_or_tier(
        self, enricher: Enricher
    ) -> None:
        message = span(client_span("acme/new", {"genops.cost.reported": 0.01}))
        outcome = enricher.enrich(message.SerializeToString())

        assert outcome.status is Status.PRICED
        assert outcome.unknown_in == "openrouter"
        assert added(enricher, message) == {
            "genops.cost.total": 0.01,
            "genops.cost.currency": "USD",
            "genops.cost.source": "reported",
            "genops.cost.status": "priced",
            "genops.pricing.version": CATALOG.version,
        }

    def test_zero_for_a_call_that_used_tokens_of_a_paid_model_is_not_believed(
        self, enricher: Enricher
    ) -> None:
        message = span(client_span("openai/gpt-4o", {"genops.cost.reported": 0.0}))

        assert enricher.enrich(message.SerializeToString()).drift
        assert added(enricher, message)["genops.cost.source"] == "computed"

    def test_zero_for_a_failed_call_without_output_is_believed(self, enricher: Enricher) -> None:
        values = client_span(
            "openai/gpt-4o", {"genops.cost.reported": 0.0, "error.type": "502"}
        ) | {"gen_ai.usage.output_tokens": 0}
        attributes = added(enricher, span(values))

        assert (attributes["genops.cost.total"], attributes["genops.cost.source"]) == (
            0,
            "reported",
        )

    @pytest.mark.parametrize("reasons", [[], [""], ["error"]], ids=["none", "empty", "error"])
    def test_zero_without_output_and_a_finish_is_believed(
        self, enricher: Enricher, reasons: list[str]
    ) -> None:
        values = client_span("openai/gpt-4o", {"genops.cost.reported": 0.0})
        values |= {
            "gen_ai.usage.output_tokens": 0,
            "gen_ai.response.finish_reasons": reasons,
        }

        assert added(enricher, span(values))["genops.cost.source"] == "reported"

    @pytest.mark.parametrize(
        ("status", "source"),
        [
            (SpanStatus(code=SpanStatus.STATUS_CODE_ERROR), "reported"),
            (SpanStatus(code=SpanStatus.STATUS_CODE_ERROR, message="502"), "reported"),
            (SpanStatus(code=SpanStatus.STATUS_CODE_OK, message="fine"), "computed"),
            (SpanStatus(), "computed"),
        ],
        ids=["error", "error-with-message", "ok-with-message", "unset"],
    )
    def test_zero_without_output_is_believed_of_a_span_whose_status_is_an_error(
        self, enricher: Enricher, status: SpanStatus, source: str
    ) -> None:
        values = client_span("openai/gpt-4o", {"genops.cost.reported": 0.0})
        message = span(values | {"gen_ai.usage.output_tokens": 0})
        message.status.CopyFrom(status)

        assert added(enricher, message)["genops.cost.source"] == source

    def test_zero_for_a_call_that_used_nothing_is_believed(self, enricher: Enricher) -> None:
        values = client_span("openai/gpt-4o", {"genops.cost.reported": 0.0})
        values |= {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}

        assert added(enricher, span(values))["genops.cost.source"] == "reported"

    @pytest.mark.parametrize("cost", [-0.1, float("nan"), float("inf"), "free"])
    def test_what_is_no_amount_of_money_is_ignored(self, enricher: Enricher, cost: Value) -> None:
        values = client_span("openai/gpt-4o", {"genops.cost.reported": cost})

        assert added(enricher, span(values))["genops.cost.source"] == "computed"


class TestAttribution:
    RULES = (
        AttributionRule("genops.team", ("team.id", "resource:service.namespace")),
        AttributionRule("genops.customer_id", ("app.customer",)),
    )

    def test_the_first_source_present_fills_the_key(self) -> None:
        enricher = Enricher(CATALOG, self.RULES)
        message = span(chat("openai/gpt-4o", {"app.customer": 7}))
        resource = Span(attributes=span({"service.namespace": "search"}).attributes)
        # Resource.attributes is field 1, Span.attributes field 9: build the former by hand.
        data = b"".join(
            b"\x0a" + bytes([len(pair)]) + pair
            for pair in (a.SerializeToString() for a in resource.attributes)
        )

        attributes = added(enricher, message, data)

        assert attributes["genops.team"] == "search"
        assert attributes["genops.customer_id"] == "7"

    def test_what_the_span_says_itself_stays(self) -> None:
        enricher = Enricher(CATALOG, self.RULES)
        attributes = added(
            enricher, span(chat("openai/gpt-4o", {"genops.team": "ads", "team.id": "search"}))
        )

        assert "genops.team" not in attributes
