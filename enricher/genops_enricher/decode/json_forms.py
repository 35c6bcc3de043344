"""How each OTLP message is read from a JSON object: one table a message, made of its descriptor.

A form turns an object, as `json.loads` gives it, into the arguments of the message's constructor,
which builds all of it in C. protobuf's own `json_format` takes five times as long and reads another
dialect. The rules are OTLP's ("JSON Protobuf Encoding") and, where it says nothing, ProtoJSON's:

- Only the names in lowerCamelCase are fields. What is none is skipped with all that it holds.
- Ids are hexadecimal in either case; other bytes are base64, also of the alphabet for URLs.
- Enums are integers, of which every one may be: a later release knows more of them.
- Integers are numbers or texts and never lose a digit; those with a fraction are refused.
- `NaN`, `Infinity` and `-Infinity` are texts. `null` is the same as no field at all.
- Of the members of a oneof one may stand there. Of a key that stands there twice the last counts,
  because `json.loads` has it so.
- Messages are nested a hundred deep at most, as protobuf's parsers have it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

__all__ = ["WrongValueError", "form_of", "is_repeated"]

_DEPTH_MAX = 100
_SHOWN_CHARACTERS = 60
_ENUM_NAME = re.compile(
    r"(SPAN_KIND|STATUS_CODE|SEVERITY_NUMBER|AGGREGATION_TEMPORALITY)_[A-Z0-9_]+"
)
_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_KINDS: dict[type[object], str] = {dict: "an object", list: "a list"}
_TO_STANDARD_BASE64 = str.maketrans("-_", "+/", "=")

# Gives what a constructor takes for a JSON value at a depth of messages.
_Read = Callable[[Any, int], Any]


class WrongValueError(ValueError):
    """A value is not what its field takes. `path` says where, and is made from its end.

    The message goes to a log, so it has no text of the document: that may be a prompt.
    """

    def __init__(self, wanted: str, found: object) -> None:
        super().__init__(f"expected {wanted}, found {_shown(found)}")
        self._steps: list[str] = []

    def under(self, step: str) -> WrongValueError:
        """The same, seen from one level above: `step` is a key, or an index in brackets."""
        self._steps.append(step)
        return self

    @property
    def path(self) -> str:
        """The way to the value, such as `resourceSpans[0].schemaUrl`."""
        return ".".join(reversed(self._steps)).replace(".[", "[")


def _shown(found: object) -> str:
    if isinstance(found, str) and not _ENUM_NAME.fullmatch(found):
        return f"a text of {len(found)} characters"
    kind: type[object] = type(found)
    return _KINDS.get(kind) or ascii(found)[:_SHOWN_CHARACTERS]


class _Form:
    def __init__(self) -> None:
        # Filled after it is known to `form_of`, because messages hold one another.
        self.fields: dict[str, tuple[str, _Read]] = {}
        self.choices: list[frozenset[str]] = []

    def read(self, node: Any, depth: int = 0) -> dict[str, Any]:
        """The arguments of the constructor. Raises WrongValueError."""
        if node.__class__ is not dict:
            raise WrongValueError("an object", node)
        if depth >= _DEPTH_MAX:
            raise WrongValueError(f"messages nested {_DEPTH_MAX} deep at most", node)
        fields = self.fields
        out: dict[str, Any] = {}
        for key, value in node.items():
            field = fields.get(key)
            if field is None or value is None:
                continue
            name, read = field
            try:
                out[name] = read(value, depth + 1)
            except WrongValueError as error:
                raise error.under(key) from None
        if len(out) > 1:
            for choice in self.choices:
                if len(both := choice & out.keys()) > 1:
                    names = " and ".join(sorted(both))
                    raise WrongValueError(f"one member of a oneof, and not {names}", node)
        return out


@cache
def form_of(descriptor: Descriptor) -> _Form:
    """The form of a message."""
    return _form(descriptor, {})


def _form(descriptor: Descriptor, known: dict[str, _Form]) -> _Form:
    form = known.get(descriptor.full_name)
    if form is None:
        form = known[descriptor.full_name] = _Form()
        form.fields = {
            field.json_name: (field.name, _reader(field, known)) for field in descriptor.fields
        }
        oneofs = (frozenset(field.name for field in one.fields) for one in descriptor.oneofs)
        form.choices = [names for names in oneofs if len(names) > 1]
    return form


def _reader(field: FieldDescriptor, known: dict[str, _Form]) -> _Read:
    if field.message_type is not None:
        read: _Read = _form(field.message_type, known).read
    elif field.name in _IDS:
        read = _id
    else:
        read = _SCALARS[field.type]
    return _list_of(read) if is_repeated(field) else read


def _list_of(read: _Read) -> _Read:
    def read_list(value: Any, depth: int) -> list[Any]:
        if value.__class__ is not list:
            raise WrongValueError("a list", value)
        out: list[Any] = []
        try:
            for item in value:
                out.append(read(item, depth))  # noqa: PERF401 - how far it came is the index
        except WrongValueError as error:
            raise error.under(f"[{len(out)}]") from None
        return out

    return read_list


def _text(value: Any, _depth: int) -> str:
    if value.__class__ is not str:
        raise WrongValueError("a text", value)
    if not value.isascii():  # known without a look at the characters
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WrongValueError("a text without lone surrogates", value) from None
    return value


def _integer(lowest: int, highest: int) -> _Read:
    wanted = f"an integer from {lowest} to {highest}"

    def read(value: Any, _depth: int) -> int:
        number = _whole(value)
        if number is None or not lowest <= number <= highest:
            raise WrongValueError(wanted, value)
        return number

    return read


def _whole(value: Any) -> int | None:
    if value.__class__ is int:
        return value
    if value.__class__ is str and _NUMBER.fullmatch(value):
        try:
            return int(value)
        except ValueError:  # it has an exponent, a fraction, or thousands of digits
            value = float(value)
    return int(value) if value.__class__ is float and value.is_integer() else None


def _double(found: Any, _depth: int) -> float:
    value = found
    if value.__class__ is str:
        if value in _NOT_FINITE:
            return float(value)
        value = float(value) if _NUMBER.fullmatch(value) else None
    if value.__class__ is float and value - value == 0:  # finite; `json` reads others, JSON has not
        return value
    if value.__class__ is int:
        try:
            return float(value)
        except OverflowError:
            pass
    raise WrongValueError("a number", found)


def _enum(value: Any, depth: int) -> Any:
    if value.__class__ is str:
        raise WrongValueError("the integer of an enum, and not its name", value)
    return _INT32(value, depth)


def _bool(value: Any, _depth: int) -> bool:
    if value.__class__ is not bool:
        raise WrongValueError("true or false", value)
    return value


def _id(value: Any, _depth: int) -> bytes:
    try:
        return binascii.unhexlify(value)
    except (TypeError, ValueError):
        raise WrongValueError("an id in hexadecimal", value) from None


def _base64(value: Any, _depth: int) -> bytes:
    try:
        text = value.translate(_TO_STANDARD_BASE64)
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (AttributeError, ValueError):
        raise WrongValueError("bytes in base64", value) from None


_INT32 = _integer(-(2**31), 2**31 - 1)
_INT64 = _integer(-(2**63), 2**63 - 1)
_UINT32 = _integer(0, 2**32 - 1)
_UINT64 = _integer(0, 2**64 - 1)

_SCALARS: dict[int, _Read] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BYTES: _base64,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_ENUM: _enum,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field is a list, in protobuf 5 too: what that has for it later versions warn of."""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    label = field.label  # type: ignore[attr-defined]  # the stubs are those of later versions
    return bool(label == 3)  # LABEL_REPEATED of descriptor.proto
