"""S1-S10: what OTLP demands of a gRPC server, for each signal, of a running enricher."""

from __future__ import annotations

import grpc
import pytest

from genops_enricher.pipeline import Signal
from otlp_duties.system import System, message, with_unknown_field

RETRYABLE = {
    "CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"
}  # fmt: skip
BROKEN = b"\x0a\xff"  # a resource of 127 bytes and more, of which none follows

pytestmark = pytest.mark.parametrize("signal", Signal)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_s1_requests_are_taken_with_and_without_gzip(
    running_system: System, signal: Signal, compression: grpc.Compression
) -> None:
    name = f"s1 {signal} {compression.name}"
    sent = message(signal, name).SerializeToString()

    assert running_system.over_grpc(signal, sent, compression).code == "OK"
    assert running_system.arrived(name) == sent


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_s2_the_size_limit_holds_after_decompression_too(
    running_system: System, signal: Signal, compression: grpc.Compression
) -> None:
    over = message(signal, "x" * (2 << 20)).SerializeToString()
    answer = running_system.over_grpc(signal, over, compression)
    within = message(signal, f"s2 {signal}" + "x" * (2_000_000)).SerializeToString()

    assert (answer.code, answer.retry_after_s) == ("RESOURCE_EXHAUSTED", None)
    assert running_system.over_grpc(signal, within, compression).code == "OK"


def test_s3_full_success_is_an_empty_message(running_system: System, signal: Signal) -> None:
    sent = message(signal, f"s3 {signal}").SerializeToString()

    assert running_system.over_grpc(signal, sent).body == b""  # so `partial_success` is unset


def test_s4_an_empty_request_succeeds_and_is_not_forwarded(
    running_system: System, signal: Signal
) -> None:
    name = f"s4 {signal}"
    running_system.enricher.wait_until_empty()
    before = running_system.deliveries
    for empty in (b"", b"\x0a\x00", b"\x0a\x02\x12\x00"):  # no resource, no scope, no item
        assert running_system.over_grpc(signal, empty).code == "OK"
    sent = message(signal, name).SerializeToString()
    running_system.over_grpc(signal, sent)

    assert running_system.arrived(name) == sent
    assert running_system.deliveries == before + 1


def test_s5_s6_a_request_is_taken_whole_and_never_in_part(
    running_system: System, signal: Signal
) -> None:
    """What is rejected in part the sender may not send again, so nothing is."""
    name = f"s5 {signal}"
    good = message(signal, name).SerializeToString()
    # A second resource, whose item is cut short.
    sent = good + b"\x0a\x05\x12\x03\x12\x01\xff"
    answer = running_system.over_grpc(signal, sent)

    if signal is Signal.METRICS:  # of these the kinds are read, to count their points
        assert (answer.code, answer.body) == ("INVALID_ARGUMENT", b"")
    else:
        assert (answer.code, answer.body) == ("OK", b"")
        assert running_system.arrived(name) == sent


def test_s7_overload_is_unavailable_with_the_time_to_wait(
    full_system: System, signal: Signal
) -> None:
    sent = message(signal, "x" * 200_000).SerializeToString()
    answer = full_system.over_grpc(signal, sent)

    assert answer.code == "UNAVAILABLE"
    assert answer.retry_after_s is not None
    assert answer.retry_after_s > 0


def test_s7_bad_data_is_invalid_argument_with_bad_request(
    running_system: System, signal: Signal
) -> None:
    answer = running_system.over_grpc(signal, BROKEN)

    assert answer.code == "INVALID_ARGUMENT"
    assert answer.is_bad_request
    assert answer.retry_after_s is None


def test_s8_only_what_may_pass_later_has_a_code_that_is_retried(
    running_system: System, full_system: System, signal: Signal
) -> None:
    sent = message(signal, "x" * 200_000).SerializeToString()
    too_large = message(signal, "x" * (2 << 20)).SerializeToString()

    assert full_system.over_grpc(signal, sent).code in RETRYABLE
    assert running_system.over_grpc(signal, BROKEN).code not in RETRYABLE
    assert running_system.over_grpc(signal, too_large).code not in RETRYABLE


def test_s9_an_answer_is_small_whatever_was_sent(running_system: System, signal: Signal) -> None:
    answer = running_system.over_grpc(signal, BROKEN + b"x" * 1_000_000)

    assert answer.code == "INVALID_ARGUMENT"
    assert answer.status.ByteSize() < 4096


def test_s10_unknown_fields_and_all_flags_are_passed_on(
    running_system: System, signal: Signal
) -> None:
    name = f"s10 {signal}"
    request = message(signal, name)
    match signal:
        case Signal.TRACES:
            resource = request.resource_spans[0]
            scope = resource.scope_spans[0]
            item = scope.spans[0]
        case Signal.METRICS:
            resource = request.resource_metrics[0]
            scope = resource.scope_metrics[0]
            item = scope.metrics[0].sum.data_points[0]
        case Signal.LOGS:
            resource = request.resource_logs[0]
            scope = resource.scope_logs[0]
            item = scope.log_records[0]
    item.flags = 0xFFFF_FFFF
    for part in (request, resource, scope, item):
        with_unknown_field(part)
    sent = request.SerializeToString()

    assert running_system.over_grpc(signal, sent).code == "OK"
    assert running_system.arrived(name) == sent
