"""The fault proxy does to a connection what its faults say."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fault_proxy import Fault, FaultProxy, fault_proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it is sent, and ends when its client ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(65536):
                        connection.sendall(data)
                except OSError:
                    pass

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with fault_proxy(echo) as proxy:
        yield proxy


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.LATENCY, Fault.SLOW_DRIP])
def test_bytes_arrive_as_they_were(proxy: FaultProxy, fault: Fault) -> None:
    data = bytes(range(256)) * 8
    with connected(proxy) as client:
        proxy.set(fault)
        client.sendall(data)

        assert received(client, len(data)) == data
    assert (proxy.struck[fault] > 0) is (fault is not Fault.NONE)


def test_the_end_of_a_connection_is_passed_on(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"x")
        assert received(client, 1) == b"x"
        client.shutdown(socket.SHUT_WR)

        assert client.recv(1) == b""


def test_a_reset_cuts_the_connection_in_the_middle(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        proxy.set(Fault.RESET)
        client.sendall(b"x" * 1000)

        with pytest.raises(ConnectionResetError):
            received(client, 1000)


def test_nothing_leaves_a_black_hole_even_after_it_is_gone(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"a")
        assert received(client, 1) == b"a"
        proxy.set(Fault.BLACK_HOLE)
        client.sendall(b"b")
        with connected(proxy) as other:  # goes the same way: by its answer `b` was swallowed
            other.sendall(b"c")
            while proxy.struck[Fault.BLACK_HOLE] < 2:
                pass
        proxy.set(Fault.NONE)
        client.sendall(b"d")
        client.settimeout(0.2)

        with pytest.raises(TimeoutError):
            client.recv(1)
    with connected(proxy) as fresh:
        fresh.sendall(b"e")
        assert received(fresh, 1) == b"e"


def test_after_a_half_close_no_answer_comes(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        proxy.set(Fault.HALF_CLOSE)
        client.sendall(b"x")

        assert client.recv(1) == b""


def test_corruption_changes_one_byte_of_a_piece(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        proxy.set(Fault.CORRUPTION)
        client.sendall(bytes(100))
        arrived = received(client, 100)

    assert 1 <= sum(byte != 0 for byte in arrived) <= proxy.struck[Fault.CORRUPTION]


def test_while_it_is_down_nobody_gets_in_and_afterwards_everybody(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"x")
        assert received(client, 1) == b"x"
        proxy.set(Fault.DOWN)

        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
    proxy.set(Fault.NONE)
    with connected(proxy) as client:
        client.sendall(b"y")
        assert received(client, 1) == b"y"


@pytest.mark.parametrize("last", [Fault.NONE, Fault.DOWN])
def test_connections_that_come_as_it_ends_leave_no_socket_open(last: Fault) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as target:
        for _ in range(10):
            with ExitStack() as held, warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                with fault_proxy(target.getsockname()[1]) as proxy:
                    for _ in range(5):
                        address = ("127.0.0.1", proxy.port)
                        held.enter_context(socket.create_connection(address, timeout=60))
                    proxy.set(last)
                gc.collect()

            assert [str(each.message) for each in seen] == []
