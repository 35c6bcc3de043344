"""Connections to the enricher that break in every way take nothing down, and no other sender."""

from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
import pytest

from enricher_process import EnricherProcess, running, write_config
from fault_proxy import Fault, fault_proxy
from otlp import chat, request, span
from soak.fuzz import taking_everything

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CONNECTIONS, REQUESTS = 5, 4
# gRPC's own, for a header whose bytes were damaged on the way.
DAMAGED_HEADER = re.compile(
    r"^.* grpc\._cython\.cygrpc: Invalid encoding on .*\n"
    r"Traceback .*\n( .*\n)*UnicodeDecodeError: .*\n",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def enricher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnricherProcess]:
    folder = tmp_path_factory.mktemp("broken")
    with taking_everything() as port, running(write_config(folder, f"127.0.0.1:{port}")) as process:
        yield process


def requests_through(port: int) -> None:
    """Several at a time on several connections; what they are answered is the network's doing."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    payload = request(*(span(chat(), number=n) for n in range(20)))
    channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(CONNECTIONS)]
    packings = (grpc.Compression.Gzip, grpc.Compression.NoCompression)
    pending = [
        channel.unary_unary(TRACES, None, None).future(
            payload, timeout=0.5, compression=packings[number % 2]
        )
        for channel in channels
        for number in range(REQUESTS)
    ]
    for call in pending:
        call.exception()
    for channel in channels:
        channel.close()


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_it_goes_on_when_connections_break(enricher: EnricherProcess, fault: Fault) -> None:
    refused = 'genops_refused_requests_total{code="UNAVAILABLE"'
    with fault_proxy(int(enricher.grpc.rpartition(":")[2])) as proxy:
        proxy.set(fault)
        for _ in range(60):  # on a busy machine their time is over before they are connected
            requests_through(proxy.port)
            if proxy.struck[fault]:
                break

        assert proxy.struck[fault] > 0
    with grpc.insecure_channel(enricher.grpc) as channel:
        answer = channel.unary_unary(TRACES, None, None)(request(span(chat())), timeout=60)
    assert answer == b""
    assert enricher.metric(refused) == 0, "a failure of ours, or it took a broken one for overload"
    assert "Traceback" not in DAMAGED_HEADER.sub("", enricher.log.read_text())


def test_a_traceback_of_ours_is_not_taken_for_one_of_a_damaged_header() -> None:
    theirs = (
        "10:31:48.698Z ERROR   grpc._cython.cygrpc: Invalid encoding on b'grpc-pyt\\x90on'\n"
        "Traceback (most recent call last):\n"
        '  File "grpc_string.pyx.pxi", line 48, in grpc._cython.cygrpc._decode\n'
        "UnicodeDecodeError: 'utf-8' codec can't decode byte 0x90 in position 8\n"
    )
    ours = "ERROR receive: failed\nTraceback (most recent call last):\nUnicodeDecodeError: ours\n"

    assert DAMAGED_HEADER.sub("", theirs + theirs + ours) == ours
