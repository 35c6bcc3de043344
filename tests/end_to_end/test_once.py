"""Each call is priced once by the real process: full queue, lost answers, many senders, restarts.

The backend holds what counts: a sum over `genops.cost.total` of its spans, each taken once, is the
bill.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
import yaml

from enricher_process import EnricherProcess, running, write_config
from free_ports import free_port
from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from genops_enricher.demo.sink import Sink
from genops_enricher.spans import Span
from otlp import Value, chat, request, span

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
ID = "gen-1763900000-abcdefghijkl"


def call(number: int, response_id: str = ID, more: Mapping[str, Value] = {}) -> bytes:
    return request(span(chat(more={"gen_ai.response.id": response_id, **more}), number=number))


def send(target: str, payload: bytes) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    with grpc.insecure_channel(target, options=options) as channel:
        channel.unary_unary(TRACES, None, None)(payload, timeout=60, wait_for_ready=True)


def by_number(spans: tuple[Span, ...]) -> dict[int, Span]:
    return {int(one.span_id, 16): one for one in spans}


def reason(one: Span) -> object:
    return one.attributes.get("genops.cost.unpriced_reason", one.attributes["genops.cost.status"])


def assert_books_balance(enricher: EnricherProcess) -> None:
    received = enricher.metric('genops_received_items_total{signal="traces"}')
    assert received == enricher.metric("genops_spans_total{")


def enrichment(config: Path, **settings: object) -> Path:
    """Add settings to a configuration file."""
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump(content | {"enrichment": settings}))
    return config


def test_what_a_full_queue_refused_is_priced_when_it_comes_again(tmp_path: Path) -> None:
    port = free_port()  # where the backend will be, later
    config = write_config(
        tmp_path, f"127.0.0.1:{port}", more={"sending_queue": {"queue_size": "1MiB"}}
    )
    large = {"filler": "x" * 300_000}
    with running(config) as enricher:
        for number in range(1, 4):
            send(enricher.grpc, call(number, f"{ID}{number}", large))
        with pytest.raises(grpc.RpcError) as refused:
            send(enricher.grpc, call(10, more=large))
        assert isinstance(refused.value, grpc.Call)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

        with Sink(grpc_port=port) as backend:
            enricher.wait_until_empty()
            send(enricher.grpc, call(10, more=large))
            send(enricher.grpc, call(11))
            arrived = by_number(backend.wait_for_spans(5))
            assert_books_balance(enricher)

    assert reason(arrived[10]) == "priced"
    assert reason(arrived[11]) == "duplicate"


class Line:
    """A TCP connection to a server, that can stop bringing its answers."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self._target = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._answers = threading.Event()
        self._answers.set()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def stop_answers(self) -> None:
        self._answers.clear()

    def cut(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)

    def _carry(self) -> None:
        with self._listener:
            client, _ = self._listener.accept()
        server = socket.create_connection(self._target)
        self._ends = client, server
        # Either end may be gone when the line is cut.
        cut = contextlib.suppress(OSError)
        with cut, client, server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    source, to = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(65536)
                    if not data:
                        return
                    if to is server or self._answers.is_set():
                        to.sendall(data)


def test_when_the_acknowledgement_is_lost_the_resend_is_priced_the_same(tmp_path: Path) -> None:
    with Sink() as backend, running(write_config(tmp_path, backend.grpc_endpoint)) as enricher:
        line = Line(enricher.grpc)
        with grpc.insecure_channel(line.address) as channel:
            grpc.channel_ready_future(channel).result(60)
            line.stop_answers()
            answer = channel.unary_unary(TRACES, None, None).future(call(1), timeout=60)
            backend.wait_for_spans(1)  # so it was committed
            line.cut()
            with pytest.raises(grpc.RpcError):
                answer.result(60)
        send(enricher.grpc, call(1))
        send(enricher.grpc, call(2))
        first, again, duplicate = backend.wait_for_spans(3)
        enricher.wait_until_empty()
        assert_books_balance(enricher)

    assert first == again
    assert reason(first) == "priced"
    assert reason(duplicate) == "duplicate"
    named = f"{first.trace_id}:{first.span_id}"
    assert duplicate.attributes["genops.cost.duplicate_of"] == named


def test_of_concurrent_senders_one_has_the_cost_of_each_call(tmp_path: Path) -> None:
    senders, calls = 6, 20

    def sender(target: str, number: int) -> None:
        with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as one:
            export = one.unary_unary(TRACES, None, None)
            start.wait(60)
            for at in range(calls):
                export(call(100 * number + at, f"{ID}{at:04}"), timeout=60, wait_for_ready=True)

    start = threading.Barrier(senders)
    with Sink() as backend, running(write_config(tmp_path, backend.grpc_endpoint)) as enricher:
        threads = [
            threading.Thread(target=sender, args=(enricher.grpc, number))
            for number in range(1, senders + 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        arrived = backend.wait_for_spans(senders * calls)
        enricher.wait_until_empty()
        assert_books_balance(enricher)

    priced = [one for one in arrived if reason(one) == "priced"]
    assert sorted(str(one.attributes["gen_ai.response.id"]) for one in priced) == [
        f"{ID}{at:04}" for at in range(calls)
    ]
    has_cost = {f"{one.trace_id}:{one.span_id}" for one in priced}
    others = [one for one in arrived if reason(one) == "duplicate"]
    assert len(others) == (senders - 1) * calls
    assert {one.attributes["genops.cost.duplicate_of"] for one in others} == has_cost


def test_after_a_kill_a_resend_is_priced_the_same(tmp_path: Path) -> None:
    with Sink() as backend:
        config = write_config(tmp_path, backend.grpc_endpoint)
        enricher = EnricherProcess(config)
        send(enricher.grpc, call(1))
        enricher.kill()
        with running(config) as restarted:
            send(restarted.grpc, call(1))
            send(restarted.grpc, call(2))
            restarted.wait_until_empty()
            assert_books_balance(restarted)
        arrived = [one for one in backend.spans if int(one.span_id, 16) == 1]

    assert len(arrived) >= 2
    assert all(one == arrived[0] for one in arrived)
    assert reason(by_number(backend.spans)[2]) == "duplicate"


def test_without_dedupe_every_span_is_priced_by_itself(tmp_path: Path) -> None:
    with Sink() as backend:
        config = enrichment(
            write_config(tmp_path, backend.grpc_endpoint), dedupe={"enabled": False}
        )
        with running(config) as enricher:
            send(enricher.grpc, call(1))
            send(enricher.grpc, call(2))
            arrived = backend.wait_for_spans(2)

    assert [reason(one) for one in arrived] == ["priced", "priced"]


def test_an_orphan_aggregate_is_priced_where_the_setting_says_so(tmp_path: Path) -> None:
    agent = request(span(chat(more={"gen_ai.operation.name": "invoke_agent"})))
    with Sink() as backend:
        config = enrichment(
            write_config(tmp_path, backend.grpc_endpoint), price_orphan_aggregates=True
        )
        with running(config) as enricher:
            send(enricher.grpc, agent)
            (arrived,) = backend.wait_for_spans(1)
            enricher.wait_until_empty()
            assert_books_balance(enricher)

    assert arrived.attributes["genops.cost.total"] == 0.0035


# ---- the bill against the catalog ---------------------------------------------------------------

# What a company would write that has a contract price; OpenRouter's own price is another.
CONTRACT = """\
overlay: contract
market: openrouter
author: anthropic
models:
  - id: anthropic/claude-sonnet-4.5
    prices:
      - effective_from: 2026-01-01
        reason: Contract 4711
        usd_per_mtok: {input: "1", output: "5", cache_read: "0.1", cache_write: "1.25"}
"""


@contextlib.contextmanager
def company(config: Path) -> Iterator[EnricherProcess]:
    """An enricher after a company's many calls to the fake OpenRouter, made with real clients."""
    with FakeOpenRouter() as fake, running(config) as enricher:
        private = ("OTEL_", "GENOPS_", "OPENAI_", "OPENROUTER_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(private)}
        subprocess.run(
            [sys.executable, "-m", "genops_enricher.demo.app"],
            env=kept
            | {
                "GENOPS_OPENROUTER_BASE_URL": fake.base_url,
                "OPENROUTER_API_KEY": "sk-or-fake",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{enricher.grpc}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
            },
            check=True,
            capture_output=True,
            timeout=120,
        )
        enricher.wait_until_empty()
        yield enricher


def drift(enricher: EnricherProcess) -> dict[str, float]:
    page = enricher.get("/metrics").splitlines()
    lines = [line.rpartition(" ") for line in page if line.startswith("genops_pricing_drift_")]
    return {name: float(number) for name, _, number in lines}


def test_a_bill_by_the_catalogs_prices_is_no_drift(tmp_path: Path) -> None:
    """Own provider keys, caches, audio and long prompts are among the calls."""
    with Sink() as backend, company(write_config(tmp_path, backend.grpc_endpoint)) as enricher:
        spans = backend.spans
        found = drift(enricher)
        assert_books_balance(enricher)

    assert any(one.attributes.get("genops.openrouter.is_byok") for one in spans)
    assert sum("genops.cost.estimated" in one.attributes for one in spans) > 10
    assert found == {}


def test_a_bill_by_other_prices_is_counted_by_model_and_logged(tmp_path: Path) -> None:
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    with Sink() as backend:
        config = enrichment(
            write_config(tmp_path, backend.grpc_endpoint), overlays=["contract.yaml"]
        )
        with company(config) as enricher:
            concerned = [
                one
                for one in backend.spans
                if "+contract" in str(one.attributes.get("genops.pricing.entry"))
                and one.attributes.get("genops.cost.total", 0) > 0
            ]
            found = drift(enricher)
            log = enricher.log.read_text()

    labels = '{direction="billed_more",market="openrouter",model="anthropic/claude-sonnet-4.5"}'
    excess = [
        one.attributes["genops.cost.total"] - one.attributes["genops.cost.estimated"]
        for one in concerned
    ]
    assert len(excess) >= 2
    assert found == {
        f"genops_pricing_drift_spans_total{labels}": len(excess),
        f"genops_pricing_drift_usd_total{labels}": pytest.approx(sum(excess), rel=1e-12),
    }
    assert log.count("a call was billed") == 1
