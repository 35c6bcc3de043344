"""An aggregate is priced if no call below it is known, and never beside its calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.decode.otlp_json import from_json
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.seen.orphans import Orphans
from genops_pricing import bundled_catalog
from otlp import OCT_2026_NS, Value, attributes, plain_attributes, request, spans_of

ENRICHER = Enricher(bundled_catalog())
MS = 1_000_000

# (number of the span, number of its parent, start ms, end ms)
Place = tuple[int, int, int, int]


def made(operation: str, place: Place, tokens: int = 1000, *, trace: int = 1) -> Span:
    number, parent, start_ms, end_ms = place
    values: Mapping[str, Value] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": "openai/gpt-4o",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": tokens // 10,
    }
    return Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=operation,
        start_time_unix_nano=OCT_2026_NS + start_ms * MS,
        end_time_unix_nano=OCT_2026_NS + end_ms * MS,
        attributes=attributes(values),
    )


def agent(place: Place, tokens: int = 1000, *, trace: int = 1) -> Span:
    return made("invoke_agent", place, tokens, trace=trace)


def call(place: Place, tokens: int = 1000, *, trace: int = 1) -> Span:
    return made("chat", place, tokens, trace=trace)


class Parts:
    def __init__(self, *, window_s: float = 60.0, max_traces: int = 100) -> None:
        self.now_s = 0.0
        self.orphans = Orphans(window_s, max_traces, lambda: self.now_s)

    def send(self, *spans: Span) -> list[object]:
        """The cost of each span, or why it has none."""
        enriched = enrich_request(request(*spans), ENRICHER, orphans=self.orphans)
        return told(spans_of(enriched.payload))


def told(spans: Iterable[Span]) -> list[object]:
    out = []
    for one in spans:
        values = plain_attributes(one)
        out.append(values.get("genops.cost.total", values.get("genops.cost.unpriced_reason")))
    return out


def test_an_aggregate_alone_is_priced() -> None:
    assert Parts().send(agent((1, 0, 0, 100))) == [0.0035]


def test_it_is_not_priced_unless_asked() -> None:
    enriched = enrich_request(request(agent((1, 0, 0, 100))), ENRICHER)

    assert told(spans_of(enriched.payload)) == ["aggregate"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_beside_its_call_in_one_request_it_is_not_priced_in_any_order(
    order: tuple[int, int],
) -> None:
    spans = call((2, 1, 10, 90)), agent((1, 0, 0, 100))
    first, second = Parts().send(*[spans[at] for at in order])

    assert {first, second} == {0.0035, "aggregate"}


def test_after_its_call_in_an_earlier_request_it_is_not_priced() -> None:
    parts = Parts()

    assert parts.send(call((2, 1, 10, 90))) == [0.0035]
    assert parts.send(agent((1, 0, 0, 100))) == ["aggregate"]


def test_calls_below_spans_that_are_no_llm_spans_are_seen_by_their_time() -> None:
    parts = Parts()
    parts.send(call((3, 77, 10, 90)))

    assert parts.send(agent((1, 0, 0, 100))) == ["aggregate"]


@pytest.mark.parametrize("times", [(0, 0), (OCT_2026_NS + 50 * MS, 0), (0, OCT_2026_NS)])
def test_a_call_without_sensible_times_may_be_one_of_the_aggregates(times: tuple[int, int]) -> None:
    odd = call((3, 77, 10, 90))
    odd.start_time_unix_nano, odd.end_time_unix_nano = times
    parts = Parts()
    parts.send(odd)

    assert parts.send(agent((1, 0, 0, 100))) == ["aggregate"]


def test_a_call_with_a_cost_of_somebody_elses_is_a_call() -> None:
    foreign = call((2, 1, 10, 90))
    foreign.attributes.extend(attributes({"genops.cost.total": 0.5}))
    parts = Parts()
    parts.send(foreign)

    assert parts.send(agent((1, 0, 0, 100))) == ["aggregate"]


def test_a_child_is_seen_by_its_parent_id_whatever_the_clocks_say() -> None:
    parts = Parts()
    parts.send(call((2, 1, 5000, 5100)))

    assert parts.send(agent((1, 0, 0, 100))) == ["aggregate"]


def test_calls_of_other_traces_and_other_times_do_not_count() -> None:
    parts = Parts()
    parts.send(call((2, 9, 10, 90), trace=2), call((3, 9, 200, 300)))

    assert parts.send(agent((1, 0, 0, 100))) == [0.0035]


def test_of_nested_aggregates_without_calls_the_inner_ones_are_priced() -> None:
    steps = made("invoke_agent", (2, 1, 5, 50)), made("invoke_agent", (3, 1, 50, 95))
    whole = agent((1, 0, 0, 100), tokens=2000)

    assert Parts().send(whole, *steps) == ["aggregate", 0.0035, 0.0035]
    parts = Parts()
    assert [parts.send(one) for one in (*steps, whole)] == [[0.0035], [0.0035], ["aggregate"]]


def test_steps_side_by_side_are_priced_each() -> None:
    parts = Parts()

    assert parts.send(agent((2, 1, 5, 90)), agent((3, 1, 6, 80))) == [0.0035, 0.0035]


def test_a_resend_is_priced_the_same() -> None:
    parts = Parts()
    inner, outer = agent((2, 1, 5, 90)), agent((1, 0, 0, 100))
    first = parts.send(inner, outer)

    assert parts.send(inner, outer) == first == [0.0035, "aggregate"]
    assert parts.send(outer) == ["aggregate"]


@pytest.mark.parametrize("place", [(2, 1, 10, 90), (2, 1, 5000, 5100), (2, 77, 10, 90)])
def test_a_call_that_comes_after_its_aggregate_was_priced_is_its_duplicate(place: Place) -> None:
    parts = Parts()
    whole, late = agent((1, 0, 0, 100)), call(place)

    assert parts.send(whole) == [0.0035]
    assert parts.send(late) == ["duplicate"]
    assert parts.send(whole, late) == [0.0035, "duplicate"]


def test_a_call_of_another_branch_is_no_duplicate_of_an_aggregate_that_was_priced() -> None:
    parts = Parts()
    parts.send(agent((1, 9, 0, 100)))

    assert parts.send(call((2, 8, 50, 150))) == [0.0035]


def test_an_aggregate_that_cannot_be_priced_stands_in_no_ones_way() -> None:
    parts = Parts()
    unknown = agent((2, 1, 5, 90))
    unknown.attributes[2].value.string_value = "acme/unknown"

    assert parts.send(unknown, agent((1, 0, 0, 100))) == ["aggregate", 0.0035]


def test_a_trace_is_forgotten_after_its_time() -> None:
    parts = Parts(window_s=60.0)
    parts.send(call((2, 1, 10, 90)))
    parts.now_s = 200.0

    assert parts.send(agent((1, 0, 0, 100))) == [0.0035]


def test_an_agent_with_more_calls_than_are_kept_is_not_priced() -> None:
    parts = Parts()
    calls = [call((number, 1, number, number + 1)) for number in range(2, 500)]
    parts.send(*calls)

    assert parts.send(agent((1, 0, 0, 600))) == ["aggregate"]


# ---- the spans of real packages -----------------------------------------------------------------

RECORDINGS = Path(__file__).parents[2] / "dialects" / "recordings"


def recorded(name: str) -> list[Span]:
    lines = (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines()
    requests = [from_json(line, ExportTraceServiceRequest()) for line in lines]
    return [one for each in requests for one in spans_of(each.SerializeToString())]


def costs_by_trace(spans: Iterable[Span], *, orphans: bool) -> dict[str, list[float]]:
    known = Orphans(60.0, 10_000) if orphans else None
    out: dict[str, list[float]] = {}
    for one in spans:  # one by one, in the order in which they ended
        enriched = enrich_request(request(one), ENRICHER, orphans=known)
        (cost,) = told(spans_of(enriched.payload))
        if isinstance(cost, float):
            out.setdefault(one.trace_id.hex(), []).append(cost)
    return out


@pytest.mark.parametrize("name", ["ai-sdk-7", "pydantic-ai-aggregate"])
def test_of_packages_that_repeat_usage_on_agents_the_calls_alone_are_priced(name: str) -> None:
    spans = recorded(name)
    assert any(one.name.startswith("invoke_agent") for one in spans)

    assert costs_by_trace(spans, orphans=True) == costs_by_trace(spans, orphans=False)


def test_without_its_calls_an_agent_of_the_ai_sdk_costs_what_they_cost() -> None:
    spans = recorded("ai-sdk-7")
    without_calls = [one for one in spans if not one.name.startswith("chat ")]
    # The agent's span names the model that was asked for alone.
    rerouted = {
        one.trace_id.hex()
        for one in spans
        if (values := plain_attributes(one)).get("gen_ai.response.model")
        and not str(values["gen_ai.response.model"]).startswith(
            str(values["gen_ai.request.model"]).partition(":")[0]
        )
    }
    calls = costs_by_trace(spans, orphans=False)
    agents = costs_by_trace(without_calls, orphans=True)

    assert len(calls) > 20
    for trace in calls.keys() - rerouted:
        assert sum(agents.get(trace, [])) == pytest.approx(sum(calls[trace]), rel=1e-12)
