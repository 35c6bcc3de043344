"""How long requests wait while a large overlay is loaded: the real process, one sender over gRPC.

The sender sends 50 spans every few milliseconds, first while nothing else happens, then while the
process takes over an overlay of thousands of models. docs/adr/0011-reload.md has the figures.

Run as `PYTHONPATH=tests python tests/bench/bench_reload.py [--models N]`.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import grpc

from destinations import grpc_destination
from enricher_process import running, write_config
from life import EXPORT, MODEL, WAIT_S, edit, overlay, reload
from otlp import chat, request, span

IDLE_S = 3.0
PAUSE_S = 0.005


class Sender:
    """Sends one request after the other, and notes how long each took."""

    def __init__(self, target: str) -> None:
        self.took: list[tuple[float, float]] = []  # when it began, and for how long; seconds
        self._target = target
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def row(self, name: str, from_s: float, until_s: float) -> str:
        took = sorted(1000 * took for began, took in self.took if from_s <= began <= until_s)
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        return f"{name:<10}{len(took):>10,}{p50:>10.1f}{p99:>10.1f}{took[-1]:>10.1f}"

    def _run(self) -> None:
        payload = request(*(span(chat(MODEL), number=number) for number in range(50)))
        with grpc.insecure_channel(self._target) as channel:
            call = channel.unary_unary(EXPORT, None, None)
            while not self._stopping.wait(PAUSE_S):
                began_s = time.monotonic()
                call(payload, timeout=WAIT_S)
                self.took.append((began_s, time.monotonic() - began_s))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time requests while an overlay is loaded.")
    parser.add_argument("--models", type=int, default=20_000)
    models = parser.parse_args().models
    with tempfile.TemporaryDirectory() as name, grpc_destination() as backend:
        folder = Path(name)
        config = write_config(folder, f"127.0.0.1:{backend.port}")
        prices = folder / "prices.yaml"
        prices.write_text(overlay("10"))
        edit(config, lambda s: s.update(enrichment={"overlays": ["prices.yaml"]}))
        with running(config) as enricher, Sender(enricher.grpc) as sender:
            start_s = time.monotonic()
            time.sleep(IDLE_S)
            prices.write_text(overlay("20", models))
            reload_s = time.monotonic()
            reload(enricher, "applied")
            end_s = time.monotonic()
        print(f"{models:,} models, loaded in {end_s - reload_s:.1f} s; milliseconds a request")
        print(f"{'':<10}{'requests':>10}{'half':>10}{'99 %':>10}{'longest':>10}")
        print(sender.row("idle", start_s, reload_s))
        print(sender.row("reload", reload_s, end_s))


if __name__ == "__main__":
    main()
