"""What was acknowledged arrives, whatever happens to the process in between."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from pathlib import Path

import grpc
import pytest

from enricher_process import EnricherProcess, running, write_config
from free_ports import free_port
from genops_enricher.demo.sink import Sink
from heavy import require
from otlp import chat, request, span

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def export(channel: grpc.Channel, payload: bytes) -> bytes:
    answer: bytes = channel.unary_unary(TRACES, None, None)(
        payload, timeout=60, wait_for_ready=True
    )
    return answer


def test_after_a_sigkill_every_acknowledged_span_arrives(tmp_path: Path) -> None:
    port = free_port()  # where the backend will be, later
    config = write_config(tmp_path, f"127.0.0.1:{port}")
    enricher = EnricherProcess(config)
    with grpc.insecure_channel(enricher.grpc) as channel:
        for number in range(20):
            assert export(channel, request(span(chat(), number=number))) == b""
    enricher.kill()

    with running(config) as restarted, Sink(grpc_port=port) as backend:
        arrived = backend.wait_for_spans(20, timeout_s=60)

        assert restarted.metric("genops_exporter_recovered_items{") == 20
    assert {s.span_id for s in arrived} == {f"{n:016x}" for n in range(20)}
    assert all(s.attributes["genops.cost.total"] == 0.0035 for s in arrived)


def test_the_same_export_sent_twice_is_priced_twice_the_same(tmp_path: Path) -> None:
    with Sink() as backend, running(write_config(tmp_path, backend.grpc_endpoint)) as enricher:
        with grpc.insecure_channel(enricher.grpc) as channel:
            for _ in range(2):
                export(channel, request(span(chat())))
        first, second = backend.wait_for_spans(2)

    assert first == second
    assert first.attributes["genops.cost.status"] == "priced"


def test_a_stop_drains_the_queue_and_the_books_balance(tmp_path: Path) -> None:
    with Sink() as backend:
        config = write_config(tmp_path, backend.grpc_endpoint)
        backend.fail_next(3)
        enricher = EnricherProcess(config)
        with grpc.insecure_channel(enricher.grpc) as channel:
            for number in range(50):
                export(channel, request(span(chat(), number=number)))
        accepted = enricher.metric('genops_exporter_accepted_items_total{exporter="otlp_grpc"')
        assert enricher.stop() == 0

        assert accepted == 50
        assert len({s.span_id for s in backend.spans}) == 50


def test_a_stop_with_the_backend_down_says_what_is_left_and_delivers_it_later(
    tmp_path: Path,
) -> None:
    port = free_port()
    config = write_config(tmp_path, f"127.0.0.1:{port}", shutdown_timeout="500ms")
    enricher = EnricherProcess(config)
    with grpc.insecure_channel(enricher.grpc) as channel:
        export(channel, request(span(chat()), span(chat(), number=2)))
    assert enricher.stop() == 0

    assert "2 items are not delivered yet" in enricher.log.read_text()
    with running(config), Sink(grpc_port=port) as backend:
        backend.wait_for_spans(2, timeout_s=60)


def test_a_second_enricher_on_the_same_data_folder_says_who_holds_it(tmp_path: Path) -> None:
    config = write_config(tmp_path, "127.0.0.1:9")
    with running(config):
        other = tmp_path / "other"
        other.mkdir()
        second = write_config(other, "127.0.0.1:9")
        second.write_text(second.read_text().replace(str(other / "data"), str(tmp_path / "data")))

        with pytest.raises(RuntimeError, match=r"is in use by process [0-9]+"):
            EnricherProcess(second)


# ---- every acknowledgement follows a sync -------------------------------------------------------

CONNECTIONS, REQUESTS = 4, 15
MARKER = re.compile(r"sync-proof-(\d+)-(\d+)!")


@pytest.mark.heavy
def test_every_acknowledgement_follows_a_sync_of_what_it_acknowledges(tmp_path: Path) -> None:
    """Watched from outside, by the system calls of the process.

    The page cache survives a SIGKILL, so no kill can reveal a missing sync.
    """
    require("strace", reason="traces system calls; on Debian: apt install strace")
    trace = tmp_path / "strace.txt"
    calls = "write,writev,pwrite64,fdatasync,fsync,sendmsg,recvmsg"
    # -DD: the tracer detaches itself, so that signals reach the enricher and only it.
    under = ["strace", "-DD", "-f", "-xx", "-s", "6000", "-e", f"trace={calls}", "-o", str(trace)]
    with Sink() as backend:
        config = write_config(tmp_path, backend.grpc_endpoint, more={"compression": "none"})
        with running(config, under=under) as enricher:
            threads = [
                threading.Thread(target=send_marked, args=(enricher.grpc, connection))
                for connection in range(CONNECTIONS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    lines = finished_trace(trace)
    assert unsynced_acknowledgements(lines) == []
    without_syncs = [line for line in lines if "sync(" not in line and "sync resumed" not in line]
    assert len(unsynced_acknowledgements(without_syncs)) == CONNECTIONS * REQUESTS


def send_marked(target: str, connection: int) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    with grpc.insecure_channel(target, options=options) as channel:
        for number in range(REQUESTS):
            marked = chat() | {"app.marker": f"sync-proof-{connection}-{number}!"}
            export(channel, request(span(marked, number=number)))


def finished_trace(trace: Path) -> list[str]:
    """The lines of a trace whose process has ended: the tracer writes the last ones after that."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        lines = trace.read_text().splitlines()
        if lines and "+++ exited with" in lines[-1]:
            return lines
        time.sleep(0.05)
    raise TimeoutError(f"{trace} has no end")


def unsynced_acknowledgements(lines: list[str]) -> list[str]:
    """The markers whose answer left before a sync that began after their write had ended.

    An answer is told by its HTTP/2 stream: clients number their streams 1, 3, 5…, and each
    connection here sends one request after the other, so request n is stream 2n + 1.
    """
    socket_of: dict[str, str] = {}  # connection -> descriptor that its requests arrive at
    synced: set[str] = set()
    written: dict[str, set[str]] = defaultdict(set)  # descriptor -> markers written, not synced
    syncing: dict[str, tuple[str, set[str]]] = {}  # thread -> descriptor and markers it will sync
    unfinished: dict[str, str] = {}
    answered: dict[str, bool] = {}
    for line in lines:
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            call = call.removesuffix("<unfinished ...>")
            if (sync := re.match(r"f(?:data)?sync\((\d+)", call)) is not None:
                syncing[thread] = (sync[1], set(written[sync[1]]))
            unfinished[thread] = call
            if not call.startswith("sendmsg"):
                continue
        elif call.startswith("<..."):
            start = unfinished.pop(thread, "")
            call = start + call.partition("resumed>")[2]
            if start.startswith("sendmsg"):
                continue  # counted when it began: the earliest that it can have left
        name, _, rest = call.partition("(")
        descriptor = re.match(r"\d+", rest)
        if descriptor is None:
            continue
        data = bytes.fromhex("".join(re.findall(r"\\x([0-9a-f]{2})", rest)))
        markers = {f"{c}-{n}" for c, n in MARKER.findall(data.decode("latin-1"))}
        if name == "recvmsg":
            for marker in markers:
                socket_of.setdefault(marker.partition("-")[0], descriptor[0])
        elif name in ("write", "writev", "pwrite64"):
            written[descriptor[0]] |= markers
        elif name in ("fdatasync", "fsync") and rest.rstrip().endswith("= 0"):
            _, safe = syncing.pop(thread, (descriptor[0], set(written[descriptor[0]])))
            synced |= safe
            written[descriptor[0]] -= safe
        elif name == "sendmsg":
            for connection, fd in socket_of.items():
                if fd == descriptor[0]:
                    for stream in streams_of(data):
                        marker = f"{connection}-{(stream - 1) // 2}"
                        answered.setdefault(marker, marker in synced)
    assert len(answered) == CONNECTIONS * REQUESTS, "the trace does not show every answer"
    return [marker for marker, safe in answered.items() if not safe]


def streams_of(data: bytes) -> set[int]:
    """The streams of the HEADERS and DATA frames in what a server sends (RFC 9113, section 4.1)."""
    streams, at = set(), 0
    while at + 9 <= len(data):
        length, kind = int.from_bytes(data[at : at + 3]), data[at + 3]
        stream = int.from_bytes(data[at + 5 : at + 9]) & 0x7FFFFFFF
        if kind in (0, 1) and stream:
            streams.add(stream)
        at += 9 + length
    return streams


def test_the_reader_of_frames_reads_streams() -> None:
    settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    headers = bytes([0, 0, 2, 1, 4, 0, 0, 0, 5]) + b"ab"

    assert streams_of(settings + headers) == {5}
