"""What is redacted leaves no trace behind the receiver: on disk, at the backend, on any page."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import grpc
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from destinations import HttpAnswer, Received, grpc_destination, http_destination
from enricher_process import EnricherProcess, running, write_config
from genops_enricher.pipeline import Signal
from life import edit, reload
from otlp import chat, request, span, spans_of
from random_otlp import pairs_of, random_request

SECRET = "S3CR3T"
PROMPTS = ("gen_ai.input.messages", "gen_ai.prompt.0.content", "input.value")
KEYS = (*PROMPTS, "user.id", "a", "b")
SERVICES = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
BROKEN = b"\x12\x1dgen_ai.prompt." + SECRET.encode()


def text(keys: tuple[str, ...]) -> str:
    return SECRET if {*PROMPTS, "user.id"} & {*keys} else "harmless"


def send(enricher: EnricherProcess, signal: Signal, payload: bytes) -> None:
    with grpc.insecure_channel(enricher.grpc) as channel:
        export = channel.unary_unary(SERVICES[signal], None, None)
        export(payload, timeout=60, wait_for_ready=True)


def with_broken_span(payload: bytes) -> bytes:
    broken = b"\x12" + bytes([len(BROKEN)]) + BROKEN
    scope = b"\x12" + bytes([len(broken)]) + broken
    return payload + b"\x0a" + bytes([len(scope)]) + scope


def calls() -> bytes:
    more = {"user.id": SECRET, "gen_ai.input.messages": SECRET, "app.text": "harmless"}
    spans = [
        span(chat(more={**more, "gen_ai.response.id": f"gen-{n}", "app.number": n}), number=n)
        for n in range(6)
    ]
    return with_broken_span(request(*spans))


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_nothing_is_left_in_the_queue_in_dead_letters_at_the_backend_or_on_a_page(
    tmp_path: Path,
) -> None:
    is_up = threading.Event()

    def answer(_number: int, received: Received) -> HttpAnswer:
        if not is_up.is_set():
            return HttpAnswer(503)
        if "traces" in received.path:
            for one in spans_of(received.payload):
                if any(a.key == "app.number" and a.value.int_value == 3 for a in one.attributes):
                    return HttpAnswer(400)
        return HttpAnswer(200)

    with http_destination(answer) as backend:
        config = write_config(tmp_path, f"http://127.0.0.1:{backend.port}", exporter="otlp_http")
        settings = yaml.safe_load(config.read_text())
        settings["enrichment"] = {
            "redaction": {
                "drop": ["group:content"],
                "hash": ["user.id", "genops.user_id"],
                "hash_key": "a key for tests only",
            },
            "attribution": {"genops.user_id": ["user.id"]},
            "metrics": {"labels": ["genops.user_id"], "export_interval": "200ms"},
        }
        settings["service"]["telemetry"]["logs"] = {"level": "debug"}
        config.write_text(yaml.safe_dump(settings))
        data = tmp_path / "data"
        with running(config) as enricher:
            send(enricher, Signal.TRACES, calls())
            for signal in Signal:
                for seed in range(5):
                    rng = random.Random(seed)
                    message = random_request(signal, rng, KEYS, text)
                    send(enricher, signal, message.SerializeToString())
            queued = on_disk(data)
            enricher.kill()
        with running(config) as enricher:
            send(enricher, Signal.TRACES, calls())
            is_up.set()
            enricher.wait_until_empty()
            letters = on_disk(data / "dead_letters")
            pages = enricher.get("/metrics") + enricher.get("/status")
            books = enricher.status()["exporters"]["otlp_http"]["traces"]
            removed = enricher.metric("genops_redaction_removed_items_total{")
            received = enricher.metric('genops_received_items_total{signal="traces"}')

    arrived = b"".join(backend.payloads)
    assert queued.count(b"harmless") > 20  # the queue was read where it holds what waits
    assert letters.count(b"harmless") == 1  # what is refused twice is kept once
    assert b"harmless" in arrived
    for place in (queued, on_disk(data), arrived, pages.encode(), enricher.log.read_bytes()):
        assert SECRET.encode() not in place
    assert (received, removed) == (7, 1)
    assert books["accepted_items"] == 6
    assert 'genops_user_id="hmac-sha256:' in pages
    on_spans = {
        pair.value.string_value
        for one in _spans(backend.received)
        for pair in one.attributes
        if pair.key in ("user.id", "genops.user_id") and pair.value.string_value
    }
    hashes = {value for value in on_spans if f'genops_user_id="{value}"' in pages}
    assert len(hashes) == 1
    sent_labels = {
        pair.value.string_value
        for r in backend.received
        if "metrics" in r.path
        for pair in pairs_of(ExportMetricsServiceRequest.FromString(r.payload))
        if pair.key == "genops.user_id"
    }
    assert hashes <= sent_labels
    assert all(value.startswith("hmac-sha256:") for value in sent_labels)


def _spans(received: list[Received]) -> list[Span]:
    return [one for r in received if "traces" in r.path for one in spans_of(r.payload)]


def test_turned_on_by_a_reload_it_holds_from_the_next_request_on(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}")
        metrics = {"labels": ["user.id"], "export_interval": "1h"}
        edit(config, lambda s: s.update(enrichment={"metrics": metrics}))
        with running(config) as enricher:
            send(enricher, Signal.TRACES, calls())
            enricher.wait_until_empty()
            page_before, arrived_before = enricher.get("/metrics"), b"".join(backend.payloads)
            redaction = {"drop": ["group:content"], "hash": ["user.id"], "hash_key": "k" * 16}
            edit(config, lambda s: s["enrichment"].update(redaction=redaction))
            reload(enricher, "applied")
            enricher.wait_until_empty()
            number = len(backend.received)
            send(enricher, Signal.TRACES, calls())
            enricher.wait_until_empty()
            page_after = enricher.get("/metrics")
        arrived_after = b"".join(backend.payloads[number:])

    assert SECRET in page_before
    assert SECRET.encode() in arrived_before
    assert 'user_id="hmac-sha256:' in page_after
    assert SECRET not in page_after
    assert b"harmless" in arrived_after
    assert SECRET.encode() not in arrived_after
