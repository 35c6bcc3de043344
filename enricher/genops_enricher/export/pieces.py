"""Take a request apart between its items, for a destination that takes less at a time.

The envelopes of traces, metrics and logs have the same field numbers (a resource 1, its scopes 2,
what is in a scope 2; opentelemetry-proto, collector and trace, metrics, logs v1), so that one lens
shows all three. Items stay the bytes that they are, in their order, each below its own resource and
scope. A metric is not taken apart: its data points stay together.

Pure: knows no destination and no queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from genops_enricher.decode.lens import DecodeError, count_data_points, parse_traces
from genops_enricher.pipeline import Signal

__all__ = ["Piece", "halve", "split"]

_FIELD_BYTES = 6  # the tag and length of an embedded field, at most


class Piece(NamedTuple):
    """A request of its own with a part of the items."""

    payload: bytes
    items: int


class _Unit(NamedTuple):
    """A span, metric or log record, and the envelopes that it is in, without their contents."""

    resource: Any
    scope: Any
    data: bytes
    scope_bytes: int  # of that envelope alone
    envelope_bytes: int  # of both together


def split(signal: Signal, payload: bytes, limit_bytes: int) -> Iterator[Piece]:
    """Pieces that have `limit_bytes` at most, made one by one.

    Larger are a single item that is so by itself, and the items of one envelope that is: it goes
    with each piece, so that dividing would only multiply it. A payload that is no request at all,
    and can't be taken apart, gives no piece.
    """
    units: list[_Unit] = []
    size = 0
    for unit in _units(payload):
        before = units[-1] if units else None
        added = _size(unit, before)
        same = before is not None and before.scope is unit.scope
        helps = not same or unit.envelope_bytes <= limit_bytes
        if units and size + added > limit_bytes and helps:
            yield _join(signal, units)
            units, size = [], 0
            added = _size(unit, None)
        units.append(unit)
        size += added
    if units:
        yield _join(signal, units)


def halve(signal: Signal, payload: bytes) -> tuple[Piece, Piece] | None:
    """Two pieces of about the same size in bytes, or None if there is only one item."""
    units = _units(payload)
    if len(units) < 2:
        return None
    half = sum(len(unit.data) for unit in units) / 2
    size = len(units[0].data)
    middle = 1
    while middle < len(units) - 1 and size + len(units[middle].data) / 2 < half:
        size += len(units[middle].data)
        middle += 1
    return _join(signal, units[:middle]), _join(signal, units[middle:])


def _units(payload: bytes) -> list[_Unit]:
    try:
        request: Any = parse_traces(payload)
    except DecodeError:
        return []
    units = []
    for resource_spans in request.resource_spans:
        resource = _without(resource_spans, "scope_spans")
        resource_bytes = _FIELD_BYTES + resource.ByteSize()
        for scope_spans in resource_spans.scope_spans:
            scope = _without(scope_spans, "spans")
            scope_bytes = _FIELD_BYTES + scope.ByteSize()
            both = resource_bytes + scope_bytes
            units += [_Unit(resource, scope, data, scope_bytes, both) for data in scope_spans.spans]
    return units


def _without(message: Any, field: str) -> Any:
    """A copy without one field. Fields that this release does not know stay."""
    shell = type(message)()
    shell.CopyFrom(message)
    shell.ClearField(field)
    return shell


def _size(unit: _Unit, before: _Unit | None) -> int:
    """What `unit` adds to a request that ends with `before`."""
    size = _FIELD_BYTES + len(unit.data)
    if before is None or before.resource is not unit.resource:
        return size + unit.envelope_bytes
    return size if before.scope is unit.scope else size + unit.scope_bytes


def _join(signal: Signal, units: Sequence[_Unit]) -> Piece:
    request: Any = parse_traces(b"")
    before: _Unit | None = None
    for unit in units:
        if before is None or before.resource is not unit.resource:
            resource_spans = request.resource_spans.add()
            resource_spans.CopyFrom(unit.resource)
        if before is None or before.scope is not unit.scope:
            scope = resource_spans.scope_spans.add()
            scope.CopyFrom(unit.scope)
        scope.spans.append(unit.data)
        before = unit
    payload: bytes = request.SerializeToString()
    return Piece(payload, count_data_points(payload) if signal is Signal.METRICS else len(units))
