"""A call of which several spans tell is priced once, however its spans come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.decode.otlp_json import from_json
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage, enrich_request
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Batch
from genops_enricher.seen.duplicates import Duplicates
from genops_enricher.telemetry import Telemetry
from genops_pricing import bundled_catalog
from otlp import Value, chat, plain_attributes, request, span, spans_of

ENRICHER = Enricher(bundled_catalog())
ID = "gen-1763900000-abcdefghijkl"
OTHER_ID = "gen-1763900000-mnopqrstuvwx"

Attributes = dict[str, object]


def call(response_id: str = ID, more: Mapping[str, Value] = {}) -> dict[str, Value]:
    return chat("openai/gpt-4o", {"gen_ai.response.id": response_id, **more})


def named(number: int) -> str:
    """What genops.cost.duplicate_of says of `otlp.span(…, number=number)`."""
    one = span({}, number=number)
    return f"{one.trace_id.hex()}:{one.span_id.hex()}"


class Queue:
    """The next stage. `before` runs while a request is between enrichment and acceptance."""

    def __init__(self) -> None:
        self.accepted: list[Attributes] = []
        self.refuse = False
        self.before: Callable[[], None] = lambda: None

    def consume(self, batch: Batch) -> None:
        before, self.before = self.before, lambda: None
        refuse = self.refuse  # decided before, so that a request in between has a fate of its own
        before()
        if refuse:
            raise RetryableError("full")
        self.accepted += [plain_attributes(one) for one in spans_of(batch.payload)]


def nested(number: int, parent: int, more: Mapping[str, Value] = {}) -> Span:
    values = {**chat("openai/gpt-4o", more)}
    if "gen_ai.response.id" not in more:
        del values["gen_ai.response.id"]
    one = span(values, number=number)
    one.trace_id = bytes(15) + b"\x01"
    one.parent_span_id = span({}, number=parent).span_id
    return one


class Parts:
    def __init__(self, *, window_s: float = 60.0, max_ids: int = 100) -> None:
        self.now_s = 0.0
        self.queue = Queue()
        self.telemetry = Telemetry()
        self.stage = EnrichStage(
            ENRICHER,
            self.queue,
            self.telemetry,
            duplicates=Duplicates(window_s, max_ids, lambda: self.now_s),
        )

    def send(self, *spans: Span) -> list[Attributes]:
        """The attributes of these spans once they are accepted."""
        self.stage.accept(request(*spans))
        return self.queue.accepted[-len(spans) :]

    def refused(self, *spans: Span) -> None:
        self.queue.refuse = True
        with pytest.raises(RetryableError):
            self.stage.accept(request(*spans))
        self.queue.refuse = False

    def books_balance(self) -> bool:
        received = self.telemetry.value("genops_received_items_total", signal="traces")
        return received == self.telemetry.total("genops_spans_total") == len(self.queue.accepted)


def statuses(spans: Iterable[Attributes]) -> list[object]:
    return [one.get("genops.cost.unpriced_reason", one["genops.cost.status"]) for one in spans]


def test_a_later_span_of_a_call_has_no_cost_and_names_the_first() -> None:
    parts = Parts()
    parts.send(span(call(), number=1))
    (later,) = parts.send(span(call(), number=2))

    assert later["genops.cost.status"] == "unpriced"
    assert later["genops.cost.unpriced_reason"] == "duplicate"
    assert later["genops.cost.duplicate_of"] == named(1)
    assert "genops.cost.total" not in later
    assert "genops.tokens.total" not in later
    assert later["genops.model"] == "openai/gpt-4o"


def test_a_sum_over_the_spans_is_the_bill() -> None:
    parts = Parts()
    for number in range(6):
        parts.send(span(call([ID, OTHER_ID][number % 2]), number=number))

    costs = [one.get("genops.cost.total") for one in parts.queue.accepted]
    assert costs == [0.0035, 0.0035, None, None, None, None]
    assert parts.books_balance()
    duplicates = {"status": "unpriced", "reason": "duplicate"}
    assert parts.telemetry.value("genops_spans_total", **duplicates) == 4


def test_a_resend_is_no_duplicate_and_is_priced_the_same() -> None:
    parts = Parts()
    pair = span(call(), number=1), span(call(), number=2)
    first = parts.send(*pair)
    again = parts.send(*pair)

    assert first == again
    assert statuses(again) == ["priced", "duplicate"]


def test_a_resend_that_is_grouped_otherwise_is_priced_the_same() -> None:
    parts = Parts()
    reported = {"genops.cost.reported": 0.01}
    one, two = span(call(), number=1), span(call(more=reported), number=2)
    assert statuses(parts.send(one)) == ["priced"]
    assert statuses(parts.send(two)) == ["duplicate"]

    assert statuses(parts.send(two, one)) == ["duplicate", "priced"]


def test_of_spans_in_one_request_a_reported_cost_goes_before_a_computed_one() -> None:
    reported = {"genops.cost.reported": 0.0042}
    one, two, three = Parts().send(
        span(call(), number=1),
        span(call(more=reported), number=2),
        span(call(more=reported), number=3),
    )

    assert statuses([one, two, three]) == ["duplicate", "priced", "duplicate"]
    assert two["genops.cost.total"] == 0.0042
    assert one["genops.cost.duplicate_of"] == three["genops.cost.duplicate_of"] == named(2)


def test_a_span_that_cannot_be_priced_leaves_the_cost_to_the_next() -> None:
    without_usage = span({k: v for k, v in call().items() if "usage" not in k}, number=1)
    unknown = span(call(more={"gen_ai.response.model": "acme/unknown"}), number=2)
    parts = Parts()

    assert statuses(parts.send(without_usage)) == ["no_usage"]
    assert statuses(parts.send(unknown)) == ["unknown_model"]
    assert statuses(parts.send(span(call(), number=3))) == ["priced"]
    assert statuses(parts.send(without_usage)) == ["duplicate"]


@pytest.mark.parametrize("reported", [{}, {"genops.cost.reported": 0.0, "error.type": "timeout"}])
def test_a_span_whose_counts_are_all_0_leaves_the_cost_to_the_next(
    reported: dict[str, Value],
) -> None:
    zeros = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    parts = Parts()
    (first,) = parts.send(span(call(more=zeros | reported), number=1))

    assert first.get("genops.cost.total", 0.0) == 0.0
    assert statuses(parts.send(span(call(), number=2))) == ["priced"]


def test_the_call_of_a_free_model_has_its_duplicates_too() -> None:
    free: dict[str, Value] = {"gen_ai.response.model": "meta-llama/llama-3.2-3b-instruct:free"}
    parts = Parts()

    assert statuses(parts.send(span(call(more=free), number=1))) == ["free"]
    assert statuses(parts.send(span(call(more=free), number=2))) == ["duplicate"]


def test_a_span_that_an_enricher_priced_before_counts_as_the_first() -> None:
    before = span(call(), number=1).SerializeToString()
    enriched = Span.FromString(before + ENRICHER.enrich(before).addition)
    parts = Parts()
    _, later = parts.send(enriched, span(call(more={"genops.cost.reported": 1.0}), number=2))

    assert later["genops.cost.duplicate_of"] == named(1)
    assert parts.telemetry.value("genops_spans_total", status="already_enriched", reason="") == 1
    assert parts.books_balance()


def test_a_span_that_an_enricher_priced_before_passes_unchanged_though_it_is_later() -> None:
    before = span(call(), number=2).SerializeToString()
    enriched = Span.FromString(before + ENRICHER.enrich(before).addition)
    parts = Parts()
    parts.send(span(call(), number=1))
    (later,) = parts.send(enriched)

    assert later == plain_attributes(enriched)


@pytest.mark.parametrize("response_id", ["", "chatcmpl-417", "x" * 300])
def test_what_is_no_unique_id_makes_no_duplicates(response_id: str) -> None:
    parts = Parts()
    parts.send(span(call(response_id), number=1))

    assert statuses(parts.send(span(call(response_id), number=2))) == ["priced"]


@pytest.mark.parametrize("suffix", [":attempt-1", ":attempt-12", ":generation"])
def test_a_suffix_that_openrouter_adds_makes_no_other_call(suffix: str) -> None:
    parts = Parts()
    parts.send(span(call(), number=1))

    assert statuses(parts.send(span(call(ID + suffix), number=2))) == ["aggregate"]


def test_a_span_without_ids_of_its_own_is_never_a_duplicate() -> None:
    nameless = span(call(), number=2)
    nameless.span_id = b""
    parts = Parts()
    parts.send(span(call(), number=1))

    assert statuses(parts.send(nameless)) == ["priced"]


def test_a_refused_request_leaves_nothing_behind() -> None:
    parts = Parts()
    parts.refused(span(call(), number=1))

    assert statuses(parts.send(span(call(), number=2))) == ["priced"]
    assert statuses(parts.send(span(call(), number=1))) == ["duplicate"]
    assert parts.books_balance()


def test_two_requests_in_work_at_once_do_not_both_price_the_call() -> None:
    parts = Parts()

    def second() -> None:
        parts.stage.accept(request(span(call(), number=2)))

    parts.queue.before = second
    parts.send(span(call(), number=1))

    assert statuses(parts.queue.accepted) == ["duplicate", "priced"]
    assert parts.queue.accepted[0]["genops.cost.duplicate_of"] == named(1)


def test_when_the_first_of_two_is_refused_it_is_priced_when_it_comes_again() -> None:
    parts = Parts()

    def second() -> None:
        parts.queue.refuse = False
        parts.stage.accept(request(span(call(), number=2)))

    parts.queue.before = second
    parts.refused(span(call(), number=1))
    parts.send(span(call(), number=1))

    assert statuses(parts.queue.accepted) == ["duplicate", "priced"]


def test_a_resend_keeps_the_reservation_when_the_first_attempt_is_refused() -> None:
    parts = Parts()

    def resend() -> None:
        parts.queue.refuse = False
        parts.queue.before = refuse_first
        parts.stage.accept(request(span(call(), number=1)))

    def refuse_first() -> None:
        # The resend is still in work here, and another span of the call comes.
        parts.stage.accept(request(span(call(), number=2)))

    parts.queue.before = resend
    parts.refused(span(call(), number=1))

    assert statuses(parts.queue.accepted) == ["duplicate", "priced"]
    assert statuses(parts.send(span(call(), number=3))) == ["duplicate"]
    parts.now_s = 200.0
    assert statuses(parts.send(span(call(), number=4))) == ["priced"]


def test_when_every_attempt_is_refused_the_id_is_free_again() -> None:
    parts = Parts()
    attempts = 4

    def attempt() -> None:
        nonlocal attempts
        attempts -= 1
        if attempts:
            parts.queue.before = attempt
            with pytest.raises(RetryableError):
                parts.stage.accept(request(span(call(), number=1)))

    parts.queue.refuse = True
    attempt()
    parts.queue.refuse = False

    assert statuses(parts.send(span(call(), number=2))) == ["priced"]


def test_an_id_is_forgotten_after_its_time() -> None:
    parts = Parts(window_s=60.0)
    parts.send(span(call(), number=1))
    parts.now_s = 59.0
    assert statuses(parts.send(span(call(), number=2))) == ["duplicate"]
    parts.now_s = 200.0

    assert statuses(parts.send(span(call(), number=3))) == ["priced"]


def test_of_too_many_ids_the_latest_half_is_remembered() -> None:
    parts = Parts(max_ids=20)
    ids = [f"gen-1763900000-{number:012}" for number in range(100)]
    parts.send(*[span(call(one), number=number) for number, one in enumerate(ids)])
    again = parts.send(*[span(call(one), number=1000 + n) for n, one in enumerate(ids)])

    assert statuses(again[-10:]) == ["duplicate"] * 10
    assert statuses(again[:80]) == ["priced"] * 80


def test_of_many_senders_at_once_exactly_one_has_the_cost_of_each_call() -> None:
    parts = Parts(max_ids=10_000)
    ids = [f"gen-1763900000-{number:012}" for number in range(50)]
    start = threading.Barrier(8)

    def sender(number: int) -> None:
        start.wait(60)
        for at, one in enumerate(ids):
            parts.stage.accept(request(span(call(one), number=1000 * number + at + 1)))

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    priced = [one for one in parts.queue.accepted if "genops.cost.total" in one]
    assert sorted(str(one["gen_ai.response.id"]) for one in priced) == ids
    assert len(parts.queue.accepted) == 8 * 50
    assert parts.books_balance()


# ---- two real packages on one client ------------------------------------------------------------

LAYERED = Path(__file__).parents[2] / "dialects" / "recordings" / "litellm-and-openllmetry.jsonl"


def costs_by_id(duplicates: Duplicates | None) -> dict[object, list[float]]:
    """Response id -> the costs above 0 on the spans that have it, of LiteLLM and OpenLLMetry."""
    out: dict[object, list[float]] = {}
    for line in LAYERED.read_bytes().splitlines():
        payload = from_json(line, ExportTraceServiceRequest()).SerializeToString()
        with duplicates.request() if duplicates is not None else nullcontext() as seen:
            enriched = enrich_request(payload, ENRICHER, seen=seen)
        for one in spans_of(enriched.payload):
            values = plain_attributes(one)
            cost = values.get("genops.cost.total")
            if isinstance(cost, float) and cost and "gen_ai.response.id" in values:
                out.setdefault(values["gen_ai.response.id"], []).append(cost)
    return out


def test_of_litellm_and_openllmetry_on_the_same_calls_one_has_the_cost() -> None:
    each, once = costs_by_id(None), costs_by_id(Duplicates(60.0, 10_000))

    assert sum(len(costs) == 2 for costs in each.values()) > 10
    # LiteLLM's spans come second and have what OpenRouter charged, so they go first.
    assert once == {response_id: costs[-1:] for response_id, costs in each.items()}


def costs_of(*spans: Span) -> list[object]:
    return [
        values.get("genops.cost.total", values.get("genops.cost.unpriced_reason"))
        for values in Parts().send(*spans)
    ]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_call_in_a_call_with_the_same_counts_is_the_same_call(turn: int) -> None:
    framework, proxy, client = nested(1, 9), nested(2, 1), nested(3, 2)

    costs = costs_of(*[framework, proxy, client][::turn])

    assert sorted(map(str, costs)) == ["0.0035", "duplicate", "duplicate"]


def test_of_calls_in_each_other_the_one_with_an_id_has_the_cost() -> None:
    parts = Parts()
    _, inner = parts.send(nested(1, 9), nested(2, 1, {"gen_ai.response.id": ID}))
    [later] = parts.send(span(call(), number=7))

    assert inner["genops.cost.total"] == 0.0035
    assert later["genops.cost.unpriced_reason"] == "duplicate"


@pytest.mark.parametrize(
    "other",
    [
        nested(2, 9),  # side by side
        nested(2, 1, {"gen_ai.usage.input_tokens": 1001}),
        nested(2, 2),
    ],
)
def test_calls_that_only_look_alike_are_priced_each(other: Span) -> None:
    one, two = costs_of(nested(1, 9), other)

    assert "duplicate" not in (one, two)


def test_calls_in_each_other_with_ids_of_their_own_are_two() -> None:
    first, second = (
        nested(1, 9, {"gen_ai.response.id": ID}),
        nested(2, 1, {"gen_ai.response.id": OTHER_ID}),
    )

    assert costs_of(first, second, nested(3, 8)) == [0.0035, 0.0035, 0.0035]


def test_calls_with_ids_of_their_own_below_a_span_without_one_are_each_charged() -> None:
    """A framework's span repeats the counts of one of them; the answers are of the same length."""
    first = nested(2, 1, {"gen_ai.response.id": ID})
    second = nested(3, 1, {"gen_ai.response.id": OTHER_ID})
    third = nested(4, 3)  # another instrumentation's span of the second

    assert costs_of(nested(1, 9), first, second, third) == [
        "duplicate",
        0.0035,
        0.0035,
        "duplicate",
    ]


def test_spans_that_are_parents_of_each_other_end_no_walk_early() -> None:
    assert costs_of(nested(1, 2), nested(2, 1)).count("duplicate") <= 1
