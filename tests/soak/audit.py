"""The delivery audit: is everything that was acknowledged delivered, whatever happens?

Senders put numbered spans into an enricher that is killed (SIGKILL) at random moments, also while
it recovers, and that exports to two backends which fail most calls, behind proxies that break
connections. At the end every acknowledged span must have arrived at both. docs/delivery.md tells
what this proves and what it can't.

With several workers the kills strike one of them, or their supervisor alone.

Run with `make soak`, or `PYTHONPATH=tests python -m soak.audit --help`. Exits 1 if a span is lost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from enricher_process import EnricherProcess
from fault_proxy import Fault, FaultProxy, fault_proxy
from free_ports import free_port
from soak.account import Account
from soak.backends import CERTIFICATES, Mood, grpc_backend, http_backend
from soak.senders import Senders, sending

GRPC, HTTP = "otlp_grpc/a", "otlp_http/b"

_SMALL_SEGMENTS = (sys.executable, str(Path(__file__).parent / "small_segments.py"))
_LOSING = (sys.executable, str(Path(__file__).parent / "losing.py"))
_KILLS_OF_WORKERS = 0.7  # the share of kills that strike a worker and not the supervisor
_KILLS_AT_START = 0.3  # the share of kills that strike before the process is ready
_RUN_S_MIN = 0.1
_WEATHER_S = (0.3, 2.0)
# Fair weather half of the time: in worse, the backlog would only grow.
_WEATHER = (*(Fault.NONE,) * 7, *(fault for fault in Fault if fault is not Fault.NONE))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an audit does: it ends with the kills or the minutes, whichever is first."""

    kills: int
    minutes: float = 30.0
    spans_per_s: float = 2500.0
    run_s_max: float = 6.0
    """How long a process that became ready lives at most, in seconds."""
    failing: float = 0.7
    drain_s: float = 120.0
    """How long the backlog may take to arrive once everything works again."""
    seed: int = 0
    workers: int = 1
    losing: bool = False
    """Audit an enricher that loses data: the audit has to find it out."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found."""

    account: Account
    kills: int
    kills_at_start: int
    kills_of_workers: int
    load_s: float
    retries: int
    refused: frozenset[str]
    calls: int
    failures: int
    struck: int
    faults: int

    @property
    def passed(self) -> bool:
        return self.account.lost == 0 and self.account.acknowledged > 0

    def _workers(self) -> list[tuple[str, str]]:
        if not self.kills_of_workers:
            return []
        alone = self.kills - self.kills_of_workers
        return [("of these", f"{self.kills_of_workers:,} of a worker, {alone:,} of the supervisor")]

    def table(self) -> str:
        account = self.account
        rows: list[tuple[str, str]] = [
            (
                "kills",
                f"{self.kills:,} ({self.kills_at_start:,} of them during start and recovery)",
            ),
            *self._workers(),
            ("calls that backends failed", f"{self.failures:,} of {self.calls:,}"),
            ("network faults", f"{self.struck:,} pieces of data struck by {self.faults} kinds"),
            ("spans sent", f"{account.sent:,} in {self.load_s:.0f} s, {self.retries:,} retries"),
            (
                "spans acknowledged",
                f"{account.acknowledged:,} ({account.acknowledged / self.load_s:,.0f} a second)",
            ),
        ]
        for balance in account.balances():
            text = (
                f"delivered {balance.delivered:,}, lost {balance.lost:,}, "
                f"duplicated {balance.duplicated:,}"
            )
            if balance.unknown:
                text += f", unknown {balance.unknown:,}"
            rows.append((balance.destination, text))
        rows += [("refused for good", answer) for answer in sorted(self.refused)]
        rows.append(("lost", f"{account.lost:,}"))
        return "\n".join(f"{name:<28}{text}" for name, text in rows)


def run(plan: Plan, folder: Path) -> Report:
    """Carry out an audit with the data and the log of the enricher in `folder`."""
    account = Account((GRPC, HTTP))
    moods = [Mood(plan.failing, seed=plan.seed + n) for n in range(2)]
    with (
        grpc_backend(moods[0], lambda numbers: account.deliver(GRPC, numbers)) as grpc_port,
        http_backend(moods[1], lambda numbers: account.deliver(HTTP, numbers)) as http_port,
        fault_proxy(grpc_port, seed=plan.seed) as grpc_proxy,
        fault_proxy(http_port, seed=plan.seed) as http_proxy,
    ):
        proxies = (grpc_proxy, http_proxy)
        config = _config(folder, grpc_proxy.port, http_proxy.port, plan.workers)
        enricher = EnricherProcess(config, under=_under(plan))
        try:
            began_s = time.monotonic()
            with (
                _weather(proxies, seed=plan.seed),
                sending(enricher.grpc, account, plan.spans_per_s) as senders,
            ):
                enricher, kills = _kill(enricher, config, plan)
            load_s = time.monotonic() - began_s
            for mood in moods:
                mood.calm()
            _drain(enricher, account, plan.drain_s)
        finally:
            enricher.kill()
    return _report(account, kills, load_s, senders, moods, proxies)


def _under(plan: Plan) -> tuple[str, ...]:
    return _LOSING if plan.losing else _SMALL_SEGMENTS


@dataclass(slots=True)
class _Kills:
    all: int = 0
    at_start: int = 0
    of_workers: int = 0


def _kill(enricher: EnricherProcess, config: Path, plan: Plan) -> tuple[EnricherProcess, _Kills]:
    """Kill and restart as planned; the last process, and the kills."""
    dice = random.Random(plan.seed)
    deadline_s = time.monotonic() + 60 * plan.minutes
    kills = _Kills()
    start_s = 1.0
    time.sleep(dice.uniform(_RUN_S_MIN, plan.run_s_max))
    while kills.all < plan.kills and time.monotonic() < deadline_s:
        _assert_running(enricher)
        kills.all += 1
        if plan.workers > 1 and dice.random() < _KILLS_OF_WORKERS and enricher.workers:
            # It may have ended by now, or be one that has just begun to start.
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(enricher.workers), signal.SIGKILL)
            kills.of_workers += 1
            time.sleep(dice.uniform(_RUN_S_MIN, plan.run_s_max))
            continue
        enricher.kill_alone()
        enricher = EnricherProcess(config, under=_under(plan), wait=False)
        if kills.all < plan.kills and dice.random() < _KILLS_AT_START:
            time.sleep(dice.uniform(0, start_s))
            kills.at_start += 1
            continue
        began_s = time.monotonic()
        enricher.wait_until_ready()
        start_s = time.monotonic() - began_s
        time.sleep(dice.uniform(_RUN_S_MIN, plan.run_s_max))
    _assert_running(enricher)
    enricher.wait_until_ready()
    return enricher, kills


def _assert_running(enricher: EnricherProcess) -> None:
    if not enricher.is_running():
        raise RuntimeError(f"the enricher ended by itself:\n{enricher.log.read_text()[-4000:]}")


def _drain(enricher: EnricherProcess, account: Account, timeout_s: float) -> None:
    """Wait until nothing is missing, or the queue is empty, or for `timeout_s` seconds."""
    deadline_s = time.monotonic() + timeout_s
    while account.lost and time.monotonic() < deadline_s:
        if enricher.metric("genops_exporter_queued_items{") == 0:
            return
        time.sleep(0.2)


@contextmanager
def _weather(proxies: Sequence[FaultProxy], *, seed: int) -> Iterator[None]:
    """Change the fault of each proxy now and then; none is left at the end."""
    stopping = threading.Event()
    dice = random.Random(seed)

    def change() -> None:
        while not stopping.wait(dice.uniform(*_WEATHER_S)):
            dice.choice(proxies).set(dice.choice(_WEATHER))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        for proxy in proxies:
            proxy.set(Fault.NONE)


def _config(folder: Path, grpc_port: int, http_port: int, workers: int) -> Path:
    receiver: dict[str, object] = {"endpoint": f"127.0.0.1:{free_port()}"}
    if workers > 1:  # connections move while requests are on them
        receiver["keepalive"] = {"server_parameters": {"max_connection_age": "2s"}}
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": receiver}}},
        "exporters": {
            exporter: {
                "endpoint": f"https://127.0.0.1:{port}",
                "tls": {"ca_file": str(CERTIFICATES / "ca.pem")},
                "timeout": "2s",
                "retry_on_failure": {"initial_interval": "50ms", "max_interval": "500ms"},
                "sending_queue": {"num_consumers": 24},
            }
            for exporter, port in ((GRPC, grpc_port), (HTTP, http_port))
        },
        "service": {
            "data_dir": str(folder / "data"),
            "workers": workers,
            "telemetry": {"health": {"endpoint": f"127.0.0.1:{free_port()}"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": [GRPC, HTTP]}},
        },
    }
    path = folder / "enricher.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _report(
    account: Account,
    kills: _Kills,
    load_s: float,
    senders: Senders,
    moods: Sequence[Mood],
    proxies: Sequence[FaultProxy],
) -> Report:
    struck = sum((proxy.struck for proxy in proxies), start=proxies[0].struck.__class__())
    return Report(
        account=account,
        kills=kills.all,
        kills_at_start=kills.at_start,
        kills_of_workers=kills.of_workers,
        load_s=load_s,
        retries=senders.retries,
        refused=frozenset(senders.refused),
        calls=sum(mood.calls for mood in moods),
        failures=sum(mood.failures for mood in moods),
        struck=struck.total(),
        faults=len(struck),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Audit the delivery of acknowledged spans.")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=10.0, help="the load ends after these")
    parser.add_argument("--rate", type=float, default=2500.0, help="spans a second to offer")
    parser.add_argument("--workers", type=int, default=1, help="processes of the enricher")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument(
        "--forget", action="store_true", help="strike one delivered span: the audit has to fail"
    )
    parser.add_argument(
        "--losing", action="store_true", help="audit an enricher that loses data: it has to fail"
    )
    options = parser.parse_args(arguments)
    plan = Plan(
        kills=options.kills,
        minutes=options.minutes,
        spans_per_s=options.rate,
        seed=options.seed,
        workers=options.workers,
        losing=options.losing,
    )
    print(f"audit with --seed {plan.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="genops-audit-") as folder:
        report = run(plan, Path(folder))
        if options.forget:
            report.account.forget(GRPC)
        print(report.table())
        if not report.passed:
            print((Path(folder) / "enricher.log").read_text()[-10_000:], file=sys.stderr)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
