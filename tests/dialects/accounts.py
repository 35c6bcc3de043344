"""Accounts of the recordings: what the enricher makes of every call, against what it was billed.

A call that comes out as billed needs no words. For every other one the fact that its spans leave
out is worked out from what was read of them and what the ledger says, and a call for which none
explains the whole difference has none: a test fails then. `python -m dialects.accounts`, run in
`tests/`, writes docs/emitters.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from dialects.recorder.scenarios import CALLS
from genops_enricher.decode.otlp_json import from_json
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.enrich.status import Status
from genops_enricher.seen.duplicates import Duplicates
from genops_pricing import Charge, Offer, Usage, bundled_catalog
from otlp import plain_attributes, spans_of

__all__ = ["EMITTERS", "PAGE", "Account", "CallAccount", "LeftOut", "Recording", "account", "page"]

RECORDINGS = Path(__file__).parent / "recordings"
PAGE = Path(__file__).parents[2] / "docs" / "emitters.md"
EMITTERS = sorted(path.stem for path in RECORDINGS.glob("*.jsonl"))
EXACT = Decimal("1e-9")  # USD; a double can't do better for sums of some USD

_CATALOG = bundled_catalog()
_ENRICHER = Enricher(_CATALOG)
_SCENARIOS = {call.label: call for call in CALLS}


class LeftOut(Enum):
    """A fact that no span of a call states, in the words of the page."""

    SPAN = "a span"
    USAGE = "usage: the response had none"
    USAGE_OF_LEFT = "usage: the stream was left before it came"
    OWN_COUNTS = "usage: the response had none, and the emitter counted tokens itself"
    CACHE_READ = "tokens read from the cache"
    CACHE_WRITE = "tokens written to the cache"
    AUDIO = "tokens of audio"
    BILL = "the bill, of a model that the catalog does not have"
    FEE = "OpenRouter's fee for a call with a key of one's own"


# Count of a usage -> the ledger's name of it, and what is left out if they differ.
_COUNTS = {
    "cache_read": ("cached_tokens", LeftOut.CACHE_READ),
    "cache_write": ("cache_write_tokens", LeftOut.CACHE_WRITE),
    "input_audio": ("audio_tokens", LeftOut.AUDIO),
}
# The figure that would stand on a span if the fact were not left out.
_IN_LEDGER = {left_out: key for key, left_out in _COUNTS.values()} | {
    LeftOut.SPAN: "prompt_tokens",
    LeftOut.BILL: "cost",
    LeftOut.FEE: "cost",
}

_FEE_ONLY = "which does not say that it is a fee, and of what"
NOT_READ = {
    "hidden_params": _FEE_ONLY,
    "langfuse.observation.cost_details": _FEE_ONLY,
    "litellm.cost.total": _FEE_ONLY,
    "metadata.usage_object": _FEE_ONLY,
    "output.value": "which is content: a model's answer could claim any cost there",
}
"""Attributes in which a figure that is left out stands all the same, and why it does not help."""

_HELPS = {
    "litellm-otel-v2": "The callback of `litellm` above states what OpenRouter charged.",
    "otel-openai-v2": "Its successor, `otel-genai-openai` above, states the cache and responses.",
    "otel-openai-v2-latest": "As for `otel-openai-v2`.",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """What an emitter sent, a request a line, and what its calls were billed."""

    emitter: str
    lines: Sequence[str]
    ledger: Mapping[str, Any]

    @classmethod
    def of(cls, emitter: str) -> Recording:
        """The recording in the folder."""
        lines = (RECORDINGS / f"{emitter}.jsonl").read_text(encoding="utf-8").splitlines()
        ledger = (RECORDINGS / f"{emitter}.ledger.json").read_text(encoding="utf-8")
        return cls(emitter, lines, json.loads(ledger))


@dataclass(frozen=True, slots=True)
class Telling:
    """A span after enrichment, and what it tells by itself."""

    attributes: Mapping[str, object]
    end_ns: int
    is_call: bool
    response_id: str
    usage: Usage | None

    @property
    def cost(self) -> Decimal | None:
        """USD, if it has a cost."""
        total = self.attributes.get("genops.cost.total")
        return None if total is None else Decimal(repr(total))


@dataclass(frozen=True, slots=True)
class CallAccount:
    """A call, in USD, and what explains a difference; nothing: it has no explanation."""

    label: str
    billed: Decimal
    costs: tuple[Decimal, ...]  # of each span that has one
    left_out: tuple[LeftOut, ...]
    elsewhere: tuple[str, ...]  # attributes in which what is left out stands

    @property
    def ours(self) -> Decimal:
        return sum(self.costs, Decimal())

    @property
    def error(self) -> Decimal:
        """Ours without the bill, 0 if it is nothing that matters."""
        error = self.ours - self.billed
        return error if abs(error) > EXACT else Decimal()


@dataclass(frozen=True, slots=True)
class Account:
    """All calls of a recording, and what became of its spans."""

    recording: Recording
    calls: tuple[CallAccount, ...]
    outcomes: Mapping[tuple[Status, str], int]
    cost_of_spans: Decimal  # USD of all of them, whatever call they belong to

    @property
    def differing(self) -> list[CallAccount]:
        return [call for call in self.calls if call.error]


def account(recording: Recording) -> Account:
    """Enrich a recording, each call once, and settle it with its ledger."""
    outcomes: Counter[tuple[Status, str]] = Counter()
    spans: dict[str, Telling] = {}
    duplicates = Duplicates(window_s=3600, max_ids=1000)
    for line in recording.lines:
        payload = from_json(line, ExportTraceServiceRequest()).SerializeToString()
        with duplicates.request() as seen:
            enriched = enrich_request(payload, _ENRICHER, seen=seen)
        outcomes.update(enriched.outcomes)
        for before, after in zip(spans_of(payload), spans_of(enriched.payload), strict=True):
            spans[after.span_id.hex()] = _telling(before, after)
    ledger = recording.ledger
    calls: list[CallAccount] = []
    for label, ids in ledger["spans"].items():
        entries = [entry for entry in ledger["calls"] if entry["label"] == label]
        of_label = [spans[span_id] for span_id in ids]
        for entry, tellings in _assigned(entries, of_label):
            calls.append(_call_account(entry, tellings, of_label))
    costs = [telling.cost for telling in spans.values() if telling.cost is not None]
    return Account(recording, tuple(calls), outcomes, sum(costs, Decimal()))


def _telling(before: Span, after: Span) -> Telling:
    alone = _ENRICHER.enrich(before.SerializeToString())
    return Telling(
        plain_attributes(after),
        after.end_time_unix_nano,
        alone.is_call,
        alone.response_id,
        alone.usage,
    )


def _assigned(
    entries: Sequence[Mapping[str, Any]], tellings: Iterable[Telling]
) -> Iterator[tuple[Mapping[str, Any], list[Telling]]]:
    """Each request with the spans that tell of it: by the id, else the first that lacks one."""
    by_id = {entry["id"]: index for index, entry in enumerate(entries)}
    found: list[list[Telling]] = [[] for _ in entries]
    without_id = []
    for telling in tellings:
        if telling.response_id in by_id:
            found[by_id[telling.response_id]].append(telling)
        elif telling.is_call:
            without_id.append(telling)
    for telling in sorted(without_id, key=lambda telling: telling.end_ns):
        next((each for each in found if not each), found[-1]).append(telling)
    yield from zip(entries, found, strict=True)


def _call_account(
    entry: Mapping[str, Any], tellings: Sequence[Telling], of_label: Sequence[Telling]
) -> CallAccount:
    billed = Decimal(entry["total"])
    costs = tuple(telling.cost for telling in tellings if telling.cost is not None)
    left_out: tuple[LeftOut, ...] = ()
    if abs(sum(costs, Decimal()) - billed) > EXACT:
        left_out = tuple(_left_out(entry, tellings))
    missing = {Decimal(entry[_IN_LEDGER[each]]) for each in left_out if each in _IN_LEDGER}
    elsewhere = {
        name
        for telling in of_label
        for name, value in telling.attributes.items()
        if not missing.isdisjoint(_numbers(value))
    }
    return CallAccount(entry["label"], billed, costs, left_out, tuple(sorted(elsewhere)))


def _left_out(entry: Mapping[str, Any], tellings: Sequence[Telling]) -> list[LeftOut]:
    """What explains the difference to the last digit; nothing if it has no such explanation."""
    if not tellings:
        return [LeftOut.SPAN]
    priced = [telling for telling in tellings if telling.cost is not None]
    scenario = _SCENARIOS[entry["label"]]
    had_usage = not ("no_usage" in scenario.script or "stream_error" in scenario.script)
    if not priced:
        reasons = {telling.attributes["genops.cost.unpriced_reason"] for telling in tellings}
        if "unknown_model" in reasons and _offer(entry, tellings[0]) is None:
            return [LeftOut.BILL]
        if reasons == {"no_usage"} and scenario.abort:
            return [LeftOut.USAGE_OF_LEFT]
        return [LeftOut.USAGE] if reasons == {"no_usage"} and not had_usage else []
    telling, *others = priced
    usage = telling.usage
    if others or usage is None or telling.attributes["genops.cost.source"] != "computed":
        return []
    if (usage.input, usage.output) != (entry["prompt_tokens"], entry["completion_tokens"]):
        return [] if had_usage and not scenario.abort else [LeftOut.OWN_COUNTS]

    found = [
        left_out for name, (key, left_out) in _COUNTS.items() if getattr(usage, name) != entry[key]
    ]
    told = usage._replace(**{name: entry[key] for name, (key, _) in _COUNTS.items()})
    offer = _offer(entry, telling)
    charge = offer.charge(told) if offer is not None else None
    if not isinstance(charge, Charge):
        return []
    explained = Decimal(charge.total) / charge.divisor
    if entry["is_byok"]:
        explained += Decimal(entry["cost"])
        found.append(LeftOut.FEE)
    return found if abs(explained - Decimal(entry["total"])) <= EXACT else []


def _offer(entry: Mapping[str, Any], telling: Telling) -> Offer | None:
    """The price on OpenRouter of the model that served the call."""
    found = _CATALOG.find(entry["model"], market="openrouter", at_ns=telling.end_ns)
    return found if isinstance(found, Offer) else None


_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")


def _numbers(value: object) -> set[Decimal]:
    """Every number in an attribute, as it stands or in its text."""
    if isinstance(value, bool) or value is None:
        return set()
    return {Decimal(number) for number in _NUMBER.findall(str(value))}


# The page.


def page() -> str:
    """docs/emitters.md."""
    accounts = [account(Recording.of(emitter)) for emitter in EMITTERS]
    return "\n".join([_HEAD, *map(_totals, accounts), "", _DIFFERENCES, *map(_section, accounts)])


_HEAD = """\
# Emitters, against the bill

What the enricher makes of the spans that real packages emit, against what the calls were billed.
The calls go to a fake OpenRouter, at the prices of the real one.
They read from and write to caches, reason, stream, fall back, fail, break off, and use own keys.
[tests/dialects/README.md](../tests/dialects/README.md) says how they are recorded.
A test holds the enricher to every call: it costs what it was billed, or is listed below.
`python -m dialects.accounts`, run in `tests/`, writes this page.

USD throughout; too much and too little are the sums over the calls that differ.
An emitter with a * is constructed from its documentation, because it can't be run here.

| Emitter | Calls | Differ | Billed | Ours | Too much | Too little | Spans | Priced or free \
| Duplicate | Aggregate | Unpriced otherwise | Not LLM |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""

_DIFFERENCES = """\
A call that was refused costs nothing and has no cost, which is no difference.
Nor is a span without usage whose call has its cost on another, as streams have in Logfire.

## Calls that differ

Each with what its spans leave out: the cost is that of the facts that are there, or unknown.
A test works it out from the tokens that were read and from the bill.
What is left out has to explain the whole difference.

What helps whatever the emitter:

- For a model that the catalog does not have, an overlay ([pricing](pricing.md)).
- For calls without a cost, OpenRouter's Broadcast, sent to the same enricher: it states the bill.
  Do so only beside emitters that write the response's id, by which duplicates are told apart.
  A call that has a computed cost by then keeps it ([duplicates](duplicates.md)).
"""


def _totals(each: Account) -> str:
    billed = sum((call.billed for call in each.calls), Decimal())
    errors = [call.error for call in each.calls]
    counts: Counter[str] = Counter()
    otherwise: list[str] = []
    for (status, reason), count in sorted(each.outcomes.items()):
        if status in (Status.PRICED, Status.FREE):
            counts["priced"] += count
        elif reason in ("duplicate", "aggregate"):
            counts[reason] += count
        elif status is Status.UNPRICED:
            otherwise.append(f"{count} {reason}")
        else:
            counts["other"] += count
    constructed = each.recording.ledger["source"] != "recorded"
    cells = (
        f"`{each.recording.emitter}`{' *' if constructed else ''}",
        len(each.calls),
        len(each.differing),
        _usd(billed),
        _usd(each.cost_of_spans),
        _usd(sum((error for error in errors if error > 0), Decimal())),
        _usd(sum((error for error in errors if error < 0), Decimal())),
        sum(each.outcomes.values()),
        counts["priced"],
        counts["duplicate"],
        counts["aggregate"],
        ", ".join(otherwise) or 0,
        counts["other"],
    )
    return _row(cells)


def _section(each: Account) -> str:
    emitter = each.recording.emitter
    lines = [f"### {emitter}", ""]
    if packages := each.recording.ledger["packages"]:
        lines += [", ".join(f"`{package}`" for package in packages), ""]
    if not each.differing:
        return "\n".join([*lines, "None: every call costs what it was billed.", ""])
    lines += ["| Call | Left out | Billed | Ours | Error |", "|---|---|---|---|---|"]
    for call in each.differing:
        ours = _usd(call.ours) if call.costs else "–"
        left_out = "; ".join(fact.value for fact in call.left_out)
        lines.append(
            _row((f"`{call.label}`", left_out, _usd(call.billed), ours, _signed(call.error)))
        )
    lines.append("")
    for name in sorted({name for call in each.differing for name in call.elsewhere}):
        calls = ", ".join(f"`{call.label}`" for call in each.differing if name in call.elsewhere)
        lines += [f"{calls}: the figure stands in `{name}`, {NOT_READ[name]}.", ""]
    if help_ := _HELPS.get(emitter):
        lines += [f"What helps: {help_}", ""]
    return "\n".join(lines)


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _usd(amount: Decimal) -> str:
    return f"{round(amount, 9).normalize():f}"


def _signed(amount: Decimal) -> str:
    return f"{'+' if amount > 0 else ''}{_usd(amount)}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
