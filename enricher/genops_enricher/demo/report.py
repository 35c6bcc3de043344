"""What the demo shows: the spans that arrived, totals, and the bill they are held against. Pure.

Costs are read from the spans as the decimals that their doubles print as, and added as decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from genops_enricher.demo.tables import Column, natural_width, render_table
from genops_enricher.spans import Span, short_json

__all__ = ["Reconciliation", "reconcile", "render_json", "render_report"]

TOLERANCE = Decimal("1e-12")  # USD; a cost that was added up in doubles may be off by less

CALL_COLUMNS = (
    Column("time (UTC)"),
    Column("team"),
    Column("model asked", shrinks=True),
    Column("in", right=True),
    Column("cached", right=True),
    Column("out", right=True),
    Column("cost USD", right=True),
)
# Beside the others on a wide terminal, else on a line of their own under each call.
DETAIL_COLUMNS = (
    Column("source"),
    Column("served, if another"),
    Column("provider"),
    Column("family"),
    Column("tier"),
)
TOTAL_COLUMNS = (
    Column("calls", right=True),
    Column("in", right=True),
    Column("out", right=True),
    Column("cost USD", right=True),
    Column("unpriced", right=True),
)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The costs on the spans beside the bill, in USD and in calls."""

    billed: Decimal = Decimal(0)
    billed_calls: int = 0
    reported: Decimal = Decimal(0)
    reported_calls: int = 0
    computed: Decimal = Decimal(0)
    computed_calls: int = 0
    unpriced: Decimal = Decimal(0)  # billed, but on no span
    unpriced_calls: int = 0
    elsewhere: Decimal = Decimal(0)  # on spans of calls that are not on this bill
    elsewhere_calls: int = 0
    estimates: int = 0  # spans with a reported cost that carry a computed one beside it
    equal_estimates: int = 0  # … of which equal the price that the fake has for the tokens
    wrong: tuple[str, ...] = ()  # response ids whose cost is not what was billed, or is missing

    @property
    def agrees(self) -> bool:
        """Every cost on a span is what was billed."""
        return not self.wrong


def reconcile(spans: Sequence[Span], ledger: Sequence[Mapping[str, Any]]) -> Reconciliation:
    """Hold the spans against the ledger, call by call.

    Args:
        spans: The spans that arrived, of any kind.
        ledger: The `generations` of GET /fake/ledger. A cost may be missing where the answer did
            not tell it.
    """
    by_id = {_text(span, "gen_ai.response.id"): span for span in spans}
    reported: list[Decimal] = []
    computed: list[Decimal] = []
    unpriced: list[Decimal] = []
    estimates: list[bool] = []
    wrong: list[str] = []
    for entry in ledger:
        total, upstream = Decimal(entry["total"]), Decimal(entry["upstream_cost"])
        span = by_id.get(entry["id"])
        cost = None if span is None else _cost(span)
        if span is None or cost is None:
            unpriced.append(total)
            if total and (span is None or "genops.cost.reported" in span.attributes):
                wrong.append(entry["id"])
            continue
        (reported if span.attributes.get("genops.cost.source") == "reported" else computed).append(
            cost
        )
        if abs(cost - total) > TOLERANCE:
            wrong.append(entry["id"])
        estimate = _decimal(span, "genops.cost.estimated")
        if estimate is not None:  # the price of the tokens: OpenRouter's fee on BYOK is no part
            estimates.append(abs(estimate - upstream) <= TOLERANCE)
    billed_ids = {entry["id"] for entry in ledger}
    elsewhere = [
        cost
        for span in spans
        if (cost := _cost(span)) is not None
        and span.attributes.get("gen_ai.response.id") not in billed_ids
    ]
    return Reconciliation(
        billed=sum((Decimal(entry["total"]) for entry in ledger), Decimal(0)),
        billed_calls=len(ledger),
        reported=sum(reported, Decimal(0)),
        reported_calls=len(reported),
        computed=sum(computed, Decimal(0)),
        computed_calls=len(computed),
        unpriced=sum(unpriced, Decimal(0)),
        unpriced_calls=len(unpriced),
        elsewhere=sum(elsewhere, Decimal(0)),
        elsewhere_calls=len(elsewhere),
        estimates=len(estimates),
        equal_estimates=sum(estimates),
        wrong=tuple(wrong),
    )


def render_json(spans: Sequence[Span]) -> str:
    """One JSON object a line for each span, oldest first."""
    return "\n".join(short_json(span) for span in _sorted(spans))


def render_report(
    spans: Sequence[Span], ledger: Sequence[Mapping[str, Any]] | None, width: int
) -> str:
    """The whole report: calls, totals by team and by model, and the bill where there is one."""
    calls = [span for span in _sorted(spans) if "genops.cost.status" in span.attributes]
    versions = sorted({_text(span, "genops.pricing.version") for span in calls})
    newest = max((_ended(span).date() for span in calls), default=date.min)
    parts = [
        f"{_count(len(calls), 'LLM call')} and {_count(len(spans) - len(calls), 'other span')} "
        f"arrived. Prices: catalog {', '.join(versions) or '(none)'}.",
        _calls(calls, newest, width),
        _totals("team", calls, lambda span: _text(span, "genops.team") or "(none)", width),
        _totals("model served", calls, _served, width),
    ]
    if ledger is not None:
        parts.append(_bill(reconcile(spans, ledger)))
    return "\n\n".join(parts)


def _calls(calls: Sequence[Span], newest: date, width: int) -> str:
    rows = [_call_row(span, newest) for span in calls]
    details = [_detail_row(span) for span in calls]
    columns = (*CALL_COLUMNS, *DETAIL_COLUMNS)
    joined = [row + detail for row, detail in zip(rows, details, strict=True)]
    if natural_width(columns, joined) <= width:
        return render_table(columns, joined, width)
    folded = [" · ".join(filter(None, detail)) for detail in details]
    return render_table(CALL_COLUMNS, rows, width, folded)


def _call_row(span: Span, newest: date) -> list[str]:
    ended = _ended(span)
    return [
        ended.strftime("%H:%M:%S" if ended.date() == newest else "%Y-%m-%d"),
        _text(span, "genops.team"),
        _asked(span),
        *(
            f"{tokens:,}" if (tokens := span.attributes.get(name)) else ""
            for name in (
                "genops.tokens.input",
                "gen_ai.usage.cache_read.input_tokens",
                "genops.tokens.output",
            )
        ),
        _money(_cost(span)),
    ]


def _detail_row(span: Span) -> list[str]:
    asked, served = _asked(span), _served(span)
    author = asked.partition("/")[0]
    return [
        _source(span),
        f"→ {served.removeprefix(author + '/')}" if served != asked else "",
        _text(span, "genops.openrouter.actual_provider_name"),
        _text(span, "genops.model_family"),
        _text(span, "genops.model_tier"),
    ]


def _totals(heading: str, calls: Sequence[Span], key: Callable[[Span], str], width: int) -> str:
    groups: dict[str, list[Span]] = {}
    for span in calls:
        groups.setdefault(key(span), []).append(span)
    ranked = sorted(groups.items(), key=lambda group: (-_sum(group[1]), group[0]))
    rows = [[name, *_total_row(group)] for name, group in ranked]
    rows.append(["total", *_total_row(calls)])
    return render_table((Column(heading, shrinks=True), *TOTAL_COLUMNS), rows, width)


def _total_row(group: Sequence[Span]) -> list[str]:
    unpriced = sum(_cost(span) is None for span in group)
    return [
        str(len(group)),
        *(
            f"{sum(span.attributes.get(name, 0) for span in group):,}"
            for name in ("genops.tokens.input", "genops.tokens.output")
        ),
        _money(_sum(group)),
        str(unpriced) if unpriced else "",
    ]


def _bill(bill: Reconciliation) -> str:
    lines = [
        ("billed by the fake OpenRouter", bill.billed, bill.billed_calls),
        ("  on spans, as reported", bill.reported, bill.reported_calls),
        ("  on spans, computed", bill.computed, bill.computed_calls),
        ("  on no span: unpriced", bill.unpriced, bill.unpriced_calls),
        ("on spans, from other bills", bill.elsewhere, bill.elsewhere_calls),
    ]
    text = "\n".join(
        f"{what:<30} {_money(usd):>12} USD  {_count(calls, 'call')}" for what, usd, calls in lines
    )
    verdict = (
        "Every cost on a span is what was billed."
        if bill.agrees
        else f"Not as billed: {', '.join(bill.wrong)}."
    )
    return (
        f"{text}\n{verdict}\n"
        f"{bill.equal_estimates} of {bill.estimates} estimates beside a reported cost are right."
    )


def _source(span: Span) -> str:
    status = _text(span, "genops.cost.status")
    if status == "priced":
        return _text(span, "genops.cost.source")
    reason = _text(span, "genops.cost.unpriced_reason")
    return f"{status}: {reason}" if reason else status


def _asked(span: Span) -> str:
    return _text(span, "genops.model") or _text(span, "gen_ai.request.model")


def _served(span: Span) -> str:
    return _text(span, "gen_ai.response.model") or _asked(span)


def _sum(group: Sequence[Span]) -> Decimal:
    return sum((cost for span in group if (cost := _cost(span)) is not None), Decimal(0))


def _cost(span: Span) -> Decimal | None:
    return _decimal(span, "genops.cost.total")


def _decimal(span: Span, name: str) -> Decimal | None:
    value = span.attributes.get(name)
    return None if value is None else Decimal(repr(value))


def _money(usd: Decimal | None) -> str:
    """Six decimals, and more only for what would vanish with six."""
    if usd is None:
        return "—"
    return f"{usd:.6f}" if usd == 0 or usd >= Decimal("1e-6") else f"{usd:.2g}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _text(span: Span, name: str) -> str:
    return str(span.attributes.get(name, ""))


def _ended(span: Span) -> datetime:
    return datetime.fromtimestamp(span.end_time_unix_nano // 1_000_000_000, UTC)


def _sorted(spans: Sequence[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: (span.end_time_unix_nano, span.span_id))
