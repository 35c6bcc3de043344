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

__all__ = ["LlmSpan", "mark_duplicates", "mark_nested", "price_orphans"]

_NESTED_MAX = 8  # also ends the walk where spans are parents of each other
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


def mark_nested(found: Sequence[LlmSpan], enricher: Enricher) -> None:
    """Leave the cost to one of calls that stand in each other and state the same counts.

    So a framework and the client that it uses tell of one call, and often neither has the id of the
    response. No call to a model contains another one. Only spans of one request are compared.
    """
    if all(each.outcome.response_id or not each.outcome.is_call for each in found):
        return
    calls: dict[bytes, LlmSpan] = {}
    above: dict[bytes, bytes] = {}
    for each in found:
        at = each.outcome.position
        if not each.outcome.is_call or each.outcome.total is None or at is None:
            continue
        ids = at.trace_id + at.span_id
        if len(ids) == _IDS_SIZE:
            calls[ids], above[ids] = each, at.trace_id + at.parent_span_id
    if calls.keys().isdisjoint(above.values()):
        return
    nests: dict[bytes, list[bytes]] = {}
    for ids in calls:
        outer = ids
        for _ in range(_NESTED_MAX):
            parent = calls.get(above[outer])
            if parent is None or not _may_be_one(parent.outcome, calls[outer].outcome):
                break
            outer = above[outer]
        nests.setdefault(outer, []).append(ids)
    for nest in nests.values():
        # One with an id, so that the call is known by it when another span tells of it later.
        best = max(nest, key=lambda ids: _rank(calls[ids].outcome))
        for ids in nest:
            each = calls[ids]
            # Those with ids are told apart by them: see `mark_duplicates`.
            if ids != best and not each.outcome.response_id:
                each.outcome = enricher.enrich(each.span, each.resource, duplicate_of=best)


def _may_be_one(outer: Outcome, inner: Outcome) -> bool:
    if outer.response_id and inner.response_id:
        return False  # equal ones are found as duplicates
    ours, theirs = outer.usage, inner.usage
    if ours is None or theirs is None or outer is inner:
        return False
    return (ours.input, ours.output) == (theirs.input, theirs.output)


def _rank(outcome: Outcome) -> tuple[bool, Weight]:
    return bool(outcome.response_id), _weight(outcome)


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
