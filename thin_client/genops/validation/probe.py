"""What the checks of `validate_setup` share: the form of a finding, and patience with an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Literal, NamedTuple, TypeVar

__all__ = ["Finding", "Findings", "Level", "cause", "within"]

Level = Literal["error", "warning", "info"]
Result = TypeVar("Result")


class Finding(NamedTuple):
    """One thing that a check found."""

    level: Level
    message: str
    fix: str | None = None


Findings = Iterator[Finding]


def within(timeout_s: float, action: Callable[[], Result]) -> Result:
    """What the action returns or raises, if that takes no longer (name look-ups have no timeout).

    Raises:
        TimeoutError: it takes longer; it goes on in its thread, whose end nobody waits for.
    """
    from concurrent.futures import Future

    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(action())
        except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
            outcome.set_exception(error)

    Thread(target=run, name="genops-validate", daemon=True).start()
    return outcome.result(timeout_s)


def cause(error: Exception) -> str:
    """What went wrong, in the system's words; a library's may quote a key or a header."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__
