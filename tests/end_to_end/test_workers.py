"""Several workers as one service: real processes, seen from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests

from destinations import GrpcAnswer, HttpAnswer, Received, grpc_destination, http_destination
from enricher_process import EnricherProcess, running, serve_http, write_config
from free_ports import free_port
from life import (
    arrived,
    edit,
    numbers,
    overlay,
    reload,
    send,
    set_header,
    wait_until,
)
from otlp import request, span

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


def workers_config(
    folder: Path,
    destination: str,
    workers: int = 2,
    *,
    exporter: str = "otlp_grpc",
    shutdown_timeout: str = "10s",
) -> Path:
    config = write_config(folder, destination, exporter=exporter, shutdown_timeout=shutdown_timeout)
    set_workers(config, workers)
    return config


def set_workers(config: Path, workers: int) -> None:
    edit(config, lambda s: s["service"].update(workers=workers))


def is_alive(pid: int) -> bool:
    """Whether it runs; an orphan that has ended may wait for long until someone notes it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def fill_all(enricher: EnricherProcess, workers: int = 2, first: int = 1) -> int:
    """Send spans, one a connection, until each worker has some; how many were sent."""
    sent = 0

    def served() -> float:
        loads = [
            enricher.get("/metrics").count(f'genops_worker_ready{{worker="{n}"}} 1')
            for n in range(1, workers + 1)
        ]
        assert loads == [1] * workers
        folders = [enricher.data, *(enricher.data / f"worker-{n}" for n in range(2, workers + 1))]
        return sum(
            any(file.stat().st_size > 100 for file in (folder / "traces").glob("*.seg*"))
            for folder in folders
        )

    while served() < workers:
        for _ in range(4):
            send(enricher, first + sent)
            sent += 1
        assert sent < 200
    return sent


@pytest.fixture
def away() -> str:
    """A destination where nobody listens."""
    return f"127.0.0.1:{free_port()}"


def test_connections_are_spread_and_the_page_is_one(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        config = workers_config(tmp_path, f"127.0.0.1:{backend.port}")
        address = serve_http(config)
        with running(config) as enricher:
            sent = fill_all(enricher)
            answer = requests.post(
                f"http://{address}/v1/traces",
                request(span({"a": 1}, number=1000)),
                headers={"Content-Type": "application/x-protobuf"},
                timeout=60,
            )
            enricher.wait_until_empty()
            page = enricher.get("/metrics")
            priced = sum(
                float(line.rpartition(" ")[2])
                for line in page.splitlines()
                if line.startswith("genops_spans_total{") and 'status="priced"' in line
            )
            status = enricher.status()
            ready = requests.get(f"{enricher.health}/ready", timeout=60)
            workers = enricher.workers

    assert answer.status_code == 200
    assert sorted(set(numbers(backend))) == [*range(1, sent + 1), 1000]
    assert f'genops_received_items_total{{signal="traces"}} {sent + 1}.0' in page
    assert priced == sent
    assert status["exporters"]["otlp_grpc"]["traces"]["delivered_items"] == sent + 1
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": []})
    assert len(workers) == 2
    for worker in ("1", "2"):
        assert f'genops_worker_ready{{worker="{worker}"}} 1.0' in page
        assert re.search(rf'genops_worker_cpu_seconds_total{{worker="{worker}"}} [0-9.]+', page)
    for name in set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)):
        assert page.count(f"# TYPE {name} ") == 1


def test_a_second_enricher_gets_an_error_that_names_the_port(tmp_path: Path, away: str) -> None:
    (tmp_path / "other").mkdir()
    config = workers_config(tmp_path, away)
    http = serve_http(config)
    with running(config) as enricher:
        other = workers_config(tmp_path / "other", away)

        def start(workers: int, protocol: str, address: str) -> subprocess.CompletedProcess[str]:
            protocols = {protocol: {"endpoint": address}}
            edit(other, lambda s: s["receivers"]["otlp"].update(protocols=protocols))
            set_workers(other, workers)
            return subprocess.run(
                [sys.executable, "-m", "genops_enricher", "run", "--config", str(other)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        results = [
            (protocol, address, start(workers, protocol, address))
            for workers in (1, 2)
            for protocol, address in (("grpc", enricher.grpc), ("http", http))
        ]
        edit(other, lambda s: s["service"].update(data_dir=str(enricher.data)))
        same_folder = start(2, "grpc", f"127.0.0.1:{free_port()}")

    for protocol, address, result in results:
        assert result.returncode == 1
        key = f"receivers.otlp.protocols.{protocol}.endpoint"
        assert f"{key}: can't listen on {address}" in result.stderr
    assert same_folder.returncode == 1
    assert f"is in use by process {enricher.pid}" in same_folder.stderr


def test_a_worker_that_dies_is_started_again_and_no_counter_goes_back(
    tmp_path: Path, away: str
) -> None:
    config = workers_config(tmp_path, away)
    with running(config) as enricher:
        sent = fill_all(enricher)
        traces = '{exporter="otlp_grpc",signal="traces"}'
        before = {
            name: enricher.metric(name)
            for name in (
                "genops_received_items_total",
                "genops_spans_total",
                f"genops_exporter_accepted_items_total{traces}",
                "genops_cost_total",
                "genops_exporter_attempts_total",
                'genops_worker_cpu_seconds_total{worker="1"}',
            )
        }
        for victim in enricher.workers:
            os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda: (
                enricher.metric("genops_worker_restarts_total") == 2
                and enricher.metric("genops_worker_ready") == 2
            ),
            "they are not started again",
        )
        after = {name: enricher.metric(name) for name in before}
        books = enricher.status()["exporters"]["otlp_grpc"]["traces"]
        log = enricher.log.read_text()
        with grpc_destination(port=int(away.rpartition(":")[2])) as backend:
            enricher.wait_until_empty()
            closed = enricher.status()["exporters"]["otlp_grpc"]["traces"]

    assert all(after[name] >= before[name] for name in before), (before, after)
    assert after["genops_received_items_total"] == sent
    assert books["recovered_items"] + books["accepted_items"] == sent == books["queued_items"]
    assert closed["recovered_items"] + closed["accepted_items"] == sent == closed["delivered_items"]
    assert sorted(set(numbers(backend))) == [*range(1, sent + 1)]
    assert log.count("ended by SIGKILL") == 2
    assert re.search(r"worker 1 \(process \d+\) ended by SIGKILL at ", log)


def test_it_is_ready_while_one_worker_is_and_says_what_is_wrong_with_the_other(
    tmp_path: Path, away: str
) -> None:
    config = workers_config(tmp_path, away)
    with running(config) as enricher:
        os.kill(enricher.workers[0], signal.SIGSTOP)  # alive, but silent
        try:
            wait_until(lambda: bool(enricher.status()["degraded"]), "nobody notices")
            ready = requests.get(f"{enricher.health}/ready", timeout=60)
        finally:
            os.kill(enricher.workers[0], signal.SIGCONT)
        wait_until(lambda: not enricher.status()["degraded"], "it stays degraded")

    assert ready.status_code == 200
    (reason,) = ready.json()["reasons"]
    assert re.fullmatch(r"worker \d: does not answer; `kill -9 \d+` starts it anew", reason)


def test_workers_do_not_outlive_a_killed_supervisor_and_the_next_one_can_start(
    tmp_path: Path, away: str
) -> None:
    config = workers_config(tmp_path, away)
    enricher = EnricherProcess(config)
    try:
        sent = fill_all(enricher)
        workers = enricher.workers
        os.kill(enricher.pid, signal.SIGKILL)  # it alone, not its group
        enricher.wait()
        # At once: what the workers hold, they hold for milliseconds.
        with (
            grpc_destination(port=int(away.rpartition(":")[2])) as backend,
            running(config) as again,
        ):
            assert not any(map(is_alive, workers))
            again.wait_until_empty()
    finally:
        enricher.kill()

    assert sorted(set(numbers(backend))) == [*range(1, sent + 1)]


def test_sigterm_to_the_whole_group_drains_all_workers(tmp_path: Path) -> None:
    failing = True

    def script(_number: int, _request: Received) -> GrpcAnswer:
        return GrpcAnswer(grpc.StatusCode.UNAVAILABLE) if failing else GrpcAnswer()

    with grpc_destination(script) as backend:
        config = workers_config(tmp_path, f"127.0.0.1:{backend.port}", shutdown_timeout="60s")
        enricher = EnricherProcess(config)
        try:
            sent = fill_all(enricher)
            workers = enricher.workers
            os.killpg(enricher.pid, signal.SIGTERM)
            wait_until(lambda: enricher.state() == "draining", "no stop begins")
            failing = False
            code = enricher.wait()
        finally:
            enricher.kill()

    assert code == 0
    assert not any(map(is_alive, workers))
    assert sorted(set(numbers(backend))) == [*range(1, sent + 1)]


def test_a_stop_ends_in_time_and_says_what_each_worker_keeps(tmp_path: Path, away: str) -> None:
    config = workers_config(tmp_path, away, shutdown_timeout="1s")
    enricher = EnricherProcess(config)
    fill_all(enricher)

    assert enricher.stop() == 0
    log = enricher.log.read_text()
    for worker in (1, 2):
        assert re.search(rf"worker {worker}: life.stages: .* are not delivered yet", log)


def test_a_second_sigterm_ends_all_at_once(tmp_path: Path, away: str) -> None:
    config = workers_config(tmp_path, away, shutdown_timeout="10m")
    enricher = EnricherProcess(config)
    fill_all(enricher)
    workers = enricher.workers
    enricher.terminate()
    wait_until(lambda: "SIGTERM: stopping" in enricher.log.read_text(), "no stop begins")
    enricher.terminate()

    assert enricher.wait() == -signal.SIGTERM
    wait_until(lambda: not any(map(is_alive, workers)), "workers are left")


def test_a_reload_changes_all_workers_or_none(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        config = workers_config(tmp_path, f"127.0.0.1:{backend.port}")
        prices = tmp_path / "prices.yaml"
        prices.write_text(overlay("10"))
        edit(config, lambda s: s.update(enrichment={"overlays": ["prices.yaml"]}))
        with running(config) as enricher:
            before = fill_all(enricher)
            enricher.wait_until_empty()

            prices.write_text(overlay("20"))
            edit(config, lambda s: set_header(s, "new"))
            reload(enricher, "applied")
            first = len(backend.received)
            send_many(enricher, 1001, 24)
            enricher.wait_until_empty()
            new = [received.headers.get("x-key") for received in backend.received[first:]]

            config.write_text("exporters: [")
            reload(enricher, "failed")
            degraded = enricher.status()["degraded"]
            send_many(enricher, 2001, 4)
            costs = [arrived(backend, n)["genops.cost.input"] for n in (1, 1001, 1024, 2001, 2004)]
            workers = enricher.workers

    assert set(new) == {"new"}
    assert costs == [costs[0], *[2 * costs[0]] * 4]
    assert len(degraded) == 1
    assert degraded[0].startswith("reload: failed")
    assert len(workers) == 2
    assert before > 0


def test_a_reload_that_one_worker_can_not_follow_is_taken_back_in_all(
    tmp_path: Path,
) -> None:
    """The folder of the second worker is made unusable for a signal that is new."""
    with grpc_destination() as backend:
        config = workers_config(tmp_path, f"127.0.0.1:{backend.port}")
        edit(config, lambda s: s["service"]["pipelines"].pop("logs"))
        with running(config) as enricher:
            (enricher.data / "worker-2" / "logs").write_text("in the way")

            def add_logs(settings: dict[str, dict[str, dict[str, object]]]) -> None:
                settings["service"]["pipelines"]["logs"] = {
                    "receivers": ["otlp"],
                    "exporters": ["otlp_grpc"],
                }

            edit(config, add_logs)
            reload(enricher, "failed")
            page = enricher.get("/metrics")
            sent = fill_all(enricher)
            enricher.wait_until_empty()

    assert 'genops_worker_ready{worker="1"} 1.0' in page
    assert 'genops_worker_ready{worker="2"} 1.0' in page
    assert sorted(set(numbers(backend))) == [*range(1, sent + 1)]


def test_the_pages_move_to_another_host_and_stay_where_they_were_if_they_can_not(
    tmp_path: Path, away: str
) -> None:
    def set_health(settings: Any, endpoint: str) -> None:
        settings["service"]["telemetry"]["health"]["endpoint"] = endpoint

    with running(workers_config(tmp_path, away)) as enricher:
        config, port = tmp_path / "enricher.yaml", enricher.health.rpartition(":")[2]
        edit(config, lambda s: set_health(s, f"0.0.0.0:{port}"))
        enricher.hang_up()  # while they move they answer nobody
        wait_until(lambda: "replaced: health" in enricher.log.read_text(), "not reloaded")
        enricher.get("/ready")

        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            edit(config, lambda s: set_health(s, taken))
            enricher.hang_up()
            wait_until(lambda: "not reloaded" in enricher.log.read_text(), "it is reloaded")
            assert f"can't listen on {taken}" in enricher.status()["degraded"][0]


def test_a_receiver_moves_to_another_port_and_a_taken_one_is_refused(
    tmp_path: Path, away: str
) -> None:
    config = workers_config(tmp_path, away)
    address = serve_http(config)
    moved = f"127.0.0.1:{free_port()}"
    with running(config) as enricher, grpc_destination() as taken:

        def move(to: str) -> None:
            def change(settings: dict[str, dict[str, dict[str, dict[str, object]]]]) -> None:
                settings["receivers"]["otlp"]["protocols"]["http"] = {"endpoint": to}

            edit(config, change)

        move(f"127.0.0.1:{taken.port}")
        reload(enricher, "failed")
        assert requests.get(f"http://{address}/", timeout=60).status_code == 404
        move(moved)
        reload(enricher, "applied")
        assert requests.get(f"http://{moved}/", timeout=60).status_code == 404
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{address}/", timeout=60)


def send_many(enricher: EnricherProcess, first: int, count: int) -> None:
    for number in range(first, first + count):
        send(enricher, number)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 2), (3, 1)])
def test_what_waits_is_delivered_by_another_number_of_workers(
    tmp_path: Path, away: str, before: int, after: int
) -> None:
    config = workers_config(tmp_path, away, before, shutdown_timeout="500ms")
    enricher = EnricherProcess(config)
    if before == 1:
        sent = 8
        send_many(enricher, 1, sent)
    else:
        sent = fill_all(enricher, before)
    assert enricher.stop() == 0

    set_workers(config, after)
    with grpc_destination(port=int(away.rpartition(":")[2])) as backend, running(config) as again:
        again.wait_until_empty()
        if before > after:
            wait_until(lambda: "is delivered" in again.log.read_text(), "nothing is adopted")
            wait_until(lambda: len(again.workers) == after, "a worker is left")
        books = again.status()["exporters"]["otlp_grpc"]["traces"]
        send(again, 5000)
        again.wait_until_empty()
        assert not again.status()["degraded"]

    assert books["recovered_items"] == sent == books["delivered_items"]
    assert sorted(set(numbers(backend))) == [*range(1, sent + 1), 5000]


def test_what_nothing_delivers_any_more_is_not_said_to_be_delivered(
    tmp_path: Path, away: str
) -> None:
    config = workers_config(tmp_path, away, 2, shutdown_timeout="500ms")
    enricher = EnricherProcess(config)
    fill_all(enricher, 2)
    assert enricher.stop() == 0

    set_workers(config, 1)
    edit(config, lambda s: s["service"]["pipelines"].pop("traces"))
    with running(config) as again:
        left = f"{again.data}/worker-2 holds requests of signals that have no pipeline"
        wait_until(lambda: left in again.log.read_text(), "nothing is said")
        wait_until(lambda: len(again.workers) == 1, "a worker is left")
        assert "worker-2 is delivered" not in again.log.read_text()
        assert f"{again.data}/traces holds requests" in again.log.read_text()
    assert any((again.data / "worker-2" / "traces").glob("*.segment"))


def test_with_one_worker_and_nothing_left_there_is_one_process(tmp_path: Path, away: str) -> None:
    with running(workers_config(tmp_path, away, 1)) as enricher:
        assert enricher.workers == []
        assert "genops_worker_ready{" not in enricher.get("/metrics")


def test_dead_letters_of_all_workers_are_listed(tmp_path: Path) -> None:
    def refuse(_number: int, _received: Received) -> HttpAnswer:
        return HttpAnswer(400)

    with http_destination(refuse) as backend:
        config = workers_config(tmp_path, f"http://127.0.0.1:{backend.port}", exporter="otlp_http")
        with running(config) as enricher:
            sent = fill_all(enricher)
            enricher.wait_until_empty()
        listed = subprocess.run(
            [
                *(sys.executable, "-m", "genops_enricher", "dead-letters", "list", "--json"),
                *("--config", str(config)),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    letters = [json.loads(line) for line in listed.stdout.splitlines()]
    assert sum(letter["items"] for letter in letters) == sent
    assert len({"worker-2" in letter["path"] for letter in letters}) == 2


@pytest.fixture
def unreadable(tmp_path: Path, away: str) -> Iterator[Path]:
    config = workers_config(tmp_path, away)
    (tmp_path / "data" / "worker-2").mkdir(parents=True)
    (tmp_path / "data" / "worker-2" / "traces").write_text("in the way")
    yield config


def test_a_worker_that_can_not_start_ends_the_start_with_its_reason(unreadable: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "genops_enricher", "run", "--config", str(unreadable)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("genops-enricher: can't use the queue folder")
    assert "worker-2/traces" in last
