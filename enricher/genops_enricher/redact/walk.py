"""One request on its way through the rules: its bytes in, and those that may leave out.

Works on the wire format and copies what it does not touch byte for byte.

What can't be read can't be judged: a message that does not parse, a field that the protocol does
not have, a key that is no UTF-8. Where such bytes hold one of the hints of the rules a name that
matches may stand in them, and they are removed and counted. Where they hold none, no such name can
stand there, and they stay as they came.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from google.protobuf.message import DecodeError

from genops_enricher.config.patterns import Action
from genops_enricher.redact.actions import Actions
from genops_enricher.redact.shapes import BYTES, Shape, shape_of, tag_of

__all__ = ["Unreadable", "Walk"]

_DEPTH_MAX = 100  # messages in messages; protobuf's own parsers go no deeper

_VARINT, _FIXED64, _FIXED32 = 0, 1, 5  # wire types; groups, 3 and 4, are not of OTLP
_VARINT_BYTES_MAX = 10
_TAG_MAX = (1 << 32) - 1

_PAIR = shape_of("opentelemetry.proto.common.v1.KeyValue")
_VALUE = shape_of("opentelemetry.proto.common.v1.AnyValue")
_STATUS = shape_of("opentelemetry.proto.trace.v1.Status")
_RECORD = shape_of("opentelemetry.proto.logs.v1.LogRecord")
_UNKNOWN = Shape("a field that the protocol does not have")

# What is looked at one by one for its hints: most have none, and need no walk.
_ITEMS = frozenset(
    (
        "Span",
        "LogRecord",
        "NumberDataPoint",
        "HistogramDataPoint",
        "ExponentialHistogramDataPoint",
        "SummaryDataPoint",
    )
)

_KEY, _PAIR_VALUE = tag_of(1), tag_of(2)
_TEXT, _BOOL, _INT, _DOUBLE = tag_of(1), 2 << 3 | _VARINT, 3 << 3 | _VARINT, 4 << 3 | _FIXED64
_SCALARS = (_TEXT, _BOOL, _INT)
_STATUS_MESSAGE = tag_of(2)
_BODY, _RECORD_ATTRIBUTE, _EVENT_NAME = tag_of(5), tag_of(6), tag_of(12)
_EVENT_NAME_KEY = b"event.name"  # where it stood before records had a field for it


class _Gone(Enum):
    """The answer for a field that does not leave."""

    GONE = auto()


_GONE = _Gone.GONE
_New = bytes | Literal[_Gone.GONE] | None
"""A field's content as it may leave; None: as it is."""


class Unreadable(Exception):  # noqa: N818 - what is raised tells of data, not of a failure
    """The bytes are no message of their kind."""


class Walk:
    """Used for one request, by one thread. An answer of None stands for "as it is"."""

    def __init__(
        self, data: bytes, actions: Actions, hints: tuple[bytes, ...], *, searches: bool
    ) -> None:
        """A walk through `data`.

        Args:
            data: a request.
            actions: what becomes of keys.
            hints: bytes of which one stands wherever a name that matches can stand.
            searches: pass over items in which none of them stands.
        """
        self._data = data
        self._searches = searches
        self._actions = actions
        self._hints = hints
        self.dropped = 0
        self.hashed = 0
        self.unreadable = 0

    def message(self, start: int, end: int, shape: Shape, depth: int = 0) -> bytes | None:
        """The message at `start` as it may leave. Raises Unreadable."""
        if depth > _DEPTH_MAX:
            raise Unreadable
        data, fields, action_of = self._data, shape.fields, self._actions.known
        body = Action.KEEP
        if shape is _RECORD:
            body = self._actions.of_body(self._events(start, end))
        out: list[bytes] = []
        new: _New
        copied = pos = start
        while pos < end:
            begin = pos
            tag = data[pos]
            if tag < 0x80:
                pos += 1
            else:
                tag, pos = self._varint(pos, end)
                if tag > _TAG_MAX:
                    raise Unreadable
            wire = tag & 7
            if wire == BYTES:
                if pos < end and (size := data[pos]) < 0x80:
                    pos += 1
                else:
                    size, pos = self._varint(pos, end)
                stop = pos + size
                if stop > end:
                    raise Unreadable
                below = fields.get(tag, _UNKNOWN)
                if below is None:
                    new = None
                    if shape is _STATUS and tag == _STATUS_MESSAGE:
                        new = self._status_message(pos, stop)
                elif below is _PAIR:
                    # Most attributes are a short text or a number under a name that stays.
                    # `_pair` would say the same of them, in twice the time.
                    if (
                        size > 5
                        and data[pos] == _KEY
                        and data[pos + 1] < 0x80
                        and (key_end := pos + 2 + data[pos + 1]) + 3 < stop
                        and data[key_end] == _PAIR_VALUE
                        and data[key_end + 1] == stop - key_end - 2 < 0x80
                        and (
                            data[key_end + 3] == stop - key_end - 4
                            if (kind := data[key_end + 2]) == _TEXT
                            else (kind == _DOUBLE and stop == key_end + 11)
                            or (kind == _INT and stop == key_end + 4 and data[stop - 1] < 0x80)
                        )
                        and action_of(data[pos + 2 : key_end]) is Action.KEEP
                    ):
                        pos = stop
                        continue
                    new = self._pair(pos, stop, depth + 1)
                elif below is _UNKNOWN:
                    new = self._judge(pos, stop)
                elif body and tag == _BODY:
                    new = self._acted(body, pos, stop)
                else:
                    new = self._below(pos, stop, below, depth + 1)
                if new is not None:
                    out.append(data[copied:begin])
                    if new is not _GONE:
                        out.append(_field(tag, new))
                    copied = stop
                pos = stop
            elif wire == _VARINT:
                _, pos = self._varint(pos, end)
            elif wire == _FIXED64:
                pos += 8
            elif wire == _FIXED32:
                pos += 4
            else:
                raise Unreadable
        if pos != end:
            raise Unreadable
        if not out:
            return None
        out.append(data[copied:end])
        return b"".join(out)

    def _below(self, start: int, end: int, shape: Shape, depth: int) -> _New:
        if self._searches and shape.name in _ITEMS and not self.may_match(start, end):
            return None
        before = self.dropped, self.hashed, self.unreadable
        try:
            return self.message(start, end, shape, depth)
        except Unreadable:
            self.dropped, self.hashed, self.unreadable = before
            return self._judge(start, end)

    def _pair(self, start: int, end: int, depth: int) -> _New:
        """A KeyValue. One with several keys or values is judged by the worst of them."""
        data = self._data
        # As SDKs write it: a key under 128 bytes, and one value. `_parts` takes any other form too.
        if end - start > 3 and data[start] == _KEY and (size := data[start + 1]) < 0x80:
            key_end = start + 2 + size
            if key_end < end and data[key_end] == _PAIR_VALUE:
                size, pos = self._length(key_end + 1, end)
                if pos + size == end and self._actions.of(data[start + 2 : key_end]) == Action.KEEP:
                    return None if self._is_scalar(pos, end) else self._nested(start, end, depth)
        keys, values, odd = self._parts(start, end)
        action = Action.KEEP
        for key in keys:
            of_key = self._actions.of(key)
            if of_key is None:
                odd = True
            elif of_key > action:
                action = of_key
        if action:
            if action is Action.DROP or odd or len(keys) != 1 or len(values) > 1:
                self.dropped += 1
                return _GONE
            value = data[slice(*values[0])] if values else b""
            hashed = self._hashed(value)
            return _GONE if hashed is None else _field(_KEY, keys[0]) + _field(_PAIR_VALUE, hashed)
        if odd:
            return self._judge(start, end)
        for value_start, value_end in values:
            if not self._is_scalar(value_start, value_end):
                return self._nested(start, end, depth)
        return None

    def _nested(self, start: int, end: int, depth: int) -> _New:
        """A KeyValue that stays, without what is to go from its value."""
        try:
            return self.message(start, end, _PAIR, depth)
        except Unreadable:
            return self._judge(start, end)

    def _parts(self, start: int, end: int) -> tuple[list[bytes], list[tuple[int, int]], bool]:
        """The keys and the places of the values of a KeyValue, and whether there is more in it."""
        data, pos = self._data, start
        keys: list[bytes] = []
        values: list[tuple[int, int]] = []
        odd = False
        try:
            while pos < end:
                tag, pos = self._varint(pos, end)
                if tag & 7 != BYTES:
                    # A key by number stands in a dictionary, which no request of these has.
                    return keys, values, True
                size, pos = self._varint(pos, end)
                stop = pos + size
                if stop > end:
                    return keys, values, True
                if tag == _KEY:
                    keys.append(data[pos:stop])
                elif tag == _PAIR_VALUE:
                    values.append((pos, stop))
                else:
                    odd = True
                pos = stop
        except Unreadable:
            odd = True
        return keys, values, odd

    def _is_scalar(self, start: int, end: int) -> bool:
        """Whether a value is one text or number and nothing else: no key can stand in it."""
        if start == end:
            return True
        tag = self._data[start]
        if tag == _DOUBLE:
            return end - start == 9
        if tag not in _SCALARS:
            return False
        try:
            number, pos = self._varint(start + 1, end)
        except Unreadable:
            return False
        return (pos + number if tag == _TEXT else pos) == end

    def _acted(self, action: Action, start: int, end: int) -> _New:
        """A value that is to be dropped or hashed."""
        if action is Action.HASH:
            hashed = self._hashed(self._data[start:end])
            return _GONE if hashed is None else hashed
        self.dropped += 1
        return _GONE

    def _hashed(self, value: bytes) -> bytes | None:
        """The hash of a value; None: it can't be read, and goes."""
        try:
            hashed = self._actions.hashed(value)
        except DecodeError:
            self.unreadable += 1
            return None
        self.hashed += 1
        return hashed

    def _status_message(self, start: int, end: int) -> _New:
        action = self._actions.of_status_message
        if action is Action.KEEP or start == end:
            return None
        if action is Action.DROP:
            self.dropped += 1
            return _GONE
        self.hashed += 1
        return self._actions.hashed_text(self._data[start:end])

    def _events(self, start: int, end: int) -> list[bytes]:
        """The names of the event that a log record stands for."""
        names: list[bytes] = []
        for tag, pos, stop in self._fields(start, end):
            if tag == _EVENT_NAME:
                names.append(self._data[pos:stop])
            elif tag == _RECORD_ATTRIBUTE:
                keys, values, _ = self._parts(pos, stop)
                if _EVENT_NAME_KEY in keys:
                    names += [
                        self._data[text:text_end]
                        for value in values
                        for text_tag, text, text_end in self._fields(*value)
                        if text_tag == _TEXT
                    ]
        return names

    def _fields(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """The fields that have a length, as far as they can be read."""
        found: list[tuple[int, int, int]] = []
        pos = start
        try:
            while pos < end:
                tag, pos = self._varint(pos, end)
                wire = tag & 7
                if wire == BYTES:
                    size, pos = self._varint(pos, end)
                    if pos + size > end:
                        break
                    found.append((tag, pos, pos + size))
                    pos += size
                elif wire == _VARINT:
                    _, pos = self._varint(pos, end)
                else:
                    pos += 8 if wire == _FIXED64 else 4
        except Unreadable:
            pass  # whoever walks the record finds it too
        return found

    def _judge(self, start: int, end: int) -> _New:
        """What can't be read goes if a name that matches may stand in it."""
        if not self.may_match(start, end):
            return None
        self.unreadable += 1
        return _GONE

    def may_match(self, start: int, end: int) -> bool:
        """Whether a name that matches can stand in these bytes."""
        find = self._data.find
        for hint in self._hints:  # noqa: SIM110 - a generator takes twice as long
            if find(hint, start, end) >= 0:
                return True
        return False

    def _length(self, pos: int, end: int) -> tuple[int, int]:
        """As `_varint`, but one that can't be read is longer than anything."""
        try:
            return self._varint(pos, end)
        except Unreadable:
            return end + 1, pos

    def _varint(self, pos: int, end: int) -> tuple[int, int]:
        """The number at `pos`, and where the next byte stands."""
        data = self._data
        if pos < end and (byte := data[pos]) < 0x80:
            return byte, pos + 1
        number = shift = 0
        last = min(end, pos + _VARINT_BYTES_MAX)
        while pos < last:
            byte = data[pos]
            pos += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, pos
            shift += 7
        raise Unreadable


def _field(tag: int, content: bytes) -> bytes:
    return _encoded(tag) + _encoded(len(content)) + content


def _encoded(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
