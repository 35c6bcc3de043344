"""Where requests wait: the process as a whole, on disks and with settings of every kind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import yaml

from destinations import GRPC_SERVICES, GrpcAnswer, grpc_destination
from disks import mounted
from enricher_process import EnricherProcess, running, write_config
from free_ports import free_port
from genops_enricher.pipeline import Signal
from otlp import chat, request, span, spans_of

WAIT_S = 60.0


def send(address: str, number: int, *, padding: int = 0) -> None:
    """One request of one span over gRPC; an error of gRPC if it is refused."""
    payload = request(span(chat() | {"padding": "x" * padding}, number=number))
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(
            f"/{GRPC_SERVICES[Signal.TRACES]}/Export",
            request_serializer=None,
            response_deserializer=None,
        )(payload, timeout=WAIT_S)


def numbers(payloads: list[bytes]) -> set[int]:
    """Which of the spans that `send` sent are there."""
    return {
        int.from_bytes(sent.span_id, "big") for payload in payloads for sent in spans_of(payload)
    }


def degraded(process: EnricherProcess) -> list[str]:
    reasons: list[str] = process.status()["degraded"]
    return reasons


def eventually(holds: object, what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


def nobody() -> str:
    return f"127.0.0.1:{free_port()}"


def test_memory_is_delivered_at_a_stop_and_lost_at_one_without_a_destination(
    tmp_path: Path,
) -> None:
    more = {"sending_queue": {"storage": "memory"}}
    with grpc_destination() as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}", more=more)
        with running(config) as process:
            for number in range(1, 6):
                send(process.grpc, number)
        assert numbers(destination.payloads) == {1, 2, 3, 4, 5}
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["lock"]

    config = write_config(tmp_path, nobody(), more=more, shutdown_timeout="1s")
    with running(config) as process:
        for number in range(1, 6):
            send(process.grpc, number)
        assert process.metric("genops_exporter_queued_items{") == 5
    log = process.log.read_text()
    assert "otlp_grpc (traces): 5 items lost: their queue ends" in log
    assert "they are kept" not in log


def test_one_dead_of_two_in_memory_does_not_delay_the_other_until_its_bound(
    tmp_path: Path,
) -> None:
    with grpc_destination() as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}")
        settings = yaml.safe_load(config.read_text())
        settings["exporters"]["otlp_grpc/dead"] = {
            "endpoint": nobody(),
            "tls": {"insecure": True},
            "sending_queue": {"storage": "memory", "queue_size": "1MiB"},
        }
        settings["service"]["shutdown_timeout"] = "1s"
        settings["service"]["pipelines"] = {
            "traces": {"receivers": ["otlp"], "exporters": ["otlp_grpc", "otlp_grpc/dead"]}
        }
        config.write_text(yaml.safe_dump(settings))
        with running(config) as process:
            sent = 0
            with pytest.raises(grpc.RpcError) as caught:
                while sent < 50:
                    send(process.grpc, sent + 1, padding=100_000)
                    sent += 1

            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert 8 <= sent <= 10
            eventually(lambda: len(numbers(destination.payloads)) == sent, "the living one waits")
            (reason,) = degraded(process)
            assert reason.startswith("otlp_grpc/dead (traces): its queue is full (1048576 bytes)")


def test_what_waited_too_long_is_given_up_while_it_is_tried(tmp_path: Path) -> None:
    more = {"sending_queue": {"max_age": "300ms", "num_consumers": 1}}
    config = write_config(tmp_path, nobody(), more=more)
    with running(config) as process:
        for number in range(1, 6):
            send(process.grpc, number)
        expired = 'genops_exporter_dropped_items_total{exporter="otlp_grpc",reason="expired"'
        eventually(lambda: process.metric(expired) == 5, "not expired")
        assert process.metric("genops_exporter_queued_items{") == 0
    log = process.log.read_text()
    assert "they waited longer than sending_queue.max_age" in log
    assert sum(map(int, re.findall(r"(\d+) (?:more )?items lost", log))) == 5


def test_an_old_queue_folder_is_delivered_after_the_upgrade(tmp_path: Path) -> None:
    old = Path(__file__).parents[1] / "enricher" / "queue" / "format_1" / "traces"
    with grpc_destination() as destination:
        config = write_config(
            tmp_path,
            f"127.0.0.1:{destination.port}",
            exporter="otlp_grpc/a",
            more={"tls": {"insecure": True}},
        )
        shutil.copytree(old, tmp_path / "data" / "traces")
        with running(config) as process:
            process.wait_until_empty()
        sent = b"".join(destination.payloads)
    # They are no OTLP: that they arrive as the bytes that they were is the point.
    for number in (3, 6, *range(9, 21)):
        assert b"request %d|" % number in sent
    assert sent.count(b"request") == 14
    assert not list((tmp_path / "data" / "traces").glob("*.segment"))


def test_a_queue_of_garbage_is_no_crash_loop(tmp_path: Path) -> None:
    data = tmp_path / "data" / "traces"
    with grpc_destination() as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}")
        with running(config) as process:
            send(process.grpc, 1)
        for number in range(10, 15):
            (data / f"{number:016d}.segment").write_bytes(os.urandom(100_000))
        (position,) = data.glob("*.position")
        position.write_bytes(os.urandom(8192))
        for start in range(2, 5):
            with running(config) as process:
                send(process.grpc, start)
                process.wait_until_empty()
                (reason,) = degraded(process)
                assert reason.startswith("traces: 5 damaged ranges of the queue")
        assert numbers(destination.payloads) == {1, 2, 3, 4}


def test_a_full_disk_refuses_loses_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    gate = threading.Event()

    def answer(_number: int, _request: object) -> GrpcAnswer:
        return GrpcAnswer() if gate.is_set() else GrpcAnswer(grpc.StatusCode.UNAVAILABLE)

    with mounted(tmp_path / "data", "4m") as disk, grpc_destination(answer) as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}")
        with running(config) as process:
            acknowledged: set[int] = set()
            refusal = None
            for number in range(1, 200):
                try:
                    send(process.grpc, number, padding=100_000)
                except grpc.RpcError as error:
                    refusal = error
                    break
                acknowledged.add(number)
            assert refusal is not None
            assert refusal.code() is grpc.StatusCode.UNAVAILABLE
            assert "No space left on device" in (refusal.details() or "")
            (reason,) = degraded(process)
            assert reason.startswith(f"traces: can't write to {disk}/traces: No space left")
            process.kill()  # with a disk that is full to the last byte

        with running(config) as process:
            gate.set()
            process.wait_until_empty()
            send(process.grpc, 1000, padding=100_000)
            process.wait_until_empty()
            assert degraded(process) == []
        assert acknowledged | {1000} <= numbers(destination.payloads)


def fill_up(disk: Path) -> Path:
    """Take all that is left of a disk, to the last byte; remove the file to give it back."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return filler


def test_a_start_on_a_full_disk_delivers_what_waits_and_takes_more_when_there_is_room(
    tmp_path: Path,
) -> None:
    """Else it would never start again: only what is delivered makes room."""
    gate = threading.Event()

    def answer(_number: int, _request: object) -> GrpcAnswer:
        return GrpcAnswer() if gate.is_set() else GrpcAnswer(grpc.StatusCode.UNAVAILABLE)

    with mounted(tmp_path / "data", "4m") as disk, grpc_destination(answer) as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}")
        with running(config) as process:
            send(process.grpc, 1, padding=100_000)
            fill_up(disk)
            process.kill()

        with running(config) as process:
            with pytest.raises(grpc.RpcError) as refusal:
                send(process.grpc, 2, padding=1_000_000)
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            (reason,) = degraded(process)
            assert reason.startswith(f"traces: can't write to {disk}/traces: No space left")
            gate.set()
            process.wait_until_empty()
            assert numbers(destination.payloads) == {1}
            send(process.grpc, 3)
            process.wait_until_empty()

            assert degraded(process) == []
            assert numbers(destination.payloads) == {1, 3}


def test_a_disk_that_becomes_read_only_refuses_and_goes_on_when_it_is_repaired(
    tmp_path: Path,
) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(tmp_path / "data")], check=True)

    with mounted(tmp_path / "data", "16m"), grpc_destination() as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}")
        with running(config) as process:
            send(process.grpc, 1)
            process.wait_until_empty()
            process.kill()
        remount("ro")
        refused = EnricherProcess(config, wait=False)
        assert refused._process.wait(WAIT_S) == 1
        assert "Read-only file system" in process.log.read_text()

        remount("rw")
        with running(config) as process:
            send(process.grpc, 2)
            process.wait_until_empty()
        assert numbers(destination.payloads) == {1, 2}


def test_every_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        config = write_config(tmp_path, nobody(), shutdown_timeout="1s")
        with running(config) as process:
            send(process.grpc, 1)
    finally:
        os.umask(old)

    for path in (tmp_path / "data").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_many_senders_on_a_slow_disk_wait_and_lose_nothing(tmp_path: Path) -> None:
    """Each sync takes long; requests that come meanwhile share the next one."""
    slow = tmp_path / "slow_sync.py"
    slow.write_text(
        "import os, sys, time\n"
        "import genops_enricher.cli\n"
        "from genops_enricher.queue import SignalQueue\n"
        "def sync(descriptor):\n"
        "    time.sleep(0.2)\n"
        "    os.fsync(descriptor)\n"
        "SignalQueue.__init__.__kwdefaults__['sync'] = sync\n"
        "sys.exit(genops_enricher.cli.main(sys.argv[4:]))\n"
    )
    with grpc_destination() as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}")
        with (
            running(config, under=[sys.executable, str(slow)]) as process,
            ThreadPoolExecutor(16) as pool,
        ):
            list(pool.map(lambda n: send(process.grpc, n), range(1, 101)))
            process.wait_until_empty()
    assert numbers(destination.payloads) == set(range(1, 101))
