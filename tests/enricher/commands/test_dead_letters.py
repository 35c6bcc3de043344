"""The dead-letters commands on files of their own making, toward a real destination."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from destinations import HttpAnswer, HttpScript, Received, http_destination
from genops_enricher.cli import main
from genops_enricher.pipeline import Signal
from genops_enricher.queue import DeadLetters
from genops_enricher.queue.dead_letters import letter_paths
from otlp import request, span
from queues import list_letters

PROTOBUF = {"Content-Type": "application/x-protobuf"}


def kept(folder: Path, *payloads: bytes, items: int = 1, max_bytes: int = 1 << 20) -> list[Path]:
    letters = DeadLetters(folder, Signal.TRACES, "otlp_http", max_bytes)
    for payload in payloads:
        assert letters.keep(payload, items, "HTTP 400 Bad Request")
    return letter_paths(folder)


def command(folder: Path, port: int, *arguments: str) -> int:
    config = folder / "enricher.yaml"
    config.write_text(
        f"exporters: {{otlp_http: {{endpoint: 'http://127.0.0.1:{port}'}}}}\n"
        f"service: {{data_dir: '{folder}'}}\n"
    )
    return main(["dead-letters", *arguments, "--config", str(config)])


def answering(*answers: HttpAnswer) -> HttpScript:
    return lambda number, _request: answers[min(number, len(answers) - 1)]


def numbered(number: int) -> bytes:
    return request(span({"number": number}, number=number))


def test_a_damaged_letter_is_reported_and_the_others_are_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = kept(tmp_path, *map(numbered, range(3)))
    paths[0].write_bytes(paths[0].read_bytes()[:-3])
    paths[2].with_name("0000.letter").write_bytes(b"{}\n")

    with http_destination() as destination:
        assert command(tmp_path, destination.port, "list") == 1
        assert capsys.readouterr().out.count("HTTP 400 Bad Request") == 2
        assert command(tmp_path, destination.port, "resend", "--all") == 1

    assert len(destination.received) == 2
    assert "damaged" in (errors := capsys.readouterr().err)
    assert "is no dead letter" in errors
    assert len(letter_paths(tmp_path)) == 2


def test_what_a_letter_holds_drives_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "é \x9b2J\x1b[2J\x7f\u202e\u2028"
    (path,) = kept(tmp_path, request(span({"prompt": text})))

    assert command(tmp_path, 1, "show", path.stem) == 0

    printed = capsys.readouterr().out.removesuffix("\n")
    assert printed.isprintable()
    assert json.dumps(text) in json.dumps(json.loads(printed))


def test_many_letters_go_over_one_connection(tmp_path: Path) -> None:
    kept(tmp_path, *map(numbered, range(30)))
    peers = set()

    def remember(_number: int, _request: Received) -> HttpAnswer:
        peers.add(threading.get_ident())  # a thread for each connection
        return HttpAnswer()

    with http_destination(remember) as destination:
        assert command(tmp_path, destination.port, "resend", "--all") == 0

    assert len(destination.received) == 30
    assert len(peers) == 1
    assert letter_paths(tmp_path) == []


def test_a_destination_that_refuses_the_key_is_asked_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path, *map(numbered, range(5)))
    with http_destination(answering(HttpAnswer(401))) as destination:
        assert command(tmp_path, destination.port, "resend", "--all") == 1

    assert len(destination.received) == 1
    assert len(letter_paths(tmp_path)) == 5
    assert capsys.readouterr().out.count("kept, not tried: otlp_http answered HTTP 401") == 4


def test_a_letter_that_is_rejected_as_a_whole_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A partial success of nothing: the file is all that is left of these spans."""
    kept(tmp_path, numbered(1), items=2)
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    response.partial_success.error_message = "too old"
    answer = HttpAnswer(200, response.SerializeToString(), PROTOBUF)
    with http_destination(answering(answer)) as destination:
        assert command(tmp_path, destination.port, "resend", "--all") == 1

    assert len(letter_paths(tmp_path)) == 1
    assert "rejected all of it: too old" in capsys.readouterr().out


def test_an_unknown_id_is_an_error_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path, numbered(1))

    assert command(tmp_path, 1, "resend", "nobody") != 0
    assert "no dead letter nobody" in capsys.readouterr().err


class TestBound:
    def test_what_was_sent_again_makes_room(self, tmp_path: Path) -> None:
        letters = DeadLetters(tmp_path, Signal.TRACES, "otlp_http", 2500)
        assert letters.keep(b"1" * 1000, 1, "why")
        assert letters.keep(b"2" * 1000, 1, "why")
        assert not letters.keep(b"3" * 1000, 1, "why")
        letter_paths(tmp_path)[0].unlink()

        assert letters.keep(b"3" * 1000, 1, "why")
        assert not letters.keep(b"4" * 1000, 1, "why")

    def test_at_the_bound_nothing_is_counted_as_long_as_nothing_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder of a hundred thousand letters takes a second to count, for each that follows."""
        letters = DeadLetters(tmp_path, Signal.TRACES, "otlp_http", 1500)
        assert letters.keep(b"1" * 1000, 1, "why")
        assert not letters.keep(b"2" * 1000, 1, "why")

        def count_again(_path: Path) -> None:
            raise AssertionError

        monkeypatch.setattr(os, "scandir", count_again)
        for n in range(100):
            assert not letters.keep(b"x%d" % n * 1000, 1, "why")

    def test_a_letter_that_is_sent_again_while_they_are_counted_does_no_harm(
        self, tmp_path: Path
    ) -> None:
        """The service counts, the command removes."""
        letters = DeadLetters(tmp_path, Signal.TRACES, "otlp_http", 60_000)
        done = threading.Event()

        def remove() -> None:
            while not done.is_set():
                for path in letter_paths(tmp_path):
                    path.unlink(missing_ok=True)

        remover = threading.Thread(target=remove)
        remover.start()
        try:
            results = {letters.keep(b"%d " % n * 1000, 1, "why") for n in range(2000)}
        finally:
            done.set()
            remover.join()

        assert True in results

    def test_what_a_crash_left_unfinished_is_removed(self, tmp_path: Path) -> None:
        (path,) = kept(tmp_path, b"1")
        leftover = path.with_suffix(".unfinished")
        leftover.write_bytes(b"x" * 5000)

        kept(tmp_path, b"2", max_bytes=2000)

        assert not leftover.exists()
        assert len(list_letters(tmp_path)) == 2
