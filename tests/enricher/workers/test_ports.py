"""The port is the workers' alone, whoever else asks for it and however."""

from __future__ import annotations

import socket
import sys

import pytest

from genops_enricher.errors import StartError
from genops_enricher.workers.ports import Ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


def listen(address: str, *, share: bool) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_server((host, int(port)), reuse_port=share)


def test_those_who_share_get_it_and_nobody_else() -> None:
    ports = Ports()
    address = ports.keep({"grpc": "127.0.0.1:0"})["grpc"]

    with pytest.raises(OSError, match="in use"):
        listen(address, share=False)  # also while no worker runs
    with listen(address, share=True), listen(address, share=True):
        with pytest.raises(OSError, match="in use"):
            listen(address, share=False)
        with pytest.raises(StartError, match=f"grpc: can't listen on {address}: Address already"):
            Ports().keep({"grpc": address})
    ports.keep_only({})

    listen(address, share=False).close()


def test_two_that_may_be_any_are_two() -> None:
    ports = Ports()
    any_port = {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"}
    first = ports.keep(any_port)

    assert first["grpc"] != first["http"]
    assert ports.keep(any_port) == first
    ports.keep_only({})


def test_nobody_is_connected_to_the_one_that_only_keeps_it() -> None:
    ports = Ports()
    address = ports.keep({"grpc": "127.0.0.1:0"})["grpc"]

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
    ports.keep_only({})


def test_others_are_kept_only_if_all_can_be() -> None:
    ports, free = Ports(), Ports()
    one = free.keep({"a": "127.0.0.1:0"})["a"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        two = f"127.0.0.1:{taken.getsockname()[1]}"
        free.keep_only({})
        with pytest.raises(StartError):
            ports.keep({"grpc": one, "http": two})

    listen(one, share=False).close()


def test_a_name_that_stands_for_two_addresses_is_kept_on_those_that_there_are() -> None:
    ports = Ports()
    address = ports.keep({"grpc": "localhost:0"})["grpc"]
    assert address.startswith("localhost:")

    with pytest.raises(OSError, match="in use"):
        listen(address.replace("localhost", "127.0.0.1"), share=False)
    ports.keep_only({})
