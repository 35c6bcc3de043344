"""One attempt to deliver over OTLP/gRPC. The payload goes out as the bytes that it is."""

from __future__ import annotations

import grpc

from genops_enricher.config.model import ClientTls, ExporterConfig
from genops_enricher.errors import StartError
from genops_enricher.export.otlp import (
    RESPONSE_BYTES_MAX,
    SERVICES,
    parse_status,
    retry_delay_s,
    secrets_of,
    shown,
)
from genops_enricher.export.outcome import Delivered, Outcome, of_grpc_code
from genops_enricher.pipeline import Signal

__all__ = ["GrpcSender"]

# The default lets the channel wait up to two minutes before it tries to connect again; how long to
# wait after a failure is decided by the retry schedule.
_RECONNECT_MAX_MS = 5_000
# How grpc-core begins when what it received, and not what it sent, is over the limit.
_OUR_LIMIT = "CLIENT: "
_COMPRESSION = {"gzip": grpc.Compression.Gzip, "none": grpc.Compression.NoCompression}


class GrpcSender:
    """Sends to one OTLP/gRPC destination over one channel, which connects when it is first used."""

    def __init__(self, config: ExporterConfig, signal: Signal, user_agent: str) -> None:
        """Open the channel.

        Raises:
            StartError: the TLS settings can't be used.
        """
        options: list[tuple[str, int | str]] = [
            ("grpc.primary_user_agent", user_agent),
            ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
            ("grpc.initial_reconnect_backoff_ms", 500),
            ("grpc.max_reconnect_backoff_ms", _RECONNECT_MAX_MS),
        ]
        if config.tls.server_name_override:
            options.append(("grpc.ssl_target_name_override", config.tls.server_name_override))
        target = config.endpoint.target
        if config.endpoint.secure:
            credentials = _credentials(config.id, config.tls)
            self._channel = grpc.secure_channel(target, credentials, options)
        else:
            self._channel = grpc.insecure_channel(target, options)
        self._service = SERVICES[signal]
        # Without serializers the call takes and gives bytes.
        self._call = self._channel.unary_unary(
            self._service.grpc_method, request_serializer=None, response_deserializer=None
        )
        self._metadata = tuple((name.lower(), value) for name, value in config.headers.items())
        self._secrets = secrets_of(config.headers)
        self._compression = _COMPRESSION[config.compression]
        self._timeout_s = config.timeout_s

    def send(self, payload: bytes) -> Outcome:
        """Try once, within the timeout of the exporter."""
        try:
            body = self._call(
                payload,
                timeout=self._timeout_s,
                metadata=self._metadata,
                compression=self._compression,
            )
        except grpc.RpcError as error:
            return self._failure(error)
        return self._service.read_response(body, self._secrets)

    def close(self) -> None:
        """Close the channel; calls on it end with CANCELLED."""
        self._channel.close()

    def _failure(self, error: grpc.RpcError) -> Outcome:
        details = b""
        for metadatum in error.trailing_metadata() or ():
            if metadatum.key == "grpc-status-details-bin":
                details = metadatum.value
        code = error.code()
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _OUR_LIMIT in (error.details() or ""):
            return Delivered(message="the response is too long; it was not read")
        text = shown(f"{code.name}: {error.details() or 'no details'}", self._secrets)
        return of_grpc_code(code, text, retry_delay_s(parse_status(details)))


def _credentials(exporter: str, tls: ClientTls) -> grpc.ChannelCredentials:
    if tls.insecure_skip_verify:
        raise StartError(
            f"exporters.{exporter}.tls.insecure_skip_verify: gRPC in Python always verifies the "
            "server. Give the server's certificate as tls.ca_file, or use otlp_http."
        )
    parts = {}
    for key, path in (
        ("ca_file", tls.ca_file),
        ("key_file", tls.key_file),
        ("cert_file", tls.cert_file),
    ):
        try:
            parts[key] = path.read_bytes() if path else None
        except OSError as error:
            raise StartError(
                f"exporters.{exporter}.tls.{key}: can't read {path}: {error.strerror}"
            ) from error
    return grpc.ssl_channel_credentials(parts["ca_file"], parts["key_file"], parts["cert_file"])
