"""The sender and the sink of the benchmarks, with nothing between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.peers.load import Load
from bench.peers.run import Ends, ends
from bench.peers.workload import Stamper, Workload, template
from free_ports import free_port

WORKLOAD = Workload(spans=20)


@pytest.fixture(scope="module")
def both() -> Iterator[Ends]:
    with ends() as found:
        yield found


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_what_is_sent_arrives(both: Ends, protocol: str, gzip: bool) -> None:
    sink = both.sink
    target = (
        f"127.0.0.1:{sink.grpc_port}"
        if protocol == "grpc"
        else f"http://127.0.0.1:{sink.http_port}"
    )
    load = Load(target, template(WORKLOAD), 20, 0.5, spans_per_s=400.0, connections=2, gzip=gzip)

    sent = both.sender.send(load)
    taken = sink.taken()

    assert sent.spans == taken.spans == 200
    assert len(sent.answers_ns) == len(taken.delays_ns) == taken.requests == 10
    assert taken.priced == 0
    assert all(delay > 0 for delay in taken.delays_ns)


def test_a_rate_that_nobody_takes_ends_all_the_same(both: Ends) -> None:
    load = Load(f"127.0.0.1:{both.sink.grpc_port}", template(WORKLOAD), 20, 0.2, spans_per_s=1e8)

    sent = both.sender.send(load)

    assert 0 < sent.spans == both.sink.taken().spans < 1e8 * 0.2


def test_what_is_refused_for_good_is_an_error_and_the_sender_goes_on(both: Ends) -> None:
    grpc = f"127.0.0.1:{both.sink.grpc_port}"
    nowhere = Load(f"http://{grpc}", template(WORKLOAD), 20, 0.2)
    with pytest.raises(RuntimeError, match="the load could not be sent"):
        both.sender.send(nowhere)

    assert both.sender.send(Load(grpc, template(WORKLOAD), 20, 0.1, 400.0)).spans == 40
    both.sink.taken()


def test_a_server_that_is_gone_is_an_error(both: Ends) -> None:
    gone = Load(f"127.0.0.1:{free_port()}", template(WORKLOAD), 20, 0.2, patience_s=0.3)

    with pytest.raises(RuntimeError, match="was refused for"):
        both.sender.send(gone)


def test_no_two_connections_of_a_run_give_the_same_response_id() -> None:
    """A call with the id of another is priced as its duplicate, and the measurement fails."""
    one_call = template(Workload(spans=1))
    ids = {Stamper(one_call).request(0).partition(b"gen-")[2][:12] for _ in range(3_000)}

    assert len(ids) == 3_000
