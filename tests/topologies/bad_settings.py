"""Settings between a Collector and the enricher that are wrong, and the messages that users see.

docs/troubleshooting.md shows these messages; a test runs every setting and finds each where the
page says that it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from collector_process import CollectorProcess, collecting, free_ports
from enricher_process import EnricherProcess, running, serve_http, write_config
from genops_enricher.demo.sink import Sink

CERTIFICATES = Path(__file__).parents[1] / "certificates"
SERVER_TLS = {
    "cert_file": str(CERTIFICATES / "server.pem"),
    "key_file": str(CERTIFICATES / "server.key"),
}
TOKEN = {"bearer_tokens": ["a-long-token-of-this-test"]}
PLAIN = {"insecure": True}
RECEIVED_GRPC = ("receivers", "otlp", "protocols", "grpc")
RECEIVED_HTTP = ("receivers", "otlp", "protocols", "http")


@dataclass(frozen=True, slots=True)
class BadSetting:
    """A Collector's exporter towards the enricher that fails.

    `message` is what the Collector logs, `metric` the line of the enricher's metrics page that
    counts it, if any does, and `ours` what the enricher logs, if it does.
    """

    name: str
    exporter: str  # otlp_grpc | otlp_http
    settings: Mapping[str, Any]
    message: str
    to: str = ""  # the port, grpc or http, if not that of the exporter
    scheme: str = "http"  # otlp_http only
    large: bool = False  # more than the enricher takes
    enricher: Mapping[tuple[str, ...], Mapping[str, Any]] = field(default_factory=dict)
    metric: str = ""
    ours: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)  # of the enricher

    @property
    def port(self) -> str:
        return self.to or self.exporter.removeprefix("otlp_")


_ENCODING = "the content encoding is not supported; send gzip or none"
_SMALL: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    RECEIVED_GRPC: {"max_recv_msg_size_mib": 1},
    RECEIVED_HTTP: {"max_request_body_size": "1MiB"},
}
BAD_SETTINGS = {
    setting.name: setting
    for setting in (
        BadSetting(
            "zstd over gRPC",
            "otlp_grpc",
            {"tls": PLAIN, "compression": "zstd"},
            "code = Internal desc = Error parsing 'grpc-encoding' metadata",
            ours="Error parsing 'grpc-encoding' metadata: invalid value",
            environ={"GRPC_VERBOSITY": "ERROR"},
        ),
        BadSetting(
            "snappy over gRPC",
            "otlp_grpc",
            {"tls": PLAIN, "compression": "snappy"},
            "code = Internal desc = Error parsing 'grpc-encoding' metadata",
            ours="Error parsing 'grpc-encoding' metadata: invalid value",
            environ={"GRPC_VERBOSITY": "ERROR"},
        ),
        BadSetting(
            "zstd over HTTP",
            "otlp_http",
            {"compression": "zstd"},
            f"responded with HTTP Status Code 415, Message={_ENCODING}",
            ours=f"refused traces for good: {_ENCODING}",
            metric='genops_refused_requests_total{code="INVALID_ARGUMENT",signal="traces"}',
        ),
        BadSetting(
            "snappy over HTTP",
            "otlp_http",
            {"compression": "snappy"},
            f"responded with HTTP Status Code 415, Message={_ENCODING}",
            ours=f"refused traces for good: {_ENCODING}",
            metric='genops_refused_requests_total{code="INVALID_ARGUMENT",signal="traces"}',
        ),
        BadSetting(
            "a large request over gRPC",
            "otlp_grpc",
            {"tls": PLAIN},
            "code = ResourceExhausted desc = Decompressed message larger than max",
            large=True,
            enricher=_SMALL,
        ),
        BadSetting(
            "a large request over gRPC, not compressed",
            "otlp_grpc",
            {"tls": PLAIN, "compression": "none"},
            "code = ResourceExhausted desc = SERVER: Received message larger than max",
            large=True,
            enricher=_SMALL,
        ),
        BadSetting(
            "a large request over HTTP",
            "otlp_http",
            {},
            "responded with HTTP Status Code 413, Message=the request is larger than",
            large=True,
            enricher=_SMALL,
            ours="refused traces for good: the request is larger than",
            metric='genops_refused_requests_total{code="RESOURCE_EXHAUSTED",signal="traces"}',
        ),
        BadSetting(
            "gRPC to the HTTP port",
            "otlp_grpc",
            {"tls": PLAIN},
            "note that the frame header looked like an HTTP/1.1 header",
            to="http",
        ),
        BadSetting(
            "HTTP to the gRPC port",
            "otlp_http",
            {},
            "net/http: HTTP/1.x transport connection broken: malformed HTTP response",
            to="grpc",
        ),
        BadSetting(
            "gRPC with TLS to an enricher without",
            "otlp_grpc",
            {},
            "tls: first record does not look like a TLS handshake",
        ),
        BadSetting(
            "HTTP with TLS to an enricher without",
            "otlp_http",
            {},
            "http: server gave HTTP response to HTTPS client",
            scheme="https",
        ),
        BadSetting(
            "gRPC without TLS to an enricher with it",
            "otlp_grpc",
            {"tls": PLAIN},
            "error reading server preface: EOF",
            enricher={RECEIVED_GRPC: {"tls": SERVER_TLS}},
        ),
        BadSetting(
            "HTTP without TLS to an enricher with it",
            "otlp_http",
            {},
            '/v1/traces\\": EOF',
            enricher={RECEIVED_HTTP: {"tls": SERVER_TLS}},
        ),
        BadSetting(
            "an authority that the Collector does not trust",
            "otlp_grpc",
            {},
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            enricher={RECEIVED_GRPC: {"tls": SERVER_TLS}},
        ),
        BadSetting(
            "no token, over gRPC",
            "otlp_grpc",
            {"tls": {"ca_file": str(CERTIFICATES / "ca.pem")}},
            "code = Unauthenticated desc = no valid token; send the header",
            enricher={RECEIVED_GRPC: {"tls": SERVER_TLS, "auth": TOKEN}},
            ours="refused traces",
        ),
        BadSetting(
            "no token, over HTTP",
            "otlp_http",
            {"tls": {"ca_file": str(CERTIFICATES / "ca.pem")}},
            "responded with HTTP Status Code 401, Message=no valid token; send the header",
            scheme="https",
            enricher={RECEIVED_HTTP: {"tls": SERVER_TLS, "auth": TOKEN}},
            ours="refused traces",
        ),
    )
}


@contextmanager
def misconfigured(
    setting: BadSetting, folder: Path
) -> Iterator[tuple[str, CollectorProcess, EnricherProcess, Sink]]:
    """A Collector with the setting before an enricher; the first value is where it listens."""
    with Sink() as backend:
        config = write_config(folder, backend.grpc_endpoint)
        http = serve_http(config)
        settings = yaml.safe_load(config.read_text())
        for path, more in setting.enricher.items():
            section = settings
            for key in path:
                section = section[key]
            section.update(more)
        config.write_text(yaml.safe_dump(settings))
        environ = free_ports(folder)
        with running(config, environ=setting.environ) as enricher:
            address = {"grpc": enricher.grpc, "http": http}[setting.port]
            endpoint = (
                address if setting.exporter == "otlp_grpc" else f"{setting.scheme}://{address}"
            )
            file = folder / "collector.yaml"
            file.write_text(_collector(setting, endpoint))
            with collecting(file, folder / "collector.log", environ) as collector:
                yield environ["COLLECTOR_GRPC_ENDPOINT"], collector, enricher, backend


def _collector(setting: BadSetting, endpoint: str) -> str:
    exporter = f"{setting.exporter}/enricher"
    receiver = {"protocols": {"grpc": {"endpoint": "${env:COLLECTOR_GRPC_ENDPOINT}"}}}
    return yaml.safe_dump(
        {
            "receivers": {"otlp": receiver},
            "exporters": {exporter: {"endpoint": endpoint, **setting.settings}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": [exporter]}},
            },
        }
    )
