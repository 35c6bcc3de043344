"""The HTTP side of the fake OpenRouter: paths, keys, status codes and server-sent events.

What an answer says is decided in `answering` and `wire`.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from genops_enricher.demo.fake_openrouter import wire
from genops_enricher.demo.fake_openrouter.answering import answer_request, texts_of
from genops_enricher.demo.fake_openrouter.billing import MODELS
from genops_enricher.demo.fake_openrouter.generation import Generation, Ledger
from genops_enricher.demo.fake_openrouter.routing import RouteError
from genops_enricher.demo.fake_openrouter.scenario import HEADER, Scenario, parse_scenario
from genops_enricher.demo.loopback import LOOPBACK, Handler, LoopbackServer

__all__ = ["Asked", "FakeOpenRouter"]

JSON = "application/json"
API = "/api/v1"
KEY_PREFIX = "sk-or-"


@dataclass(frozen=True, slots=True)
class Asked:
    """A POST request as it came over the wire."""

    path: str
    headers: Mapping[str, str]  # by lower-case name
    body: Any  # decoded JSON; None if it was none


class FakeOpenRouter:
    """An OpenRouter on 127.0.0.1, in this process. Any API key `sk-or-…` is good.

    It serves from the constructor until `close`, or as a context manager:

        with FakeOpenRouter() as fake:
            client = OpenAI(base_url=fake.base_url, api_key="sk-or-fake")
            …
            assert fake.ledger.billed == Decimal("0.0015")
    """

    def __init__(self, port: int = 0) -> None:
        """Start on 127.0.0.1:`port`; 0 takes any free port.

        Raises:
            OSError: the port is taken.
        """
        self.ledger = Ledger()
        self.asked: list[Asked] = []  # oldest first, refused ones too
        self._server = LoopbackServer(port, partial(_Handler, self))
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """The server's root, under which GET /fake/ledger is."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as `base_url`."""
        return f"{self.url}{API}"

    def close(self) -> None:
        """Stop; returns when every thread has ended."""
        self._server.close()

    def __enter__(self) -> FakeOpenRouter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Handler(Handler):
    def __init__(self, fake: FakeOpenRouter, *args: Any) -> None:
        self._fake = fake
        super().__init__(*args)

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it by this name
        url = urlsplit(self.path)
        ledger = self._fake.ledger
        if url.path == "/fake/ledger":
            self._json(
                200,
                {
                    "billed": str(ledger.billed),
                    "generations": [generation.entry() for generation in ledger.generations()],
                },
            )
        elif url.path == f"{API}/models":  # public: no key needed
            self._json(200, wire.model_list(list(MODELS.values())))
        elif not self._authorized():
            return
        elif url.path == f"{API}/key":
            bills = [generation.bill for generation in ledger.generations()]
            byok = sum((bill.upstream for bill in bills if bill.is_byok), Decimal(0))
            self._json(200, wire.key_details(sum((b.cost for b in bills), Decimal(0)), byok))
        elif url.path == f"{API}/generation":
            generation = ledger.look_up(parse_qs(url.query).get("id", [""])[0])
            if generation is None:
                self._error(404, "Generation not found")
            else:
                self._json(200, wire.generation_details(generation))
        else:
            self._error(404)

    def do_POST(self) -> None:  # noqa: N802 - as above
        raw = self.read_body()
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._fake.asked.append(Asked(self.path, headers, body))
        answer = _ANSWERS.get(self.path)
        if answer is None:
            self._error(404)
        elif not self._authorized():
            return
        elif not isinstance(body, dict):
            self._error(400, "The request body is not a JSON object")
        else:
            try:
                scenario = parse_scenario(self.headers.get(HEADER, ""))
                self._answer(answer, body, scenario)
            except RouteError as error:
                self._error(error.status, str(error), error.provider)
            except ValueError as error:
                self._error(400, str(error))

    def _answer(self, answer: _Answer, body: dict[str, Any], scenario: Scenario) -> None:
        if scenario.status != 200:
            self._error(scenario.status)
            return
        if not body.get(answer.needs) or (body.get("stream") and answer.chunks is None):
            self._error(400)
            return
        created = int(time.time())
        generation = answer_request(
            answer.api,
            body,
            scenario,
            generation_id=f"gen-{created}-{uuid.uuid4().hex[:20]}",
            created=created,
        )
        # Booked before the answer leaves: who has the answer finds it in the ledger.
        self._fake.ledger.add(generation)
        metadata = self.headers.get("X-OpenRouter-Metadata", "").lower() == "enabled"
        if generation.streamed and answer.chunks is not None:
            self._stream(generation, answer.chunks(generation, metadata=metadata))
        else:
            document = answer.document(generation, body, metadata)
            self._json(200, document, {"X-Generation-Id": generation.id})

    def _authorized(self) -> bool:
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        if not key:
            self._error(401, "Missing Authentication header")
        elif scheme != "Bearer" or not key.startswith(KEY_PREFIX):
            self._error(401)
        else:
            return True
        return False

    def _error(self, status: int, message: str | None = None, provider: str | None = None) -> None:
        headers = {}
        if status == 429:
            headers = {
                "Retry-After": "1",
                "X-RateLimit-Limit": "20",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(int((time.time() + 1) * 1000)),
            }
        self._json(status, wire.error_body(status, message, provider), headers)

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.answer(status, json.dumps(body).encode(), JSON, headers)

    def _stream(self, generation: Generation, chunks: Iterable[Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Generation-Id", generation.id)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in _events(chunks, done=not generation.scenario.stream_error):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def _events(chunks: Iterable[Any], *, done: bool) -> Iterator[bytes]:
    yield b": OPENROUTER PROCESSING\n\n"  # a comment that keeps the connection alive
    for chunk in chunks:
        yield b"data: %s\n\n" % json.dumps(chunk).encode()
    if done:
        yield b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class _Answer:
    """How one POST path answers."""

    api: str
    needs: str  # the body's required field
    document: Callable[[Generation, dict[str, Any], bool], Any]
    chunks: Callable[..., Iterator[Any]] | None = None  # None: it does not stream


_ANSWERS = {
    f"{API}/chat/completions": _Answer(
        "chat",
        "messages",
        lambda generation, _, metadata: wire.chat_completion(generation, metadata=metadata),
        wire.chat_chunks,
    ),
    f"{API}/completions": _Answer(
        "completions",
        "prompt",
        lambda generation, _, metadata: wire.text_completion(generation, metadata=metadata),
        wire.text_chunks,
    ),
    f"{API}/embeddings": _Answer(
        "embeddings",
        "input",
        lambda generation, body, _: wire.embeddings(generation, list(texts_of(body["input"]))),
    ),
    f"{API}/responses": _Answer(
        "responses",
        "input",
        lambda generation, _, metadata: wire.response(generation, metadata=metadata),
        wire.response_events,
    ),
}
