"""Spans of the enricher's own work: the real process, fed by real senders, observed by a real
destination of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from destinations import (
    Destination,
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    http_destination,
)
from enricher_process import EnricherProcess, running, serve_http, write_config
from life import EXPORT, WAIT_S, edit, reload, wait_until
from otlp import chat, plain_attributes, request, span, spans_of

CERTIFICATES = Path(__file__).parents[1] / "certificates"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
NOT_SAMPLED = f"00-{TRACE}-{PARENT}-00"
METHOD = EXPORT[1:]
KEY = "planted-key-of-own-spans"
CONTENT = "planted-content-of-a-prompt"
SAID = "planted-words-of-the-backend"
RATIO_PATH = ("sampler", "parent_based", "root", "trace_id_ratio_based", "ratio")


def traces(exporter: str, ratio: float) -> dict[str, Any]:
    tree: Any = ratio
    for name in reversed(RATIO_PATH):
        tree = {name: tree}
    return {"exporter": exporter, **tree}


def traced(
    folder: Path,
    destination: str,
    own: Mapping[str, Any],
    *,
    own_id: str = "otlp_http/own",
    ratio: float = 1.0,
    more: Mapping[str, Any] = {},
    shutdown_timeout: str = "10s",
) -> Path:
    folder.mkdir(exist_ok=True)
    config = write_config(folder, destination, more=more, shutdown_timeout=shutdown_timeout)

    def change(settings: Any) -> None:
        settings["exporters"][own_id] = dict(own)
        settings["service"]["telemetry"]["traces"] = traces(own_id, ratio)

    edit(config, change)
    return config


def at(destination: Destination) -> str:
    return f"127.0.0.1:{destination.port}"


def own_at(destination: Destination) -> dict[str, Any]:
    return {"endpoint": f"http://{at(destination)}", "headers": {"x-key": KEY}}


def send(enricher: EnricherProcess, traceparent: str = "", number: int = 1) -> None:
    metadata = (("traceparent", traceparent),) if traceparent else ()
    payload = request(span(chat(more={"gen_ai.input.messages": CONTENT}), number=number))
    with grpc.insecure_channel(enricher.grpc) as channel:
        call = channel.unary_unary(EXPORT, None, None)
        call(payload, timeout=WAIT_S, wait_for_ready=True, metadata=metadata)


def spans_at(destination: Destination) -> list[Span]:
    return [each for payload in destination.payloads for each in spans_of(payload)]


def named(destination: Destination, name: str, kind: int | None = None) -> list[Span]:
    return [
        each for each in spans_at(destination) if each.name == name and kind in (None, each.kind)
    ]


def only(destination: Destination, name: str, kind: int | None = None) -> Span:
    wait_until(lambda: bool(named(destination, name, kind)), f"no span {name} came")
    (found,) = named(destination, name, kind)
    return found


def headers_of(received: Received) -> dict[str, str]:
    return {name.lower(): value for name, value in received.headers.items()}


def told_to(received: Received) -> tuple[str, str, bool]:
    """Trace id, span id, and whether it is sampled, of the `traceparent` of a request."""
    version, trace, parent, flags = headers_of(received)["traceparent"].split("-")
    assert version == "00"
    return trace, parent, bool(int(flags, 16) & 1)


def test_a_request_is_a_trace_from_its_sender_to_the_queue_and_attempts_are_linked_to_it(
    tmp_path: Path,
) -> None:
    with (
        grpc_destination() as backend,
        http_destination() as observer,
        running(traced(tmp_path, at(backend), own_at(observer))) as enricher,
    ):
        send(enricher, SAMPLED)
        served = only(observer, METHOD, Span.SPAN_KIND_SERVER)
        enriched, queued = only(observer, "enrich traces"), only(observer, "queue traces")
        attempt = only(observer, METHOD, Span.SPAN_KIND_CLIENT)
        wait_until(lambda: enricher.metric("genops_own_spans_sent_total") == 4, "not all were sent")
        assert enricher.metric("genops_own_spans_recorded_total") == 4

    assert served.parent_span_id.hex() == PARENT
    assert {each.trace_id.hex() for each in (served, enriched, queued)} == {TRACE}
    assert enriched.parent_span_id == served.span_id
    assert queued.parent_span_id == enriched.span_id
    assert plain_attributes(served) == {
        "rpc.system.name": "grpc",
        "rpc.method": METHOD,
        "rpc.response.status_code": "OK",
    }
    assert plain_attributes(queued) == {"genops.request.items": 1}
    (link,) = attempt.links
    assert (link.trace_id, link.span_id) == (queued.trace_id, queued.span_id)
    assert not attempt.parent_span_id
    assert plain_attributes(attempt) == {
        "otel.component.name": "otlp_grpc",
        "otel.component.type": "otlp_grpc_span_exporter",
        "rpc.system.name": "grpc",
        "rpc.method": METHOD,
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "server.port": backend.port,
        "genops.export.outcome": "delivered",
    }
    (delivered,) = backend.received
    assert told_to(delivered) == (attempt.trace_id.hex(), attempt.span_id.hex(), True)


def test_own_spans_go_by_the_settings_of_the_exporter_beside_the_queue_and_tell_nobody(
    tmp_path: Path,
) -> None:
    with (
        grpc_destination() as backend,
        http_destination() as observer,
        running(traced(tmp_path, at(backend), own_at(observer))) as enricher,
    ):
        send(enricher)
        only(observer, "queue traces")
        assert enricher.metric('genops_exporter_accepted_items_total{exporter="otlp_http') == 0
        assert enricher.metric('genops_exporter_attempts_total{exporter="otlp_http') == 0
        assert enricher.metric("genops_received_items_total") == 1
        assert "in no pipeline" not in enricher.log.read_text()

    for received in observer.received:
        assert headers_of(received)["x-key"] == KEY
        assert not told_to(received)[2]
        assert b"genops-enricher" in received.payload


def test_requests_over_http_are_traced_by_the_same_rules(tmp_path: Path) -> None:
    with grpc_destination() as backend, http_destination() as observer:
        config = traced(tmp_path, at(backend), own_at(observer))
        address = serve_http(config)
        with running(config):
            bodies = ((b"\xff", SAMPLED), (request(span(chat())), ""))
            for body, parent in bodies:
                connection = HTTPConnection(address, timeout=WAIT_S)
                headers = {"Content-Type": "application/x-protobuf"}
                headers |= {"traceparent": parent} if parent else {}
                connection.request("POST", "/v1/traces", body, headers)
                connection.getresponse().read()
                connection.close()
            wait_until(lambda: len(named(observer, "POST /v1/traces")) == 2, "not two requests")
            queued = only(observer, "queue traces")

    refused, served = sorted(
        named(observer, "POST /v1/traces"), key=lambda each: not each.parent_span_id
    )
    assert plain_attributes(served) == {
        "http.request.method": "POST",
        "http.route": "/v1/traces",
        "url.path": "/v1/traces",
        "url.scheme": "http",
        "http.response.status_code": 200,
    }
    assert queued.trace_id == served.trace_id
    assert refused.parent_span_id.hex() == PARENT
    assert plain_attributes(refused)["http.response.status_code"] == 400
    assert refused.status.code == 0  # the sender's mistake is none of the server
    (broken,) = [each for each in named(observer, "enrich traces") if each.status.code]
    assert broken.trace_id == refused.trace_id
    assert plain_attributes(broken)["error.type"] == "PermanentError"


def test_who_decided_against_a_trace_is_heeded_as_far_as_the_destination(tmp_path: Path) -> None:
    with (
        grpc_destination() as backend,
        http_destination() as observer,
        running(traced(tmp_path, at(backend), own_at(observer))) as enricher,
    ):
        send(enricher, NOT_SAMPLED)
        wait_until(lambda: len(backend.received) == 1, "nothing was delivered")

    assert spans_at(observer) == []
    trace, _, is_sampled = told_to(backend.received[0])
    assert trace == TRACE
    assert not is_sampled


def test_the_ratio_decides_where_no_sender_has(tmp_path: Path) -> None:
    with (
        grpc_destination() as backend,
        http_destination() as observer,
        running(traced(tmp_path, at(backend), own_at(observer), ratio=0.0)) as enricher,
    ):
        for number in range(1, 6):
            send(enricher, number=number)
        wait_until(lambda: len(spans_at(backend)) == 5, "not all was delivered")
        send(enricher, SAMPLED, number=6)
        only(observer, METHOD, Span.SPAN_KIND_SERVER)

    assert {each.trace_id.hex() for each in named(observer, "queue traces")} == {TRACE}
    untraced = [each for each in backend.received if "traceparent" not in headers_of(each)]
    assert sum(len(spans_of(each.payload)) for each in untraced) == 5


def test_failed_attempts_say_how_they_failed_and_nothing_that_others_wrote(tmp_path: Path) -> None:
    def fail_once(number: int, _request: Received) -> GrpcAnswer:
        if number == 0:
            return GrpcAnswer(grpc.StatusCode.UNAVAILABLE, details=SAID)
        return GrpcAnswer()

    header = "planted-key-of-the-backend"
    with grpc_destination(fail_once) as backend, http_destination() as observer:
        config = traced(
            tmp_path, at(backend), own_at(observer), more={"headers": {"x-key": header}}
        )
        with running(config) as enricher:
            send(enricher, SAMPLED)
            wait_until(
                lambda: len(named(observer, METHOD, Span.SPAN_KIND_CLIENT)) == 2, "not two attempts"
            )
        assert SAID in enricher.log.read_text()

    failed, again = sorted(
        named(observer, METHOD, Span.SPAN_KIND_CLIENT), key=lambda each: each.end_time_unix_nano
    )
    assert failed.links[0].span_id == again.links[0].span_id
    attributes = plain_attributes(failed)
    assert attributes["rpc.response.status_code"] == attributes["error.type"] == "UNAVAILABLE"
    assert attributes["genops.export.outcome"] == "retry"
    assert failed.status.code == 2
    assert again.status.code == 0
    everything = b"".join(observer.payloads)
    for secret in (SAID, CONTENT, header, KEY):
        assert secret.encode() not in everything


def test_without_a_queue_an_attempt_is_a_part_of_the_request(tmp_path: Path) -> None:
    def unavailable(_number: int, _request: Received) -> HttpAnswer:
        return HttpAnswer(503)

    with http_destination(unavailable) as backend, http_destination() as observer:
        config = write_config(
            tmp_path,
            f"http://{at(backend)}",
            exporter="otlp_http",
            more={"sending_queue": {"storage": "none"}, "retry_on_failure": {}},
        )

        def change(settings: Any) -> None:
            del settings["exporters"]["otlp_http"]["retry_on_failure"]
            settings["exporters"]["otlp_http/own"] = own_at(observer)
            settings["service"]["telemetry"]["traces"] = traces("otlp_http/own", 1.0)

        edit(config, change)
        with running(config) as enricher:
            try:
                send(enricher, SAMPLED)
            except grpc.RpcError as error:
                assert isinstance(error, grpc.Call)
                assert error.code() is grpc.StatusCode.UNAVAILABLE
            attempt = only(observer, "POST", Span.SPAN_KIND_CLIENT)
            served = only(observer, METHOD, Span.SPAN_KIND_SERVER)

    assert attempt.trace_id.hex() == TRACE
    assert attempt.parent_span_id == only(observer, "enrich traces").span_id
    assert plain_attributes(attempt)["http.response.status_code"] == 503
    assert plain_attributes(attempt)["url.full"] == f"http://{at(backend)}/v1/traces"
    assert served.status.code == 2
    assert plain_attributes(served)["error.type"] == "UNAVAILABLE"


def test_enrichers_that_send_their_spans_to_each_other_come_to_rest(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        second = traced(tmp_path / "second", at(backend), {}, own_id="otlp_grpc/own")
        ports = yaml.safe_load(second.read_text())["receivers"]["otlp"]["protocols"]
        to_second = ports["grpc"]["endpoint"]
        plain = {"tls": {"insecure": True}}
        first = traced(
            tmp_path / "first",
            to_second,
            {"endpoint": to_second, **plain},
            own_id="otlp_grpc/own",
        )
        to_first = yaml.safe_load(first.read_text())["receivers"]["otlp"]["protocols"]["grpc"]
        edit(
            second,
            lambda settings: settings["exporters"].update(
                {"otlp_grpc/own": {"endpoint": to_first["endpoint"], **plain}}
            ),
        )
        with running(second) as b, running(first) as a:
            send(a, SAMPLED)

            def recorded() -> float:
                return sum(each.metric("genops_own_spans_recorded_total") for each in (a, b))

            wait_until(lambda: recorded() == 8, "not every step has a span")
            before, since_s = recorded(), time.monotonic()
            while time.monotonic() < since_s + 8:  # four times as long as they are held
                time.sleep(0.2)
            assert recorded() == before
            wait_until(lambda: len(spans_at(backend)) == 9, "not every span arrived")

    assert {each.trace_id.hex() for each in named(backend, "enrich traces")} >= {TRACE}
    parents = {each.span_id: each for each in spans_at(backend)}
    served = [each for each in named(backend, METHOD) if each.kind == Span.SPAN_KIND_SERVER]
    (one_below,) = [each for each in served if each.parent_span_id.hex() != PARENT]
    assert parents[one_below.parent_span_id].kind == Span.SPAN_KIND_CLIENT


def test_a_destination_of_own_spans_that_hangs_holds_up_neither_delivery_nor_stop(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole, grpc_destination() as backend:
        own = {"endpoint": f"http://127.0.0.1:{hole.getsockname()[1]}", "timeout": "10m"}
        config = traced(tmp_path, at(backend), own, shutdown_timeout="2s")
        with running(config) as enricher:
            for number in range(1, 4):
                send(enricher, SAMPLED, number=number)
            wait_until(lambda: len(spans_at(backend)) == 3, "not all was delivered")
            hole.settimeout(WAIT_S)
            with hole.accept()[0]:  # it has begun to send
                assert enricher.metric("genops_own_spans_recorded_total") >= 9
                assert enricher.metric("genops_own_spans_sent_total") == 0
                assert enricher.stop() == 0


def test_refused_own_spans_are_lost_and_said(tmp_path: Path) -> None:
    def refuse(_number: int, _request: Received) -> HttpAnswer:
        return HttpAnswer(401)

    with (
        grpc_destination() as backend,
        http_destination(refuse) as observer,
        running(traced(tmp_path, at(backend), own_at(observer))) as enricher,
    ):
        send(enricher)
        wait_until(
            lambda: "own spans are lost: otlp_http/own: HTTP 401" in enricher.log.read_text(),
            "the log does not say so",
        )
        assert enricher.metric("genops_own_spans_sent_total") == 0
        assert enricher.status()["status"] == "ready"


def test_a_reload_turns_them_on_and_off_and_takes_new_headers(tmp_path: Path) -> None:
    with grpc_destination() as backend, http_destination() as observer:
        config = write_config(tmp_path, at(backend))
        with running(config) as enricher:
            send(enricher, SAMPLED, number=1)
            for number, key in ((2, "first"), (3, "second")):

                def change(settings: Any, key: str = key) -> None:
                    own = {**own_at(observer), "headers": {"x-key": key}}
                    settings["exporters"]["otlp_http/own"] = own
                    settings["service"]["telemetry"]["traces"] = traces("otlp_http/own", 1.0)

                edit(config, change)
                reload(enricher, "applied")
                send(enricher, number=number)
                wait_until(
                    lambda key=key: any(  # type: ignore[misc]
                        headers_of(each)["x-key"] == key for each in observer.received
                    ),
                    f"nothing came with {key}",
                )
            edit(config, lambda settings: settings["service"]["telemetry"].pop("traces"))
            reload(enricher, "applied")
            before = enricher.metric("genops_own_spans_recorded_total")
            send(enricher, SAMPLED, number=4)
            wait_until(lambda: len(spans_at(backend)) == 4, "not all was delivered")
            assert enricher.metric("genops_own_spans_recorded_total") == before

    assert TRACE not in {each.trace_id.hex() for each in spans_at(observer)}
    untold = [each for each in backend.received if "traceparent" not in headers_of(each)]
    assert len(untold) == 2


def test_what_waits_is_sent_at_the_stop_over_tls(tmp_path: Path) -> None:
    credentials = grpc.ssl_server_credentials(
        [((CERTIFICATES / "server.key").read_bytes(), (CERTIFICATES / "server.pem").read_bytes())]
    )
    with grpc_destination() as backend, grpc_destination(credentials=credentials) as observer:
        own = {
            "endpoint": f"https://{at(observer)}",
            "tls": {"ca_file": str(CERTIFICATES / "ca.pem")},
        }
        config = traced(tmp_path, at(backend), own, own_id="otlp_grpc/own")
        with running(config) as enricher:
            send(enricher, SAMPLED)
            wait_until(lambda: len(backend.received) == 1, "nothing was delivered")
            assert enricher.stop() == 0

    assert {each.name for each in spans_at(observer)} == {METHOD, "enrich traces", "queue traces"}


def test_without_them_the_sdk_is_not_loaded_and_nothing_stands_around_the_stages() -> None:
    program = (
        "import sys, genops_enricher.commands.run, genops_enricher.life.service\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk') "
        "or name.startswith('genops_enricher.tracing')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "[]"


def test_an_attempt_is_linked_to_every_request_of_which_it_has_a_part(tmp_path: Path) -> None:
    batch = {"flush_timeout": "2s", "min_size": "1MiB", "max_size": "64KiB"}
    with (
        grpc_destination() as backend,
        http_destination() as observer,
        running(
            traced(
                tmp_path,
                at(backend),
                own_at(observer),
                more={"sending_queue": {"batch": batch, "num_consumers": 1}},
            )
        ) as enricher,
    ):
        send(enricher, SAMPLED, number=1)
        send(enricher, SAMPLED, number=2)
        large = {f"key.{number}": "x" * 2000 for number in range(25)}
        with grpc.insecure_channel(enricher.grpc) as channel:
            channel.unary_unary(EXPORT, None, None)(
                request(*(span(large, number=number) for number in (3, 4))),
                timeout=WAIT_S,
                metadata=(("traceparent", SAMPLED),),
            )
        wait_until(lambda: len(spans_at(backend)) == 4, "not all was delivered")
        wait_until(lambda: len(named(observer, "queue traces")) == 3, "not all was queued")
        wait_until(
            lambda: len(named(observer, METHOD, Span.SPAN_KIND_CLIENT)) == len(backend.received),
            "not every attempt has a span",
        )
        attempts = named(observer, METHOD, Span.SPAN_KIND_CLIENT)

    linked = sorted(sorted(link.span_id for link in each.links) for each in attempts)
    by_start = sorted(named(observer, "queue traces"), key=lambda each: each.start_time_unix_nano)
    one, two, three = (each.span_id for each in by_start)
    assert linked == sorted([sorted([one, two]), [three], [three]])
