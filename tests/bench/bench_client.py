"""What recording a call costs the application: the instrumented call beside the bare one.

Both are made in turn, call by call, in one run, against an in-process transport, so that the
network is in neither. OpenTelemetry's SDK and its gRPC exporter run as in production; the sink is a
process of its own. "OTel span" is a bare OpenTelemetry span with the attributes of ours, set in the
same two steps: what any instrumentation pays.

The calling thread's time is CPU time of that thread. The other threads' (the exporter's) is divided
by the spans recorded; bare calls leave them nothing to do.

Run with `make bench`. Options: --calls, --json.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx2
import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.version import __version__ as otel_version
from opentelemetry.trace import SpanKind

import genops
from client.recorder import Recorder
from client.scripted_server import LAST, completion
from client.scripted_server import chunk as scripted_chunk

MODEL = "anthropic/claude-3-sonnet"
MESSAGES: list[Any] = [{"role": "user", "content": "How are you?"}]
SHORT, LONG = 10, 210  # chunks; what a chunk costs is the slope between them
IMPORTS = 15
TARGET_US, TARGET_CHUNK_US, TARGET_IMPORT_MS = 150, 1, 60

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """A time: the median, and the 10th percentile, in which there is less of other processes."""

    median: float
    p10: float

    def __sub__(self, other: Figure) -> Figure:
        return Figure(self.median - other.median, self.p10 - other.p10)

    def __truediv__(self, number: int) -> Figure:
        return Figure(self.median / number, self.p10 / number)


def quantiles(values: Sequence[float]) -> Figure:
    return Figure(statistics.median(values), statistics.quantiles(values, n=10)[0])


def transport(chunks: int) -> httpx2.MockTransport:
    """OpenRouter in this process: a completion, or a stream of so many chunks."""
    whole = json.dumps(completion()).encode()
    events = [scripted_chunk()] * (chunks - 1) + [LAST]
    stream = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    stream += b"data: [DONE]\n\n"

    def answer(request: httpx2.Request) -> httpx2.Response:
        if b'"stream":true' in request.content:
            return httpx2.Response(
                200, content=stream, headers={"content-type": "text/event-stream"}
            )
        return httpx2.Response(200, content=whole, headers={"content-type": "application/json"})

    return httpx2.MockTransport(answer)


def client(chunks: int) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="sk-or-bench",
        base_url="https://openrouter.ai/api/v1",
        http_client=openai.DefaultHttpxClient(transport=transport(chunks)),
    )


def ways(sdk: openai.OpenAI, **asked: Any) -> dict[str, Work]:
    """The same call in both ways; a stream is read to its end."""
    resource: Any = sdk.chat.completions
    recorded = type(resource).create
    bare = functools.partial(recorded.__wrapped__, resource)

    def work(create: Callable[..., Any]) -> Work:
        def make() -> None:
            answer = create(model=MODEL, messages=MESSAGES, **asked)
            if asked:
                for _ in answer:
                    pass

        return make

    return {"bare": work(bare), "recorded": work(resource.create)}


def otel_span(provider: TracerProvider) -> Work:
    """A span with the attributes of one of ours, without us."""
    recorder = Recorder()
    genops.init(tracer_provider=recorder.provider)
    client(SHORT).chat.completions.create(model=MODEL, messages=MESSAGES)
    genops.shutdown()
    attributes: dict[str, Any] = recorder.attributes
    before = {name: attributes.pop(name) for name in list(attributes) if "request" in name}
    tracer = provider.get_tracer("bench")

    def record() -> None:
        span = tracer.start_span(f"chat {MODEL}", kind=SpanKind.CLIENT, attributes=before)
        with trace.use_span(span):
            pass
        span.set_attributes(attributes)
        span.end()

    return record


def time_in_turn(
    works: dict[str, Work], count: int, spans: int, provider: TracerProvider
) -> tuple[dict[str, list[float]], float]:
    """CPU µs of this thread, call by call, and the other threads' CPU µs per span."""
    times: dict[str, list[float]] = {name: [] for name in works}
    names, order = list(works), random.Random(0)
    for work in works.values():
        for _ in range(count // 10):
            work()
    provider.force_flush()
    gc.collect()
    gc.disable()
    process, thread = time.process_time_ns(), time.thread_time_ns()
    try:
        for _ in range(count):
            order.shuffle(names)  # what ran before decides what the caches hold
            for name in names:
                started = time.thread_time_ns()
                works[name]()
                times[name].append((time.thread_time_ns() - started) / 1000)
        thread = time.thread_time_ns() - thread
        provider.force_flush()
        others = time.process_time_ns() - process - thread
    finally:
        gc.enable()
    return times, others / 1000 / (count * spans)


def measure(provider: TracerProvider, calls: int) -> dict[str, Figure]:
    """The figures of calls and streams."""
    span = otel_span(provider)
    genops.init(tracer_provider=provider)
    call = ways(client(SHORT))
    works = {**call, "with OTel span": lambda: (call["bare"](), span())}
    one, _ = time_in_turn(works, calls, 2, provider)
    short, long = ways(client(SHORT), stream=True), ways(client(LONG), stream=True)
    works = {f"{way} short": work for way, work in short.items()}
    works |= {f"{way} long": work for way, work in long.items()}
    streams, _ = time_in_turn(works, calls // 4, 2, provider)
    _, others = time_in_turn({"recorded": call["recorded"]}, calls, 1, provider)
    genops.shutdown()
    _, span_others = time_in_turn({"span": span}, calls, 1, provider)

    bare = quantiles(one["bare"])
    by_way = {name: quantiles(times) for name, times in streams.items()}
    added_short = by_way["recorded short"] - by_way["bare short"]
    added_long = by_way["recorded long"] - by_way["bare long"]
    return {
        f"call, calling thread, µs (target {TARGET_US})": quantiles(one["recorded"]) - bare,
        "  of which an OTel span": quantiles(one["with OTel span"]) - bare,
        "call, other threads, µs": Figure(others, others),
        "  of which for an OTel span": Figure(span_others, span_others),
        f"stream of {SHORT} chunks, calling thread, µs": added_short,
        f"further chunk, calling thread, µs (target {TARGET_CHUNK_US})": (added_long - added_short)
        / (LONG - SHORT),
        "for comparison: bare SDK call, µs": bare,
        f"for comparison: bare stream of {LONG} chunks, µs": by_way["bare long"],
    }


@contextmanager
def sink() -> Iterator[str]:
    """An OTLP backend in a process of its own; yields its gRPC endpoint."""
    command = [sys.executable, "-m", "genops_enricher.demo.sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = json.loads(process.stdout.readline())["grpc"]
        # What it prints must be read, or it stops.
        reader = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        try:
            yield endpoint
        finally:
            process.terminate()
            process.wait(10)
            reader.wait(10)


def imports() -> dict[str, list[float]]:
    """CPU ms of Python processes that do no more than this; modules are compiled beforehand."""
    times: dict[str, list[float]] = {"pass": [], "import genops": []}
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for round_number in range(-1, IMPORTS):
            for statement, values in times.items():
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                if round_number >= 0:
                    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                    values.append(1000 * used)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2000, help="calls timed in each way")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    with sink() as endpoint:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        figures = measure(provider, options.calls)
        provider.shutdown()
    started = {statement: quantiles(times) for statement, times in imports().items()}
    figures[f"import genops over bare Python, CPU ms (target {TARGET_IMPORT_MS})"] = (
        started["import genops"] - started["pass"]
    )
    figures["for comparison: bare Python, CPU ms"] = started["pass"]

    versions = {
        "python": platform.python_version(),
        "openai": openai.__version__,
        "opentelemetry": otel_version,
        "machine": platform.machine(),
    }
    if options.json:
        rows = {name: asdict(figure) for name, figure in figures.items()}
        print(json.dumps({**versions, "calls": options.calls, "rows": rows}))
        return
    print(f"What recording adds, CPU time, over {options.calls} calls made in turn with bare ones")
    print(", ".join(f"{name} {version}" for name, version in versions.items()) + "\n")
    print(f"{'':<60}{'median':>9}{'p10':>9}")
    for name, figure in figures.items():
        print(f"{name:<60}{figure.median:>9.2f}{figure.p10:>9.2f}")


if __name__ == "__main__":
    main()
