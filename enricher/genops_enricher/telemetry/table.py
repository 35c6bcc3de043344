"""The metrics of the enricher itself, as one table: names, labels and meanings.

docs/metrics.md is made from it. Who counts what, and when, is decided by the stages; how numbers
are kept and shown, in `recorder`.

Two sums hold at any time that nothing is in flight, and tests assert them:

    received items of traces = the sum of genops_spans_total
    recovered + accepted = delivered + queued + dropped + dead_lettered, per exporter and signal
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["LABELS", "METRICS", "Instrument", "Kind"]


class Kind(StrEnum):
    """How a metric moves: a counter only up, a gauge both ways."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric. `name` is the name on the metrics page; that of a counter ends in `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    meaning: str


LABELS = {
    "signal": "`traces`, `metrics` or `logs`",
    "status": "`priced`, `free`, `unpriced`, `not_llm` or `already_enriched`",
    "reason": "why a span is unpriced (empty for every other status), or why an item was dropped: "
    "`queue_full` (`on_full: drop_oldest`), `rejected` (in a partial success), "
    "`retries_exhausted` (`max_elapsed_time`), `expired` (`max_age`), `corrupt` (damaged on disk), "
    "`dead_letters_full` (refused for ever, and `dead_letter.max_size` is reached), `shutdown` "
    "(not delivered when the process stopped or a reload took the memory away, with `storage: "
    "memory`), `exporter_removed` (by a reload: the exporter, or its queue on disk, was not empty)",
    "code": "the gRPC status that was answered, such as `UNAVAILABLE`; for HTTP the one that says "
    "the same",
    "market": "who bills: `openrouter` or a direct provider; empty if not known",
    "model": "the catalog's id of the model, or `other` once a hundred series are there",
    "direction": "`billed_more` or `billed_less` than the catalog says",
    "action": "`dropped`, `hashed`, or `unreadable`: removed because it could not be read, see "
    "[redaction](redaction.md)",
    "event": "`claude_code.api_request`, `codex.sse_event`, `gemini_cli.api_response`, "
    "`gen_ai.client.inference.operation.details`, or `other` with `gen_ai.usage.input_tokens`",
    "exporter": "the key of the exporter in the configuration, such as `otlp_grpc/honeycomb`",
    "outcome": "of an attempt to send: `delivered`; `retry` (again after a wait); `held` (the "
    "destination refuses us, as for a wrong key: again, slowly); `rejected` (can never succeed; "
    "again in smaller parts, to find out what is wrong); `too_large` (again in smaller parts). Of "
    "a reload: `applied`, `unchanged`, or `failed`: what was read before stays in use",
    "key": "where the configuration names the files, such as `receivers.otlp.protocols.grpc.tls`",
    "worker": "the number of the process, from 1 on",
    "version": "the version, as `genops-pricing` and `genops-enricher --version` print it",
}

_DELIVERY = ("exporter", "signal")


def _counter(name: str, unit: str, labels: tuple[str, ...], meaning: str) -> Instrument:
    return Instrument(name, Kind.COUNTER, labels, unit, meaning)


def _gauge(name: str, unit: str, labels: tuple[str, ...], meaning: str) -> Instrument:
    return Instrument(name, Kind.GAUGE, labels, unit, meaning)


# An item is a span, a metric data point or a log record. The order is that of the reference page.
METRICS: tuple[Instrument, ...] = (
    _counter(
        "genops_received_items_total",
        "items",
        ("signal",),
        "Items of acknowledged requests.",
    ),
    _counter(
        "genops_refused_requests_total",
        "requests",
        ("signal", "code"),
        "Requests that were not accepted. The sender keeps them and sends them again if the code "
        "is `UNAVAILABLE`; their items are in no other metric.",
    ),
    _counter(
        "genops_spans_total",
        "spans",
        ("status", "reason"),
        "Spans of acknowledged requests by what pricing made of them.",
    ),
    _counter(
        "genops_unknown_model_spans_total",
        "spans",
        ("market",),
        "LLM spans of a model that the catalog does not have, also those with a reported cost. "
        "Above zero: update the catalog or add an overlay.",
    ),
    _counter(
        "genops_implausible_cost_spans_total",
        "spans",
        (),
        "LLM spans whose reported cost can't be right, such as 0 for tokens of a paid model. They "
        "are priced from the catalog.",
    ),
    _counter(
        "genops_pricing_drift_spans_total",
        "spans",
        ("market", "model", "direction"),
        "LLM spans whose reported cost differs from the computed one by more than "
        "`enrichment.drift_tolerance`. The reported one is the total.",
    ),
    _counter(
        "genops_pricing_drift_usd_total",
        "USD",
        ("market", "model", "direction"),
        "The sum of these differences, as amounts without a sign.",
    ),
    _counter(
        "genops_llm_log_records_total",
        "records",
        ("event",),
        "Log records that state the tokens of an LLM call. They pass through as they came: what "
        "they tell of is priced only if it comes as a span too.",
    ),
    _counter(
        "genops_redacted_attributes_total",
        "attributes",
        ("signal", "action"),
        "What `enrichment.redaction` took out of requests before they were queued, or hashed.",
    ),
    _counter(
        "genops_redaction_removed_items_total",
        "items",
        ("signal",),
        "Items that were received and not queued, because they could not be read and may have held "
        "what `enrichment.redaction` is to take out.",
    ),
    _gauge(
        "genops_exporter_recovered_items",
        "items",
        _DELIVERY,
        "Items that an earlier run had acknowledged and left in the queue, counted at start.",
    ),
    _counter(
        "genops_exporter_accepted_items_total",
        "items",
        _DELIVERY,
        "Items put into the queue of the exporter.",
    ),
    _counter(
        "genops_exporter_delivered_items_total",
        "items",
        _DELIVERY,
        "Items that the destination accepted.",
    ),
    _counter(
        "genops_exporter_dropped_items_total",
        "items",
        (*_DELIVERY, "reason"),
        "Items given up. Every one of them is lost: alert on this.",
    ),
    _counter(
        "genops_exporter_dead_lettered_items_total",
        "items",
        _DELIVERY,
        "Items kept on disk as dead letters because the destination can never accept them: see "
        "`genops-enricher dead-letters`.",
    ),
    _counter(
        "genops_exporter_truncated_items_total",
        "items",
        _DELIVERY,
        "Delivered items of which attributes were shortened, because they were larger than the "
        "destination takes.",
    ),
    _gauge(
        "genops_exporter_queued_items",
        "items",
        _DELIVERY,
        "Items that wait for delivery, including those being sent.",
    ),
    _gauge(
        "genops_exporter_queue_bytes",
        "bytes",
        _DELIVERY,
        "Size of what waits for delivery.",
    ),
    _gauge(
        "genops_exporter_queue_capacity_bytes",
        "bytes",
        _DELIVERY,
        "The bound of the queue: `sending_queue.queue_size`.",
    ),
    _gauge(
        "genops_exporter_waiting_apart",
        "requests",
        _DELIVERY,
        "Requests that failed several times and are tried again apart, where they hold up nobody. "
        "More than a few while others get through: the destination can't take them.",
    ),
    _gauge(
        "genops_exporter_oldest_item_age_seconds",
        "seconds",
        _DELIVERY,
        "For how long the oldest of what waits has waited, including what is being sent. What is "
        "older than `sending_queue.max_age`, if that is set, is dropped.",
    ),
    _counter(
        "genops_queue_damaged_ranges_total",
        "ranges",
        ("signal",),
        "Places in the queue's files that can't be read. What is there is set aside and not "
        "delivered: check the disk.",
    ),
    _counter(
        "genops_exporter_attempts_total",
        "requests",
        (*_DELIVERY, "outcome"),
        "Attempts to send a request, by outcome.",
    ),
    _counter(
        "genops_file_reloads_total",
        "changes",
        ("key", "outcome"),
        "Changes of files of certificates, keys or tokens that were noticed. Alert on `failed`: "
        "what expires next is not replaced.",
    ),
    _gauge(
        "genops_catalog_info",
        "",
        ("version",),
        "Always 1. The label is the version of the price catalog in use.",
    ),
    _gauge(
        "genops_catalog_age_seconds",
        "seconds",
        (),
        "Time since the price catalog in use was released.",
    ),
    _counter(
        "genops_config_reloads_total",
        "reloads",
        ("outcome",),
        "Attempts to take over a changed configuration or catalog.",
    ),
    _gauge(
        "genops_config_last_reload_successful",
        "",
        (),
        "1 if what runs is what the last start or reload read, 0 if that reload failed: what is on "
        "disk is wrong, and what ran before goes on. The log and `/status` say why.",
    ),
    _gauge(
        "genops_config_last_reload_success_timestamp_seconds",
        "seconds",
        (),
        "When configuration and catalog were last read and found good, as Unix time.",
    ),
    _gauge(
        "genops_memory_limit_bytes",
        "bytes",
        (),
        "`service.memory_limit_mib`; not there without one. Compare with "
        "`process_resident_memory_bytes`.",
    ),
    _counter(
        "genops_memory_refused_requests_total",
        "requests",
        (),
        "Requests that were refused because the process was above its memory limit. They are in "
        "`genops_refused_requests_total` as well.",
    ),
    _counter(
        "genops_own_spans_recorded_total",
        "spans",
        (),
        "Spans of the enricher's own work, with `service.telemetry.traces`.",
    ),
    _counter(
        "genops_own_spans_sent_total",
        "spans",
        (),
        "Those of them that were sent. The others were lost, but for what waits some seconds.",
    ),
    _gauge(
        "genops_worker_ready",
        "",
        ("worker",),
        "1 if the worker accepts spans. Series of workers are there with `service.workers` above "
        "1.",
    ),
    _counter(
        "genops_worker_restarts_total",
        "restarts",
        ("worker",),
        "How often a worker was started again because it had ended. Alert on this: the log says "
        "how it ended.",
    ),
    _counter(
        "genops_worker_cpu_seconds_total",
        "seconds",
        ("worker",),
        "CPU time of a worker. If one has most of it, so has it most connections.",
    ),
    _gauge(
        "genops_worker_resident_memory_bytes",
        "bytes",
        ("worker",),
        "Memory of a worker; `service.memory_limit_mib` bounds it.",
    ),
    _gauge(
        "genops_process_start_time_seconds",
        "seconds",
        (),
        "When this process started, as Unix time.",
    ),
    _gauge(
        "genops_build_info",
        "",
        ("version",),
        "Always 1. The label is the version of the enricher.",
    ),
)
