"""What the answer to one attempt means for the data: the tables of codes, and their results.

The OTLP specification lists the codes that a client retries; "all other" codes must not be retried
(https://opentelemetry.io/docs/specs/otlp/#failures and #failures-1). Two groups depart from its
letter, because dropping acknowledged data is the worse mistake:

- Answers that speak of the connection and not of the data (a wrong key, a wrong path) hold it.
- gRPC UNKNOWN and INTERNAL, HTTP 408, 500 and other 5xx are what servers and proxies answer when
  they break in passing, and also when the data itself breaks them. They are retried; `doubt` tells
  when the data is the cause.
- RESOURCE_EXHAUSTED without RetryInfo means, by the specification, that the request is too large;
  servers also answer it when a quota is used up. The text tells: only what is said to be too large
  is sent in smaller pieces, the rest is doubtful as above.

Knows codes; knows no sockets and no time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import grpc

__all__ = [
    "Delivered",
    "Hold",
    "Outcome",
    "Rejected",
    "Retry",
    "TooLarge",
    "of_grpc_code",
    "of_http_status",
    "wants_tls",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """`code` is the gRPC or HTTP status that was answered.

    Empty: there was no answer, or, of what was delivered, it is OK or 200.
    """

    code: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Delivered(_Answered):
    """The destination took it, but for `rejected` items; `message` is its warning, if any."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Retry(_Answered):
    """Not now.

    `after_s` is the wait that the destination asks for, in seconds. `doubtful`: the data may be the
    cause.
    """

    reason: str
    after_s: float | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Hold(_Answered):
    """The destination refuses us, not this data, which waits until someone repairs the cause."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected(_Answered):
    """This data can never be delivered."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge(_Answered):
    """The destination takes less than this at a time."""

    reason: str


Outcome = Delivered | Retry | Hold | Rejected | TooLarge

_GRPC_RETRY = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_GRPC_HOLD = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
    }
)
_GRPC_DOUBTFUL = frozenset({grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL})

# grpc-core and grpc-go: "received message larger than max"; grpc-java: "gRPC message exceeds
# maximum size".
_SAYS_TOO_LARGE = re.compile(r"larger than|maximum size|too (large|big)|size limit", re.IGNORECASE)

# What grpc-core says of headers that it does not send: nothing has gone out.
_SAYS_HEADERS = "Invalid metadata"

# A handshake that fails on certificates or versions fails until a person changes something. gRPC
# reports it as UNAVAILABLE, with the words of BoringSSL or its own.
_SAYS_TLS = re.compile(r"SSL_ERROR_SSL|Hostname Verification Check failed")

_HTTP_RETRY = frozenset({429, 502, 503, 504})
# Authentication, payment, permission, path, method, proxy, media type: all of them are the same for
# every request that we send there.
_HTTP_HOLD = frozenset({401, 402, 403, 404, 405, 407, 415})
_HTTP_DOUBTFUL = frozenset({408})

# A port with TLS that gets plain HTTP answers 400 as well, before it has seen any data. Go's
# net/http (the Collector), nginx and Apache httpd, in their words.
_SAYS_WANTS_TLS = re.compile(
    rb"HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port"
    rb"|speaking plain HTTP to an SSL-enabled server port"
)


def of_grpc_code(code: grpc.StatusCode, reason: str, retry_after_s: float | None) -> Outcome:
    """What a gRPC status other than OK means. `retry_after_s` is that of its RetryInfo, if any."""
    if code is grpc.StatusCode.UNAVAILABLE and _SAYS_TLS.search(reason):
        return Hold(reason)
    if code in _GRPC_RETRY:
        return Retry(reason, retry_after_s)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        if retry_after_s is not None:
            return Retry(reason, retry_after_s)
        if _SAYS_TOO_LARGE.search(reason):
            return TooLarge(reason)
        return Retry(reason, None, doubtful=True)
    if code in _GRPC_HOLD:
        return Hold(reason)
    if code is grpc.StatusCode.INTERNAL and reason.endswith(_SAYS_HEADERS):
        return Hold("gRPC can't send these headers; check them for characters that are not ASCII")
    if code in _GRPC_DOUBTFUL:
        return Retry(reason, retry_after_s, doubtful=True)
    return Rejected(reason)


def of_http_status(status: int, reason: str, retry_after_s: float | None) -> Outcome:
    """What an HTTP status means. `retry_after_s` is that of its Retry-After header, if any."""
    if 200 <= status < 300:  # some backends answer 202
        return Delivered()
    if status in _HTTP_RETRY:
        return Retry(reason, retry_after_s)
    # Redirects are not followed: they would carry the keys in the headers to another host.
    if status in _HTTP_HOLD or 300 <= status < 400:
        return Hold(reason)
    if status in _HTTP_DOUBTFUL or status >= 500:
        return Retry(reason, retry_after_s, doubtful=True)
    if status == 413:
        return TooLarge(reason)
    return Rejected(reason)


def wants_tls(status: int, body: bytes) -> bool:
    """Whether this is what a port with TLS answers to plain HTTP."""
    return status == 400 and _SAYS_WANTS_TLS.search(body) is not None
