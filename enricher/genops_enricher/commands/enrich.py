"""`genops-enricher enrich`: price the spans of OTLP files, without a service.

For dry runs (what would the enricher say of these spans?) and for pricing recorded spans again
(`--reprice`, after a price was corrected). A file is written in the form in which it was read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.commands.otlp_files import (
    FileError,
    Form,
    Part,
    read_file,
    redacted,
    write_file,
)
from genops_enricher.decode.lens import DecodeError
from genops_enricher.decode.values import as_text
from genops_enricher.enrich.attributes import OWN, OWN_OF_UNPRICED
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.enrich.status import Status
from genops_enricher.enrich.vocabularies import Alias
from genops_enricher.printable import printable
from genops_enricher.redact import Redactor
from genops_enricher.seen.duplicates import Duplicates
from genops_enricher.seen.orphans import Orphans
from genops_enricher.spans import Span, short_json, spans_of

__all__ = ["enrich_files"]

EXIT_PRICED, EXIT_UNPRICED = 0, 3

_COST_ELSEWHERE = frozenset({"duplicate", "aggregate"})
"""Reasons of spans whose cost stands on others: no call lacks its price because of them."""

_OF_TOTAL = frozenset({"genops.cost.total", "genops.cost.currency", "genops.cost.source"})
"""What says what a call cost, and who says so."""


def enrich_files(
    files: Sequence[Path],
    enricher: Enricher,
    *,
    duplicates: Duplicates | None,
    orphans: Orphans | None,
    redactor: Redactor | None = None,
    reprice: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    """Enrich files, write them to `out` if given (a folder for several), and print their spans.

    A call of which several spans tell is priced once in all the files, in the order given, if
    `duplicates` is given; `orphans`: also the aggregates without calls. What `redactor` takes out
    is in neither, so that both show what would leave.

    Returns the exit code: 0 if every call is priced or free, 3 if any is unpriced. Duplicates and
    aggregates only repeat calls, and count for neither.

    Raises:
        FileError: a file can't be read or written. Files are written when all have been read.
    """
    targets = _targets(files, out) if out is not None else []
    outcomes: Counter[tuple[Status, str]] = Counter()
    results: list[tuple[Form, list[Part]]] = []
    spans: list[Span] = []

    def enriched(part: Part) -> Part:
        if part.request is None:
            return part
        request = part.request
        if reprice:
            request = _without_own_attributes(request, enricher.aliases)
        with duplicates.request() if duplicates is not None else nullcontext() as seen:
            result = enrich_request(request, enricher, seen=seen, orphans=orphans)
        outcomes.update(result.outcomes)
        return part.with_request(result.payload)

    for path in files:
        file = read_file(path)
        try:
            parts = [enriched(part) for part in file.parts]
            if redactor is not None:
                parts = [redacted(path, part, redactor) for part in parts]
            spans += [span for part in parts if part.request for span in _spans(part.request)]
        except DecodeError as error:
            raise FileError(f"{path}: holds a span that can't be read: {error}") from error
        results.append((file.form, parts))
    for target, (form, parts) in zip(targets, results, strict=False):  # no targets: print only
        write_file(target, form, parts)
    if as_json:
        for span in spans:
            print(short_json(span))
    else:
        for line in _report(spans, outcomes, enricher.catalog.version):
            print(printable(line).replace("\n", r"\n"))  # a line stays one
    unpriced = any(
        status is Status.UNPRICED and reason not in _COST_ELSEWHERE for status, reason in outcomes
    )
    return EXIT_UNPRICED if unpriced else EXIT_PRICED


def _targets(files: Sequence[Path], out: Path) -> list[Path]:
    """Where the enriched files go, one for each."""
    if not out.is_dir():
        if len(files) > 1:
            raise FileError(
                f"{out}: several files are written to a folder; make it, or give one file"
            )
        return [out]
    targets = [out / path.name for path in files]
    for target, times in Counter(targets).items():
        if times > 1:
            raise FileError(f"{target}: would be written twice; give files of different names")
    return targets


def _spans(payload: bytes) -> Iterator[Span]:
    return spans_of(ExportTraceServiceRequest.FromString(payload))


def _without_own_attributes(payload: bytes, aliases: Sequence[Alias]) -> bytes:
    """The request without what an enricher wrote. Facts that it only copied stay.

    So go those of `aliases` that still say what the enricher's attributes said; one that says
    something else is somebody else's. Where the total was reported, its aliases stay: one of them
    may be the report, and the others say the same.
    """
    request = ExportTraceServiceRequest.FromString(payload)
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                values = {a.key: a.value.SerializeToString() for a in span.attributes}
                if "genops.pricing.version" not in values:
                    continue  # no enricher was here
                own = OWN_OF_UNPRICED if "genops.cost.unpriced_reason" in values else OWN
                is_reported = as_text(values.get("genops.cost.source")) == "reported"
                own |= {
                    alias.name
                    for alias in aliases
                    if alias.name in values
                    and alias.source in (own - _OF_TOTAL if is_reported else own)
                    and alias.value(values) == values[alias.name]
                }
                kept = [a for a in span.attributes if a.key not in own]
                if len(kept) != len(span.attributes):
                    del span.attributes[:]
                    span.attributes.extend(kept)
    return request.SerializeToString()


def _report(
    spans: Iterable[Span], outcomes: Counter[tuple[Status, str]], version: str
) -> Iterator[str]:
    """Lines for people: one for each LLM span, then the books, then the sum of all costs."""
    costs: list[float] = []
    for span in spans:
        get = span.attributes.get
        if (status := get("genops.cost.status")) is None:
            continue
        if status == Status.UNPRICED:
            cost = f"unpriced: {get('genops.cost.unpriced_reason')}"
        else:
            total = get("genops.cost.total")
            costs += [float(total)] if isinstance(total, int | float) else []
            cost = f"{_usd(total)} USD {get('genops.cost.source')}"
        row = get("genops.pricing.entry") or get("genops.cost.duplicate_of")
        why = row or f"provider {get('genops.provider', 'not known')}"
        yield f"{span.trace_id} {span.span_id}  {get('genops.model', ''):<40} {cost:<32} {why}"
    yield ""
    yield f"catalog {version}"
    for (status, reason), count in sorted(outcomes.items()):
        yield f"{count:>8} {status}{f' ({reason})' if reason else ''}"
    yield f"{_usd(math.fsum(costs)):>8} USD in all"


def _usd(total: object) -> str:
    """Without the last digits of a double, which no one was billed."""
    return f"{total:.9g}" if isinstance(total, float) else str(total)
