"""What an OTLP/HTTP request is answered: the ASGI application of the receiver.

OTLP specification, "OTLP/HTTP". Two points of it shape this module:

- Senders send again after 429, 502, 503 and 504 only, and throw their data away after any other
  4xx or 5xx, 500 too. So whatever is not plainly the sender's fault is 503.
- The body of every refusal is a google.rpc.Status in the encoding of the request.

Beyond it: PUT is taken like POST, and an empty body is an empty request without a content type too,
because OpenRouter's Broadcast sends the first and tests a destination by the second.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message as ProtobufMessage

from genops_enricher.config.model import HttpReceiverConfig
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Intake, PartialSuccess, Signal
from genops_enricher.receive.auth import UNAUTHENTICATED, BearerTokens
from genops_enricher.receive.http_arrival import Body, GoneError, Receive
from genops_enricher.receive.http_body import (
    TooLargeError,
    gunzip,
    json_needs,
    json_to_protobuf,
)
from genops_enricher.receive.in_flight import CrowdedError, InFlight, Share
from genops_enricher.receive.status import Refusal, refusal, to_response, to_status
from genops_enricher.telemetry import Telemetry

__all__ = ["JSON", "PROTOBUF", "App", "OtlpHttpApp", "encode_refusal"]

_LOG = logging.getLogger(__name__)

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_SUCCESS = {PROTOBUF: b"", JSON: b"{}"}  # `partial_success` stays unset in full success
# Content encoding -> whether it is gzip, of which RFC 9110 knows an older name.
_PACKED = {"": False, "identity": False, "gzip": True, "x-gzip": True}
_METHODS = ("POST", "PUT")
# How long a request may arrive when there is no room for others, as over gRPC (`arrival`).
_CROWDED_S = 2.0
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

Message = Mapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class _RefusedError(Exception):
    """The request is refused by what only HTTP has: its path, method or headers."""

    def __init__(
        self, status: HTTPStatus, code: grpc.StatusCode, message: str, **headers: str
    ) -> None:
        super().__init__(message)
        self.status = status
        self.refusal = Refusal(code, message)
        self.headers = headers


class OtlpHttpApp:
    """Answers requests. The intakes block, so they are called by the threads of `pool`."""

    def __init__(
        self,
        config: HttpReceiverConfig,
        intakes: Mapping[Signal, Intake],
        telemetry: Telemetry,
        pool: Executor,
        admit: Callable[[], None] = lambda: None,
        tokens: BearerTokens | None = None,
    ) -> None:
        """`admit` is asked before each request; see `InFlight`."""
        self._config = config
        self._intakes = intakes
        self._telemetry = telemetry
        self._pool = pool
        self._tokens = tokens
        self._in_flight = InFlight(config.max_in_flight_bytes, admit)
        self._arriving: set[Body] = set()
        self._paths = {config.url_paths[signal]: signal for signal in intakes}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens on the way."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        encoding = _media_type(headers)
        signal = self._paths.get(_path(scope["path"]))
        body = Body(receive, asyncio.get_running_loop().time(), self._config.read_timeout_s)
        status, answer, more = HTTPStatus.OK, _SUCCESS.get(encoding, b""), dict[str, str]()
        try:
            with self._in_flight.request() as share:
                told = await self._handle(scope["method"], signal, headers, body, share)
            if told is not None and signal is not None:
                answer = _encode(to_response(signal, told), encoding)
        except GoneError:
            return
        except asyncio.CancelledError:  # by the server, at the end of its grace
            status, answer, more = self._refuse(RetryableError("shutting down"), signal, encoding)
        except Exception as error:  # noqa: BLE001 - every escape would be 500: data lost
            if isinstance(error, CrowdedError):
                self._make_room()
            status, answer, more = self._refuse(error, signal, encoding)
        if status is not HTTPStatus.OK:
            await self._drain(headers, body, status)
        more["content-type"] = encoding if encoding in _SUCCESS else JSON
        more["content-length"] = str(len(answer))
        if not body.complete:
            more["connection"] = "close"
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})

    async def _handle(
        self,
        method: str,
        signal: Signal | None,
        headers: Mapping[str, str],
        body: Body,
        share: Share,
    ) -> PartialSuccess | None:
        if self._tokens and not self._tokens.allow(headers.get("authorization", "")):
            _LOG.warning("refused %s: no valid token", signal)
            raise _RefusedError(
                HTTPStatus.UNAUTHORIZED,
                UNAUTHENTICATED.code,
                UNAUTHENTICATED.message,
                www_authenticate="Bearer",
            )
        if signal is None:
            paths = ", ".join(self._paths)
            raise _RefusedError(
                HTTPStatus.NOT_FOUND,
                grpc.StatusCode.UNIMPLEMENTED,
                f"nothing is received here; the paths are {paths}",
            )
        if method not in _METHODS:
            raise _RefusedError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                grpc.StatusCode.UNIMPLEMENTED,
                "send OTLP by POST",
                allow=", ".join(_METHODS),
            )
        packed = headers.get("content-encoding", "").strip().lower()
        if packed not in _PACKED:
            raise _RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                grpc.StatusCode.INVALID_ARGUMENT,
                "the content encoding is not supported; send gzip or none",
                accept_encoding="gzip",
            )
        limit = self._config.max_request_body_bytes
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise TooLargeError.of_bytes(limit)
        self._arriving.add(body)
        try:
            data = await body.read(limit, share.take)
        except TimeoutError:
            raise RetryableError("the request did not arrive in time") from None
        finally:
            self._arriving.discard(body)
        encoding = _media_type(headers)
        if data and encoding not in _SUCCESS:
            raise _RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the content type is not supported; send {PROTOBUF} or {JSON}",
                accept=f"{PROTOBUF}, {JSON}",
            )

        def accept() -> PartialSuccess | None:
            content = gunzip(data, limit, share.take) if data and _PACKED[packed] else data
            if encoding == JSON and content:
                needed = json_needs(content)
                share.take(needed)
                content = json_to_protobuf(signal, content)
                share.give_back(needed)
            return self._intakes[signal].accept(content)

        return await asyncio.get_running_loop().run_in_executor(
            self._pool, contextvars.copy_context().run, accept
        )

    def _make_room(self) -> None:
        """End the request that takes most for longest, of those that have had time to arrive.

        Else a few that stop halfway would keep all others away until `read_timeout`.
        """
        now_s = asyncio.get_running_loop().time()
        late = [body for body in self._arriving if now_s - body.began_s > _CROWDED_S]
        if late:
            heaviest = max(late, key=lambda body: body.size * (now_s - body.began_s))
            self._arriving.discard(heaviest)
            heaviest.end()

    def _refuse(
        self, error: Exception, signal: Signal | None, encoding: str
    ) -> tuple[HTTPStatus, bytes, dict[str, str]]:
        """Status, body and headers of the refusal that `error` means, counted and logged."""
        headers: dict[str, str] = {}
        match error:
            case _RefusedError():
                status, answer, headers = error.status, error.refusal, error.headers
            case _:
                answer = refusal(error)
                status = _STATUSES[answer.code]
        if answer.retry_after_s is not None:
            headers["retry_after"] = str(max(math.ceil(answer.retry_after_s), 1))
            expected = isinstance(error, RetryableError)
            _LOG.warning("refused %s: %s", signal, error, exc_info=None if expected else error)
        elif signal is not None and answer.code is not UNAUTHENTICATED.code:  # that is logged
            _LOG.warning("refused %s for good: %s", signal, answer.message)
        if signal is not None:
            self._telemetry.add(
                "genops_refused_requests_total", signal=signal, code=answer.code.name
            )
        return status, encode_refusal(answer, encoding), headers

    async def _drain(self, headers: Mapping[str, str], body: Body, status: HTTPStatus) -> None:
        """Read on after a refusal, until the deadline; of strangers no more than a request.

        Many senders read no answer before they have written all. If the connection were closed
        under them they would see it reset, and send the same once more for ever.
        """
        if "expect" in headers:  # it waits for our word before it sends the body
            return
        try:
            unknown = status is HTTPStatus.UNAUTHORIZED
            await body.skip(self._config.max_request_body_bytes if unknown else None)
        except (TimeoutError, GoneError, asyncio.CancelledError):
            return


def encode_refusal(answer: Refusal, encoding: str) -> bytes:
    """The google.rpc.Status of a refusal: protobuf for protobuf, JSON for all else."""
    return _encode(to_status(answer), encoding)


def _encode(message: ProtobufMessage, encoding: str) -> bytes:
    """A response in the encoding of the request, which is JSON if it is not protobuf."""
    if encoding == PROTOBUF:
        return bytes(message.SerializeToString())
    return json.dumps(json_format.MessageToDict(message)).encode()


def _path(target: str) -> str:
    """The path of a request, also if its target is in absolute form, as RFC 9112 has it taken."""
    scheme, mark, rest = target.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        return f"/{rest.partition('/')[2]}"
    return target


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
