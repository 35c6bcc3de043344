"""Makes the reference pages under docs/ from the tables of what they describe.

    python -m genops_enricher.reference docs

A test compares the files with what this makes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from genops_enricher.config.groups import GROUPS
from genops_enricher.config.keys import EXPORTER_TYPES, KEYS, Key
from genops_enricher.config.values import Shape
from genops_enricher.enrich.attributes import ATTRIBUTES, REASONS
from genops_enricher.enrich.vocabularies import VOCABULARIES, Alias
from genops_enricher.reference.dialects import dialects_page
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.telemetry import LABELS, METRICS

__all__ = ["PAGES", "main"]

_MADE = (
    "<!-- Made by `python -m genops_enricher.reference docs`. Change the tables, not this file. -->"
)

_CONFIGURATION = f"""\
{_MADE}
# Configuration

The enricher reads one YAML file: `genops-enricher run --config enricher.yaml`.
`genops-enricher validate --config enricher.yaml` reports every mistake at once, with its line, and
`genops-enricher print-config` shows what is in force, without secrets.
Names and syntax are those of the OpenTelemetry Collector wherever it has the field.

```yaml
exporters:
  otlp_http:
    endpoint: https://api.honeycomb.io
    headers:
      x-honeycomb-team: ${{env:HONEYCOMB_API_KEY}}
```

That is a whole configuration: spans, metrics and logs that arrive at 127.0.0.1:4317 (gRPC) or
127.0.0.1:4318 (HTTP, protobuf and JSON) go to the one exporter.
`receivers.otlp.protocols` with `grpc` or `http` in it serves what it names, and nothing else.

## Without a file

The enricher then listens at the default addresses, and makes one exporter `otlp` of the
[standard variables](https://opentelemetry.io/docs/specs/otel/protocol/exporter/):
`OTEL_EXPORTER_OTLP_ENDPOINT` (required), `_PROTOCOL` (`grpc` or `http/protobuf`), `_HEADERS`,
`_TIMEOUT`, `_COMPRESSION`, `_INSECURE`, `_CERTIFICATE`, `_CLIENT_CERTIFICATE` and `_CLIENT_KEY`.
With a file only `OTEL_EXPORTER_OTLP_PROTOCOL` counts, for `otlp` exporters without `protocol`.

## Values

| kind | written as |
|---|---|
| duration | numbers with units `h`, `m`, `s`, `ms`, `us`, `ns`: `30s`, `1m30s` |
| size | bytes, or a number with `KiB`, `MiB`, `GiB`, `TiB`: `512MiB` |
| boolean | `true` or `false` |
| path | relative to the folder of the configuration file |
| environment | `${{env:NAME}}` or `${{NAME}}`, or with a default `${{env:NAME:-default}}` |

A dollar sign is written `$$`.
A variable fills in text only: what it holds never becomes keys or lists.
Quote a value that has a variable inside `[…]` or `{{…}}`.
Unknown keys, keys set twice, anchors and tags are errors.

## Exporters

`exporters` holds one section for each destination.
Its name, below `<id>`, is `TYPE` or `TYPE/NAME`.

| type | |
|---|---|
"""

_ATTRIBUTES = f"""\
{_MADE}
# Attributes that the enricher writes

Nothing that a span has already is overwritten or repeated.
Costs stand on the spans of single inference and embedding calls only, so that a sum over spans is
the bill.
Spans that are no LLM calls get nothing.
What is not to leave can be dropped or hashed: [redaction](redaction.md).

| attribute | type | on | meaning |
|---|---|---|---|
"""

_REASONS = """\

## Why a span is unpriced

Unknown is never 0 and never guessed: such a span has no cost, and one of these as
`genops.cost.unpriced_reason`.

| reason | meaning |
|---|---|
"""

_REPORTED = """\

## Reported and computed cost

A cost that the provider reports is the total, and the computed one stands beside it as
`genops.cost.estimated`.
The client copies OpenRouter's from the response to `genops.cost.reported`.
With a provider key of your own (BYOK) that is OpenRouter's fee, and what the provider bills,
`genops.cost.upstream_reported`, is added.

A reported 0 is believed if the model is free, if no tokens were used, or if the call failed or
ended without output.
Any other is taken for "unknown": it is counted in `genops_implausible_cost_spans_total`, and the
cost is computed.

The parts `genops.cost.input`, `.output` and so on are always computed, and sum to the computed
cost.
"""

_VOCABULARIES = """\

## Names of other tools

Backends look for names of their own.
`enrichment.vocabularies` lists those to write beside ours; by default none.
A name that the span has already is left alone, and where there is no cost of ours there is none
under another name either.

| vocabulary | adds | type | made from |
|---|---|---|---|
"""

_VOCABULARIES_END = """\

`gen_ai.usage.cost` and `gen_ai.usage.cost.amount` exclude each other in backends that nest dotted
names: choose one.
The proposal for `gen_ai.usage.cost.*` means costs that are known when the call is made; ours are
often worked out later, which is why it has to be asked for.

To price spans again with `genops-enricher enrich --reprice`, give the configuration that they were
enriched with: then these attributes are made again too.
"""

_METRICS = f"""\
{_MADE}
# Metrics of the enricher

Served at `/metrics` of `service.telemetry.health.endpoint`, by default
<http://127.0.0.1:13133/metrics>, in the Prometheus and OpenMetrics text formats.
An item is a span, a metric data point or a log record.

The books balance whenever nothing is in flight:

- `genops_received_items_total{{signal="traces"}}` = the sum of `genops_spans_total`
- for each exporter and signal: recovered + accepted = delivered + queued + dropped + dead-lettered

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
"""

_METRICS_END = """\

On Linux the page also has the `process_*` metrics that Prometheus clients share: CPU seconds,
resident memory, open files.

## Labels

| label | values |
|---|---|
"""

_SPEND = """\

## Cost and tokens

Summed over every LLM call that is accepted, by the attributes that `enrichment.metrics.labels`
lists; `genops.team` is the label `genops_team`.
[Dashboards](dashboards.md) tells when to use them, and how to send them as OTLP.

| on the page | as OTLP | unit | meaning |
|---|---|---|---|
"""

_REDACTION_GROUPS = f"""\
{_MADE}
# Groups of redaction

Ready-made lists of patterns for `enrichment.redaction`, which [redaction](redaction.md) explains:
`group:content`, for one, stands for all patterns below that heading.
A package that writes what these lists lack needs patterns of your own beside the group.
"""

# Heading of a group of keys, and how their paths begin.
_GROUPS = (
    ("", "exporters."),
    ("Receiver", "receivers."),
    ("Enrichment", "enrichment."),
    ("Service", "service."),
)


def main(folder: str) -> None:
    """Write every page into `folder`."""
    for name, make in PAGES.items():
        (Path(folder) / name).write_text(make(), encoding="utf-8")


def _configuration() -> str:
    page = _CONFIGURATION + "".join(f"| `{n}` | {what} |\n" for n, what in EXPORTER_TYPES.items())
    for heading, prefix in _GROUPS:
        page += f"\n## {heading}\n\n" if heading else "\n"
        page += "| key | kind | default | meaning | since |\n|---|---|---|---|---|\n"
        page += _rows(key for key in KEYS if key.path.startswith(prefix))
    return page


def _rows(keys: Iterable[Key]) -> str:
    return "".join(
        f"| `{key.path}` | {key.kind.name} | {_default(key)} | {_meaning(key)} | {key.since} |\n"
        for key in keys
    )


def _default(key: Key) -> str:
    if key.default is None:
        return ""
    return f"`[{key.default}]`" if key.kind.shape is Shape.LIST else f"`{key.default}`"


def _meaning(key: Key) -> str:
    if not key.types:
        return key.meaning
    return f"{key.meaning} Only {' and '.join(f'`{name}`' for name in key.types)}."


def _metrics() -> str:
    page = _METRICS
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        page += (
            f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |\n"
        )
    page += _METRICS_END + "".join(f"| `{n}` | {what} |\n" for n, what in LABELS.items())
    return (
        page
        + _SPEND
        + "".join(
            f"| `{m.page_name}` | `{m.name}` | `{m.unit}` | {m.meaning} |\n" for m in SPEND_METRICS
        )
    )


def _attributes() -> str:
    page = _ATTRIBUTES
    for attribute in ATTRIBUTES:
        page += f"| `{attribute.name}` | {attribute.type} | {attribute.added_to} "
        page += f"| {attribute.meaning} |\n"
    return (
        page
        + _REASONS
        + "".join(f"| `{n}` | {what} |\n" for n, what in REASONS.items())
        + _REPORTED
        + _VOCABULARIES
        + "".join(
            f"| `{vocabulary}` | `{alias.name}` | {alias.type} | {_source(alias)} |\n"
            for vocabulary, aliases in VOCABULARIES.items()
            for alias in aliases
        )
        + _VOCABULARIES_END
    )


def _redaction_groups() -> str:
    page = _REDACTION_GROUPS
    for name, group in GROUPS.items():
        page += f"\n## group:{name}\n\n{group.meaning}\n\n| who writes it | patterns |\n|---|---|\n"
        for emitter, patterns in group.by_emitter.items():
            page += f"| {emitter} | {', '.join(f'`{pattern}`' for pattern in patterns)} |\n"
    return page


def _source(alias: Alias) -> str:
    return f"`{alias.source}`" if alias.read else f"tokens of {alias.source.replace('_', ' ')}"


PAGES = {
    "attributes.md": _attributes,
    "configuration.md": _configuration,
    "dialects.md": lambda: dialects_page(_MADE),
    "metrics.md": _metrics,
    "redaction-groups.md": _redaction_groups,
}
