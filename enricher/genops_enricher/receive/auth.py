"""Whether a sender may send: the bearer tokens of a receiver (RFC 6750).

Asked with the headers of a request, before its body is read.
"""

from __future__ import annotations

import hashlib
import hmac

import grpc

from genops_enricher.config.credentials import read_tokens
from genops_enricher.config.model import ServerAuth
from genops_enricher.host.followed import Followed
from genops_enricher.receive.status import Refusal
from genops_enricher.telemetry import Telemetry

__all__ = ["UNAUTHENTICATED", "BearerTokens"]

UNAUTHENTICATED = Refusal(
    grpc.StatusCode.UNAUTHENTICATED,
    "no valid token; send the header `authorization: Bearer TOKEN`",
)


class BearerTokens:
    """The tokens that are valid: those of the configuration, and those in the file now."""

    def __init__(self, key: str, auth: ServerAuth, telemetry: Telemetry) -> None:
        """`key` is that of the receiver, for messages.

        Raises:
            StartError: the file of tokens can't be used.
        """
        self._fixed = tuple(_digest(token) for token in auth.bearer_tokens)
        self._in_file: Followed[tuple[bytes, ...]] | None = None
        if file := auth.bearer_tokens_file:
            self._in_file = Followed(
                f"{key}.auth.bearer_tokens_file",
                [file],
                lambda: tuple(_digest(token) for token in read_tokens(file.read_bytes())),
                telemetry,
            )

    def allow(self, authorization: str) -> bool:
        """Whether the value of an `authorization` header has a valid token.

        How long it takes tells nothing: digests are of one length, and every one is compared.
        """
        scheme, _, given = authorization.strip().partition(" ")
        digest = _digest(given.strip())
        found = False
        for valid in self._fixed + (self._in_file.get() if self._in_file else ()):
            found |= hmac.compare_digest(digest, valid)
        return found and scheme.lower() == "bearer"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
