"""A folder of price facts becomes whole models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from genops_pricing.importing.decision import NewModel, Refused
from genops_pricing.importing.families import family_of
from genops_pricing.importing.gather import Known, gather
from genops_pricing.importing.sources.facts import read_facts, read_pasts

HISTORY = (
    "namespace,provider,model_id,condition,effective_from,not_before,input,output,cache_read,"
    "request_usd,web_search_usd,tiers,source,note"
)
PRICES = (
    "model_id,condition,input,output,cache_read,internal_reasoning,audio_input,audio_output,image_output_usd,"
    "request_usd,web_search_usd,context_length,start_date,start_date_basis,last_seen,canonical_slug,created,modality,name,"
    "source,source_version,note"
)
CONSENSUS = (
    "model_id,input,output,median_input,median_output,price_source,suspect,"
    "last_seen_on_openrouter,status"
)
ENDPOINTS = "model_id,upstream_provider,quantization,input,output,last_seen"
ALIASES = "alias,model_id,kind,confidence"
FAMILIES = "model_id,author,family,canonical_slug,name"
DIRECT = (
    "provider,model_id,mode,region,condition,input,output,cache_read,cache_write,context_length,start_date,"
    "start_date_basis,last_seen,name,source,source_version"
)

Rows = Sequence[Mapping[str, str]]


def models_of(folder: Path, known: Sequence[str] = (), **tables: Rows) -> dict[str, Any]:
    """What becomes of facts: each new model's block, or the reason of its refusal, by id.

    Args:
        folder: for the files.
        known: ids of models of OpenRouter that the catalog has.
        tables: the lines of the files.
    """
    heads = {
        "price_history": HISTORY,
        "openrouter_prices": PRICES,
        "openrouter_consensus": CONSENSUS,
        "openrouter_endpoints": ENDPOINTS,
        "openrouter_aliases": ALIASES,
        "model_families": FAMILIES,
        "direct_prices": DIRECT,
    }
    for name, head in heads.items():
        lines = [
            ",".join(row.get(column, "") for column in head.split(","))
            for row in tables.get(name, ())
        ]
        (folder / f"{name}.csv").write_text("\n".join([head, *lines, ""]))
    decisions = gather(
        read_facts(folder), Known([("openrouter", name) for name in known]), read_pasts(folder)
    )
    told: dict[str, Any] = {}
    for item in decisions:
        if isinstance(item, NewModel):
            told[item.raw["id"]] = dict(item.raw, author=item.author)
        elif isinstance(item, Refused):
            told[item.subject.model] = item.reason
    return told


def step(model: str, day: str, price: str, **more: str) -> dict[str, str]:
    return {
        "namespace": "openrouter",
        "provider": "openrouter",
        "model_id": model,
        "effective_from": day,
        "input": price,
        "output": price,
        "source": "openrouter-api",
        "note": "changed",
        **more,
    }


def stated(model: str, source: str, price: str, day: str, **more: str) -> dict[str, str]:
    return {
        "model_id": model,
        "source": source,
        "input": price,
        "output": price,
        "last_seen": day,
        **more,
    }


def test_a_model_has_its_history_facts_aliases_and_removal(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        price_history=[
            step("acme/one-2", "2025-11-10", "2"),
            step("acme/one-2", "2026-02-01", "3"),
            step("acme/other", "2026-05-01", "3"),
        ],
        openrouter_prices=[
            stated(
                "acme/one-2",
                "openrouter-api:llm_db",
                "3",
                "2026-04-01",
                created="1762300800",
                canonical_slug="acme/one-2-20251105",
                name="Acme: One 2",
                modality="text->text",
            )
        ],
        openrouter_consensus=[
            {"model_id": "acme/one-2", "last_seen_on_openrouter": "2026-04-01", "status": "retired"}
        ],
    )

    model = told["acme/one-2"]
    assert (model["author"], model["family"], model["name"]) == ("acme", "one-2", "One 2")
    assert (model["created"], model["removed"]) == ("2025-11-05", "2026-05-01")
    assert model["aliases"] == ["acme/one-2-20251105"]
    assert [row["effective_from"] for row in model["prices"]] == ["2025-11-05", "2026-02-01"]
    assert model["prices"][1]["provenance"]["seen_at"] == "2026-04-01"


def test_endpoints_have_prices_where_theirs_is_not_the_models_own(tmp_path: Path) -> None:
    endpoint = {"model_id": "acme/one", "quantization": "fp8", "last_seen": "2026-05-18"}

    told = models_of(
        tmp_path,
        price_history=[step("acme/one", "2026-01-01", "2")],
        openrouter_endpoints=[
            {**endpoint, "upstream_provider": "Deep Infra", "input": "1", "output": "2"},
            {**endpoint, "upstream_provider": "Same", "input": "2", "output": "2"},
            {**endpoint, "upstream_provider": "Two", "input": "1", "output": "1"},
            {**endpoint, "upstream_provider": "Two", "input": "3", "output": "3"},
        ],
    )

    endpoints = told["acme/one"]["endpoints"]
    assert list(endpoints) == ["deep-infra", "same"]
    assert endpoints["deep-infra"]["quantization"] == "fp8"
    assert endpoints["same"] == {"quantization": "fp8"}


def test_a_doubted_price_is_suspect_from_the_day_it_was_seen(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        price_history=[step("acme/one", "2026-01-01", "3")],
        openrouter_prices=[stated("acme/one", "pi-ai", "0.19", "2026-11-10")],
        openrouter_consensus=[
            {"model_id": "acme/one", "suspect": "yes", "price_source": "pi-ai", "status": "listed"}
        ],
    )

    first, second = told["acme/one"]["prices"]
    assert first["usd_per_mtok"]["input"] == "3"
    assert (second["status"], second["effective_from"]) == ("suspect", "2026-11-10")


def test_a_price_that_a_source_dates_counts_up_to_the_eve_of_its_next(tmp_path: Path) -> None:
    dated = {"start_date_basis": "documented"}

    told = models_of(
        tmp_path,
        price_history=[step("acme/one", "2026-08-19", "0.96")],
        openrouter_prices=[
            stated("acme/one", "genai-prices", "1.4", "2026-11-01"),
            stated(
                "acme/one", "genai-prices", "0.6", "2026-11-01", start_date="2026-10-19", **dated
            ),
            stated(
                "acme/one", "genai-prices", "1.4", "2026-11-01", start_date="2026-11-03", **dated
            ),
            stated("acme/one", "metergraph", "0.6", "2026-10-25", start_date="2026-10-20", **dated),
        ],
    )

    prices = [
        (row["effective_from"], row["usd_per_mtok"]["input"]) for row in told["acme/one"]["prices"]
    ]
    assert prices == [("2026-08-19", "0.96"), ("2026-10-19", "0.6")]


@pytest.mark.parametrize(("model", "rows"), [("openai/gpt-9", 3), ("openai/gpt-oss-9", 2)])
def test_a_closed_model_has_its_makers_list_price_however_short_it_stood(
    tmp_path: Path, model: str, rows: int
) -> None:
    days = {"2026-07-09": "2.5", "2026-07-30": "1", "2026-08-17": "2"}
    last_of_old = {"2026-07-30": "2026-07-29", "2026-08-17": "2026-08-16"}

    told = models_of(
        tmp_path,
        price_history=[
            step(model, day, price, not_before=last_of_old.get(day, ""))
            for day, price in days.items()
        ],
    )

    assert len(told[model]["prices"]) == rows


def test_a_promotion_of_openrouter_dates_no_price_of_the_maker(tmp_path: Path) -> None:
    promotion = {"2026-07-09": "2.5", "2026-07-28": "1.25", "2026-07-30": "1", "2026-08-17": "2"}
    last_of_old = {
        "2026-07-28": "2026-07-27",
        "2026-07-30": "2026-07-29",
        "2026-08-17": "2026-08-16",
    }
    own = {"namespace": "direct", "provider": "openai", "source": "genai-prices"}

    told = models_of(
        tmp_path,
        price_history=[
            *(
                step("openai/gpt-9", day, price, not_before=last_of_old.get(day, ""))
                for day, price in promotion.items()
            ),
            step("gpt-9", "", "2.5", **own),
            step("gpt-9", "2026-07-30", "2", **own),
        ],
        direct_prices=[
            direct("litellm", "2", "2026-11-01"),
            direct("genai-prices", "2", "2026-11-01"),
        ],
    )

    rows = told["gpt-9"]["prices"]
    assert [(row["effective_from"], row["usd_per_mtok"]["input"]) for row in rows] == [
        ("2026-07-09", "2.5"),
        ("2026-07-30", "2"),
    ]


@pytest.mark.parametrize(
    ("source", "is_priced"), [("pi-ai", True), ("portkey-models", False), ("tokenlens", False)]
)
def test_one_catalog_alone_prices_a_new_model_only_if_it_copies_the_api(
    tmp_path: Path, source: str, is_priced: bool
) -> None:
    told = models_of(tmp_path, openrouter_prices=[stated("acme/new", source, "2", "2026-11-10")])

    (row,) = told["acme/new"]["prices"]
    assert ("usd_per_mtok" in row) is is_priced
    assert (row.get("status") == "suspect") is not is_priced


def test_a_model_of_video_is_not_free(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        price_history=[step("acme/film", "2026-01-01", "0")],
        openrouter_prices=[
            stated("acme/film", "openrouter-api:llm_db", "0", "2026-04-01", modality="text->video")
        ],
    )

    (row,) = told["acme/film"]["prices"]
    assert row["status"] == "suspect"


def test_the_image_price_is_that_of_a_token_only_where_it_is_small_enough(tmp_path: Path) -> None:
    api = "openrouter-api:llm_db"
    modality = {"modality": "text->text+image"}

    told = models_of(
        tmp_path,
        price_history=[step("acme/token", "2026-01-01", "1"), step("acme/each", "2026-01-01", "1")],
        openrouter_prices=[
            stated("acme/token", api, "1", "2026-04-01", image_output_usd="0.00003", **modality),
            stated("acme/each", api, "1", "2026-04-01", image_output_usd="0.04", **modality),
        ],
    )

    assert told["acme/token"]["prices"][0]["usd_per_mtok"]["output_image"] == "30"
    assert told["acme/each"]["prices"][0]["status"] == "suspect"


def test_a_fee_that_the_api_renamed_is_not_charged_under_both_names(tmp_path: Path) -> None:
    """Until 2026 it called the fee of a search `request`; it is the same money."""
    told = models_of(
        tmp_path,
        price_history=[
            step("acme/seeker", "2025-11-07", "1", request_usd="0.03", web_search_usd="0"),
            step("acme/seeker", "2026-03-03", "1", web_search_usd="0.03"),
        ],
        openrouter_prices=[
            stated("acme/seeker", "openrouter-api:llm_db", "1", "2026-06-07", web_search_usd="0.03")
        ],
    )

    then, now = told["acme/seeker"]["prices"]
    assert then["usd_per_unit"] == {"request": "0.03"}
    assert now["usd_per_unit"] == {"web_search": "0.03"}


def direct(source: str, price: str, day: str, **more: str) -> dict[str, str]:
    return {"provider": "openai", **stated("gpt-9", source, price, day, **more)}


def test_a_direct_price_is_one_on_which_independent_catalogs_agree(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        direct_prices=[
            direct("litellm", "2", "2026-11-01"),
            direct("genai-prices", "2", "2026-10-01"),
            direct("llm-prices", "3", "2026-01-01"),
            direct("litellm", "1", "2026-11-01", condition="service_tier=batches"),
            direct("genai-prices", "1", "2026-11-01", condition="processing=batch"),
        ],
    )

    (row,) = told["gpt-9"]["prices"]
    assert row["usd_per_mtok"] == {"input": "2", "output": "2"}
    assert row["overrides"] == [
        {"when": {"processing": "batch"}, "usd_per_mtok": {"input": "1", "output": "1"}}
    ]
    assert row["effective_from"] == "2026-10-01"
    assert row["provenance"]["not_before"] == "2026-01-01"
    assert row["provenance"]["also"] == ["LiteLLM"]


LONG = 'Large Context (>272K): [{"usageDetailPattern": "(input)", "operator": "gt"}]'
FLEX = 'Flex: [{"key": "service_tier", "operator": "in", "values": ["flex"]}]'
FAST = 'Fast mode: [{"key": "service_tier", "operator": "in", "values": ["fast", "priority"]}]'
LONG_FLEX = FLEX.replace("Flex", "Flex · Large context (>272K)")
SPEED = 'Fast mode: [{"key": "speed", "operator": "in", "values": ["fast"]}]'


@pytest.mark.parametrize(
    ("labelled", "plain", "when"),
    [
        (LONG, "prompt_tokens>272000", {"prompt_over": 272_000}),
        (FLEX, "service_tier=flex", {"service_tier": "flex"}),
        (FAST, "rate=priority", {"service_tier": "priority"}),
        (
            LONG_FLEX,
            "service_tier=flex & prompt_tokens>272000",
            {"service_tier": "flex", "prompt_over": 272_000},
        ),
        (SPEED, "service_tier=priority", None),
    ],
)
def test_a_condition_is_read_where_a_source_labels_it_for_people(
    tmp_path: Path, labelled: str, plain: str, when: dict[str, Any] | None
) -> None:
    told = models_of(
        tmp_path,
        direct_prices=[
            direct("langfuse", "2", "2026-08-20"),
            direct("langfuse", "4", "2026-08-20", condition=labelled.replace('"', '""').join('""')),
            direct("litellm", "2", "2026-11-01"),
            direct("litellm", "4", "2026-11-01", condition=plain),
        ],
    )

    overrides = told["gpt-9"]["prices"][0].get("overrides", [])
    assert [override["when"] for override in overrides] == ([when] if when else [])


def test_a_price_by_size_is_read_where_a_source_states_ranges_alone(tmp_path: Path) -> None:
    """The cached tokens of a long prompt cost what one source says, if none says otherwise."""
    told = models_of(
        tmp_path,
        direct_prices=[
            direct("litellm", "", "2026-11-01"),
            direct("litellm", "1", "2026-11-01", condition='"prompt_tokens in (0,32000]"'),
            direct("litellm", "2", "2026-11-01", condition='"prompt_tokens in (32000,128000]"'),
            direct("model-prices", "1", "2026-10-26", cache_read="0.2"),
            direct(
                "model-prices",
                "2",
                "2026-10-26",
                cache_read="0.4",
                condition="prompt_tokens>32000",
            ),
        ],
    )

    (row,) = told["gpt-9"]["prices"]
    assert row["usd_per_mtok"] == {"input": "1", "output": "1", "cache_read": "0.2"}
    (long,) = row["overrides"]
    assert long["when"] == {"prompt_over": 32_000}
    assert long["usd_per_mtok"] == {"input": "2", "output": "2", "cache_read": "0.4"}


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        ({"cache_read": "0.02"}, {"cache_read": "0.02"}),
        ({"cache_read": "0.019"}, {}),
        ({"cache_read": "1", "cache_write": "10"}, {"cache_read": "1", "cache_write": "10"}),
        ({"cache_read": "1", "cache_write": "9"}, {"cache_read": "1"}),
    ],
)
def test_a_cache_price_of_another_column_does_not_count(
    tmp_path: Path, cells: dict[str, str], kept: dict[str, str]
) -> None:
    told = models_of(
        tmp_path,
        direct_prices=[
            direct("portkey-models", "10", "2026-11-01", **cells),
            direct("litellm", "10", "2026-11-01"),
        ],
    )

    (row,) = told["gpt-9"]["prices"]
    assert row["usd_per_mtok"] == {"input": "10", "output": "10", **kept}


def test_a_snapshot_has_what_is_stated_for_the_name_without_its_day(tmp_path: Path) -> None:
    """OpenAI answers with the name of the snapshot, whatever was asked."""

    def stated_of(model: str, price: str, **more: str) -> list[dict[str, str]]:
        return [
            {**direct(source, price, "2026-11-01", **more), "model_id": model}
            for source in ("litellm", "langfuse")
        ]

    told = models_of(
        tmp_path,
        direct_prices=[
            *stated_of("gpt-9", "2", cache_read="0.2"),
            *stated_of("gpt-9", "4", condition="prompt_tokens>272000"),
            *stated_of("gpt-9-2026-10-01", "2"),
            *stated_of("gpt-9-2026-04-01", "3"),
        ],
    )

    (row,) = told["gpt-9-2026-10-01"]["prices"]
    assert row["usd_per_mtok"] == {"input": "2", "output": "2", "cache_read": "0.2"}
    assert [override["when"] for override in row["overrides"]] == [{"prompt_over": 272_000}]
    (other_price,) = told["gpt-9-2026-04-01"]["prices"]
    assert other_price["usd_per_mtok"] == {"input": "3", "output": "3"}
    assert "overrides" not in other_price


@pytest.mark.parametrize(
    ("hours", "is_priced"), [("utc 01:00:00+00:00-04:00:00+00:00", True), ("", False)]
)
def test_a_price_by_the_hour_needs_the_hours(tmp_path: Path, hours: str, is_priced: bool) -> None:
    windows = [direct("genai-prices", "2", "2026-11-01", condition=hours)] if hours else []

    told = models_of(
        tmp_path,
        direct_prices=[
            direct("litellm", "2", "2026-11-01"),
            direct("litellm", "1", "2026-11-01", condition="off_peak"),
            direct("genai-prices", "1", "2026-11-01"),
            *windows,
        ],
    )

    if is_priced:
        (row,) = told["gpt-9"]["prices"]
        assert row["usd_per_mtok"]["input"] == "1"
        assert row["overrides"][0]["when"] == {"utc": "01:00-04:00"}
    else:
        assert told["gpt-9"].startswith("priced by the hour")


def of_model(model: str, provider: str = "openai") -> list[dict[str, str]]:
    """What two catalogs state of a price of 2, the first time in 2026."""
    named = {"provider": provider, "model_id": model}
    return [
        direct("litellm", "2", "2026-02-06", **named),
        direct("genai-prices", "2", "2026-11-01", **named),
    ]


@pytest.mark.parametrize(
    ("model", "provider", "start"),
    [
        ("gpt-9-2025-08-07", "openai", "2025-08-07"),
        ("gpt-9", "openai", "2025-07-01"),
        ("gpt-9", "azure", "2026-02-06"),
        ("gpt-9-mini", "openai", "2026-02-06"),
    ],
)
def test_a_makers_price_holds_since_openrouter_has_passed_it_on(
    tmp_path: Path, model: str, provider: str, start: str
) -> None:
    told = models_of(
        tmp_path,
        price_history=[
            step("openai/gpt-9", "2024-11-01", "5"),
            step("openai/gpt-9", "2025-07-01", "2", not_before="2025-06-05"),
        ],
        direct_prices=of_model(model, provider),
    )

    (row,) = told[model]["prices"]
    assert row["effective_from"] == start
    assert row["provenance"]["basis"] == ("snapshot" if start.startswith("2026") else "derived")


def test_a_makers_older_price_is_a_row_if_it_is_dated_twice(tmp_path: Path) -> None:
    own = {"namespace": "direct", "provider": "openai", "source": "genai-prices"}

    told = models_of(
        tmp_path,
        price_history=[
            step("openai/gpt-9", "2024-11-01", "5"),
            step("openai/gpt-9", "2025-07-01", "2", not_before="2025-06-05"),
            step("gpt-9", "", "5", **own),
            step("gpt-9", "2025-06-10", "2", **own),
        ],
        direct_prices=of_model("gpt-9"),
    )

    older, newer = told["gpt-9"]["prices"]
    assert (older["effective_from"], newer["effective_from"]) == ("2024-11-01", "2025-06-10")
    assert older["usd_per_mtok"] == {"input": "5", "output": "5"}
    assert older["provenance"]["also"] == ["genai-prices 0.2.3"]
    assert newer["provenance"]["not_before"] == "2025-06-05"


@pytest.mark.parametrize(
    ("model", "is_priced"),
    [("sonar-pro", False), ("pplx-7b-online", False), ("sonar-deep-research", True)],
)
def test_a_fee_that_usage_does_not_tell_leaves_a_model_unpriced(
    tmp_path: Path, model: str, is_priced: bool
) -> None:
    told = models_of(tmp_path, direct_prices=of_model(model, "perplexity"))

    (row,) = told[model]["prices"]
    assert ("usd_per_mtok" in row) is is_priced
    assert (row.get("status") == "suspect") is not is_priced


def test_copies_of_one_catalog_are_not_two_sources(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        direct_prices=[
            direct("litellm", "2", "2026-11-01"),
            direct("veqen-pricebook", "2", "2026-10-01"),
        ],
    )

    assert told["gpt-9"] == (
        "no two independent catalogs agree: 2/2 of LiteLLM, 2/2 of veqen-pricebook 2026.10.23"
    )


@pytest.mark.parametrize("known", [[], ["acme/one-2.5"]])
def test_a_dated_spelling_that_no_list_shows_is_no_model(tmp_path: Path, known: list[str]) -> None:
    """Whether the model that it means is new, or the catalog has it already."""
    told = models_of(
        tmp_path,
        known,
        price_history=[step("acme/one-2.5", "2025-11-10", "2")],
        openrouter_prices=[stated("acme/one-2-5-2025-04-14", "litellm", "2", "2026-10-01")],
    )

    assert list(told) == ([] if known else ["acme/one-2.5"])


def test_one_family_of_catalogs_agrees_with_itself(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        openrouter_prices=[
            stated("acme/one", "litellm", "2", "2026-10-01"),
            stated("acme/one", "tokencostauto", "2", "2026-10-02"),
        ],
    )

    assert told["acme/one"]["prices"][0]["reason"] == (
        "No snapshot of the API shows it, and only one family of catalogs states a price: "
        "2/2 of LiteLLM, 2/2 of tokencostauto 0.1.717."
    )


def archived(day: str, price: str) -> dict[str, str]:
    return step("acme/one", day, price, source="model-price-radar")


@pytest.mark.parametrize(
    ("before", "after", "price", "unknown"),
    [("0.2", "0.2", "0.2", False), ("0.2", "0.3", None, True), ("0.2", "", None, True)],
)
def test_a_list_without_cache_prices_takes_none_away(
    tmp_path: Path, before: str, after: str, price: str | None, unknown: bool
) -> None:
    told = models_of(
        tmp_path,
        price_history=[
            step("acme/one", "2025-11-10", "2", cache_read=before),
            archived("2026-01-01", "3"),
            step("acme/one", "2026-04-01", "4", cache_read=after),
        ],
    )

    row = told["acme/one"]["prices"][1]
    assert row["usd_per_mtok"].get("cache_read") == price
    assert row.get("unknown", []) == (["cache_read"] if unknown else [])


def test_what_nobody_tells_before_the_first_whole_list_is_no_unknown_price(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        price_history=[
            archived("2024-05-13", "5"),
            step("acme/one", "2025-11-10", "2", cache_read="1"),
        ],
    )

    assert "unknown" not in told["acme/one"]["prices"][0]


@pytest.mark.parametrize(
    ("before", "rows"),
    [
        # Two families that agree; one alone, or a list from after the first whole one, do not.
        (
            [("tokenlens", "0.31", "2025-09"), ("tokencost", "0.31", "2025-08")],
            [("2025-07-01", "0.31"), ("2025-11-07", "0.125")],
        ),
        ([("tokenlens", "0.31", "2025-09")], [("2025-07-01", None), ("2025-11-07", "0.125")]),
        ([("tokenlens", "0.13", "2025-09")], [("2025-07-01", "0.125")]),
        ([("models.dev", "0.31", "2026-08-18")], [("2025-07-01", "0.125")]),
    ],
)
def test_a_cache_price_holds_since_the_list_that_has_it_where_a_catalog_saw_another_before(
    tmp_path: Path, before: list[tuple[str, str, str]], rows: list[tuple[str, str | None]]
) -> None:
    told = models_of(
        tmp_path,
        price_history=[
            archived("2025-07-01", "1.25"),
            step("acme/one", "2025-11-07", "1.25", cache_read="0.125"),
        ],
        openrouter_prices=[
            stated("acme/one", source, "1.25", day, cache_read=price)
            for source, price, day in before
        ],
    )

    prices = told["acme/one"]["prices"]
    assert [(r["effective_from"], r["usd_per_mtok"].get("cache_read")) for r in prices] == rows
    assert [r.get("unknown") for r in prices] == [
        None if price else ["cache_read"] for _, price in rows
    ]


def test_a_maker_asked_its_older_cache_price_until_any_list_shows_the_new_one(
    tmp_path: Path,
) -> None:
    def dated(day: str, cache: str) -> dict[str, str]:
        own = {"namespace": "direct", "provider": "xai", "source": "model-prices"}
        return step("one-4", day, "2", cache_read=cache, **own)

    told = models_of(
        tmp_path,
        price_history=[
            step("x-ai/one-4", "2025-12-01", "2", cache_read="0.5"),
            step("x-ai/one-4", "2026-02-01", "2", cache_read="0.3"),
            dated("2025-12-01", "0.5"),
            dated("2026-04-20T03:17:45", "0.3"),
        ],
        direct_prices=[
            stated("one-4", source, "2", "2026-10-01", provider="xai", cache_read="0.3")
            for source in ("litellm", "models.dev")
        ],
    )

    prices = told["one-4"]["prices"]
    assert [(r["effective_from"], r["usd_per_mtok"]["cache_read"]) for r in prices] == [
        ("2025-12-01", "0.5"),
        ("2026-02-01", "0.3"),
    ]


def test_catalogs_of_the_same_price_tell_what_the_archived_list_can_not(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        price_history=[archived("2026-09-02", "3")],
        openrouter_prices=[stated("acme/one", "pi-ai", "3", "2026-11-10", cache_read="0.3")],
    )

    (row,) = told["acme/one"]["prices"]
    assert row["usd_per_mtok"]["cache_read"] == "0.3"


def test_a_price_of_dear_hours_is_no_new_price(tmp_path: Path) -> None:
    """The list states the hours once; who reads it then sees the dear price alone."""
    hours = (
        '"[{""prompt"": ""0.000002"", ""completion"": ""0.000002"", ""utc_start"": 1000, '
        '""utc_end"": 100}, {""prompt"": ""0.000004"", ""completion"": ""0.000004"", '
        '""utc_start"": 100, ""utc_end"": 1000}]"'
    )
    told = models_of(
        tmp_path,
        price_history=[
            step("acme/one", "2026-08-21", "2", tiers=hours),
            step("acme/one", "2026-08-22", "2"),
            archived("2026-09-02", "4"),
        ],
        openrouter_prices=[stated("acme/one", "pi-ai", "4", "2026-11-10")],
    )

    (row,) = told["acme/one"]["prices"]
    assert row["overrides"] == [
        {"when": {"utc": "01:00-10:00"}, "usd_per_mtok": {"input": "4", "output": "4"}}
    ]


def test_audio_that_costs_what_text_costs_is_a_cell_filled_in(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        price_history=[step("acme/one", "2026-01-19", "2")],
        openrouter_prices=[
            stated(
                "acme/one",
                "openrouter-api:llm_db",
                "2",
                "2026-08-05",
                audio_input="2",
                audio_output="2",
                modality="text+audio->text+audio",
            )
        ],
    )

    assert told["acme/one"]["prices"][0]["reason"] == (
        "Puts out text and audio, and no source states the price of audio tokens."
    )


def test_a_cache_dearer_than_any_is_a_mix_up_of_columns(tmp_path: Path) -> None:
    told = models_of(
        tmp_path,
        direct_prices=[
            direct("litellm", "4", "2026-11-01") | {"cache_read": "0.4"},
            direct("portkey-models", "4", "2026-08-21") | {"cache_read": "16", "cache_write": "1"},
        ],
    )

    prices = told["gpt-9"]["prices"][0]["usd_per_mtok"]
    assert prices == {"input": "4", "output": "4", "cache_read": "0.4"}


def test_who_was_read_before_a_change_of_a_known_day_is_out_of_date(tmp_path: Path) -> None:
    dated = {"start_date": "2026-10-29", "start_date_basis": "documented"}
    told = models_of(
        tmp_path,
        direct_prices=[
            direct("metergraph", "1.4", "2026-10-25"),
            direct("model-prices", "1.4", "2026-10-26"),
            direct("litellm", "1.4", "2026-11-01"),
            direct("genai-prices", "0.7", "2026-11-01") | dated,
            direct("pi-ai", "0.7", "2026-11-10"),
        ],
    )

    assert told["gpt-9"]["prices"][-1]["usd_per_mtok"]["input"] == "0.7"


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("anthropic/claude-opus-4.7-fast", "claude-4.7"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-4.5"),
        ("anthropic/claude-3.5-sonnet:beta", "claude-3.5"),
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o"),
        ("google/gemini-pro-1.5", "gemini-1.5"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3.3"),
        ("accounts/fireworks/models/llama-v3p1-405b-instruct", "llama-3.1"),
        ("deepseek/deepseek-chat-v3.1", "deepseek-v3.1"),
        ("qwen/qwen3-235b-a22b", "qwen3"),
        ("x-ai/grok-code-fast-1", "grok-1"),
        ("microsoft/phi-4-reasoning-plus", "phi-4"),
        ("gryphe/mythomax-l2-13b", "mythomax"),
        ("~openai/gpt-luna-latest", "gpt-luna-latest"),
        ("deepseek.v3.2", "deepseek-v3.2"),
        ("us.deepseek.r1-v1:0", "deepseek-r1"),
        ("meta.llama3-2-1b-instruct-v1:0", "llama-3.2"),
        ("in.openai.gpt-5.6-luna", "gpt-5.6"),
    ],
)
def test_a_family_is_the_product_line_with_its_version(model: str, family: str) -> None:
    assert family_of(model) == family
