"""SIGTERM, whenever it comes: what was acknowledged is kept, and what is left is said."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from destinations import GrpcAnswer, HttpAnswer, Received, grpc_destination, http_destination
from enricher_process import EnricherProcess, running, write_config
from free_ports import free_port
from life import (
    WAIT_S,
    arrived,
    edit,
    numbers,
    overlay,
    reload,
    reloads,
    send,
    set_header,
    wait_until,
)

LEFT = "otlp_grpc (traces): 5 items are not delivered yet; they are kept in"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
BIG = 4000  # models of an overlay that takes a second and more to read


@pytest.fixture
def port() -> int:
    return free_port()


def fill(enricher: EnricherProcess) -> None:
    for number in range(1, 6):
        send(enricher, number)


def assert_all_arrive(config: Path, port: int) -> None:
    """After another start, with the destination there."""
    edit(config, lambda s: s["exporters"]["otlp_grpc"].update(endpoint=f"127.0.0.1:{port}"))
    with running(config) as enricher:
        enricher.wait_until_empty()


def has_held_signals(enricher: EnricherProcess) -> bool:
    """Whether the process has come to where SIGTERM waits to be taken."""
    status = Path(f"/proc/{enricher.pid}/status").read_text()
    blocked = next(line for line in status.splitlines() if line.startswith("SigBlk:"))
    return bool(int(blocked.split()[1], 16) & 1 << signal.SIGTERM - 1)


@pytest.fixture
def starting(tmp_path: Path, port: int) -> Iterator[EnricherProcess]:
    """A process that is busy reading a large overlay before it is ready."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to see how far a start is")
    config = write_config(tmp_path, f"127.0.0.1:{port}")
    (tmp_path / "prices.yaml").write_text(overlay("10", BIG))
    edit(config, lambda s: s.update(enrichment={"overlays": ["prices.yaml"]}))
    enricher = EnricherProcess(config, wait=False)
    try:
        wait_until(lambda: has_held_signals(enricher), "the process does not start")
        yield enricher
    finally:
        enricher.kill()


def test_what_is_left_at_the_end_of_the_time_is_said_and_goes_out_after_the_next_start(
    tmp_path: Path, port: int
) -> None:
    config = write_config(tmp_path, f"127.0.0.1:{port}", shutdown_timeout="1s")
    enricher = EnricherProcess(config)
    fill(enricher)

    assert enricher.stop() == 0
    assert (
        "SIGTERM: stopping; what is queued is delivered for up to 1 s" in enricher.log.read_text()
    )
    assert LEFT in enricher.log.read_text()
    with grpc_destination() as backend:
        assert_all_arrive(config, backend.port)
        assert sorted(numbers(backend)) == [1, 2, 3, 4, 5]


def test_a_second_sigterm_ends_the_process_at_once_and_loses_nothing(
    tmp_path: Path, port: int
) -> None:
    config = write_config(tmp_path, f"127.0.0.1:{port}", shutdown_timeout="10m")
    enricher = EnricherProcess(config)
    fill(enricher)
    enricher.terminate()
    wait_until(lambda: "SIGTERM: stopping" in enricher.log.read_text(), "no stop begins")
    enricher.terminate()

    assert enricher.wait() == -signal.SIGTERM
    with grpc_destination() as backend:
        assert_all_arrive(config, backend.port)
        assert sorted(numbers(backend)) == [1, 2, 3, 4, 5]


def test_sigterm_during_the_start_ends_it_in_order(starting: EnricherProcess) -> None:
    starting.terminate()

    assert starting.wait() == 0
    assert "Traceback" not in starting.log.read_text()


def test_a_second_sigterm_during_the_start_ends_the_process_at_once(
    starting: EnricherProcess,
) -> None:
    starting.terminate()
    wait_until(lambda: not has_held_signals(starting), "the first one is not taken")
    starting.terminate()

    assert starting.wait() == -signal.SIGTERM


def test_sighup_during_the_start_is_a_reload_after_it(starting: EnricherProcess) -> None:
    starting.hang_up()
    starting.wait_until_ready()

    wait_until(lambda: reloads(starting, "unchanged") == 1, "the signal was lost")
    assert starting.stop() == 0


def test_a_start_that_fails_says_why_and_ends(tmp_path: Path) -> None:
    with grpc_destination() as taken:
        config = write_config(tmp_path, "127.0.0.1:9")
        endpoint = f"127.0.0.1:{taken.port}"
        edit(
            config,
            lambda s: s["receivers"]["otlp"]["protocols"]["grpc"].update(endpoint=endpoint),
        )
        enricher = EnricherProcess(config, wait=False)

        assert enricher.wait() == 1
        log = enricher.log.read_text()
        assert f"grpc.endpoint: can't listen on {endpoint}" in log
        assert "Traceback" not in log


def test_sigterm_while_a_large_overlay_is_read_does_not_wait_for_it(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}")
        prices = tmp_path / "prices.yaml"
        prices.write_text(overlay("10"))
        edit(config, lambda s: s.update(enrichment={"overlays": ["prices.yaml"]}))
        enricher = EnricherProcess(config)
        prices.write_text(overlay("10", BIG))
        enricher.hang_up()
        wait_until(lambda: bool(children(enricher)), "no process reads the overlay")
        send(enricher, 1)
        (reader,) = children(enricher)

        assert enricher.stop() == 0
        assert arrived(backend, 1)["genops.cost.status"] == "priced"
        assert "Traceback" not in enricher.log.read_text()
        wait_until(lambda: not Path(f"/proc/{reader}").exists(), "the reading process goes on")


def test_sigterm_while_parts_are_replaced_loses_nothing(tmp_path: Path) -> None:
    """An attempt that hangs makes the replacement take its time."""
    stopped = threading.Event()

    def hang(_number: int, _request: Received) -> GrpcAnswer:
        stopped.wait(WAIT_S)
        return GrpcAnswer()

    with grpc_destination(hang) as slow:
        config = write_config(tmp_path, f"127.0.0.1:{slow.port}", shutdown_timeout="1s")
        enricher = EnricherProcess(config)
        fill(enricher)
        wait_until(lambda: bool(slow.received), "nothing is sent")
        edit(config, lambda s: set_header(s, "new"))
        enricher.hang_up()
        wait_until(lambda: enricher.state() == "reloading", "the reload does not begin")

        assert enricher.stop() == 0
        stopped.set()
        assert "Traceback" not in enricher.log.read_text()
    with grpc_destination() as backend:
        assert_all_arrive(config, backend.port)
        assert {1, 2, 3, 4, 5} <= set(numbers(slow)) | set(numbers(backend))


def children(enricher: EnricherProcess) -> list[int]:
    """The processes that it has started."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to see which processes there are")
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == enricher.pid:
            found.append(int(stat.parent.name))
    return found


def test_at_a_stop_nothing_waits_for_others_even_beside_a_destination_that_is_away(
    tmp_path: Path, port: int
) -> None:
    """What waits in memory would be lost."""
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{port}", shutdown_timeout="10s")

        def add(settings: Any) -> None:
            settings["exporters"]["otlp_grpc/joining"] = {
                "endpoint": f"127.0.0.1:{backend.port}",
                "tls": {"insecure": True},
                "sending_queue": {"storage": "memory", "batch": {"flush_timeout": "1h"}},
            }
            settings["service"]["pipelines"]["traces"]["exporters"].append("otlp_grpc/joining")

        edit(config, add)
        enricher = EnricherProcess(config)
        fill(enricher)
        assert numbers(backend) == []

        assert enricher.stop(timeout_s=60) == 0
        assert sorted(numbers(backend)) == [1, 2, 3, 4, 5]
        assert LEFT in enricher.log.read_text()


@contextmanager
def hanging(protocol: str) -> Iterator[tuple[str, threading.Event]]:
    """A destination that answers nothing: its endpoint, and whether a request came."""
    reached, ended = threading.Event(), threading.Event()

    def hang(_number: int, _received: Received) -> Any:
        reached.set()
        ended.wait(10 * WAIT_S)
        return GrpcAnswer() if protocol == "otlp_grpc" else HttpAnswer()

    over_grpc = protocol == "otlp_grpc"
    with grpc_destination(hang) if over_grpc else http_destination(hang) as destination:
        try:
            yield f"{'' if over_grpc else 'http://'}127.0.0.1:{destination.port}", reached
        finally:
            ended.set()


def direct(endpoint: str) -> dict[str, Any]:
    """An exporter without a queue, whose attempts take longer than any test."""
    return {
        "endpoint": endpoint,
        "tls": {"insecure": True},
        "timeout": "10m",
        "sending_queue": {"storage": "none"},
    }


@pytest.mark.parametrize("protocol", ["otlp_grpc", "otlp_http"])
def test_at_a_stop_a_destination_that_hangs_without_a_queue_leaves_time_for_the_others(
    tmp_path: Path, protocol: str
) -> None:
    records = ExportLogsServiceRequest()
    records.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    with grpc_destination() as backend, hanging(protocol) as (endpoint, reached):
        config = write_config(
            tmp_path,
            f"127.0.0.1:{backend.port}",
            shutdown_timeout="20s",
            more={"sending_queue": {"storage": "memory", "batch": {"flush_timeout": "1h"}}},
        )

        def add(settings: Any) -> None:
            settings["exporters"][f"{protocol}/direct"] = direct(endpoint)
            settings["service"]["pipelines"]["logs"]["exporters"] = [f"{protocol}/direct"]

        edit(config, add)
        enricher = EnricherProcess(config)
        fill(enricher)
        with grpc.insecure_channel(enricher.grpc) as channel:
            call = channel.unary_unary(LOGS, None, None)
            waiting = call.future(records.SerializeToString(), timeout=WAIT_S)
            assert reached.wait(WAIT_S)

            assert enricher.stop(timeout_s=60) == 0
            waiting.exception()
            code = waiting.code()

        assert code is grpc.StatusCode.UNAVAILABLE
        assert sorted(numbers(backend)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("protocol", ["otlp_grpc", "otlp_http"])
def test_a_stop_and_a_reload_do_not_wait_for_costs_that_hang_in_a_destination_without_a_queue(
    tmp_path: Path, protocol: str
) -> None:
    with grpc_destination() as backend, hanging(protocol) as (endpoint, reached):
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}", shutdown_timeout="10s")

        def add(settings: Any) -> None:
            settings["exporters"][f"{protocol}/direct"] = direct(endpoint)
            settings["service"]["pipelines"]["metrics"]["exporters"] = [f"{protocol}/direct"]
            settings["enrichment"] = {"metrics": {"export_interval": "200ms"}}

        edit(config, add)
        enricher = EnricherProcess(config)
        try:
            send(enricher, 1)
            assert reached.wait(WAIT_S)
            edit(config, lambda s: set_header(s, "new"))
            reload(enricher, "applied")
            send(enricher, 2)

            assert enricher.stop(timeout_s=WAIT_S) == 0
            assert sorted(numbers(backend)) == [1, 2]
        finally:
            enricher.kill()
