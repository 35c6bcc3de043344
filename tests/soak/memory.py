"""The memory bound: a fast sender of large requests, a backend that is down, and a limit.

The resident set of the real process is watched meanwhile. It has to stay near
`service.memory_limit_mib` while requests wait on disk up to the bound of the queue, which then
refuses; and when the backend is back, everything acknowledged has to arrive and requests have to be
accepted again.

Run with `make soak`, or `PYTHONPATH=tests python -m soak.memory --help`. Exits 1 if it fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import requests
import yaml

from destinations import grpc_destination
from enricher_process import EnricherProcess, serve_http, write_config
from free_ports import free_port
from otlp import chat, request, span, spans_of
from soak.senders import EXPORT, retry_delay_s

_MIB = 1 << 20
_TIMEOUT_S = 60.0
# On a busy machine it takes longer until enough requests are in work at a time.
_LONGER_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent for how long, and within which bounds."""

    limit_mib: int = 256
    queue_mib: int = 512
    request_mib: int = 4
    senders: int = 16
    seconds: float = 60.0
    over_mib: int = 256
    """How far above the limit the resident set may come: that of the requests in work."""


@dataclass(slots=True)
class Report:
    """What was seen."""

    plan: Plan
    idle: int = 0  # bytes, as all sizes here
    highest: int = 0
    queued: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    accepted: set[int] = field(default_factory=set)
    arrived: set[int] = field(default_factory=set)
    memory_refused: int = 0
    recovered: bool = False

    @property
    def lost(self) -> int:
        return len(self.accepted - self.arrived)

    @property
    def problems(self) -> list[str]:
        bound = (self.plan.limit_mib + self.plan.over_mib) * _MIB
        checks = {
            "nothing was accepted": not self.accepted,
            "the resident set is out of bounds": self.highest > bound,
            "acknowledged spans are lost": self.lost > 0,
            "requests are not accepted again": not self.recovered,
            "an answer is neither yes nor again": bool(
                self.answers.keys() - {"OK", "UNAVAILABLE", "200", "503"}
            ),
        }
        return [what for what, holds in checks.items() if holds]

    def table(self) -> str:
        rows = {
            "memory limit": f"{self.plan.limit_mib:,} MiB",
            "resident set, idle": f"{self.idle // _MIB:,} MiB",
            "resident set, highest": f"{self.highest // _MIB:,} MiB",
            "queued on disk, highest": f"{self.queued // _MIB:,} MiB",
            "answers": ", ".join(f"{code} {n:,}" for code, n in sorted(self.answers.items())),
            "refused for memory": f"{self.memory_refused:,}",
            "requests accepted": f"{len(self.accepted):,} of {self.plan.request_mib} MiB",
            "lost": f"{self.lost:,}",
            "accepted again afterwards": "yes" if self.recovered else "no",
        }
        return "\n".join(f"{name:<28}{text}" for name, text in rows.items())


def run(plan: Plan, folder: Path) -> Report:
    """Carry it out with the data and the log of the enricher in `folder`."""
    report = Report(plan)
    backend = free_port()
    config = _config(plan, folder, backend)
    http = serve_http(config)
    enricher = EnricherProcess(config)
    try:
        report.idle = report.highest = _resident(enricher)
        with _watching(enricher, report):
            _load(plan, enricher.grpc, f"http://{http}/v1/traces", report)
        report.memory_refused = int(enricher.metric("genops_memory_refused_requests_total "))
        with grpc_destination(port=backend, receive_max=64 << 20) as alive:
            enricher.wait_until_empty(timeout_s=300)
            report.arrived = {
                int.from_bytes(each.span_id, "big")
                for payload in alive.payloads
                for each in spans_of(payload)
            }
        report.recovered = _accepts(enricher.grpc, plan)
        _wait_until_told(enricher, report)
    finally:
        enricher.kill()
    return report


def _load(plan: Plan, target: str, url: str, report: Report) -> None:
    """Send from all senders, every fourth over HTTP, until the time is over.

    That is at the first refusal for memory, if there was none by then.
    """
    deadline_s = time.monotonic() + plan.seconds
    lock = threading.Lock()
    padding = "x" * (plan.request_mib * _MIB)
    numbers = iter(range(1, 1 << 40))

    def send(sender: int) -> None:
        with grpc.insecure_channel(target, _OPTIONS) as channel, requests.Session() as session:
            call = channel.unary_unary(EXPORT, None, None)
            while time.monotonic() < deadline_s or (
                not report.memory_refused and time.monotonic() < deadline_s + _LONGER_S
            ):
                with lock:
                    number = next(numbers)
                payload = request(span(chat(more={"app.padding": padding}), number=number))
                if sender % 4:
                    answer, wait_s = _over_grpc(call, payload)
                else:
                    answer, wait_s = _over_http(session, url, payload)
                with lock:
                    report.answers[answer] += 1
                    if answer in ("OK", "200"):
                        report.accepted.add(number)
                time.sleep(wait_s)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(plan.senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", 1 << 30)]


def _over_grpc(
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes], payload: bytes
) -> tuple[str, float]:
    """The answer, and how long to wait before the next request."""
    try:
        call(payload, timeout=_TIMEOUT_S)
    except grpc.RpcError as error:
        return str(error.code().name), retry_delay_s(error) or 0.1
    return "OK", 0.0


def _over_http(session: requests.Session, url: str, payload: bytes) -> tuple[str, float]:
    headers = {"Content-Type": "application/x-protobuf"}
    answer = session.post(url, payload, headers=headers, timeout=_TIMEOUT_S)
    return str(answer.status_code), float(answer.headers.get("Retry-After", 0))


def _accepts(target: str, plan: Plan) -> bool:
    """Whether a request is accepted again, in as long as giving memory back may take."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    payload = request(span(chat(), number=1))
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(EXPORT, None, None)
        while time.monotonic() < deadline_s:
            answer, wait_s = _over_grpc(call, payload)
            if answer == "OK":
                return True
            time.sleep(wait_s)
    return False


def _wait_until_told(enricher: EnricherProcess, report: Report) -> None:
    """It says that it is within the limit after its next look, which may take ten seconds."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    while report.memory_refused and time.monotonic() < deadline_s:
        above, within = (
            enricher.log.read_text().count(text)
            for text in ("above the limit; senders", "within the limit again")
        )
        if above == within:
            return
        time.sleep(0.1)


@contextmanager
def _watching(enricher: EnricherProcess, report: Report) -> Iterator[None]:
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(0.05):
            report.highest = max(report.highest, _resident(enricher))
            queued = sum(f.stat().st_size for f in enricher.data.rglob("*.segment"))
            report.queued = max(report.queued, queued)
            with suppress(OSError):  # too busy to say
                refused = enricher.metric("genops_memory_refused_requests_total ")
                report.memory_refused = int(refused)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _resident(enricher: EnricherProcess) -> int:
    lines = Path(f"/proc/{enricher.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def _config(plan: Plan, folder: Path, backend: int) -> Path:
    queue = {"queue_size": f"{plan.queue_mib}MiB"}
    more = {"sending_queue": queue, "compression": "none"}
    path = write_config(folder, f"127.0.0.1:{backend}", shutdown_timeout="1s", more=more)
    settings = yaml.safe_load(path.read_text())
    settings["service"]["memory_limit_mib"] = plan.limit_mib
    path.write_text(yaml.safe_dump(settings))
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    default = Plan()
    parser = argparse.ArgumentParser(description="Watch memory under load with a backend down.")
    parser.add_argument("--limit-mib", type=int, default=default.limit_mib)
    parser.add_argument("--queue-mib", type=int, default=default.queue_mib)
    parser.add_argument("--request-mib", type=int, default=default.request_mib)
    parser.add_argument("--senders", type=int, default=default.senders)
    parser.add_argument("--seconds", type=float, default=default.seconds)
    options = parser.parse_args(arguments)
    plan = Plan(
        options.limit_mib, options.queue_mib, options.request_mib, options.senders, options.seconds
    )
    with tempfile.TemporaryDirectory(prefix="genops-memory-") as folder:
        report = run(plan, Path(folder))
        print(report.table())
        for problem in report.problems:
            print(f"failed: {problem}")
        if report.problems:
            print((Path(folder) / "enricher.log").read_text()[-10_000:], file=sys.stderr)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
