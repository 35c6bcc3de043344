"""Each kind of value reads its own syntax, and says without repeating the text what is wrong."""

from __future__ import annotations

import re

import pytest

from genops_enricher.config.values import (
    ADDRESS,
    BOOLEAN,
    HEADERS,
    Kind,
    choice,
    duration,
    integer,
    number,
    size,
    split_address,
)

_NO_ADDRESS = "is not an address; write host:port, such as 127.0.0.1:4317 or [::1]:4317"
_NO_PORT = "has no valid port; write host:port with a port from 0 to 65535"
_FOREVER = duration(zero="never")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (duration(), "30s", 30.0),
        (duration(), "1m30s", 90.0),
        (duration(), "1.5h", 5400.0),
        (duration(), "250ms", 0.25),
        (_FOREVER, "0", 0.0),
        (_FOREVER, "0s", 0.0),
        (size("1MiB"), "1048576", 1 << 20),
        (size("1MiB"), "512MiB", 512 << 20),
        (size("1MiB"), "1 GiB", 1 << 30),
        (integer(1, 256), "256", 256),
        (number(0, 1), "0.5", 0.5),
        (BOOLEAN, "true", True),
        (BOOLEAN, "false", False),
        (choice("gzip", "none"), "none", "none"),
        (ADDRESS, "[::1]:4317", "[::1]:4317"),
        (HEADERS, "Bearer a b", "Bearer a b"),
    ],
)
def test_what_each_kind_reads(kind: Kind, text: str, value: object) -> None:
    assert kind.read(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (duration(), "30", "is not a duration; write a number and a unit: 500ms, 30s or 1m30s"),
        (duration(), "-1s", "is not a duration; write a number and a unit: 500ms, 30s or 1m30s"),
        (duration(), "1d", "is not a duration; write a number and a unit: 500ms, 30s or 1m30s"),
        (duration(), "0s", "must be more than 0"),
        (size("1MiB"), "1GB", "is not a size; write bytes or a unit: 536870912, 512MiB or 1GiB"),
        (size("1MiB"), "1000", "is less than 1MiB; sizes are in bytes, such as 512MiB or 1GiB"),
        (integer(1, 256), "0", "is out of range; use 1 to 256"),
        (integer(1, 256), "257", "is out of range; use 1 to 256"),
        (integer(1, 256), "1.0", "is not a whole number; write one from 1 to 256"),
        (integer(1, 256), "٣", "is not a whole number; write one from 1 to 256"),
        (number(0, 1), "nan", "is not a number"),
        (number(0, 1), "1.1", "is out of range; use 0 to 1"),
        (BOOLEAN, "yes", "is not a boolean; write true or false"),
        (choice("gzip", "none"), "zstd", "is not one of gzip, none"),
        (ADDRESS, "4317", _NO_ADDRESS),
        (ADDRESS, "::1:43", _NO_ADDRESS),
        (ADDRESS, "localhost:70000", _NO_PORT),
        (HEADERS, "key\n", "starts or ends with a space or line break; trim the value"),
        (HEADERS, "a\nb", "has a character that a header can't carry; use printable ASCII"),
        (HEADERS, "ключ", "has a character that a header can't carry; use printable ASCII"),
        (HEADERS, "", "is empty"),
    ],
)  # fmt: skip
def test_what_each_kind_refuses(kind: Kind, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind.read(text)


def test_an_address_is_split_at_its_last_colon() -> None:
    assert split_address("[::1]:4317") == ("::1", 4317)
    assert split_address("enricher.local:0") == ("enricher.local", 0)
