"""How the enricher is: the state that it is in, and who is told of it.

Over HTTP the pages of `health_pages` tell it to people, probes and Prometheus; over gRPC the
standard health service tells it to probes.

Degraded is not unready: spans are accepted and kept, but a person has to act, as for a destination
that refuses the key. To take such an enricher out of service would only move the trouble.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

__all__ = ["Health", "State", "grpc_health"]


class State(StrEnum):
    """Where the service is in its life."""

    STARTING = "starting"
    READY = "ready"
    RELOADING = "reloading"
    RESTARTING = "restarting"
    DRAINING = "draining"


class Health:
    """The state of the service, told to whoever asks or listens. Thread safe."""

    def __init__(self, degraded: Callable[[], list[str]] = list) -> None:
        """`degraded` gives, when asked, a sentence for everything that a person should act on."""
        self.degraded = degraded
        self._state = State.STARTING
        self._listeners: list[Callable[[State], None]] = []
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """The current state."""
        return self._state

    def ready(self) -> None:
        """Everything is started, and spans are accepted."""
        self._enter(State.READY)

    def reloading(self) -> None:
        """Parts of the service are being replaced, which takes a moment."""
        self._enter(State.RELOADING)

    def restarting(self) -> None:
        """No worker accepts spans; new ones are being started."""
        self._enter(State.RESTARTING)

    def draining(self) -> None:
        """The service is stopping: what is under way ends, nothing new should come."""
        self._enter(State.DRAINING)

    def listen(self, listener: Callable[[State], None]) -> None:
        """Call `listener` with the state now, and again at each change."""
        with self._lock:
            self._listeners.append(listener)
            listener(self._state)

    def _enter(self, state: State) -> None:
        with self._lock:
            if self._state is State.DRAINING:  # the end, whatever else was under way
                return
            self._state = state
            for listener in self._listeners:
                listener(state)


def grpc_health(health: Health) -> Callable[[grpc.Server], None]:
    """What adds the standard health service, grpc.health.v1, to gRPC servers.

    It answers for the server as a whole, whose name is the empty text: SERVING when ready.
    """
    servicer = HealthServicer()

    def follow(state: State) -> None:
        serving = state is State.READY
        status = health_pb2.HealthCheckResponse.ServingStatus
        servicer.set("", status.SERVING if serving else status.NOT_SERVING)

    def add(server: grpc.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)

    health.listen(follow)
    return add
