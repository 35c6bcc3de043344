"""Redaction as a stage of the pipeline: what comes to the queue, and the books."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.config.model import AttributionRule, RedactionConfig
from genops_enricher.decode.pass_through import PassThrough
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.redact import Redactor, redacting
from genops_enricher.spend import Ledger
from genops_enricher.telemetry import Telemetry
from genops_pricing import bundled_catalog
from otlp import chat, plain_attributes, request, span, spans_of

KEY = "a key for tests only"
LABELS = ("genops.user_id", "genops.team", "genops.model")
BROKEN = b"\x12\x0dgen_ai.prompt.S3CR3T"  # a span that breaks off behind a name that matches


class Collecting:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def consume(self, batch: Batch) -> None:
        self.batches.append(batch)


class Refusing:
    def consume(self, batch: Batch) -> None:
        raise RetryableError("full")


def redactor(**lists: object) -> Redactor:
    made = Redactor.of(RedactionConfig(hash_key=KEY, **lists))  # type: ignore[arg-type]
    assert made is not None
    return made


def with_broken_span(*spans: Span) -> bytes:
    # The scopes of the same resource twice: concatenated requests are one.
    broken = b"\x12" + bytes([len(BROKEN)]) + BROKEN
    scope = b"\x12" + bytes([len(broken)]) + broken
    return request(*spans) + b"\x0a" + bytes([len(scope)]) + scope


def test_nothing_stands_between_where_nothing_is_redacted() -> None:
    collecting = Collecting()

    assert Redactor.of(RedactionConfig()) is None
    assert redacting(collecting, None, Telemetry()) is collecting


def test_spans_are_priced_by_what_they_came_with() -> None:
    collecting, telemetry = Collecting(), Telemetry()
    by = redactor(drop=("gen_ai.*", "server.address"))
    stage = EnrichStage(
        Enricher(bundled_catalog()), redacting(collecting, by, telemetry), telemetry
    )

    stage.accept(request(span(chat())))

    (batch,) = collecting.batches
    values = plain_attributes(spans_of(batch.payload)[0])
    assert values["genops.cost.total"] == 0.0035
    assert not [name for name in values if name.startswith(("gen_ai.", "server."))]


def test_labels_are_redacted_as_the_attributes_are() -> None:
    collecting, telemetry, ledger = Collecting(), Telemetry(), Ledger(LABELS, 100)
    by = redactor(drop=("genops.team",), hash=("*user*id",))
    rules = [AttributionRule("genops.user_id", ("user.id",))]
    stage = EnrichStage(
        Enricher(bundled_catalog(), rules, labels=LABELS),
        redacting(collecting, by, telemetry),
        telemetry,
        ledger,
        redact_label=by.label,
    )

    for user, team in ((7, "red"), ("7", "blue"), ("u" * 1000, "red")):
        stage.accept(request(span(chat(more={"user.id": user, "genops.team": team}))))

    (first, second, long) = [plain_attributes(spans_of(b.payload)[0]) for b in collecting.batches]
    assert first["user.id"] == first["genops.user_id"] == second["genops.user_id"]
    assert "genops.team" not in first
    model = "openai/gpt-4o"
    assert set(ledger.rows()) == {(first["user.id"], "", model), (long["user.id"], "", model)}


def test_a_span_that_can_not_be_read_is_removed_and_the_books_balance() -> None:
    collecting, telemetry = Collecting(), Telemetry()
    by = redactor(drop=("gen_ai.prompt*",))
    stage = EnrichStage(
        Enricher(bundled_catalog()), redacting(collecting, by, telemetry), telemetry
    )

    stage.accept(with_broken_span(span(chat()), span({"a": "b", "gen_ai.prompt": "S3CR3T"})))
    stage.accept(with_broken_span())

    (batch,) = collecting.batches
    value = telemetry.value
    assert batch.items == len(spans_of(batch.payload)) == 2
    assert b"S3CR3T" not in batch.payload
    assert value("genops_received_items_total", signal="traces") == 4
    assert value("genops_redaction_removed_items_total", signal="traces") == 2
    assert telemetry.total("genops_spans_total") == 4
    name = "genops_redacted_attributes_total"
    assert value(name, signal="traces", action="dropped") == 1
    assert value(name, signal="traces", action="unreadable") == 2


def test_a_refused_request_stands_nowhere_in_the_books() -> None:
    telemetry = Telemetry()
    stage = redacting(Refusing(), redactor(drop=("gen_ai.prompt",)), telemetry)

    with pytest.raises(RetryableError):
        stage.consume(Batch(Signal.TRACES, request(span({"gen_ai.prompt": "x"})), 1))

    assert telemetry.total("genops_redacted_attributes_total") == 0
    assert telemetry.total("genops_redaction_removed_items_total") == 0


def test_logs_are_counted_by_what_they_came_with() -> None:
    collecting, telemetry = Collecting(), Telemetry()
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add()
    record.body.CopyFrom(AnyValue(string_value="claude_code.api_request"))
    record.attributes.add(key="input_tokens").value.int_value = 7
    by = redactor(drop=("log.body", "input_tokens"))

    PassThrough(Signal.LOGS, redacting(collecting, by, telemetry), telemetry).accept(
        message.SerializeToString()
    )

    (batch,) = collecting.batches
    assert telemetry.total("genops_llm_log_records_total") == 1
    assert (batch.items, b"claude" in batch.payload) == (1, False)
    name = "genops_redacted_attributes_total"
    assert telemetry.value(name, signal="logs", action="dropped") == 2
