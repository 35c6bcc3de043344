"""A loopback HTTP server that gives scripted answers in the shape of the OpenAI API."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE: Mapping[str, object] = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "cost": 0.0123,
    "is_byok": False,
    "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 50, "audio_tokens": 7},
    "completion_tokens_details": {
        "reasoning_tokens": 80,
        "audio_tokens": 5,
        "image_tokens": 3,
    },
    "cost_details": {"upstream_inference_cost": 0.0123},
}

METADATA: Mapping[str, object] = {
    "requested": "anthropic/claude-3-sonnet",
    "strategy": "direct",
    "region": "iad",
    "summary": "available=2, selected=Amazon Bedrock",
    "attempt": 2,
    "is_byok": False,
    "endpoints": {
        "total": 2,
        "available": [
            {"provider": "Anthropic", "model": "anthropic/claude-3-sonnet", "selected": False},
            {"provider": "Amazon Bedrock", "model": "anthropic/claude-3-sonnet", "selected": True},
        ],
    },
    "attempts": [
        {"provider": "Anthropic", "model": "anthropic/claude-3-sonnet", "status": 503},
        {"provider": "Amazon Bedrock", "model": "anthropic/claude-3-sonnet", "status": 200},
    ],
}

SECRET = "the secret of the prompt"  # never on a span
MESSAGES: list[Any] = [{"role": "user", "content": SECRET}]


def completion(**more: object) -> dict[str, object]:
    """A chat completion."""
    return {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1,
        "model": "anthropic/claude-3-sonnet",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": SECRET},
            }
        ],
        "usage": USAGE,
        **more,
    }


def chunk(**more: object) -> dict[str, object]:
    """A chunk of a streamed chat completion."""
    return {
        "id": "gen-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "anthropic/claude-3-sonnet",
        "provider": "Amazon Bedrock",
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": SECRET}, "finish_reason": None}
        ],
        **more,
    }


FINISH = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
LAST = chunk(choices=[], usage=USAGE, openrouter_metadata=METADATA)
CHUNKS = (chunk(), FINISH, LAST)


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    status: int = 200
    content_type: str = "application/json"
    truncated: bool = False  # the connection breaks before the announced end
    hold: threading.Event | None = None  # the answer waits for this


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: dict[str, Any]


@dataclass(slots=True)
class ScriptedServer:
    """Answers requests from a queue; the last answer is repeated."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    arrived: threading.Event = field(default_factory=threading.Event)

    def answer(
        self, body: object, *, status: int = 200, hold: threading.Event | None = None
    ) -> None:
        self.answers.append(Answer(json.dumps(body).encode(), status, hold=hold))

    def stream(
        self, chunks: Sequence[object] = CHUNKS, *, done: bool = True, truncated: bool = False
    ) -> None:
        lines = [": OPENROUTER PROCESSING"]
        lines += [f"data: {json.dumps(item)}" for item in chunks]
        if done:
            lines.append("data: [DONE]")
        body = "".join(line + "\n\n" for line in lines).encode()
        self.answers.append(Answer(body, content_type="text/event-stream", truncated=truncated))

    def next_answer(self) -> Answer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    @property
    def last(self) -> Received:
        return self.requests[-1]


def serve(server: ScriptedServer) -> ThreadingHTTPServer:
    """Start answering on a free loopback port, in a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"] or 0))
            body = json.loads(sent) if sent else {}
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(Received(self.path, headers, body))
            server.arrived.set()
            answer = server.next_answer()
            if answer.hold is not None:
                answer.hold.wait(60)
            try:
                self.send_response(answer.status)
                self.send_header("content-type", answer.content_type)
                extra = 100 if answer.truncated else 0
                self.send_header("content-length", str(len(answer.body) + extra))
                self.end_headers()
                self.wfile.write(answer.body)
            except OSError:
                self.close_connection = True  # the caller gave up: a test's business
            if answer.truncated:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the caller gave up: a test's business

    httpd = Server(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_port}/api/v1"
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    return httpd
