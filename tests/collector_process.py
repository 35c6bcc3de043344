"""The OpenTelemetry Collector as a process, run from a file as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from free_ports import free_port
from real_parts.build import otelcol

START_TIMEOUT_S = 120.0
_READY = "Everything is ready"


class CollectorProcess:
    """`otelcol --config FILE`, ready when the constructor returns."""

    def __init__(self, config: Path, log: Path, environ: Mapping[str, str]) -> None:
        self.log = log
        self._metrics_port = environ.get("COLLECTOR_METRICS_PORT")
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [otelcol(), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **environ},
                start_new_session=True,
            )
        self.wait_for(_READY, timeout_s=START_TIMEOUT_S)

    def wait_for(self, text: str, *, timeout_s: float = 60.0) -> str:
        """The first line of the log that the regular expression `text` is found in."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            ended = self._process.poll() is not None
            for line in self.log.read_text().splitlines():
                if re.search(text, line):
                    return line
            if ended:
                break
            time.sleep(0.05)  # it has no way to tell us but to write
        self.kill()
        raise RuntimeError(f"the Collector did not say {text!r}:\n{self.log.read_text()[-5000:]}")

    def metric(self, line_start: str) -> float:
        """The sum of the series whose lines on its metrics page start so."""
        page = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(page, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(line_start))

    def stop(self, *, timeout_s: float = 60.0) -> int:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def collecting(config: Path, log: Path, environ: Mapping[str, str]) -> Iterator[CollectorProcess]:
    process = CollectorProcess(config, log, environ)
    try:
        yield process
        process.stop()
    finally:
        process.kill()


def validate(config: Path, environ: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    """`otelcol validate`."""
    return subprocess.run(
        [otelcol(), "validate", "--config", str(config)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free_ports(folder: Path) -> dict[str, str]:
    """The variables of the files in collector-config/, with places of this machine's own."""
    endpoints = {
        name: f"127.0.0.1:{free_port()}"
        for name in (
            "COLLECTOR_GRPC_ENDPOINT",
            "COLLECTOR_HTTP_ENDPOINT",
            "COLLECTOR_HEALTH_ENDPOINT",
            "COLLECTOR_ENRICHED_ENDPOINT",
            "ENRICHER_GRPC_ENDPOINT",
            "ENRICHER_HTTP_ENDPOINT",
            "ENRICHER_HEALTH_ENDPOINT",
        )
    }
    return endpoints | {
        "COLLECTOR_METRICS_PORT": str(free_port()),
        "COLLECTOR_DATA_DIR": str(folder / "collector"),
        "ENRICHER_DATA_DIR": str(folder / "enricher"),
    }
