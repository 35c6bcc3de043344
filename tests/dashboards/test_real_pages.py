"""What alerts and panels find on the metrics pages of a real enricher, in trouble and out of it.

The series of test_vendor_schemas.py are made up, and have the labels that we believe in. These are
read from the page: with what is there before anything happens, and what appears only with it.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from prometheus_client.parser import text_string_to_metric_families

from dashboards.test_vendor_schemas import FOLDER, RULES, promtool
from destinations import HttpAnswer, Received, http_destination, http_ok
from enricher_process import EnricherProcess, running, serve_http, write_config
from genops_enricher.dashboards.alerts import ALERTS
from life import EXPORT, edit, wait_until
from otlp import Value, chat, request, span

pytestmark = pytest.mark.heavy

# These take hours, a broken disk, several workers or a mistake of ours.
NOT_PROVOKED = {
    "GenopsBooksDoNotBalance",
    "GenopsCatalogOld",
    "GenopsEnricherMissing",
    "GenopsItemsWaitLong",
    "GenopsMemoryLimit",
    "GenopsQueueDamaged",
    "GenopsQueueGrows",
    "GenopsSpendRises",
    "GenopsWorkerEnded",
}
# Metrics of the panels that are on no page here.
NEVER_HAPPENED = {
    "genops_exporter_truncated_items_total",
    "genops_llm_log_records_total",
    "genops_memory_limit_bytes",
    "genops_memory_refused_requests_total",
    "genops_own_spans_recorded_total",
    "genops_own_spans_sent_total",
    "genops_queue_damaged_ranges_total",
    "genops_worker_cpu_seconds_total",
    "genops_worker_ready",
    "genops_worker_resident_memory_bytes",
    "genops_worker_restarts_total",
}
CACHED = chat(
    more={
        "gen_ai.usage.cache_read.input_tokens": 200,
        "gen_ai.usage.cache_write.input_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 40,
        "gen_ai.prompt.0.content": "a secret",
        "genops.team": "search",
    },
)
FRAME_MIN = 2  # for how long a page stands, for Prometheus; not less than what `increase` looks at


@dataclass
class Film:
    """The pages of one enricher, one after the other."""

    enricher: EnricherProcess
    pages: list[dict[str, float]] = field(default_factory=list)

    @property
    def minute(self) -> int:
        """The last one of the last page."""
        return len(self.pages) * FRAME_MIN - 1

    def take(self, frames: int = 1) -> None:
        page = {
            _series(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(self.enricher.get("/metrics"))
            for sample in family.samples
        }
        self.pages += [page] * frames

    def series(self) -> Iterator[dict[str, str]]:
        """Every series as promtool reads it, with a gap where a page does not have it."""
        for name in sorted({name for page in self.pages for name in page}):
            values = (
                f"{page[name]!r}x{FRAME_MIN - 1}" if name in page else f"_x{FRAME_MIN}"
                for page in self.pages
            )
            yield {"series": name, "values": " ".join(values)}


def _series(name: str, labels: Mapping[str, str]) -> str:
    told = {"instance": "a:13133", **labels}
    return f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in told.items())}}}"


def ask(film: Film, questions: Iterable[tuple[str, int]], folder: Path) -> list[str]:
    """What Prometheus says to each expression at that minute, with our rules; `nil` is nothing."""
    asked = list(questions)
    test = {
        "interval": "1m",
        "input_series": list(film.series()),
        # A sample that there is not, so that promtool tells what there is.
        "promql_expr_test": [
            {
                "expr": expression,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": '{no="such"}', "value": 1}],
            }
            for expression, minute in asked
        ],
    }
    file = folder / "test.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]})
    )
    done = promtool("test", "rules", str(file))
    got = re.findall(r"^ *got:(.*)$", done.stdout + done.stderr, re.MULTILINE)
    assert len(got) == len(asked), done.stdout + done.stderr
    return [text.strip() for text in got]


def firing(film: Film, minutes: Iterable[int], folder: Path) -> list[set[str]]:
    said = ask(film, [('ALERTS{alertstate="firing"}', minute) for minute in minutes], folder)
    return [set(re.findall(r'alertname="(\w+)"', text)) for text in said]


class Scene:
    """An enricher, and a backend that answers as it is told."""

    def __init__(self, enricher: EnricherProcess, config: Path, answer: list[HttpAnswer]) -> None:
        self.enricher = enricher
        self.config = config
        self.film = Film(enricher)
        self._answer = answer
        self._number = 0

    def backend(self, answer: HttpAnswer) -> None:
        self._answer[0] = answer

    def send(self, *calls: Mapping[str, Value], payload: bytes | None = None) -> int:
        """Calls with response ids of their own; the status that is answered."""
        spans = []
        for call in calls:
            self._number += 1
            response_id = {"gen_ai.response.id": f"gen-of-scene-{self._number:06}"}
            spans.append(span({**call, **response_id}, number=self._number))
        body = request(*spans) if payload is None else payload
        post = Request(
            f"http://{self.enricher.http}/v1/traces",
            data=body,
            headers={"Content-Type": "application/x-protobuf"},
        )
        try:
            with urlopen(post, timeout=60) as answered:
                return int(answered.status)
        except HTTPError as refused:
            return refused.code

    def attempts(self, outcome: str) -> float:
        return sum(
            float(line.rpartition(" ")[2])
            for line in self.enricher.get("/metrics").splitlines()
            if line.startswith("genops_exporter_attempts_total{") and f'outcome="{outcome}"' in line
        )

    def until_next_attempt(self, outcome: str) -> None:
        before = self.attempts(outcome)
        wait_until(lambda: self.attempts(outcome) > before, f"no attempt is {outcome}")


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    answer = [http_ok(0, Received("", {}, b""))]
    (folder / "tokens").write_text("a-token-that-is-long-enough\n")
    with http_destination(lambda _number, _request: answer[0]) as backend:
        config = write_config(
            folder,
            f"http://127.0.0.1:{backend.port}",
            exporter="otlp_http",
            more={"sending_queue": {"queue_size": "1MiB"}},
        )
        serve_http(config)

        def settings(all_: Any) -> None:
            protocols = all_["receivers"]["otlp"]["protocols"]
            protocols["grpc"]["auth"] = {"bearer_tokens_file": "tokens"}
            all_["enrichment"] = {"redaction": {"drop": ["group:content"]}}

        edit(config, settings)
        with running(config) as enricher:
            yield Scene(enricher, config, answer)


def lost(one: Scene) -> None:
    rejected = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
    )
    headers = {"Content-Type": "application/x-protobuf"}
    one.backend(HttpAnswer(body=rejected.SerializeToString(), headers=headers))
    one.send(chat())
    one.enricher.wait_until_empty()
    one.film.take()


def dead_letter(one: Scene) -> None:
    one.backend(HttpAnswer(400, b"no"))
    one.send(chat())
    one.enricher.wait_until_empty()
    one.film.take()


def unreadable(one: Scene) -> None:
    broken = b"\x12\x1dgen_ai.prompt.secret"  # a span that says it is longer than it is
    for tag in (b"\x12", b"\x12", b"\x0a"):  # in a scope, in a resource, in a request
        broken = tag + bytes([len(broken)]) + broken
    one.send(payload=request(span(chat())) + broken)
    one.film.take()


def bad_request(one: Scene) -> None:
    assert one.send(payload=b"no OTLP") == 400
    one.film.take()


def unpriced(one: Scene) -> None:
    """For an hour half of the calls lack a cost."""
    for _ in range(35):
        one.send(chat(), chat(input_tokens=-5))
        one.film.take()


def unknown(one: Scene) -> None:
    one.send(chat("acme/none"))
    one.film.take()


def drift(one: Scene) -> None:
    for _ in range(3):
        one.send(chat(more={"genops.cost.reported": 9.0}))
        one.film.take()


def implausible(one: Scene) -> None:
    one.send(chat(more={"genops.cost.reported": 0.0}))
    one.film.take()


def wrong_file(one: Scene) -> None:
    text = one.config.read_text()
    one.config.write_text("nonsense: 1\n")
    one.enricher.hang_up()
    wait_until(
        lambda: one.enricher.metric("genops_config_last_reload_successful ") == 0, "not read"
    )
    one.film.take()
    one.config.write_text(text)
    one.enricher.hang_up()
    wait_until(
        lambda: one.enricher.metric("genops_config_last_reload_successful ") == 1, "not read"
    )


def no_tokens(one: Scene) -> None:
    file = one.config.parent / "tokens"
    good = file.read_text()
    token = (("authorization", f"Bearer {good.strip()}"),)
    file.write_text("")

    def noticed() -> bool:
        with grpc.insecure_channel(one.enricher.grpc) as channel:
            channel.unary_unary(EXPORT, None, None)(b"", timeout=10, metadata=token)
        return one.enricher.metric("genops_file_reloads_total{") > 0

    wait_until(noticed, "the file of tokens was not looked at")
    one.film.take()
    file.write_text(good)


def refuses_us(one: Scene) -> None:
    one.backend(HttpAnswer(401, b"wrong key"))
    one.send(chat())
    for _ in range(16):
        one.until_next_attempt("held")
        one.film.take()


def full(one: Scene) -> None:
    one.backend(HttpAnswer(503))
    large: dict[str, Value] = {**chat(), "note": "x" * 60_000}
    while one.send(large) == 200:
        pass
    for _ in range(10):
        assert one.send(large) == 503
        one.film.take()


# What is done, and the alerts that have to fire at its end, in this order.
TROUBLE: Mapping[Callable[[Scene], None], set[str]] = {
    bad_request: {"GenopsBadRequests"},
    unknown: {"GenopsUnknownModels"},
    implausible: {"GenopsImplausibleCosts"},
    drift: {"GenopsPricingDrift"},
    unreadable: {"GenopsRedactionRemoves"},
    no_tokens: {"GenopsCertificateNotReloaded"},
    wrong_file: {"GenopsReloadFailed"},
    dead_letter: {"GenopsDeadLetters"},
    lost: {"GenopsItemsLost"},
    refuses_us: {"GenopsDestinationRefuses", "GenopsNotDelivering"},
    full: {"GenopsQueueNearlyFull", "GenopsRefusesSenders"},
    unpriced: {"GenopsUnpricedSpans"},
}


def test_alerts_fire_on_the_pages_of_a_real_enricher(tmp_path: Path) -> None:
    with scene(tmp_path) as one:
        one.film.take(10)
        for _ in range(40):
            one.send(CACHED, {"http.request.method": "GET"})
            one.enricher.wait_until_empty()
            one.film.take()
        healthy = one.film.minute
        ends = []
        for provoke in TROUBLE:
            one.backend(http_ok(0, Received("", {}, b"")))
            one.enricher.wait_until_empty()
            provoke(one)
            ends.append(one.film.minute)
        one.backend(http_ok(0, Received("", {}, b"")))
        one.enricher.wait_until_empty()
        one.film.take()

    assert firing(one.film, [15, healthy], tmp_path) == [set(), set()]
    missing = {
        provoke.__name__: expected - fired
        for (provoke, expected), fired in zip(
            TROUBLE.items(), firing(one.film, ends, tmp_path), strict=True
        )
    }
    assert {name: alerts for name, alerts in missing.items() if alerts} == {}
    provoked = set().union(*TROUBLE.values())
    assert provoked | NOT_PROVOKED == {alert.name for alert in ALERTS}

    # A panel is empty only where nothing of its kind has happened.
    said = ask(one.film, [(expression, one.film.minute) for expression in panels()], tmp_path)
    on_page = {name.partition("{")[0] for page in one.film.pages for name in page}
    empty = {expr for expr, answer in zip(panels(), said, strict=True) if answer == "nil"}
    assert {expr for expr in empty if set(metrics_of(expr)) <= on_page} == set()
    asked = {name for expression in panels() for name in metrics_of(expression)}
    assert asked - on_page == NEVER_HAPPENED


def test_a_worker_that_ended_is_told_and_all_of_them_are_shown(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:9", exporter="otlp_http")
    edit(config, lambda settings: settings["service"].update(workers=2))
    with running(config) as enricher:
        film = Film(enricher)
        film.take(10)
        os.kill(enricher.workers[0], signal.SIGKILL)
        wait_until(lambda: enricher.metric("genops_worker_restarts_total{") == 1, "not restarted")
        wait_until(lambda: enricher.metric("genops_worker_ready{") == 2, "not ready again")
        film.take(5)

    quiet, told = firing(film, [15, film.minute], tmp_path)
    assert quiet == set()
    assert told == {"GenopsWorkerEnded"}
    of_workers = [expression for expression in panels() if "genops_worker_" in expression]
    assert len(of_workers) == 4
    said = ask(film, [(expression, film.minute) for expression in of_workers], tmp_path)
    assert [set(re.findall(r'worker="(\d)"', text)) for text in said] == [{"1", "2"}] * 4


def panels() -> list[str]:
    content = json.loads((FOLDER / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    found = [target["expr"] for panel in content["panels"] for target in panel.get("targets", [])]
    for variable, value in {"$__rate_interval": "5m", "$__range": "4h", "$instance": ".*"}.items():
        found = [expression.replace(variable, value) for expression in found]
    return found


def metrics_of(expression: str) -> list[str]:
    return re.findall(r"\b(?:genops|process)_\w+(?={)", expression)
