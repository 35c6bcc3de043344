"""Settle what the spans of a request mean for each other: every call is priced once.

The enricher looks at one span at a time. Here its answers are compared, with each other and with
what came before: of several spans that tell of one call one has the cost (`duplicates`), and an
aggregate without calls is priced in their place (`orphans`). A span whose answer changes is
enriched again, which is rare.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

from genops_enricher.enrich.enricher import Enricher, Outcome
from genops_enricher.enrich.status import Status
from genops_enricher.seen.duplicates import Request, Telling, Weight
from genops_enricher.seen.orphans import Orphans

__all__ = ["LlmSpan", "mark_duplicates", "price_orphans"]

_IDS_SIZE = 16 + 8  # of a trace id and a span id; a span that lacks them can't be told from others


class LlmSpan:
    """A span of a request, where it stands, and what the enricher says of it."""

    __slots__ = ("index", "outcome", "resource", "spans")

    def __init__(
        self, spans: MutableSequence[bytes], index: int, resource: bytes, outcome: Outcome
    ) -> None:
        self.spans = spans
        self.index = index
        self.resource = resource
        self.outcome = outcome

    @property
    def span(self) -> bytes:
        """The span as it came."""
        return self.spans[self.index]


def price_orphans(found: Sequence[LlmSpan], enricher: Enricher, orphans: Orphans) -> None:
    """Price the aggregates of which no call is known, inner ones first."""
    aggregates = []
    for each in found:
        at = each.outcome.position
        if at is None:
            continue
        if not each.outcome.is_call:
            aggregates.append((at.end_time_unix_nano, -at.start_time_unix_nano, each, at))
        elif above := orphans.call(at):
            each.outcome = enricher.enrich(each.span, each.resource, duplicate_of=above)
    for *_, each, at in sorted(aggregates, key=lambda aggregate: aggregate[:2]):
        priced = enricher.enrich(each.span, each.resource, as_call=True)
        if priced.total is not None and orphans.claim(at):
            each.outcome = priced


def mark_duplicates(found: Sequence[LlmSpan], enricher: Enricher, request: Request) -> None:
    """Leave the cost of each response to one span, and let the others name it."""
    calls, tellings = [], []
    for each in found:
        outcome = each.outcome
        if not outcome.response_id or outcome.position is None:
            continue
        ids = outcome.position.trace_id + outcome.position.span_id
        if len(ids) == _IDS_SIZE:
            calls.append(each)
            tellings.append(Telling(outcome.response_id, ids, _weight(outcome)))
    if not tellings:
        return
    costs = request.costs(tellings)
    for each, telling in zip(calls, tellings, strict=True):
        has_cost = costs.get(telling.response_id, telling.span)
        if has_cost != telling.span:
            each.outcome = enricher.enrich(each.span, each.resource, duplicate_of=has_cost)


def _weight(outcome: Outcome) -> Weight:
    if outcome.status is Status.ALREADY_ENRICHED:
        return Weight.STANDS
    if not outcome.total and outcome.status is not Status.FREE:
        return Weight.NO_COST  # 0 is also what some write who did not see the counts
    return Weight.REPORTED if outcome.is_reported else Weight.COMPUTED
