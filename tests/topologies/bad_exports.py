"""Settings of the enricher towards a Collector that are wrong, and what the enricher then logs.

As in `bad_settings`, docs/troubleshooting.md shows the messages. Nothing is lost by any of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from collector_process import CollectorProcess, collecting, free_ports
from enricher_process import EnricherProcess, running, write_config

_CERTIFICATES = Path(__file__).parents[1] / "certificates"
SERVER_TLS = {
    "cert_file": str(_CERTIFICATES / "server.pem"),
    "key_file": str(_CERTIFICATES / "server.key"),
}


@dataclass(frozen=True, slots=True)
class BadExport:
    """An exporter of the enricher that does not get through. `endpoint` is of the ports' names."""

    name: str
    exporter: str  # otlp_grpc | otlp_http
    endpoint: str
    message: str
    collector_tls: Mapping[str, str] = field(default_factory=dict)
    or_else: str = ""  # another message that may come in its place
    theirs: str = ""  # what the Collector logs, if it does


BAD_EXPORTS = {
    export.name: export
    for export in (
        BadExport(
            "gRPC with TLS to a Collector without",
            "otlp_grpc",
            "https://{grpc}",
            "WRONG_VERSION_NUMBER",
        ),
        BadExport(
            "HTTP with TLS to a Collector without",
            "otlp_http",
            "https://{http}",
            "[SSL: WRONG_VERSION_NUMBER] wrong version number",
        ),
        BadExport(
            "gRPC without TLS to a Collector with it",
            "otlp_grpc",
            "http://{grpc}",
            "Socket closed",
            SERVER_TLS,
        ),
        BadExport(
            "HTTP without TLS to a Collector with it",
            "otlp_http",
            "http://{http}",
            "held: HTTP 400 Bad Request: the destination speaks TLS",
            SERVER_TLS,
            or_else="retrying: ",  # if the connection is gone before the answer is read
            theirs="client sent an HTTP request to an HTTPS server",
        ),
        BadExport(
            "an authority that the enricher does not trust",
            "otlp_grpc",
            "https://{grpc}",
            "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate",
            SERVER_TLS,
        ),
        BadExport(
            "gRPC to the HTTP port",
            "otlp_grpc",
            "http://{http}",
            "Trying to connect an http1.x server",
        ),
        BadExport(
            "HTTP to the gRPC port",
            "otlp_http",
            "http://{grpc}",
            "retrying: ConnectionError: ('Connection aborted.'",
        ),
    )
}


@contextmanager
def exporting(
    export: BadExport, folder: Path
) -> Iterator[tuple[EnricherProcess, CollectorProcess, Path]]:
    """An enricher that exports so to a Collector, and the file of what the Collector got."""
    environ = free_ports(folder)
    addresses = {
        "grpc": environ["COLLECTOR_GRPC_ENDPOINT"],
        "http": environ["COLLECTOR_HTTP_ENDPOINT"],
    }
    got = folder / "traces.json"
    tls = {"tls": dict(export.collector_tls)} if export.collector_tls else {}
    protocols = {name: {"endpoint": address, **tls} for name, address in addresses.items()}
    file = folder / "collector.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "receivers": {"otlp": {"protocols": protocols}},
                "exporters": {"file": {"path": str(got)}},
                "service": {
                    "telemetry": {"metrics": {"level": "none"}},
                    "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
                },
            }
        )
    )
    endpoint = export.endpoint.format(**addresses)
    config = write_config(folder, endpoint, exporter=export.exporter, shutdown_timeout="100ms")
    settings = yaml.safe_load(config.read_text())
    settings["exporters"][export.exporter].pop("tls", None)  # the scheme says it
    config.write_text(yaml.safe_dump(settings))
    with (
        collecting(file, folder / "collector.log", environ) as collector,
        running(config) as enricher,
    ):
        yield enricher, collector, got
