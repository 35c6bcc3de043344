"""The enricher as a process of its own, for tests that start, kill and restart it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from free_ports import free_port
from genops_enricher.config.load import load_config

# It takes a second; on a machine where everything else runs too, much longer.
START_TIMEOUT_S = 120.0


def write_config(
    folder: Path,
    destination: str,
    *,
    exporter: str = "otlp_grpc",
    shutdown_timeout: str = "10s",
    more: Mapping[str, Any] = {},
) -> Path:
    """A configuration file in `folder` with free ports, exporting to `destination`.

    `more` are further settings of the exporter.
    """
    settings: dict[str, Any] = {"endpoint": destination, **more}
    if exporter == "otlp_grpc":
        settings["tls"] = {"insecure": True}
    settings.setdefault("retry_on_failure", {"initial_interval": "50ms", "max_interval": "200ms"})
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{free_port()}"}}}},
        "exporters": {exporter: settings},
        "service": {
            "data_dir": str(folder / "data"),
            "shutdown_timeout": shutdown_timeout,
            "telemetry": {"health": {"endpoint": f"127.0.0.1:{free_port()}"}},
            "pipelines": {
                signal: {"receivers": ["otlp"], "exporters": [exporter]}
                for signal in ("traces", "metrics", "logs")
            },
        },
    }
    path = folder / "enricher.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def serve_http(config: Path) -> str:
    """Turn OTLP/HTTP on in the file; the address that will be served."""
    address = f"127.0.0.1:{free_port()}"
    settings = yaml.safe_load(config.read_text())
    settings["receivers"]["otlp"]["protocols"]["http"] = {"endpoint": address}
    config.write_text(yaml.safe_dump(settings))
    return address


class EnricherProcess:
    """`genops-enricher run`, ready when the constructor returns unless it is not to wait."""

    def __init__(
        self,
        config: Path,
        *,
        under: Sequence[str] = (),
        wait: bool = True,
        environ: Mapping[str, str] = {},
        log: Path | None = None,
    ) -> None:
        """`under` is a command that runs it, such as a tracer of system calls.

        `environ` are more variables for the file; `log` is where it logs, if not beside the file.
        """
        env = {**os.environ, **environ}
        settings = load_config(config, env).config
        self.grpc = settings.receiver.grpc_endpoint if settings.receiver else ""
        self.http = settings.http_receiver.endpoint if settings.http_receiver else ""
        self.health = f"http://{settings.service.health_endpoint}"
        self.data = settings.service.data_dir
        self.log = log or config.parent / "enricher.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*under, sys.executable, "-m", "genops_enricher", "run", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                start_new_session=True,
            )
        if wait:
            self.wait_until_ready()

    def get(self, page: str) -> str:
        with urllib.request.urlopen(f"{self.health}{page}", timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.get("/status"))
        return content

    def metric(self, line_start: str) -> float:
        """The sum of the series whose lines on the metrics page start so."""
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith(line_start)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_empty(self, *, timeout_s: float = 60.0) -> None:
        """Wait until every exporter has delivered all that was acknowledged."""
        deadline_s = time.monotonic() + timeout_s
        while self.metric("genops_exporter_queued_items{") > 0:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not delivered in {timeout_s} s:\n{self.log.read_text()}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        return self._process.pid

    def state(self) -> str:
        """The state as health has it, also while it is not ready."""
        return str(self.status()["status"])

    def terminate(self) -> None:
        """SIGTERM, without waiting for what comes of it."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, *, timeout_s: float = 60.0) -> int:
        """The exit code, once it has ended."""
        return self._process.wait(timeout_s)

    def hang_up(self) -> None:
        """SIGHUP: read the files again."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing said."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_alone(self) -> None:
        """SIGKILL to this process only, not to its workers."""
        self._process.kill()
        self._process.wait()

    @property
    def workers(self) -> list[int]:
        """The processes of its workers, as the system has them."""
        children = Path(f"/proc/{self.pid}/task").glob("*/children")
        return sorted(int(pid) for each in children for pid in each.read_text().split())

    def stop(self, *, timeout_s: float = 60.0) -> int:
        """SIGTERM; the exit code once it has drained and stopped."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        return self._process.wait(timeout_s)

    def wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                break
            try:
                self.get("/ready")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)  # it has no way to tell us but to answer
            else:
                return
        self.kill()
        raise RuntimeError(f"the enricher did not become ready:\n{self.log.read_text()}")


@contextmanager
def running(
    config: Path,
    *,
    under: Sequence[str] = (),
    environ: Mapping[str, str] = {},
    log: Path | None = None,
) -> Iterator[EnricherProcess]:
    process = EnricherProcess(config, under=under, environ=environ, log=log)
    try:
        yield process
        process.stop()
    finally:
        process.kill()
