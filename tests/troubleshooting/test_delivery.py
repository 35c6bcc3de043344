"""What keeps spans from a destination, for a while or for ever."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from destinations import (
    Destination,
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    http_destination,
)
from enricher_process import EnricherProcess, running
from free_ports import free_port
from life import wait_until
from otlp import chat, plain_attributes, request, span, spans_of
from pages import ROOT, Section
from troubleshooting.conftest import (
    change,
    check,
    configured,
    degraded,
    logged,
    reader_of,
    send,
)

CERTIFICATES = ROOT / "tests" / "certificates"


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    return context


def grpc_tls() -> grpc.ServerCredentials:
    pair = (CERTIFICATES / "server.key").read_bytes(), (CERTIFICATES / "server.pem").read_bytes()
    return grpc.ssl_server_credentials([pair])


def answering(status: int) -> Callable[[int, Received], HttpAnswer]:
    return lambda _number, _request: HttpAnswer(status)


def held(symptom: Section, config: Path) -> None:
    """The exporter is held; the reader sees it on the status page, and nothing is lost."""
    with running(config) as enricher:
        send(enricher)
        degraded(enricher)
        ran = reader_of(config).run_all(symptom)
        check(symptom, ran.output)
        assert enricher.metric("genops_exporter_queued_items{") == 1
        enricher.kill()


def test_the_destination_refuses_the_key(symptom: Section, tmp_path: Path) -> None:
    with http_destination(answering(401)) as backend:
        held(symptom, configured(tmp_path, endpoint=f"http://127.0.0.1:{backend.port}"))


def test_the_address_of_the_destination_is_wrong(symptom: Section, tmp_path: Path) -> None:
    def by_path(_number: int, received: Received) -> HttpAnswer:
        return HttpAnswer(200 if received.path == "/v1/traces" else 404)

    with http_destination(by_path) as backend:
        endpoint = f"http://127.0.0.1:{backend.port}/otlp"
        held(symptom, configured(tmp_path, endpoint=endpoint))


def test_the_certificate_of_the_destination_is_not_trusted(
    symptom: Section, tmp_path: Path
) -> None:
    with (
        http_destination(tls=server_tls()) as http,
        grpc_destination(credentials=grpc_tls()) as rpc,
    ):
        held_by_both(symptom, tmp_path, http, rpc)


def test_the_destination_speaks_no_tls(symptom: Section, tmp_path: Path) -> None:
    with http_destination() as http, grpc_destination() as rpc:
        held_by_both(symptom, tmp_path, http, rpc)


def held_by_both(symptom: Section, folder: Path, http: Destination, rpc: Destination) -> None:
    """As `held`, with an exporter of each protocol that is told of TLS."""
    config = configured(folder, endpoint=f"https://localhost:{http.port}")
    change(config, exporters={"otlp_grpc": {"endpoint": f"https://localhost:{rpc.port}"}})
    pipelines = {signal: {"exporters": ["otlp_http", "otlp_grpc"]} for signal in ("traces", "logs")}
    change(config, service={"pipelines": pipelines})
    with running(config) as enricher:
        send(enricher)
        wait_until(lambda: len(enricher.status()["degraded"]) == 2, "not both are held")
        ran = reader_of(config).run_all(symptom)
        check(symptom, ran.output)
        assert enricher.metric("genops_exporter_queued_items{") == 2
        enricher.kill()


def test_the_destination_is_away(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path)
    with running(config) as enricher:
        send(enricher)
        logged(enricher, symptom)
        ran = reader_of(config).run_all(symptom)
        assert enricher.status()["degraded"] == []
        enricher.kill()

    assert 'genops_exporter_queued_items{exporter="otlp_http",signal="traces"} 1' in ran.output
    assert 'outcome="retry"' in ran.output
    assert "genops_exporter_oldest_item_age_seconds" in ran.output


def test_the_name_of_the_destination_is_not_known(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path, endpoint="http://no-such-host.invalid:4318")
    with running(config) as enricher:
        send(enricher)
        logged(enricher, symptom)
        enricher.kill()

    assert reader_of(config).run_all(symptom).code != 0


def test_the_queue_grows_though_the_destination_answers(symptom: Section, tmp_path: Path) -> None:
    def slow(number: int, _request: Received) -> HttpAnswer:
        return HttpAnswer(429, headers={"Retry-After": "1"}) if number % 2 else HttpAnswer()

    with http_destination(slow) as backend:
        config = configured(
            tmp_path,
            endpoint=f"http://127.0.0.1:{backend.port}",
            sending_queue={"num_consumers": 1, "batch": {"min_size": 0}},
        )
        with running(config) as enricher:
            for number in range(1, 6):
                send(enricher, number=number)
            wait_until(lambda: len(backend.received) > 1, "nothing is sent")
            ran = reader_of(config).run_all(symptom)
            enricher.kill()

    assert 'outcome="delivered",signal="traces"} ' in ran.output
    assert 'outcome="retry",signal="traces"} ' in ran.output
    assert "genops_exporter_queued_items" in ran.output


def fails_on(number: int, status: int) -> Callable[[int, Received], HttpAnswer]:
    """A backend that answers so to requests with this span, and takes all others."""

    def answer(_number: int, received: Received) -> HttpAnswer:
        numbers = [int.from_bytes(one.span_id, "big") for one in spans_of(received.payload)]
        return HttpAnswer(status if number in numbers else 200)

    return answer


def test_some_requests_are_tried_again_and_again(symptom: Section, tmp_path: Path) -> None:
    with http_destination(fails_on(1, 503)) as backend:
        config = configured(
            tmp_path,
            endpoint=f"http://127.0.0.1:{backend.port}",
            sending_queue={"batch": {"min_size": 0}},
        )
        with running(config) as enricher:
            send(enricher)

            def waits_apart() -> bool:
                send(enricher, number=2)
                ran = reader_of(config).run_all(symptom)
                return not symptom.unseen(ran.output)

            wait_until(waits_apart, "nothing waits apart")
            enricher.kill()


def buried(tmp_path: Path, **more: Any) -> tuple[Path, EnricherProcess]:
    """An enricher that was refused a span for ever, and has stopped."""
    with http_destination(answering(400)) as backend:
        config = configured(tmp_path, endpoint=f"http://127.0.0.1:{backend.port}", **more)
        with running(config) as enricher:
            send(enricher)
            wait_until(
                lambda: enricher.metric("genops_exporter_dead_lettered_items_total{") == 1,
                "there is no dead letter",
            )
    return config, enricher


def test_dead_letters(symptom: Section, tmp_path: Path) -> None:
    config, enricher = buried(tmp_path)
    with http_destination() as mended:
        change(config, exporters={"otlp_http": {"endpoint": f"http://127.0.0.1:{mended.port}"}})
        ran = reader_of(config).run_all(symptom)

    check(symptom, enricher.log.read_text())
    assert "1 items, " in ran.output
    assert "1 items sent to otlp_http" in ran.output
    (arrived,) = spans_of(mended.payloads[0])
    assert "genops.cost.total" in plain_attributes(arrived)


def test_dead_letters_are_at_their_bound(symptom: Section, tmp_path: Path) -> None:
    with http_destination(answering(400)) as backend:
        config = configured(
            tmp_path,
            endpoint=f"http://127.0.0.1:{backend.port}",
            dead_letter={"max_size": "1MiB"},
        )
        with running(config) as enricher:
            for number in (1, 2):
                send(enricher, request(span(chat() | {"padding": "x" * 900_000}, number=number)))
            degraded(enricher)
            ran = reader_of(config).run_all(symptom)
            lost = 'reason="dead_letters_full",signal="traces"} 1'
            assert lost in enricher.get("/metrics")

    check(symptom, ran.output)


def test_a_span_is_too_large(symptom: Section, tmp_path: Path) -> None:
    large = request(span(chat() | {"gen_ai.input.messages": "x" * 5_000}))
    with http_destination() as backend:
        config = configured(
            tmp_path,
            endpoint=f"http://127.0.0.1:{backend.port}",
            sending_queue={"batch": {"max_size": "2KiB"}},
        )
        with running(config) as enricher:
            send(enricher, large)
            enricher.wait_until_empty()
        ran = reader_of(config).run_all(symptom)
        check(symptom, ran.output)
        assert backend.received == []

        (cure,) = [part for part in symptom.text.split("`") if part.startswith("truncate: ")]
        names = cure.removeprefix("truncate: [").rstrip("]").split(", ")
        change(config, exporters={"otlp_http": {"truncate": names}})
        with running(config) as enricher:
            send(enricher, large)
            enricher.wait_until_empty()

    (arrived,) = spans_of(backend.payloads[0])
    assert "genops.cost.total" in plain_attributes(arrived)


def test_the_destination_rejects_spans(symptom: Section, tmp_path: Path) -> None:
    said = ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
    body = ExportTraceServiceResponse(partial_success=said).SerializeToString()
    with grpc_destination(lambda _number, _request: GrpcAnswer(body=body)) as backend:
        config = configured(tmp_path, "otlp_grpc", endpoint=f"127.0.0.1:{backend.port}")
        with running(config) as enricher:
            send(enricher)
            logged(enricher, symptom)
            ran = reader_of(config).run_all(symptom)

    assert 'reason="rejected",signal="traces"} 1' in ran.output


LARGE = request(span(chat() | {"padding": "x" * 400_000}))
FULL_SOON = {
    "queue_size": "1MiB",
    "on_full": "drop_oldest",
    "num_consumers": 1,  # what is being sent is not dropped
    "batch": {"min_size": 0},
}
# Reason: settings of the exporter under which what waits is lost, and what is sent.
LOSING: dict[str, tuple[dict[str, Any], bytes]] = {
    "queue_full": ({"sending_queue": FULL_SOON}, LARGE),
    "expired": ({"sending_queue": {"max_age": "1s"}}, request(span(chat()))),
    "retries_exhausted": ({"retry_on_failure": {"enabled": False}}, request(span(chat()))),
    "shutdown": ({"sending_queue": {"storage": "memory"}}, request(span(chat()))),
    "exporter_removed": ({}, request(span(chat()))),
}
# In the tests of these symptoms; what is damaged while it waits, in tests/enricher/queue.
LOST_ELSEWHERE = {"rejected", "dead_letters_full", "corrupt"}


@pytest.mark.parametrize("reason", LOSING)
def test_spans_were_dropped(symptom: Section, tmp_path: Path, reason: str) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", symptom.text, re.MULTILINE)) - {"reason"}
    assert rows == LOSING.keys() | LOST_ELSEWHERE
    settings, payload = LOSING[reason]
    config = configured(tmp_path, **settings)
    ran = ""

    def shows() -> bool:
        nonlocal ran
        ran = reader_of(config).run_all(symptom).output
        return f'reason="{reason}"' in ran

    with running(config) as enricher:
        for _ in range(4):
            send(enricher, payload)
        if reason == "shutdown":
            enricher.stop()
            check(symptom, "genops_exporter_dropped_items_total{} 1\n" + enricher.log.read_text())
            return
        if reason == "exporter_removed":
            name = "otlp_http/other"
            change(config, exporters={name: {"endpoint": f"http://127.0.0.1:{free_port()}"}})
            pipelines = {signal: {"exporters": [name]} for signal in ("traces", "metrics", "logs")}
            change(config, service={"pipelines": pipelines})
            enricher.hang_up()
        wait_until(shows, f"no {reason}: {enricher.log.read_text()}")
        lost = ran.count("genops_exporter_dropped_items_total{")
        assert lost
        if reason == "exporter_removed":
            assert "that it had not delivered are given up" in enricher.log.read_text()
        else:
            check(symptom, ran + enricher.log.read_text())
        enricher.kill()


def test_items_can_t_be_read_and_redaction_is_on(symptom: Section, tmp_path: Path) -> None:
    """A sound span, and one whose bytes say that they hold more than there is."""
    broken = b"\x12\x1dgen_ai.prompt.secret"
    scope = b"\x12" + bytes([len(broken)]) + broken
    spans = b"\x12" + bytes([len(scope)]) + scope
    resource = b"\x0a" + bytes([len(spans)]) + spans
    redaction = {"redaction": {"drop": ["group:content"]}}
    config = change(configured(tmp_path), enrichment=redaction)
    with running(config) as enricher:
        send(enricher, request(span(chat())) + resource)
        ran = reader_of(config).run_all(symptom)
        enricher.kill()

    check(symptom, ran.output)


def test_queue_files_are_damaged(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path)
    with running(config) as enricher:
        for number in range(1, 4):
            send(enricher, number=number)
    (segment,) = (enricher.data / "traces").glob("*.segment")
    content = bytearray(segment.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = b"\xff" * 8
    segment.write_bytes(content)

    with http_destination() as backend:
        change(config, exporters={"otlp_http": {"endpoint": f"http://127.0.0.1:{backend.port}"}})
        with running(config) as enricher:
            enricher.wait_until_empty()
            degraded(enricher)
            ran = reader_of(config).run_all(symptom)
            check(symptom, enricher.log.read_text() + ran.output)
            assert 'genops_queue_damaged_ranges_total{signal="traces"} 1' in enricher.get(
                "/metrics"
            )
            subprocess.run(
                ["rm", "-r", str(enricher.data / "traces" / "corrupt")], check=True, timeout=60
            )
            wait_until(lambda: enricher.status()["degraded"] == [], "it is still degraded")

    assert len([one for payload in backend.payloads for one in spans_of(payload)]) == 2
