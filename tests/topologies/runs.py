"""Each topology of collector-config/, run from the files that users copy.

The real Collector, the real enricher and real senders; only what lies outside this machine is a
fake. Ports, folders, keys and the addresses of backends come from the variables that the files
read. A run checks what holds for its topology and returns the figures for docs/topologies.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from backends import DATADOG, HONEYCOMB, KEY, Backend, backend, cost_of
from collector_process import CollectorProcess, collecting, free_ports
from dialects.accounts import Recording, account
from enricher_process import EnricherProcess, running
from free_ports import free_port
from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from genops_enricher.demo.report import reconcile
from genops_enricher.spans import Span
from topologies.senders import CALL, generate, replay, run_client

CONFIGS = Path(__file__).parents[2] / "collector-config"
CERTIFICATES = Path(__file__).parents[1] / "certificates"

CALL_COST = (Decimal("2.5") * 1000 + 10 * 100) / 1_000_000
EXACT = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row of the table. Costs are USD; a span that arrived twice counts once."""

    topology: str
    senders: str
    sent: int
    arrived: int | None  # None: only a sample is to arrive
    cost: Decimal
    expected_cost: Decimal
    also: str  # what else was checked, in words

    @property
    def is_whole(self) -> bool:
        """Nothing is lost or added, and the costs are the bill."""
        complete = self.arrived is None or self.arrived == self.sent
        return complete and abs(self.cost - self.expected_cost) < EXACT


@dataclass(frozen=True, slots=True)
class Site:
    """Where a topology runs: a folder for its data and logs, and the variables of its files."""

    topology: str
    folder: Path
    environ: dict[str, str]

    @contextmanager
    def collector(self) -> Iterator[CollectorProcess]:
        file = CONFIGS / self.topology / "collector.yaml"
        with collecting(file, self.folder / "collector.log", self.environ) as process:
            yield process

    @contextmanager
    def enricher(self, name: str = "enricher", **environ: str) -> Iterator[EnricherProcess]:
        file = CONFIGS / self.topology / "enricher.yaml"
        log = self.folder / f"{name}.log"
        with running(file, environ={**self.environ, **environ}, log=log) as process:
            yield process


def site(topology: str, folder: Path, *, honeycomb: Backend, **more: str) -> Site:
    folder.mkdir(parents=True, exist_ok=True)
    backends = {"HONEYCOMB_ENDPOINT": honeycomb.endpoint, "HONEYCOMB_API_KEY": KEY}
    return Site(topology, folder, free_ports(folder) | backends | more)


def direct(folder: Path) -> Outcome:
    with backend(HONEYCOMB) as honeycomb:
        here = site("direct", folder, honeycomb=honeycomb)
        with here.enricher() as enricher, FakeOpenRouter() as openrouter:
            sent = generate(enricher.grpc, 200)
            sent += generate(enricher.http, 100, CALL, "--otlp-http")
            sent += run_client(f"http://{enricher.grpc}", openrouter)
            spans = honeycomb.wait_for_spans(sent)
            enricher.wait_until_empty()
        of_client = _of_client(spans, openrouter)
    also = "gRPC and HTTP; every call of the client costs what OpenRouter billed"
    return _outcome("direct", "telemetrygen, client", sent, honeycomb, 300, of_client, also)


def processor(folder: Path) -> Outcome:
    with backend(HONEYCOMB) as honeycomb:
        here = site("processor", folder, honeycomb=honeycomb)
        endpoint = here.environ["COLLECTOR_GRPC_ENDPOINT"]
        with here.collector() as collector, FakeOpenRouter() as openrouter:
            # While the enricher is away the Collector keeps what it has accepted.
            early = sent = generate(endpoint, 300)
            with here.enricher() as enricher:
                sent += generate(here.environ["COLLECTOR_HTTP_ENDPOINT"], 100, CALL, "--otlp-http")
                sent += run_client(f"http://{endpoint}", openrouter)
                spans = honeycomb.wait_for_spans(sent)
                enricher.wait_until_empty()
                # A span in a circle would come by again.
                assert enricher.metric('genops_spans_total{outcome="already_enriched"') == 0
            accepted = 'otelcol_receiver_accepted_spans{receiver="otlp/enriched"'
            assert collector.metric(accepted) >= sent
        of_client = _of_client(spans, openrouter)
    also = f"{early} spans waited in the Collector until the enricher came; none goes round twice"
    return _outcome("processor", "telemetrygen, client", sent, honeycomb, 400, of_client, also)


def gateway(folder: Path) -> Outcome:
    with backend(HONEYCOMB) as honeycomb:
        here = site("gateway", folder, honeycomb=honeycomb)
        gateway_endpoint = here.environ["COLLECTOR_GRPC_ENDPOINT"]
        content = {**CALL, "gen_ai.input.messages": "[]"}
        with (
            FakeOpenRouter() as openrouter,
            here.enricher(GATEWAY_ENDPOINT=gateway_endpoint) as enricher,
        ):
            # The enricher keeps what it has acknowledged until the gateway is there.
            early = sent = generate(enricher.grpc, 200, content)
            generate(enricher.grpc, 50, {"url.path": "/healthz"})
            with here.collector():
                sent += run_client(f"http://{enricher.grpc}", openrouter)
                spans = honeycomb.wait_for_spans(sent)
                enricher.wait_until_empty()
        assert not [span for span in spans if "gen_ai.input.messages" in span.attributes]
        of_client = _of_client(spans, openrouter)
    also = f"{early} spans waited for the gateway; it took out content and health checks"
    return _outcome("gateway", "telemetrygen, client", sent, honeycomb, 200, of_client, also)


def tail_sampling(folder: Path) -> Outcome:
    cheap, expensive, unknown = 200, 20, 10
    model = {"gen_ai.request.model": "acme/unknown", "gen_ai.response.model": "acme/unknown"}
    twenty_times = {
        **CALL,
        "gen_ai.usage.input_tokens": 20_000,
        "gen_ai.usage.output_tokens": 2_000,
    }
    with backend(HONEYCOMB) as honeycomb:
        quick = {"DECISION_WAIT": "1s", "COST_INTERVAL": "1s"}
        here = site("tail-sampling", folder, honeycomb=honeycomb, **quick)
        with here.collector() as collector, here.enricher() as enricher:
            sent = generate(enricher.grpc, cheap)
            sent += generate(enricher.grpc, expensive, twenty_times)
            sent += generate(enricher.grpc, unknown, {**CALL, **model})
            total = cheap * CALL_COST + expensive * 20 * CALL_COST
            _until(lambda: abs(honeycomb.latest_sum("genops.cost") - total) < EXACT)
            decided = "otelcol_processor_tail_sampling_global_count_traces_sampled{"
            _until(lambda: collector.metric(decided) == cheap + expensive + unknown)
            kept = int(collector.metric(f'{decided}decision="sampled"'))
            spans = honeycomb.wait_for_spans(2 * kept)
        by_cost = [span.attributes.get("genops.cost.total") for span in spans]
        assert by_cost.count(0.07) == expensive
        assert 0 < by_cost.count(0.0035) < cheap
        reasons = [span.attributes.get("genops.cost.unpriced_reason") for span in spans]
        assert reasons.count("unknown_model") == 2 * unknown
        assert len(spans) == 2 * kept
        summed = honeycomb.latest_sum("genops.cost")
    also = "cost is of the metrics; all expensive and unpriced traces were kept, most others not"
    return Outcome("tail-sampling", "telemetrygen", sent, None, summed, total, also)


def fan_out(folder: Path) -> Outcome:
    with backend(HONEYCOMB) as honeycomb, backend(DATADOG) as datadog:
        here = site(
            "fan-out",
            folder,
            honeycomb=honeycomb,
            DATADOG_ENDPOINT=datadog.endpoint,
            DD_API_KEY=KEY,
        )
        with here.enricher() as enricher, FakeOpenRouter() as openrouter:
            sent = run_client(f"http://{enricher.grpc}", openrouter)
            # 8 MB in one request, of which Datadog takes 3.2.
            large = {**CALL, "content": "x" * 100_000}
            sent += generate(enricher.grpc, 80, large, "--batch-size=80")
            for destination in (honeycomb, datadog):
                destination.wait_for_spans(sent)
            enricher.wait_until_empty()
        of_client = _of_client(datadog.spans, openrouter)
        assert _ids(honeycomb.spans) == _ids(datadog.spans)
        assert cost_of(honeycomb.spans) == cost_of(datadog.spans)
        assert max(map(len, datadog.requests)) <= DATADOG.max_request_bytes
        assert max(map(len, honeycomb.requests)) > DATADOG.max_request_bytes
        assert [*honeycomb.refused, *datadog.refused] == []
    also = "the same spans at both; 8 MB in one request reached Datadog in parts of at most 3.2 MB"
    return _outcome("fan-out", "telemetrygen, client", sent, datadog, 80, of_client, also)


def openrouter_broadcast(folder: Path) -> Outcome:
    token = "a-long-token-of-this-test"
    with backend(HONEYCOMB) as honeycomb:
        here = site(
            "openrouter-broadcast",
            folder,
            honeycomb=honeycomb,
            BROADCAST_TOKEN=token,
            TLS_CERT_FILE=str(CERTIFICATES / "server.pem"),
            TLS_KEY_FILE=str(CERTIFICATES / "server.key"),
        )
        with here.enricher() as enricher:
            sent = replay(
                "openrouter-broadcast",
                f"https://{enricher.http}",
                ca=CERTIFICATES / "ca.pem",
                headers={"Authorization": f"Bearer {token}"},
            )
            honeycomb.wait_for_spans(sent)
            enricher.wait_until_empty()
    return _of_recordings(
        "openrouter-broadcast",
        "recorded Broadcast",
        sent,
        honeycomb,
        ["openrouter-broadcast"],
        "JSON over TLS with a bearer token",
    )


def load_balancing(folder: Path) -> Outcome:
    second = f"127.0.0.1:{free_port()}"
    with backend(HONEYCOMB) as honeycomb:
        here = site("load-balancing", folder, honeycomb=honeycomb, ENRICHER_2_GRPC_ENDPOINT=second)
        here.environ["ENRICHER_1_GRPC_ENDPOINT"] = here.environ["ENRICHER_GRPC_ENDPOINT"]
        other = {
            "ENRICHER_GRPC_ENDPOINT": second,
            "ENRICHER_HEALTH_ENDPOINT": f"127.0.0.1:{free_port()}",
            "ENRICHER_DATA_DIR": str(folder / "second"),
        }
        endpoint = here.environ["COLLECTOR_GRPC_ENDPOINT"]
        received = 'genops_received_items_total{signal="traces"}'
        with (
            here.enricher() as one,
            here.enricher("second", **other) as two,
            here.collector(),
            FakeOpenRouter() as openrouter,
        ):
            sent = generate(endpoint, 300)
            honeycomb.wait_for_spans(sent)
            shares = [one.metric(received), two.metric(received)]
            assert min(shares) > 0
            # One of them is away for a while; its share waits in the Collector.
            two.stop()
            sent += generate(endpoint, 100)
            with here.enricher("second", **other) as two_again:
                sent += run_client(f"http://{endpoint}", openrouter)
                spans = honeycomb.wait_for_spans(sent)
                one.wait_until_empty()
                two_again.wait_until_empty()
        assert len(spans) == sent, "a span came twice"
        of_client = _of_client(spans, openrouter)
    also = "both enrichers took a share; one was away for a while, and nothing was lost"
    return _outcome("load-balancing", "telemetrygen, client", sent, honeycomb, 400, of_client, also)


def existing_app(folder: Path) -> Outcome:
    emitters = ["openllmetry", "openinference"]
    with backend(HONEYCOMB) as honeycomb:
        here = site("existing-app", folder, honeycomb=honeycomb)
        with here.collector(), here.enricher() as enricher:
            url = f"http://{here.environ['COLLECTOR_HTTP_ENDPOINT']}"
            sent = sum(replay(emitter, url) for emitter in emitters)
            honeycomb.wait_for_spans(sent)
            enricher.wait_until_empty()
    return _of_recordings(
        "existing-app",
        "recorded OpenLLMetry and OpenInference",
        sent,
        honeycomb,
        emitters,
        "each call costs what [emitters.md](emitters.md) says",
    )


RUNS: Mapping[str, Callable[[Path], Outcome]] = {
    "direct": direct,
    "processor": processor,
    "gateway": gateway,
    "tail-sampling": tail_sampling,
    "fan-out": fan_out,
    "openrouter-broadcast": openrouter_broadcast,
    "load-balancing": load_balancing,
    "existing-app": existing_app,
}


def _outcome(
    topology: str,
    senders: str,
    sent: int,
    taken: Backend,
    generated: int,
    of_client: Decimal,
    also: str,
) -> Outcome:
    expected = generated * CALL_COST + of_client
    arrived = len(_ids(taken.spans))
    return Outcome(topology, senders, sent, arrived, cost_of(taken.spans), expected, also)


def _of_recordings(
    topology: str, senders: str, sent: int, taken: Backend, emitters: list[str], also: str
) -> Outcome:
    expected = sum((account(Recording.of(e)).cost_of_spans for e in emitters), Decimal())
    arrived = len(_ids(taken.spans))
    return Outcome(topology, senders, sent, arrived, cost_of(taken.spans), expected, also)


def _of_client(spans: list[Span], openrouter: FakeOpenRouter) -> Decimal:
    """USD of the client's calls, once each is held against the bill."""
    of_client = [span for span in spans if span.resource.get("service.name") == "genops-demo"]
    ledger = [generation.entry() for generation in openrouter.ledger.generations()]
    bill = reconcile(of_client, ledger)
    assert bill.agrees, bill.wrong
    assert bill.billed_calls == len(ledger)
    return bill.reported + bill.computed + bill.elsewhere


def _ids(spans: list[Span]) -> set[tuple[str, str]]:
    return {(span.trace_id, span.span_id) for span in spans}


def _until(holds: Callable[[], bool], *, timeout_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.1)
