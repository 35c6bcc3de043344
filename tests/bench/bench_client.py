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
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
BUDGET_US, BUDGET_CHUNK_US, BUDGET_IMPORT_MS = 150, 1, 60

Work = Callable[[], object]


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
    before: Any = {
        name: value
        for name, value in recorder.attributes.items()
        if "request" in name or name.startswith("server.")
    }
    after: Any = {name: value for name, value in recorder.attributes.items() if name not in before}
    tracer = provider.get_tracer("bench")

    def record() -> None:
        span = tracer.start_span(f"chat {MODEL}", kind=SpanKind.CLIENT, attributes=before)
        with trace.use_span(span):
            pass
        span.set_attributes(after)
        span.end()

    return record


def time_in_turn(
    works: dict[str, Work], count: int, spans: int, provider: TracerProvider
) -> tuple[dict[str, list[float]], float]:
    """CPU µs of this thread, call by call, and the other threads' CPU µs per span."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        for _ in range(count // 10):
            work()
    provider.force_flush()
    gc.collect()
    gc.disable()
    process, thread = time.process_time_ns(), time.thread_time_ns()
    try:
        for _ in range(count):
            for name, work in works.items():
                started = time.thread_time_ns()
                work()
                times[name].append((time.thread_time_ns() - started) / 1000)
        thread = time.thread_time_ns() - thread
        provider.force_flush()
        others = time.process_time_ns() - process - thread
    finally:
        gc.enable()
    return times, others / 1000 / (count * spans)


def measure(provider: TracerProvider, calls: int) -> dict[str, list[float]]:
    """The figures, each as what was seen call by call."""
    span = otel_span(provider)
    genops.init(tracer_provider=provider)
    one, others = time_in_turn(ways(client(SHORT)), calls, 1, provider)
    short, long = ways(client(SHORT), stream=True), ways(client(LONG), stream=True)
    streams, _ = time_in_turn(
        {
            "bare short": short["bare"],
            "recorded short": short["recorded"],
            "bare long": long["bare"],
            "recorded long": long["recorded"],
        },
        calls // 4,
        2,
        provider,
    )
    genops.shutdown()
    bare_span, span_others = time_in_turn({"span": span}, calls, 1, provider)
    added_short = _difference(streams["recorded short"], streams["bare short"])
    added_long = _difference(streams["recorded long"], streams["bare long"])
    return {
        f"call, calling thread, µs (target {BUDGET_US})": _difference(one["recorded"], one["bare"]),
        "  of which an OTel span": bare_span["span"],
        "call, other threads, µs": [others],
        "  of which an OTel span ": [span_others],
        f"stream of {SHORT} chunks, calling thread, µs": added_short,
        f"further chunk, calling thread, µs (target {BUDGET_CHUNK_US})": [
            more / (LONG - SHORT) for more in _difference(added_long, added_short)
        ],
        "for comparison: bare SDK call, µs": one["bare"],
        f"for comparison: bare stream of {LONG} chunks, µs": streams["bare long"],
    }


def _difference(these: Sequence[float], those: Sequence[float]) -> list[float]:
    return [this - that for this, that in zip(these, those, strict=True)]


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


def import_ms(statement: str) -> float:
    """CPU ms of a Python process that does no more than this."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def imports() -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"pass": [], "import genops": []}
    for round_number in range(-1, IMPORTS):
        for statement, values in times.items():
            taken = import_ms(statement)
            if round_number >= 0:
                values.append(taken)
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    if len(values) == 1:
        values = [values[0]] * 2
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 2), "p25": round(low, 2), "p75": round(high, 2)}


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
    started = imports()
    figures[f"import genops over bare Python, ms (target {BUDGET_IMPORT_MS})"] = _difference(
        started["import genops"], started["pass"]
    )
    figures["for comparison: bare Python, ms"] = started["pass"]
    rows = {name: spread(values) for name, values in figures.items()}

    versions = {
        "python": platform.python_version(),
        "openai": openai.__version__,
        "opentelemetry": otel_version,
        "machine": platform.machine(),
    }
    if options.json:
        print(json.dumps({**versions, "calls": options.calls, "rows": rows}))
        return
    print(f"CPU time that recording adds, over {options.calls} calls made in turn with bare ones")
    print(", ".join(f"{name} {version}" for name, version in versions.items()) + "\n")
    print(f"{'':<56}{'median':>9}{'p25':>9}{'p75':>9}")
    for name, row in rows.items():
        print(f"{name:<56}" + "".join(f"{value:>9.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
