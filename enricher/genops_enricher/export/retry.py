"""When to try again: exponential backoff with jitter, as the Collector's `retry_on_failure`.

Pure: random numbers and the time passed come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from genops_enricher.config.model import RetryConfig

__all__ = ["Backoff"]

# A destination may ask for a longer wait than ours, but not stop delivery for a day by mistake.
SERVER_DELAY_MAX_S = 3600.0
# With the default of 30 s: every five minutes.
_APART_FACTOR = 10


class Backoff:
    """The waits between the attempts to deliver one request."""

    def __init__(self, config: RetryConfig, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1)."""
        self._config = config
        self._random = random
        self._interval_s = config.initial_interval_s

    def next_delay_s(
        self, *, elapsed_s: float, server_delay_s: float | None, apart: bool = False
    ) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        Args:
            elapsed_s: seconds since the first attempt began.
            server_delay_s: what the destination asked for; the wait is never shorter than that.
            apart: nothing is behind this request, so the waits may grow further.
        """
        config = self._config
        if not config.enabled:
            return None
        spread = config.randomization_factor * (2 * self._random() - 1)
        delay_s = self._interval_s * (1 + spread)
        longest_s = config.max_interval_s * (_APART_FACTOR if apart else 1)
        self._interval_s = min(self._interval_s * config.multiplier, longest_s)
        if server_delay_s is not None:
            delay_s = max(delay_s, min(server_delay_s, SERVER_DELAY_MAX_S))
        if config.max_elapsed_time_s and elapsed_s + delay_s > config.max_elapsed_time_s:
            return None
        return delay_s
