"""The enriching stage: walks the spans of a request, appends to them, and passes the request on.

Counts what it did only after the next stage has accepted the request. A request that is refused
comes again, and must not stand in the books twice.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import NamedTuple

from genops_enricher.decode.dialects import HINTS
from genops_enricher.decode.lens import DecodeError, parse_traces
from genops_enricher.enrich.enricher import NOT_LLM, Enricher
from genops_enricher.enrich.once import LlmSpan, mark_duplicates, mark_nested, price_orphans
from genops_enricher.enrich.status import Status
from genops_enricher.enrich.tally import LabelTexts, RedactLabel, Tally
from genops_enricher.errors import not_otlp
from genops_enricher.pipeline import Batch, Consumer, PartialSuccess, Signal
from genops_enricher.seen.duplicates import Duplicates, Request
from genops_enricher.seen.orphans import Orphans
from genops_enricher.spend.drift import Audit, Drift
from genops_enricher.spend.ledger import Ledger
from genops_enricher.telemetry import Telemetry

__all__ = ["EnrichStage", "Enriched", "enrich_request"]


class Enriched(NamedTuple):
    """A request after enrichment, and what became of its spans."""

    payload: bytes
    spans: int
    outcomes: Counter[tuple[Status, str]]  # (status, reason) -> spans
    unknown_in: Counter[str]  # market -> spans of models that it does not know
    drifted: int  # spans whose reported cost can't be right
    audits: list[Audit]  # of the calls whose cost is both reported and computed


def enrich_request(
    payload: bytes,
    enricher: Enricher,
    *,
    tally: Tally | None = None,
    seen: Request | None = None,
    orphans: Orphans | None = None,
) -> Enriched:
    """Enrich the spans of a serialized ExportTraceServiceRequest.

    A request to which nothing is added comes back as the bytes that came. Otherwise each span
    keeps its bytes as a prefix, and the envelopes around them their content and order.

    Args:
        payload: the request.
        enricher: prices the spans.
        tally: gets what the calls cost and consumed.
        seen: price each call once. Without it every span is priced by itself.
        orphans: price the aggregates of which no call is known. Without it none is.

    Raises:
        DecodeError: the envelopes are no ExportTraceServiceRequest.
    """
    request = parse_traces(payload)
    hints = [hint for hint in HINTS if hint in payload]
    found: list[LlmSpan] = []
    count = 0
    for resource_spans in request.resource_spans:
        resource = b"".join(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            spans = scope_spans.spans
            count += len(spans)
            for index, span in enumerate(spans):
                for hint in hints:
                    if hint in span:
                        break
                else:
                    continue
                outcome = enricher.enrich(span, resource)
                if outcome is not NOT_LLM:
                    found.append(LlmSpan(spans, index, resource, outcome))
    if orphans is not None:
        price_orphans(found, enricher, orphans)
    if seen is not None:
        mark_nested(found, enricher)
        mark_duplicates(found, enricher, seen)

    outcomes: Counter[tuple[Status, str]] = Counter()
    unknown_in: Counter[str] = Counter()
    audits: list[Audit] = []
    drifted = 0
    changed = False
    for each in found:
        outcome = each.outcome
        outcomes[outcome.status, outcome.reason] += 1
        if outcome.unknown_in is not None:
            unknown_in[outcome.unknown_in] += 1
        drifted += outcome.drift
        if outcome.audit is not None:
            audits.append(outcome.audit)
        if tally is not None:
            tally.add(outcome)
        if outcome.addition:
            each.spans[each.index] = each.span + outcome.addition
            changed = True
    if not_llm := count - outcomes.total():
        outcomes[Status.NOT_LLM, ""] = not_llm
    enriched = request.SerializeToString() if changed else payload
    return Enriched(enriched, count, outcomes, unknown_in, drifted, audits)


class _Tools(NamedTuple):
    """What a request is priced with, from its beginning to its end."""

    enricher: Enricher
    duplicates: Duplicates | None
    orphans: Orphans | None


class EnrichStage:
    """The intake of traces: prices them on their way to the next stage."""

    def __init__(
        self,
        enricher: Enricher,
        next_consumer: Consumer,
        telemetry: Telemetry,
        ledger: Ledger | None = None,
        *,
        duplicates: Duplicates | None = None,
        orphans: Orphans | None = None,
        drift: Drift | None = None,
        redact_label: RedactLabel | None = None,
    ) -> None:
        """Only what is given is done.

        Args:
            enricher: prices the spans.
            next_consumer: gets the enriched requests.
            telemetry: where the books are kept.
            ledger: gets what the calls of accepted requests cost and consumed.
            duplicates: which calls have a cost already.
            orphans: which aggregates have no calls.
            drift: gets the calls of accepted requests whose cost is both reported and computed.
            redact_label: makes of the texts of labels what the ledger may tell.
        """
        self._tools = _Tools(enricher, duplicates, orphans)
        self._next = next_consumer
        self._telemetry = telemetry
        self._ledger = ledger
        self._drift = drift
        self._texts = LabelTexts(ledger.names, redact_label) if ledger else None

    def swap(
        self, enricher: Enricher, *, duplicates: Duplicates | None, orphans: Orphans | None
    ) -> None:
        """Work with these from the next request on; requests in work end with the old ones.

        The enricher has to know the same labels as the one before.
        """
        self._tools = _Tools(enricher, duplicates, orphans)  # one reference, so never half of it

    def accept(self, payload: bytes) -> PartialSuccess | None:
        """Enrich the request and pass it on. See `Intake.accept`."""
        enricher, duplicates, orphans = self._tools
        tally = Tally(self._texts) if self._texts else None
        told = None
        with duplicates.request() if duplicates is not None else nullcontext() as seen:
            try:
                enriched = enrich_request(
                    payload, enricher, tally=tally, seen=seen, orphans=orphans
                )
            except DecodeError as error:
                raise not_otlp(Signal.TRACES, error) from error
            if enriched.spans:  # OTLP: an empty request succeeds and is not passed on
                told = self._next.consume(Batch(Signal.TRACES, enriched.payload, enriched.spans))
        self._count(enriched)
        if self._ledger and tally:
            self._ledger.add(tally.amounts())
        return told

    def _count(self, enriched: Enriched) -> None:
        add = self._telemetry.add
        add("genops_received_items_total", enriched.spans, signal=Signal.TRACES)
        for (status, reason), spans in enriched.outcomes.items():
            add("genops_spans_total", spans, status=status, reason=reason)
        for market, spans in enriched.unknown_in.items():
            add("genops_unknown_model_spans_total", spans, market=market)
        if enriched.drifted:
            add("genops_implausible_cost_spans_total", enriched.drifted)
        if self._drift is not None:
            self._drift.audit(enriched.audits)
