"""The audit of dependencies: real pip-audit, against a stand-in for OSV built to its interface.

https://google.github.io/osv.dev/post-v1-query/ and https://ossf.github.io/osv-schema/
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dependency_audit import answer_of, main

PINS = "# a comment\nacme-fine==1.0\nacme-broken==2.0\n"
VULNERABILITY = {
    "schema_version": "1.6.0",
    "id": "GHSA-xxxx-yyyy-zzzz",
    "aliases": ["CVE-2026-1"],
    "summary": "Anyone gets in.",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "acme-broken", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
        }
    ],
}


class Osv:
    def __init__(self) -> None:
        self.queries: list[tuple[str, str]] = []
        self.status = 200
        self.url = ""


@pytest.fixture
def osv() -> Iterator[Osv]:
    state = Osv()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = query["package"]["name"], query["version"]
            state.queries.append((name, version))
            broken = (name, version) == ("acme-broken", "2.0")
            body = json.dumps({"vulns": [VULNERABILITY]} if broken else {}).encode()
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join(10)


def audit(folder: Path, pins: str, url: str) -> int:
    file = folder / "constraints.txt"
    file.write_text(pins, encoding="utf-8")
    return main([str(file), "--service", "osv", "--osv-url", url])


def test_a_known_vulnerability_fails_and_says_what_to_do(
    tmp_path: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, PINS, osv.url) == 1

    printed = capsys.readouterr().out
    assert "acme-broken 2.0: " in printed
    assert "fixed in 2.1: Anyone gets in." in printed
    assert "2 pins, 1 known vulnerabilities (osv)" in printed
    assert set(osv.queries) == {("acme-fine", "1.0"), ("acme-broken", "2.0")}


def test_pins_without_known_vulnerabilities_pass(
    tmp_path: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path, PINS.replace("2.0", "2.1"), osv.url) == 0
    assert "2 pins, 0 known vulnerabilities" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["500", "nobody listens"])
def test_a_service_that_can_not_be_asked_is_said_and_does_not_fail(
    fault: str, tmp_path: Path, osv: Osv, capsys: pytest.CaptureFixture[str]
) -> None:
    osv.status = 500
    url = osv.url if fault == "500" else "http://127.0.0.1:1/v1/query"

    assert audit(tmp_path, PINS, url) == 0

    assert "SKIPPED, no service could be asked: osv: " in capsys.readouterr().out


def test_an_index_that_knows_no_package_has_audited_nothing() -> None:
    """What pip-audit prints behind a mirror, together with "No known vulnerabilities found"."""
    reason = "Dependency not found on PyPI and could not be audited: acme (1.0)"
    stdout = json.dumps({"dependencies": [{"name": "acme", "skip_reason": reason}], "fixes": []})

    answer = answer_of(stdout, "No known vulnerabilities found\n")

    assert not answer.usable
    assert answer.reason == reason
