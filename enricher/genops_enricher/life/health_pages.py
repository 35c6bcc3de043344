"""The health pages, over HTTP: to people, probes and Prometheus.

| path | answer |
|---|---|
| `/`, `/ready` | 200 when spans are accepted, else 503 |
| `/live` | 200 as long as the process can answer at all |
| `/status` | 200 with the state, what is degraded, the catalog, and the queue of each exporter |
| `/metrics` | the metrics page |
"""

from __future__ import annotations

import http.server
import json
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from genops_enricher.config.values import split_address
from genops_enricher.errors import StartError
from genops_enricher.life.health import Health, State
from genops_enricher.telemetry import METRICS

__all__ = ["HealthServer", "Numbers"]

_log = logging.getLogger(__name__)

_ENDPOINT_KEY = "service.telemetry.health.endpoint"
_REQUESTS_MAX = 16  # at a time; more are turned away, so that a flood costs no threads
_IDLE_S = 5.0  # how long a client may be silent
_POLL_S = 0.1  # how soon a stop is seen


class Numbers(Protocol):
    """What the pages need of the metrics: those of this process, or of several."""

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics page and its content type, for an HTTP Accept header."""

    def read(self, names: Iterable[str]) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Every series of these metrics as (labels, value), by name, as of one moment."""


class HealthServer:
    """Serves the health pages and the metrics page."""

    def __init__(self, endpoint: str, health: Health, telemetry: Numbers) -> None:
        """`endpoint` is host:port; port 0 takes any free port. Nothing is bound before `start`."""
        self._endpoint = endpoint
        self._pages = _Pages(health, telemetry)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        """The TCP port that is served, once started."""

    def start(self) -> None:
        """Bind and serve.

        Raises:
            StartError: the endpoint can't be bound.
        """
        try:
            self._server = _Server(split_address(self._endpoint), self._pages)
        except OSError as error:
            raise StartError(
                f"{_ENDPOINT_KEY}: can't listen on {self._endpoint}: {error.strerror}. Stop what "
                "uses the port, or choose another: 14133 beside an OpenTelemetry Collector"
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="health", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the port. Safe to call without a start, and twice."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None


class _Pages:
    """What stands on each page."""

    def __init__(self, health: Health, telemetry: Numbers) -> None:
        self._health = health
        self._telemetry = telemetry
        self._by_path: dict[str, Callable[[str], tuple[HTTPStatus, str, bytes]]] = {
            "/": self._ready,
            "/ready": self._ready,
            "/live": self._live,
            "/status": self._status,
            "/metrics": self._metrics,
        }

    def answer(self, target: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body for a request target and an Accept header."""
        page = self._by_path.get(urlsplit(target).path)
        if page is None:
            return _json({"error": "no such page", "pages": [*self._by_path]}, HTTPStatus.NOT_FOUND)
        return page(accept)

    def _ready(self, _accept: str) -> tuple[HTTPStatus, str, bytes]:
        state = self._health.state
        content = {"status": state, "reasons": self._reasons()}
        return _json(
            content, HTTPStatus.OK if state is State.READY else HTTPStatus.SERVICE_UNAVAILABLE
        )

    def _live(self, _accept: str) -> tuple[HTTPStatus, str, bytes]:
        return _json({"status": "live"})

    def _status(self, _accept: str) -> tuple[HTTPStatus, str, bytes]:
        series = self._telemetry.read([_CATALOG, _CATALOG_AGE, *_BOOKS])
        return _json(
            {
                "status": self._health.state,
                "degraded": self._health.degraded(),
                "catalog": {
                    "version": next((labels["version"] for labels, _ in series[_CATALOG]), None),
                    "age_seconds": next((age_s for _, age_s in series[_CATALOG_AGE]), 0),
                },
                "exporters": _exporters(series),
            }
        )

    def _metrics(self, accept: str) -> tuple[HTTPStatus, str, bytes]:
        body, content_type = self._telemetry.page(accept)
        return HTTPStatus.OK, content_type, body

    def _reasons(self) -> list[str]:
        if self._health.state is State.READY:
            return self._health.degraded()
        return [_NOT_READY[self._health.state]]


_CATALOG, _CATALOG_AGE = "genops_catalog_info", "genops_catalog_age_seconds"
_BOOKS = [metric.name for metric in METRICS if metric.labels[:2] == ("exporter", "signal")]


def _exporters(
    series: Mapping[str, list[tuple[dict[str, str], float]]],
) -> dict[str, dict[str, dict[str, float]]]:
    """The books of each exporter and signal: {exporter: {signal: {what: items}}}."""
    books: dict[str, dict[str, dict[str, float]]] = {}
    for name in _BOOKS:
        what = name.removeprefix("genops_exporter_").removesuffix("_total")
        for labels, value in series[name]:
            book = books.setdefault(labels["exporter"], {}).setdefault(labels["signal"], {})
            book[what] = book.get(what, 0) + value
    return books


_NOT_READY = {
    State.STARTING: "starting: spans are not accepted yet",
    State.RELOADING: "reloading: spans are accepted again in a moment",
    State.RESTARTING: "restarting: no worker accepts spans; they are started again",
    State.DRAINING: "draining: the service stops; send to another one, or again after the restart",
}


def _json(content: object, status: HTTPStatus = HTTPStatus.OK) -> tuple[HTTPStatus, str, bytes]:
    return status, "application/json", json.dumps(content, indent=2).encode() + b"\n"


class _Server(socketserver.ThreadingTCPServer):
    """A small HTTP server with a bound on its threads.

    Not http.server's own: that looks up the name of the host at the start, which can hang.
    """

    allow_reuse_address = True  # after a restart; on Linux a port in use stays refused
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], pages: _Pages) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.pages = pages
        self._free = threading.BoundedSemaphore(_REQUESTS_MAX)
        super().__init__(address, _Handler)

    def process_request(self, request: object, client_address: object) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        _log.debug("a health request ended early", exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request on one connection, which is closed after it."""

    server: _Server
    timeout = _IDLE_S
    server_version = "genops-enricher"
    sys_version = ""

    def do_GET(self) -> None:
        try:
            answer = self.server.pages.answer(self.path, self.headers.get("Accept", ""))
        except Exception:  # noqa: BLE001 - a page that fails must not look like a dead process
            _log.exception("the page %s failed", urlsplit(self.path).path)
            answer = _json({"error": "internal error"}, HTTPStatus.INTERNAL_SERVER_ERROR)
        status, content_type, body = answer
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        _log.debug("%s " + format, self.address_string(), *args)
