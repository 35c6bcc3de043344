"""CPU time of a request for the ways to serve gRPC in Python, before anything is done with it.

A server takes small requests at a steady rate, syncs each to disk as the queue does (or not), and
answers. It runs as threads, on asyncio's loop, or on uvloop's where that is installed; the handler
takes one message, or a stream of them, as the receiver's does. Figures in ADR 20 are from here.

    PYTHONPATH=tests python tests/bench/bench_grpc_servers.py --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_METHOD = f"/{_SERVICE}/Export"
_OPTIONS = [("grpc.so_reuseport", 0)]
_BODY = bytes(1200)  # about one span
_WARM_UP_S = 1.0

LOOPS = ("threads", "asyncio", "uvloop")
HANDLERS = ("one message", "stream")
WORK = ("nothing", "sync")


def _method(handler: str, behavior: Callable[..., Any]) -> grpc.GenericRpcHandler[Any, Any]:
    make = {
        "one message": grpc.unary_unary_rpc_method_handler,
        "stream": grpc.stream_unary_rpc_method_handler,
    }[handler]
    return grpc.method_handlers_generic_handler(_SERVICE, {"Export": make(behavior)})


def _serve_threads(handler: str, work: Callable[[bytes], None]) -> None:
    def one(message: bytes, _: object) -> bytes:
        work(message)
        return b""

    def stream(messages: Iterator[bytes], _: object) -> bytes:
        return one(next(messages), _)

    server = grpc.server(ThreadPoolExecutor(32), options=_OPTIONS)
    behavior = one if handler == "one message" else stream
    server.add_generic_rpc_handlers((_method(handler, behavior),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()


async def _serve_loop(handler: str, work: Callable[[bytes], None]) -> None:
    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(16)

    async def one(message: bytes, _: object) -> bytes:
        if work is not _nothing:  # a sync would hold up the loop
            await loop.run_in_executor(threads, work, message)
        return b""

    async def stream(messages: AsyncIterator[bytes], _: object) -> bytes:
        async for message in messages:
            return await one(message, _)
        return b""

    server = grpc.aio.server(options=_OPTIONS)
    behavior = one if handler == "one message" else stream
    server.add_generic_rpc_handlers((_method(handler, behavior),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await loop.run_in_executor(threads, sys.stdin.read)


def _nothing(_: bytes) -> None:
    pass


def serve(loop: str, handler: str, work: str) -> None:
    """Print the port, and serve until the input ends."""
    with tempfile.TemporaryFile(buffering=0) as file:
        lock = threading.Lock()

        def sync(message: bytes) -> None:
            with lock:
                file.write(message)
                os.fsync(file.fileno())

        do = sync if work == "sync" else _nothing
        if loop == "threads":
            _serve_threads(handler, do)
        elif loop == "uvloop":
            importlib.import_module("uvloop").run(_serve_loop(handler, do))
        else:
            asyncio.run(_serve_loop(handler, do))


def _send(port: str, rate: float, until_s: float) -> int:
    """Send at a steady rate on one connection; how many requests."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        call = channel.unary_unary(_METHOD, request_serializer=None, response_deserializer=None)
        sent, due_s = 0, time.monotonic()
        while due_s < until_s:
            time.sleep(max(due_s - time.monotonic(), 0))
            call(_BODY)
            sent, due_s = sent + 1, due_s + 1 / rate
    return sent


def measure(loop: str, handler: str, work: str, options: argparse.Namespace) -> float:
    """CPU time of the server process for a request, in microseconds."""
    command = [sys.executable, __file__, "--serve", loop, handler, work]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        send = partial(_send, port, options.rate / options.connections)
        with ThreadPoolExecutor(options.connections) as senders:
            for seconds in (_WARM_UP_S, options.seconds):
                before_s = _cpu_s(server.pid)
                until_s = time.monotonic() + seconds
                sent = sum(senders.map(send, [until_s] * options.connections))
                cpu_s = _cpu_s(server.pid) - before_s
        server.communicate()
    return cpu_s / sent * 1e6


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    has_uvloop = importlib.util.find_spec("uvloop") is not None
    loops = [loop for loop in LOOPS if loop != "uvloop" or has_uvloop]
    cells = list(product(WORK, loops, HANDLERS))
    found: dict[tuple[str, str, str], list[float]] = {cell: [] for cell in cells}
    for number in range(options.rounds):
        for work, loop, handler in cells[:: -1 if number % 2 else 1]:
            found[work, loop, handler].append(measure(loop, handler, work, options))
    for cell, values in found.items():
        print(
            f"{cell[0]:<8} {cell[1]:<8} {cell[2]:<12} {statistics.median(values):>6.0f} µs"
            f" ({min(values):.0f} – {max(values):.0f})"
        )


if __name__ == "__main__":
    main()
