"""The script that puts the board into Honeycomb, against a stand-in for its API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy import tools

FOLDER = Path(__file__).parents[2] / "collector-config" / "dashboards" / "honeycomb"
VALIDATE = Path(__file__).parents[1] / "deploy" / "validate.py"


class Honeycomb(ThreadingHTTPServer):
    """Keeps boards and triggers by name, as the documented API does; any query is taken."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, dict[str, dict[str, Any]]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.key = "hcxik_test"


class _Handler(BaseHTTPRequestHandler):
    server: Honeycomb

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body: Any = json.loads(self.rfile.read(length)) if length else None
        if self.headers["X-Honeycomb-Team"] != self.server.key:
            return self._send(401, {"error": "unknown API key - check your credentials"})
        self.server.requests.append((method, self.path, body))
        _, _, kind, *rest = self.path.split("/")
        things = self.server.kept.setdefault(kind, {})
        if method == "GET":
            return self._send(200, [*things.values()])
        number = rest[-1] if method == "PUT" else f"{kind}-{len(things) + 1}"
        things[number] = {**body, "id": number}
        return self._send(200 if method == "PUT" else 201, things[number])

    def _send(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def honeycomb() -> Iterator[Honeycomb]:
    with Honeycomb() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def apply(honeycomb: Honeycomb, *arguments: str, key: str = "hcxik_test") -> str:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "apply.py"), *arguments],
        env={
            **os.environ,
            "HONEYCOMB_API": f"http://127.0.0.1:{honeycomb.server_port}",
            "HONEYCOMB_API_KEY": key,
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout if done.returncode == 0 else done.stderr


def test_the_board_shows_every_query_and_the_triggers_are_there(honeycomb: Honeycomb) -> None:
    said = apply(honeycomb)

    queries = json.loads((FOLDER / "queries.json").read_text())
    triggers = json.loads((FOLDER / "triggers.json").read_text())
    (board,) = honeycomb.kept["boards"].values()
    for panel, spec in zip(board["panels"], queries, strict=True):
        shown = panel["query_panel"]
        kept = honeycomb.kept["queries"][shown["query_id"]]
        assert {**kept, "id": None} == {**spec["query"], "id": None}
        named = honeycomb.kept["query_annotations"][shown["query_annotation_id"]]
        assert (named["name"], named["query_id"]) == (spec["name"], shown["query_id"])
    assert [t["name"] for t in honeycomb.kept["triggers"].values()] == [t["name"] for t in triggers]
    assert said.splitlines()[0] == "made: LLM cost (genops)"
    assert {path.split("/")[3] for _, path, _ in honeycomb.requests if "triggers" in path} == {
        "__all__"
    }


def test_a_second_time_replaces_and_adds_nothing(honeycomb: Honeycomb) -> None:
    apply(honeycomb, "calls")
    boards, triggers = (len(honeycomb.kept[kind]) for kind in ("boards", "triggers"))

    said = apply(honeycomb, "calls")

    assert all(line.startswith("replaced: ") for line in said.splitlines())
    assert (len(honeycomb.kept["boards"]), len(honeycomb.kept["triggers"])) == (boards, triggers)
    (board,) = honeycomb.kept["boards"].values()
    assert board["panels"][0]["query_panel"]["dataset"] == "calls"


def test_a_wrong_key_ends_it_with_what_honeycomb_said(honeycomb: Honeycomb) -> None:
    said = apply(honeycomb, key="wrong")

    assert "401" in said
    assert "unknown API key" in said
    assert honeycomb.kept == {}


@pytest.mark.heavy
def test_every_request_is_what_the_api_describes(honeycomb: Honeycomb, tmp_path: Path) -> None:
    apply(honeycomb, "calls")
    models = {
        "boards": "Board",
        "queries": "Query",
        "query_annotations": "QueryAnnotation",
        "triggers": "TriggerWithInlineQuery",
    }
    sent = [
        {"model": models[path.split("/")[2]], "body": body}
        for method, path, body in honeycomb.requests
        if method != "GET"
    ]
    file = tmp_path / "requests.json"
    file.write_text(json.dumps(sent))

    done = subprocess.run(
        [tools.python_with("honeycomb-api"), str(VALIDATE), "honeycomb-requests", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
