"""What recording a call costs the application: the instrumented call beside the bare one.

One run, in turn, against an in-process transport, so that the network is in neither figure. The SDK
of OpenTelemetry and its gRPC exporter run as in production; the sink is a process of its own. The
calling thread's time is CPU time of that thread; the process's includes the exporter's thread.
"otel span" is a bare OpenTelemetry span with as many attributes as ours, set in the same two steps:
what any instrumentation pays.

Run with `make bench`. Options: --calls, --rounds, --json.
"""

from __future__ import annotations

import argparse
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

Times = tuple[float, float]  # CPU µs per call: calling thread, whole process


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


def call(sdk: openai.OpenAI) -> Callable[[], object]:
    return lambda: sdk.chat.completions.create(model=MODEL, messages=MESSAGES)


def stream(sdk: openai.OpenAI) -> Callable[[], object]:
    def read() -> None:
        for _ in sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            pass

    return read


def otel_span(provider: TracerProvider) -> Callable[[], object]:
    """A span with the attributes of one of ours, without us."""
    recorder = Recorder()
    genops.init(tracer_provider=recorder.provider)
    call(client(SHORT))()
    genops.shutdown()
    attributes = recorder.attributes
    asked = {name: attributes.pop(name) for name in list(attributes) if "request" in name}
    before: Any = {**asked, "server.address": "openrouter.ai", "genops.provider": "openrouter"}
    after: Any = attributes
    tracer = provider.get_tracer("bench")

    def record() -> None:
        span = tracer.start_span(f"chat {MODEL}", kind=SpanKind.CLIENT, attributes=before)
        with trace.use_span(span):
            pass
        span.set_attributes(after)
        span.end()

    return record


def cpu_us(work: Callable[[], object], calls: int, provider: TracerProvider) -> Times:
    """CPU µs per call. The process's time includes the export of what was recorded."""
    process, thread = time.process_time_ns(), time.thread_time_ns()
    for _ in range(calls):
        work()
    thread_us = (time.thread_time_ns() - thread) / 1000 / calls
    provider.force_flush()
    return thread_us, (time.process_time_ns() - process) / 1000 / calls


def measure(provider: TracerProvider, calls: int, rounds: int) -> dict[str, dict[str, list[Times]]]:
    """Times by work and way, round by round."""
    short, long = client(SHORT), client(LONG)
    works = {
        "call": (call(short), calls),
        f"stream of {SHORT}": (stream(short), calls // 4),
        f"stream of {LONG}": (stream(long), calls // 10),
    }
    bare_span = otel_span(provider)
    times: dict[str, dict[str, list[Times]]] = {name: {"bare": [], "genops": []} for name in works}
    times["otel span"] = {"otel": []}
    genops.init(tracer_provider=provider)
    for round_number in range(-1, rounds):  # the first one warms up
        for name, (work, count) in works.items():
            genops.uninstrument()
            bare = cpu_us(work, count, provider)
            genops.init(tracer_provider=provider)
            recorded = cpu_us(work, count, provider)
            if round_number >= 0:
                times[name]["bare"].append(bare)
                times[name]["genops"].append(recorded)
        span = cpu_us(bare_span, calls, provider)
        if round_number >= 0:
            times["otel span"]["otel"].append(span)
        gc.collect()
    genops.shutdown()
    return times


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


def difference(pairs: dict[str, list[Times]], part: int) -> list[float]:
    return [
        ours[part] - bare[part] for bare, ours in zip(pairs["bare"], pairs["genops"], strict=True)
    ]


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 2),
        "min": round(min(values), 2),
        "max": round(max(values), 2),
    }


def summary(times: dict[str, dict[str, list[Times]]]) -> dict[str, dict[str, float]]:
    """What recording adds, by figure."""
    rows: dict[str, dict[str, float]] = {}
    for part, who in enumerate(("calling thread", "whole process")):
        rows[f"µs per call, {who}"] = spread(difference(times["call"], part))
        rows[f"µs per otel span, {who}"] = spread([t[part] for t in times["otel span"]["otel"]])
    short, long = (difference(times[f"stream of {n}"], 0) for n in (SHORT, LONG))
    rows[f"µs per stream of {SHORT} chunks, calling thread"] = spread(short)
    rows["µs per further chunk, calling thread"] = spread(
        [(b - a) / (LONG - SHORT) for a, b in zip(short, long, strict=True)]
    )
    bare = times["call"]["bare"]
    rows["for comparison: µs per bare SDK call, calling thread"] = spread([t[0] for t in bare])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=400, help="calls timed at a time")
    parser.add_argument("--rounds", type=int, default=15, help="times that each way is timed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    with sink() as endpoint:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        rows = summary(measure(provider, options.calls, options.rounds))
        provider.shutdown()
    started = imports()
    rows["ms for import genops, over bare Python"] = spread(
        [ours - bare for bare, ours in zip(*started.values(), strict=True)]
    )
    rows["for comparison: ms for bare Python"] = spread(started["pass"])

    versions = {
        "python": platform.python_version(),
        "openai": openai.__version__,
        "opentelemetry": otel_version,
        "machine": platform.machine(),
    }
    if options.json:
        print(json.dumps({**versions, "calls": options.calls, "rows": rows}))
        return
    print(f"CPU time that recording adds, median of {options.rounds} rounds in turn")
    print(", ".join(f"{name} {version}" for name, version in versions.items()) + "\n")
    print(f"{'':<56}{'median':>9}{'min':>9}{'max':>9}")
    for name, row in rows.items():
        print(f"{name:<56}" + "".join(f"{value:>9.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
