"""Ask OpenRouter afterwards what a stream that was broken off has used and cost.

The usage comes with a stream's last chunk, which an aborted stream never shows. OpenRouter keeps it
under the generation's id: GET /generation, https://openrouter.ai/docs/api-reference/get-a-generation.
Opt-in, `genops.init(openrouter_complete_aborted=True)`. All of it happens on one daemon thread, for
a bounded number of streams and a bounded time, and a span ends without these facts if they can't be
had.

The request goes out with the application's own client: its key, base URL, headers and transport. An
asynchronous client, whose event loop may be gone, and one that is closed get a transport with the
SDK's defaults.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final

from genops.core.guard import guard
from genops.core.recording import get

__all__ = ["Done", "finish_lookups", "look_up", "prepare_lookups"]

# Gets what was found, in the shape of a response, or None.
Done = Callable[[Mapping[str, object] | None], None]

# A generation can be looked up some time after it ended, and is "not found" until then. Seconds
# between one try and the next.
_DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0)
_REQUEST_TIMEOUT_S: Final = 5.0
_WAITING_MAX: Final = 256  # streams; more are recorded as they are

_RETRIED: Final = frozenset({404, 408, 429})  # and 5xx


@dataclass(order=True, slots=True)
class _Lookup:
    due: float  # monotonic seconds
    number: int
    client: Any = field(compare=False)
    generation_id: str = field(compare=False)
    done: Done = field(compare=False)
    tries: int = field(default=0, compare=False)


class _Lookups:
    """The lookups under way, and the thread that makes them.

    `add` may run inside the garbage collector, at any point of any thread, so it takes no lock and
    starts no thread: a SimpleQueue is made for that, and single operations of a dict are atomic.
    """

    def __init__(self) -> None:
        self._inbox: SimpleQueue[_Lookup | threading.Event] = SimpleQueue()
        self._waiting: dict[int, _Lookup] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="genops-generations", daemon=True
                )
                self._thread.start()

    def add(self, client: object, generation_id: str, done: Done) -> bool:
        if self._thread is None or len(self._waiting) >= _WAITING_MAX:
            return False
        due = time.monotonic() + _DELAYS_S[0]
        lookup = _Lookup(due, next(self._numbers), client, generation_id, done)
        self._waiting[lookup.number] = lookup
        self._inbox.put(lookup)
        return True

    def finish(self, timeout_s: float) -> None:
        """Wait for what is under way, at most this long; end the rest without it."""
        if not self._waiting:
            return
        settled = threading.Event()
        self._inbox.put(settled)
        settled.wait(timeout_s)
        for lookup in list(self._waiting.values()):
            self._end(lookup, None)

    def _end(self, lookup: _Lookup, found: Mapping[str, object] | None) -> None:
        # The thread and `finish` may both come here: the first one ends it.
        if self._waiting.pop(lookup.number, None) is not None:
            with guard("completing an aborted stream"):
                lookup.done(found)

    def _work(self) -> None:
        pending: list[_Lookup] = []
        settled: threading.Event | None = None
        while True:
            try:
                timeout = max(0.0, pending[0].due - time.monotonic()) if pending else None
                item = self._inbox.get(timeout=timeout)
            except Empty:
                lookup = heapq.heappop(pending)
                if lookup.number in self._waiting and not self._try(lookup):
                    heapq.heappush(pending, lookup)
            else:
                if isinstance(item, _Lookup):
                    heapq.heappush(pending, item)
                else:
                    settled = item
            if settled is not None and not self._waiting:
                settled.set()

    def _try(self, lookup: _Lookup) -> bool:
        """Make a request; False if it is to be made again, when the lookup is due."""
        found: Mapping[str, object] | None = None
        try:
            found = _as_response(_fetch(lookup.client, lookup.generation_id))
        except Exception as error:  # noqa: BLE001 - the SDK's, or of whatever transport it has
            status = getattr(error, "status_code", None)
            again = not isinstance(status, int) or status in _RETRIED or status >= 500
            lookup.tries += 1
            if again and lookup.tries < len(_DELAYS_S):
                lookup.due = time.monotonic() + _DELAYS_S[lookup.tries]
                return False
        self._end(lookup, found)
        return True


def _fetch(client: Any, generation_id: str) -> object:
    import openai

    settings: dict[str, Any] = {"max_retries": 0, "timeout": _REQUEST_TIMEOUT_S}
    request: dict[str, Any] = {
        "path": "/generation",
        "cast_to": object,
        "options": {"params": {"id": generation_id}},
    }
    if isinstance(client, openai.AsyncOpenAI):
        import asyncio  # is not part of the cost of `import genops`

        async def fetch() -> object:
            transport = openai.DefaultAsyncHttpxClient()
            async with client.with_options(http_client=transport, **settings) as own:
                return await own.get(**request)

        return asyncio.run(fetch())
    if client.is_closed():
        with client.with_options(http_client=openai.DefaultHttpxClient(), **settings) as own:
            return own.get(**request)
    return client.with_options(**settings).get(**request)


def _as_response(answer: object) -> Mapping[str, object]:
    """The generation (schema GenerationResponse) in the shape of the response that never came.

    Native counts are the ones billed; the others are a common measure for rankings.
    """
    data = get(answer, "data")
    attempts = get(data, "provider_responses")
    attempts = attempts if isinstance(attempts, list) else []
    response = {
        "model": get(data, "model"),
        "provider": get(data, "provider_name"),
        "service_tier": get(data, "service_tier"),
        "usage": {
            "prompt_tokens": get(data, "native_tokens_prompt"),
            "completion_tokens": get(data, "native_tokens_completion"),
            "prompt_tokens_details": {"cached_tokens": get(data, "native_tokens_cached")},
            "completion_tokens_details": {
                "reasoning_tokens": get(data, "native_tokens_reasoning"),
                "image_tokens": get(data, "native_tokens_completion_images"),
            },
            "cost": get(data, "total_cost"),
            "is_byok": get(data, "is_byok"),
            "cost_details": {"upstream_inference_cost": get(data, "upstream_inference_cost")},
        },
        "openrouter_metadata": {
            "attempt": len(attempts),
            "attempts": [
                {"provider": get(one, "provider_name"), "status": get(one, "status")}
                for one in attempts
            ],
        },
    }
    return {name: value for name, value in response.items() if value is not None}


_lookups = _Lookups()


def _forget() -> None:
    global _lookups
    _lookups = _Lookups()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # what is under way is the parent's to end


def prepare_lookups() -> None:
    """Have the thread running, so that `look_up` works in this process."""
    _lookups.start()


def look_up(client: object, generation_id: str, done: Done) -> bool:
    """Look a generation up in the background, and hand what is found to `done`, once.

    Args:
        client: The SDK client of the call.
        generation_id: OpenRouter's, `gen-…`.
        done: Called from another thread, with None if there is nothing to be had.

    Returns:
        False if the lookup was not taken on; `done` will not be called.
    """
    return _lookups.add(client, generation_id, done)


def finish_lookups(timeout_s: float) -> None:
    """Let lookups under way come to their end within this time (seconds); give up the rest."""
    _lookups.finish(timeout_s)
