"""A TCP proxy on loopback that does to connections what networks do.

Decides what becomes of bytes on their way; knows no protocol and gives no answers of its own. What
a destination answers is the business of the destination behind it.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

LATENCY_S = 0.2
DRIP_BYTES, DRIP_PAUSE_S = 512, 0.01
_CHUNK_BYTES = 1 << 16


class Fault(StrEnum):
    """What happens to connections from now on, those that are open included."""

    NONE = "none"
    LATENCY = "latency"  # every piece arrives late
    RESET = "reset"  # half of what a client sends arrives, then the connection is reset
    BLACK_HOLE = "black hole"  # nothing arrives any more, and nobody is told
    HALF_CLOSE = "half close"  # what the client sends arrives; its answers end
    SLOW_DRIP = "slow drip"  # a few bytes at a time
    CORRUPTION = "corruption"  # one byte of each piece changes
    DOWN = "down"  # open connections are reset, new ones refused


class _BrokenError(Exception):
    """The connection ends here."""


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    dark: bool = False  # a stream with a hole in it must never go on
    answers_ended: bool = False

    async def write(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        if not (self.answers_ended and sink is self.client):
            sink.write(data)
            await sink.drain()

    def end_answers(self) -> None:
        if not self.answers_ended and not self.client.transport.is_closing():
            self.answers_ended = True
            self.client.write_eof()

    def reset(self) -> None:
        for writer in (self.client, self.server):
            endpoint = writer.get_extra_info("socket")
            with suppress(OSError):  # it is closed already
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class FaultProxy:
    """Listens on `port` and passes bytes to and from `target_port`. Thread safe.

    `struck` counts how often each fault hit a connection.
    """

    def __init__(self, target_port: int, *, seed: int = 0) -> None:
        self.port = 0
        self.struck: Counter[Fault] = Counter()
        self._target_port = target_port
        self._random = random.Random(seed)
        self._fault = Fault.NONE
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy")
        self._thread.start()
        self._call(self._listen())

    def set(self, fault: Fault) -> None:
        """Let `fault` happen until another is set; returns when it does."""
        self._call(self._set(fault))

    def close(self) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def _call(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.DOWN and self._server is not None:
            await self._stop_listening()
            self.struck[fault] += 1
            for connection in self._connections:
                connection.reset()
        elif fault is not Fault.DOWN and self._server is None:
            await self._listen()

    async def _close(self) -> None:
        await self._stop_listening()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._turns()  # a transport closes its socket in a later turn

    async def _stop_listening(self) -> None:
        """First nothing new, then what was accepted becomes a connection, and only then the end.

        asyncio forgets a socket that it has accepted if the server is closed, or its own task
        cancelled, before there is a transport for it.
        """
        if self._server is not None:
            for listener in self._server.sockets:
                self._loop.remove_reader(listener.fileno())
            await self._turns()
            self._server.close()
            self._server = None

    async def _turns(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def _accept(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._accepted(from_client, client))
        self._tasks.add(task)

        def end(task: asyncio.Task[None]) -> None:  # also where the task never began
            client.transport.abort()
            self._tasks.discard(task)

        task.add_done_callback(end)

    async def _accepted(
        self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            return
        connection = _Connection(client, server)
        self._connections.add(connection)
        ways = [
            asyncio.ensure_future(self._pass(connection, from_client, server, asks=True)),
            asyncio.ensure_future(self._pass(connection, from_server, client, asks=False)),
        ]
        try:
            await asyncio.gather(*ways)
        except (OSError, _BrokenError, asyncio.CancelledError):
            pass
        finally:
            # First: the wait may be cancelled too, when the proxy is closed.
            server.transport.abort()
            self._connections.discard(connection)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(
        self,
        connection: _Connection,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        asks: bool,
    ) -> None:
        while data := await source.read(_CHUNK_BYTES):
            fault = self._fault
            if fault is not Fault.NONE:
                self.struck[fault] += 1
            if fault is Fault.BLACK_HOLE:
                connection.dark = True
            if connection.dark:
                continue
            if fault is Fault.RESET and asks:
                await connection.write(sink, data[: len(data) // 2])
                connection.reset()
                raise _BrokenError
            if fault is Fault.HALF_CLOSE and asks:
                connection.end_answers()
            if fault is Fault.LATENCY:
                await asyncio.sleep(LATENCY_S)
            if fault is Fault.CORRUPTION:
                at = self._random.randrange(len(data))
                changed = data[at] ^ self._random.randrange(1, 256)
                data = data[:at] + bytes([changed]) + data[at + 1 :]
            if fault is Fault.SLOW_DRIP:
                for at in range(0, len(data), DRIP_BYTES):
                    await connection.write(sink, data[at : at + DRIP_BYTES])
                    await asyncio.sleep(DRIP_PAUSE_S)
            else:
                await connection.write(sink, data)
        if asks:
            sink.write_eof()
        else:
            connection.end_answers()


@contextmanager
def fault_proxy(target_port: int, *, seed: int = 0) -> Iterator[FaultProxy]:
    proxy = FaultProxy(target_port, seed=seed)
    try:
        yield proxy
    finally:
        proxy.close()
