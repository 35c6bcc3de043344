"""One attempt to deliver over OTLP/gRPC. The payload goes out as the bytes that it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import grpc

from genops_enricher.config.credentials import client_context
from genops_enricher.config.model import ExporterConfig
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
from genops_enricher.host.followed import Followed
from genops_enricher.pipeline import Signal
from genops_enricher.telemetry import Telemetry

__all__ = ["GrpcSender"]

# The default lets the channel wait up to two minutes before it tries to connect again; how long to
# wait after a failure is decided by the retry schedule.
_RECONNECT_MAX_MS = 5_000
# How grpc-core begins when what it received, and not what it sent, is over the limit.
_OUR_LIMIT = "CLIENT: "
_COMPRESSION = {"gzip": grpc.Compression.Gzip, "none": grpc.Compression.NoCompression}


class _Files(NamedTuple):
    authorities: bytes | None
    key: bytes | None
    certificate: bytes | None


class _Lane(NamedTuple):
    files: _Files | None
    channel: grpc.Channel
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes]


class GrpcSender:
    """Sends to one OTLP/gRPC destination over one channel, which connects when it is first used.

    After an attempt that ran out of time the next ones take a new channel. A connection may swallow
    everything and never end (a hung proxy, a firewall that forgot it), and a channel alone would
    stay with it. The old one is closed when the new one is left in turn: by then, at least one
    timeout later, the attempts that were on it have ended. Certificates that changed are another
    reason for a new channel.
    """

    def __init__(
        self,
        config: ExporterConfig,
        signal: Signal,
        user_agent: str,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Open the channel.

        Raises:
            StartError: the TLS settings can't be used.
        """
        options: list[tuple[str, int | str]] = [
            ("grpc.primary_user_agent", user_agent),
            ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
            ("grpc.initial_reconnect_backoff_ms", 500),
            ("grpc.max_reconnect_backoff_ms", _RECONNECT_MAX_MS),
            # A new channel must not find the connection of the old one.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if config.tls.server_name_override:
            options.append(("grpc.ssl_target_name_override", config.tls.server_name_override))
        self._files = _follow(config, telemetry) if config.endpoint.secure else None
        self._open = _opener(config, self._files, SERVICES[signal].grpc_method, options)
        self._lock = threading.Lock()
        self._lane = self._open()
        self._left: _Lane | None = None
        self._closed = False
        self._service = SERVICES[signal]
        self._metadata = tuple((name.lower(), value) for name, value in config.headers.items())
        self._secrets = secrets_of(config.headers)
        self._compression = _COMPRESSION[config.compression]
        self._timeout_s = config.timeout_s

    def send(self, payload: bytes, headers: Mapping[str, str] | None = None) -> Outcome:
        """Try once, within the timeout of the exporter."""
        metadata = (*self._metadata, *headers.items()) if headers else self._metadata
        lane = self._lane
        if self._files is not None and self._files.get() != lane.files:
            self._leave(lane)
            lane = self._lane
        try:
            body = lane.call(
                payload,
                timeout=self._timeout_s,
                metadata=metadata,
                compression=self._compression,
            )
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._leave(lane)
            return self._failure(error)
        return self._service.read_response(body, self._secrets)

    def close(self) -> None:
        """Close the channels; calls on them end with CANCELLED."""
        with self._lock:
            for lane in (self._lane, self._left):
                if lane is not None:
                    lane.channel.close()
            self._closed = True

    def _leave(self, lane: _Lane) -> None:
        with self._lock:
            if lane is not self._lane or self._closed:
                return
            if self._left is not None:
                self._left.channel.close()
            self._left, self._lane = lane, self._open()

    def _failure(self, error: grpc.RpcError) -> Outcome:
        details = b""
        for metadatum in error.trailing_metadata() or ():
            if metadatum.key == "grpc-status-details-bin":
                details = metadatum.value
        code = error.code()
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _OUR_LIMIT in (error.details() or ""):
            return Delivered(message="the response is too long; it was not read")
        text = shown(f"{code.name}: {error.details() or 'no details'}", self._secrets)
        outcome = of_grpc_code(code, text, retry_delay_s(parse_status(details)))
        return replace(outcome, code=code.name)


def _opener(
    config: ExporterConfig,
    files: Followed[_Files] | None,
    method: str,
    options: list[tuple[str, int | str]],
) -> Callable[[], _Lane]:
    target = config.endpoint.target

    def open_lane() -> _Lane:
        now = files.get() if files else None
        if now is None:
            channel = grpc.insecure_channel(target, options)
        else:
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*now), options)
        # Without serializers the call takes and gives bytes.
        call = channel.unary_unary(method, request_serializer=None, response_deserializer=None)
        return _Lane(now, channel, call)

    return open_lane


def _follow(config: ExporterConfig, telemetry: Telemetry | None) -> Followed[_Files]:
    tls = config.tls
    if tls.insecure_skip_verify:
        raise StartError(
            f"exporters.{config.id}.tls.insecure_skip_verify: gRPC in Python always verifies the "
            "server. Give the server's certificate as tls.ca_file, or use otlp_http."
        )
    paths = (tls.ca_file, tls.key_file, tls.cert_file)

    def make() -> _Files:
        client_context(tls)  # gRPC would only say that it can't connect
        return _Files(*(path.read_bytes() if path else None for path in paths))

    return Followed(
        f"exporters.{config.id}.tls",
        [path for path in paths if path],
        make,
        telemetry,
        interval_s=tls.reload_interval_s,
    )
