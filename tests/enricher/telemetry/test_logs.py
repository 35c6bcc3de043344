"""The log is readable by people or machines, and a flood of warnings stays small."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings

import pytest

from genops_enricher.telemetry.logs import RateLimit, set_up_logging

pytestmark = pytest.mark.usefixtures("restored_logging")


def test_console_lines_have_time_level_and_source() -> None:
    stream = io.StringIO()
    set_up_logging("info", "console", stream)

    logging.getLogger("genops_enricher.service").info("catalog %s", "2026.11.22")
    logging.getLogger("genops_enricher.service").debug("not shown")

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    service: catalog 2026\.11\.22\n",
        stream.getvalue(),
    )


def test_json_lines_hold_one_object_each_also_with_an_exception() -> None:
    stream = io.StringIO()
    set_up_logging("warn", "json", stream)
    log = logging.getLogger("genops_enricher.export")

    try:
        raise RuntimeError("line\nbreak")
    except RuntimeError:
        log.exception("it failed")
    log.warning("two\nlines")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]

    assert first.keys() == {"time", "level", "logger", "message", "exception"}
    assert first["level"] == "error"
    assert "RuntimeError: line\nbreak" in first["exception"]
    assert (second["logger"], second["message"]) == ("genops_enricher.export", "two\nlines")


def test_libraries_log_from_warn_on_whatever_our_level() -> None:
    stream = io.StringIO()
    set_up_logging("debug", "console", stream)

    logging.getLogger("urllib3").info("not shown")
    logging.getLogger("urllib3").warning("shown")
    logging.getLogger("genops_enricher").debug("shown too")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("a warning of Python", stacklevel=1)

    assert "not shown" not in stream.getvalue()
    assert "shown too" in stream.getvalue()
    assert "a warning of Python" in stream.getvalue()


def test_setting_up_twice_writes_each_line_once() -> None:
    stream = io.StringIO()
    set_up_logging("info", "console", stream)
    set_up_logging("info", "console", stream)

    logging.getLogger("genops_enricher").info("once")

    assert stream.getvalue().count("once") == 1


def _record(text: str, *args: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("genops_enricher", level, "", 0, text, args, None)


def test_repeated_warnings_are_left_out_and_counted() -> None:
    now = 100.0
    limit = RateLimit(burst=2, interval_s=10, clock=lambda: now)

    passed = [limit.filter(_record("%s is down", name)) for name in "abcde"]
    now = 110.0
    later = _record("%s is down", "f")

    assert passed == [True, True, False, False, False]
    assert limit.filter(later)
    assert later.getMessage() == "f is down (3 more like this were left out)"
    assert limit.filter(next_one := _record("%s is down", "g"))
    assert next_one.getMessage() == "g is down"


def test_a_wrong_call_of_a_library_raises_nothing_after_others_were_left_out() -> None:
    now = 100.0
    limit = RateLimit(burst=1, interval_s=10, clock=lambda: now)
    for _ in range(2):
        limit.filter(_record("%d of %d", "a"))
    now = 110.0

    assert limit.filter(_record("%d of %d", "a"))


def test_different_warnings_do_not_crowd_each_other_out() -> None:
    limit = RateLimit(burst=1, clock=lambda: 0.0)

    assert limit.filter(_record("one"))
    assert limit.filter(_record("two"))
    assert limit.filter(_record("one", level=logging.ERROR))
    assert not limit.filter(_record("one"))


def test_lines_below_warning_always_pass() -> None:
    limit = RateLimit(burst=1, clock=lambda: 0.0)

    assert all(limit.filter(_record("started", level=logging.INFO)) for _ in range(5))


@pytest.mark.parametrize("encoding", ["console", "json"])
def test_no_text_forges_a_line_or_drives_a_terminal(encoding: str) -> None:
    stream = io.StringIO()
    set_up_logging("info", encoding, stream)
    log = logging.getLogger("genops_enricher.x")
    foreign = "a\n2026-01-01T00:00:00.000Z ERROR forged: b\r\x1b[2J\x9b31m\x7f\u202ec\u2028d\udc80"

    log.info("%s", foreign)
    try:
        raise ValueError(foreign)
    except ValueError:
        log.exception("failed")

    lines = stream.getvalue().splitlines()
    assert all(character.isprintable() for line in lines for character in line)
    assert not any(re.match(r"\d{4}-.* forged", line) for line in lines)
    assert "\u202e" not in stream.getvalue()


def test_json_says_the_same_text_also_where_it_escapes_more() -> None:
    stream = io.StringIO()
    set_up_logging("info", "json", stream)
    text = "a\nb\x1b[2J\x9b31m\x7f\u202ec é 😀"

    logging.getLogger("genops_enricher.x").info("%s", text)

    assert json.loads(stream.getvalue())["message"] == text


def test_what_libraries_quote_of_other_sides_is_not_shown() -> None:
    stream = io.StringIO()
    set_up_logging("info", "console", stream)

    logging.getLogger("grpc._common").warning("can't decode %s", b"t0ken")
    logging.getLogger("urllib3.connection").warning(
        "Failed to parse headers (url=%s): %s", "http://a/", ValueError("t0ken")
    )
    logging.getLogger("opentelemetry.trace.span").warning("Invalid pair (%s, %s)", "k", "t0ken")

    assert "t0ken" not in stream.getvalue()
    assert "can't decode 5 bytes, not shown" in stream.getvalue()
    assert "(url=http://a/): ValueError, not shown" in stream.getvalue()
    assert "5 characters, not shown" in stream.getvalue()
