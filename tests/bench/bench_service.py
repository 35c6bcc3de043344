"""What a running enricher takes for a span: CPU of the whole process, memory, and disk.

A process with a durable queue receives over gRPC and sends to the sink of `bench.peers`, all on
this machine. CPU and memory are those of its metrics page. docs/operations.md has the figures, and
says how to read the same of an enricher in production. `bench_peers` compares with other servers,
at a steady rate; here as much is sent as goes through, and bytes on disk are looked at.

    PYTHONPATH=tests python tests/bench/bench_service.py
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from bench.peers.sink import sink
from enricher_process import EnricherProcess, write_config
from free_ports import free_port
from life import EXPORT
from otlp import Value, chat, request, span

SENDERS = 4
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, so many times."""

    name: str
    spans: int  # in a request
    requests: int
    llm_every: int = 1  # one span of so many is an LLM call
    content_bytes: int = 0  # of prompt on each LLM call

    def payloads(self) -> Iterator[bytes]:
        """Requests with ids of their own, as calls have them."""
        random.seed(7)
        for number in range(self.requests):
            first = number * self.spans
            yield request(
                *(span(self._values(n), number=n + 1) for n in range(first, first + self.spans))
            )

    def _values(self, number: int) -> dict[str, Value]:
        if number % self.llm_every:
            return {
                "http.request.method": "GET",
                "http.response.status_code": 200,
                "url.full": f"https://example.com/path/{number}",
                "server.address": "example.com",
            }
        more: dict[str, Value] = {"gen_ai.response.id": f"gen-{number:020d}"}
        if self.content_bytes:
            more["gen_ai.input.messages"] = random.randbytes(self.content_bytes // 2).hex()
        return chat(more=more)


LOADS = (
    Load("LLM calls alone, 512 spans a request", 512, 200),
    Load("one span in ten an LLM call, 512 a request", 512, 200, llm_every=10),
    Load("LLM calls alone, 32 a request", 32, 1000),
    Load("LLM calls alone, 1 a request", 1, 4000),
    Load("LLM calls with prompts of 4 KB, 64 a request", 64, 200, content_bytes=4000),
)


def send(enricher: EnricherProcess, payloads: list[bytes]) -> float:
    """Send all over a few connections; the seconds that took."""

    def some(own: list[bytes]) -> None:
        with grpc.insecure_channel(enricher.grpc) as channel:
            call = channel.unary_unary(EXPORT, None, None)
            for payload in own:
                call(payload, timeout=60, wait_for_ready=True)

    threads = [
        threading.Thread(target=some, args=(payloads[number::SENDERS],))
        for number in range(SENDERS)
    ]
    start_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - start_s


def measure(load: Load) -> str:
    """A line of the table: with a backend that takes all, and with one that is away."""
    payloads = [*load.payloads()]
    count = load.spans * load.requests
    with sink() as sink_, tempfile.TemporaryDirectory() as folder:
        enricher = EnricherProcess(write_config(Path(folder), f"127.0.0.1:{sink_.grpc_port}"))
        cpu_s = enricher.metric("process_cpu_seconds_total")
        seconds = send(enricher, payloads)
        enricher.wait_until_empty(timeout_s=300)
        cpu_s = enricher.metric("process_cpu_seconds_total") - cpu_s
        resident = enricher.metric("process_resident_memory_bytes")
        enricher.stop()
    with tempfile.TemporaryDirectory() as folder:
        enricher = EnricherProcess(write_config(Path(folder), f"127.0.0.1:{free_port()}"))
        send(enricher, payloads)
        queued = enricher.metric("genops_exporter_queue_bytes{")
        enricher.kill()
    size = sum(map(len, payloads)) / count
    return (
        f"| {load.name} | {cpu_s / count * 1e6:,.0f} | {count / seconds:,.0f} | {size:,.0f} "
        f"| {queued / count:,.0f} | {resident / _MIB:.0f} |"
    )


def main() -> None:
    print("| load | CPU, µs a span | spans a second here | bytes a span in | on disk | MiB |")
    print("|---|---|---|---|---|---|")
    for load in LOADS:
        print(measure(load), flush=True)


if __name__ == "__main__":
    main()
