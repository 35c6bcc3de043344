from __future__ import annotations

import datetime
import enum
import logging
import uuid
from decimal import Decimal

import pytest

from genops.core.governance import DOCUMENTED_KEYS, RESERVED, clean


class Tier(enum.Enum):
    GOLD = "gold"


class Unprintable(Decimal):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def test_documented_and_custom_keys_come_out_under_genops() -> None:
    given = {**dict.fromkeys(DOCUMENTED_KEYS, "x"), "billing_tier": "premium"}

    assert clean(given) == {f"genops.{key}": value for key, value in given.items()}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("text", "text"),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        (2**63, str(2**63)),
        (float("nan"), "nan"),
        (Tier.GOLD, "gold"),
        (Decimal("1.10"), "1.10"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("x" * 300, "x" * 256),
        ("\ud800", "?"),
    ],
)
def test_values_become_what_otlp_can_carry(value: object, written: object) -> None:
    cleaned = clean({"key": value})

    assert cleaned == {"genops.key": written}
    assert type(cleaned["genops.key"]) is type(written)


@pytest.mark.parametrize(("value", "written"), [(456, "456"), (True, "true"), (0.5, "0.5")])
def test_documented_keys_are_text_whatever_the_caller_writes(value: object, written: str) -> None:
    assert clean({"user_id": value, "shard": 7}) == {"genops.user_id": written, "genops.shard": 7}


def test_none_means_not_set() -> None:
    assert clean({"team": None}) == {}


@pytest.mark.parametrize("key", [*sorted(RESERVED), "Model", "cost.total", "openrouter.attempts"])
def test_measured_facts_cannot_be_overwritten(key: str) -> None:
    assert clean({key: "x"}) == {}


@pytest.mark.parametrize("value", [{"role": "user"}, ["a"], b"bytes", object()])
def test_values_that_could_hold_content_are_left_out(value: object) -> None:
    assert clean({"team": "a", "payload": value}) == {"genops.team": "a"}


def test_a_value_that_cannot_be_written_spoils_nothing() -> None:
    assert clean({"team": "a", "budget": Unprintable(1)}) == {"genops.team": "a"}


def test_a_left_out_key_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "genops"):
        clean({"model.of_this_test": "x"})
        clean({"model.of_this_test": "y"})

    (record,) = caplog.records
    assert "'model.of_this_test' is left out" in record.getMessage()
