"""Find out whether an OTLP endpoint takes what would be sent there.

Without `live` a socket is opened to it and closed. With `live` it gets an empty request, from the
exporter that `init` would use: that is the endpoint's own answer to protocol, path, certificate and
headers.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Final

from genops.export.destination import ExportConfig
from genops.export.exporters import check_environment
from genops.export.sdk import span_exporter
from genops.providers.hosts import address
from genops.validation.probe import Finding, Findings, cause, within

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["check_endpoint"]

_START_ONE: Final = (
    "Start genops-enricher or a Collector there, "
    "or set OTEL_EXPORTER_OTLP_ENDPOINT to where one listens"
)
_CHECK_VARIABLE: Final = "Correct the variable, or unset it"
_CHECK_SETTINGS: Final = "Check the protocol, the path and OTEL_EXPORTER_OTLP_HEADERS"


def check_endpoint(export: ExportConfig, *, live: bool, timeout_s: float) -> Findings:
    """Findings about an exporter of kind "otlp"; one or, live, two steps of `timeout_s` seconds."""
    try:
        check_environment("TRACES")
    except ValueError as error:  # e.g. a certificate file that is not there
        yield Finding("error", f"{export}: no exporter can be made ({error})", _CHECK_VARIABLE)
        return
    is_grpc = export.protocol == "grpc"
    host, port = address("//" + export.endpoint if is_grpc else export.endpoint)
    secure = not export.insecure if is_grpc else export.endpoint.startswith("https:")
    if _has_proxy("https" if secure else "http", f"{host}:{port}"):
        if not live:
            yield Finding("info", f"{export}, by a proxy that was not tried")
            return
    else:
        try:
            within(timeout_s, lambda: _connect(host or "", port or 0, timeout_s))
        except (OSError, ValueError) as error:
            message = f"{export}: nothing can be reached there ({cause(error)})"
            yield Finding("error" if live else "warning", message, _START_ONE)
            return
    if not live:
        yield Finding("info", f"{export}: something listens there")
        return
    refusal = _refusal(export, timeout_s)
    if refusal is None:
        yield Finding("info", f"{export}: an empty request was accepted")
    else:
        message = f"{export}: an empty request was not accepted ({refusal})"
        yield Finding("error", message, _CHECK_SETTINGS)


def _has_proxy(scheme: str, netloc: str) -> bool:
    from urllib.request import getproxies, proxy_bypass

    return scheme in getproxies() and not proxy_bypass(netloc)


def _connect(host: str, port: int, timeout_s: float) -> None:
    import socket

    socket.create_connection((host, port), timeout=timeout_s).close()


def _refusal(export: ExportConfig, timeout_s: float) -> str | None:
    """Why the endpoint does not take an empty request, from the exporter that `init` would use.

    OTLP asks servers to answer empty requests with success
    (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response).
    """
    from opentelemetry.sdk.trace.export import SpanExportResult

    no_success = f"no success within {timeout_s:g} s"
    try:
        exporter = span_exporter(export, timeout_s)
    except (OSError, RuntimeError, ValueError) as error:
        return str(error)  # e.g. a certificate file that holds none

    def ask() -> tuple[SpanExportResult, list[str]]:
        try:
            with _Overheard(exporter) as overheard:
                return exporter.export(()), overheard.messages
        finally:
            exporter.shutdown()  # here, because in old SDKs it waits for the export

    try:
        result, messages = within(timeout_s, ask)
    except TimeoutError:
        return no_success
    if result is SpanExportResult.SUCCESS:
        return None
    # The exporters say why in their log only. Its other words may quote the endpoint's query.
    codes = re.findall(r"code: (?:StatusCode\.)?(\w+)", "\n".join(messages))
    return codes[-1] if codes else no_success


class _Overheard(logging.Filter):
    """What an exporter logs in this thread; it is kept from the log.

    A filter and not a handler, put before the exporters' own filter: that one drops what was logged
    a moment ago, which an application's exporter may well have done.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._thread = threading.get_ident()
        modules = {kind.__module__ for kind in type(exporter).__mro__}  # they name the loggers
        self._loggers = [logging.getLogger(module) for module in modules]

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        self.messages.append(record.getMessage())
        return False

    def __enter__(self) -> _Overheard:
        for logger in self._loggers:
            logger.filters.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        for logger in self._loggers:
            logger.removeFilter(self)
