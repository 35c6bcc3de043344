"""What a backend refuses, seen from outside: the rest arrives, and it can be sent again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import grpc

from destinations import HttpAnswer, Received, http_destination
from enricher_process import EnricherProcess, running, write_config
from otlp import chat, plain_attributes, request, span, spans_of

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def export(enricher: EnricherProcess, payload: bytes) -> None:
    with grpc.insecure_channel(enricher.grpc) as channel:
        answer = channel.unary_unary(TRACES, None, None)(payload, timeout=60, wait_for_ready=True)
    assert answer == b""


def dead_letters(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "genops_enricher", "dead-letters", *arguments),
            *("--config", str(config)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_refused_span_is_kept_shown_and_sent_again(tmp_path: Path) -> None:
    repaired = False

    def refuses_the_third(_number: int, received: Received) -> HttpAnswer:
        spans = [plain_attributes(s)["app.number"] for s in spans_of(received.payload)]
        return HttpAnswer(400 if 3 in spans and not repaired else 200)

    with http_destination(refuses_the_third) as backend:
        config = write_config(tmp_path, f"http://127.0.0.1:{backend.port}", exporter="otlp_http")
        with running(config) as enricher:
            spans = [span(chat() | {"app.number": n}, number=n) for n in range(8)]
            export(enricher, request(*spans))
            enricher.wait_until_empty()
            books = enricher.status()["exporters"]["otlp_http"]["traces"]

            listed = dead_letters(config, "list", "--json")
            (letter,) = map(json.loads, listed.stdout.splitlines())
            shown = dead_letters(config, "show", letter["id"])
            refused = dead_letters(config, "resend", "--all")
            repaired = True
            sent = dead_letters(config, "resend", letter["id"])
        again = dead_letters(config, "show", letter["id"])

    assert (books["delivered_items"], books["dead_lettered_items"]) == (7, 1)
    assert letter["exporter"] == "otlp_http"
    assert (letter["items"], letter["reason"]) == (1, "HTTP 400 Bad Request")
    content = json.loads(shown.stdout)["content"]
    (kept,) = content["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert "genops.cost.total" in {pair["key"] for pair in kept["attributes"]}
    assert refused.returncode == 1
    assert "kept: otlp_http answered HTTP 400 Bad Request" in refused.stdout
    assert sent.returncode == 0, sent.stderr
    (arrived,) = spans_of(backend.payloads[-1])
    assert plain_attributes(arrived)["app.number"] == 3
    assert again.returncode == 1
    assert f"no dead letter {letter['id']}" in again.stderr
    assert dead_letters(config, "list").stdout.startswith("no dead letters in ")


def test_a_large_request_goes_to_each_destination_in_the_size_that_it_takes(
    tmp_path: Path,
) -> None:
    limit = 100_000

    def takes_little(_number: int, received: Received) -> HttpAnswer:
        return HttpAnswer(413 if len(received.payload) > limit else 202)

    with http_destination(takes_little) as backend:
        config = write_config(
            tmp_path,
            f"http://127.0.0.1:{backend.port}",
            exporter="otlp_http",
            more={"sending_queue": {"batch": {"max_size": limit}}, "truncate": ["app.prompt"]},
        )
        with running(config) as enricher:
            prompts = [5_000] * 60 + [300_000]
            export(
                enricher,
                request(
                    *(
                        span(chat() | {"app.number": n, "app.prompt": "p" * size}, number=n)
                        for n, size in enumerate(prompts)
                    )
                ),
            )
            enricher.wait_until_empty()
            attempts = enricher.metric("genops_exporter_attempts_total{")

    arrived = [plain_attributes(s) for payload in backend.payloads for s in spans_of(payload)]
    assert sorted(str(a["app.number"]) for a in arrived) == sorted(map(str, range(61)))
    assert all("genops.cost.total" in a for a in arrived)
    assert attempts == len(backend.received) == 5  # none of them was refused


def test_killed_while_it_looks_for_a_refused_span_it_finds_it_after_the_restart(
    tmp_path: Path,
) -> None:
    arrived: set[object] = set()
    isolated = threading.Event()

    def refuses_the_third(_number: int, received: Received) -> HttpAnswer:
        numbers = {plain_attributes(s)["app.number"] for s in spans_of(received.payload)}
        if 3 not in numbers:
            arrived.update(numbers)
            return HttpAnswer()
        if len(numbers) <= 4:
            isolated.set()
        return HttpAnswer(400)

    with http_destination(refuses_the_third) as backend:
        config = write_config(tmp_path, f"http://127.0.0.1:{backend.port}", exporter="otlp_http")
        enricher = EnricherProcess(config)
        spans = [span(chat() | {"app.number": n}, number=n) for n in range(64)]
        export(enricher, request(*spans))
        assert isolated.wait(60)
        enricher.kill()
        with running(config) as restarted:
            restarted.wait_until_empty()
            (letter,) = map(json.loads, dead_letters(config, "list", "--json").stdout.splitlines())

    assert letter["items"] == 1
    assert arrived == set(range(64)) - {3}
