"""The errors of the enricher.

EnricherError
├── PermanentError    this data can never be accepted; sending it again does not help
│   └── OversizeError     for its size alone: a part of it may be
├── RetryableError    not now; the same data may be accepted later
├── ConfigError       the configuration is wrong; carries every problem found
└── StartError        the configuration is right, but here the service can't run with it
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "ConfigError",
    "EnricherError",
    "OversizeError",
    "PermanentError",
    "RetryableError",
    "StartError",
    "not_otlp",
]


class EnricherError(Exception):
    """Any error that the enricher raises on purpose."""


class PermanentError(EnricherError):
    """This data can never be accepted. Receivers answer INVALID_ARGUMENT or HTTP 400."""


class OversizeError(PermanentError):
    """It is too large. Receivers answer RESOURCE_EXHAUSTED without RetryInfo, or HTTP 413."""


class RetryableError(EnricherError):
    """Not accepted now. Receivers answer UNAVAILABLE with RetryInfo, or HTTP 503."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigError(EnricherError):
    """The configuration is wrong. `problems` holds one line per problem: where, what, fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StartError(EnricherError):
    """The service can't start here. The message names the resource and says how to free it."""


def not_otlp(signal: str, error: Exception) -> PermanentError:
    """The error for a request whose envelopes do not parse."""
    return PermanentError(
        f"the request can't be read as OTLP {signal}: {error}. "
        "Check that the sender exports OTLP and that nothing on the way cuts messages short."
    )
