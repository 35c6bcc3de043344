"""Keep telemetry's own failures away from the caller.

Whatever the client does around a call of the application runs under `guard`. A failure is logged
once per cause, so that a systematic one is seen and does not flood.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from types import TracebackType

__all__ = ["failed", "guard", "warn_once"]

logger = logging.getLogger("genops")

_CAUSES_MAX = 256  # a bound on memory; more distinct causes than this are no longer told apart
_seen: set[object] = set()


def warn_once(cause: object, message: str, *args: object) -> None:
    """Log a warning the first time that this (hashable) cause is met."""
    if cause in _seen or len(_seen) >= _CAUSES_MAX:
        return
    _seen.add(cause)
    logger.warning(message, *args)


class guard:  # noqa: N801 - used as a statement: `with guard("reading the response"):`
    """Context manager that swallows `Exception`, and only that, from telemetry code."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        failed(self._doing, error)
        return True


def failed(doing: str, error: Exception) -> None:
    """Report a failure of telemetry, once per cause."""
    with suppress(Exception):  # filters and handlers of the application's may raise
        # The message of the error may quote the application's data: it is for debugging only.
        warn_once(
            (doing, type(error)),
            "telemetry failed while %s (%s); your call is not affected. "
            "hint: genops.init(debug=True) logs the details",
            doing,
            type(error).__name__,
        )
        logger.debug("failure while %s", doing, exc_info=error)
