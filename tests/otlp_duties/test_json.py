"""J1-J5: OTLP's JSON encoding, for each signal, over HTTP to a running enricher.

What is exact beyond these statements: tests/enricher/decode/test_otlp_json.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from genops_enricher.decode.otlp_json import to_json
from genops_enricher.pipeline import Signal
from otlp_duties.system import JSON, MESSAGES, SPAN_ID, TRACE_ID, Answer, System, message

pytestmark = pytest.mark.parametrize("signal", Signal)

# Where the ids, an enum and a number of 64 bits stand.
IDS = {
    Signal.TRACES: ("resourceSpans", 0, "scopeSpans", 0, "spans", 0),
    Signal.METRICS: (
        *("resourceMetrics", 0, "scopeMetrics", 0, "metrics", 0),
        *("sum", "dataPoints", 0, "exemplars", 0),
    ),
    Signal.LOGS: ("resourceLogs", 0, "scopeLogs", 0, "logRecords", 0),
}
ENUM = {
    Signal.TRACES: (IDS[Signal.TRACES], "kind", "SPAN_KIND_CLIENT"),
    Signal.METRICS: (
        IDS[Signal.METRICS][:7],
        "aggregationTemporality",
        "AGGREGATION_TEMPORALITY_DELTA",
    ),
    Signal.LOGS: (IDS[Signal.LOGS], "severityNumber", "SEVERITY_NUMBER_INFO"),
}
NUMBER = {
    Signal.TRACES: (IDS[Signal.TRACES], "endTimeUnixNano"),
    Signal.METRICS: (IDS[Signal.METRICS][:9], "asInt"),
    Signal.LOGS: (IDS[Signal.LOGS], "timeUnixNano"),
}


def at(node: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        node = node[step]
    return node


def send(system: System, signal: Signal, document: dict[str, Any]) -> Answer:
    return system.over_http(signal, json.dumps(document).encode(), JSON)


def arrived(system: System, signal: Signal, name: str) -> Any:
    return MESSAGES[signal].FromString(system.arrived(name))


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_j1_ids_are_hexadecimal_in_either_case(
    running_system: System, signal: Signal, case: Any
) -> None:
    name = f"j1 {signal} {case.__name__}"
    document = to_json(message(signal, name))
    item = at(document, IDS[signal])
    item |= {"traceId": case(TRACE_ID.hex()), "spanId": case(SPAN_ID.hex())}

    assert send(running_system, signal, document).code == "200"
    assert arrived(running_system, signal, name) == message(signal, name)


def test_j1_ids_in_base64_are_bad_data(running_system: System, signal: Signal) -> None:
    document = to_json(message(signal, "never"))
    at(document, IDS[signal])["traceId"] = "W47/95gDgQPSabYzgT/GDA=="
    answer = send(running_system, signal, document)

    assert answer.code == "400"
    assert "traceId" in answer.status.message


def test_j2_enums_are_integers_and_never_names(running_system: System, signal: Signal) -> None:
    name = f"j2 {signal}"
    path, field, word = ENUM[signal]
    document = to_json(message(signal, name))
    at(document, path)[field] = 1
    assert send(running_system, signal, document).code == "200"
    taken = to_json(arrived(running_system, signal, name))
    at(document, path)[field] = word
    answer = send(running_system, signal, document)

    assert at(taken, path)[field] == 1
    assert answer.code == "400"
    assert word in answer.status.message


def test_j3_unknown_fields_are_ignored_with_all_they_hold(
    running_system: System, signal: Signal
) -> None:
    name = f"j3 {signal}"
    document = to_json(message(signal, name))
    unknown = {"traceId": "no id", "kind": "no enum", "list": [None, {"spanId": 7}]}
    for node in (document, *(at(document, IDS[signal][:n]) for n in (2, 4, 6, len(IDS[signal])))):
        node["fromTheFuture"] = unknown

    assert send(running_system, signal, document).code == "200"
    assert arrived(running_system, signal, name) == message(signal, name)


def test_j4_keys_in_snake_case_are_no_fields(running_system: System, signal: Signal) -> None:
    name = f"j4 {signal}"
    document = to_json(message(signal, name))
    item = at(document, IDS[signal])
    item["trace_id"] = item.pop("traceId")
    assert send(running_system, signal, document).code == "200"

    taken = at(to_json(arrived(running_system, signal, name)), IDS[signal])
    assert "traceId" not in taken
    assert taken["spanId"] == SPAN_ID.hex()


@pytest.mark.parametrize("kind", [int, str])
def test_j5_numbers_of_64_bits_are_texts_or_numbers_and_exact(
    running_system: System, signal: Signal, kind: type
) -> None:
    name = f"j5 {signal} {kind.__name__}"
    path, field = NUMBER[signal]
    document = to_json(message(signal, name))
    node = at(document, path)
    written = node[field]
    node[field] = kind(written)

    assert isinstance(written, str)  # as we write them
    assert send(running_system, signal, document).code == "200"
    assert arrived(running_system, signal, name) == message(signal, name)
