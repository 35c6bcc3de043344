"""Every recorded call costs what it was billed, or lacks a fact that is known by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from dialects.accounts import EMITTERS, NOT_READ, PAGE, Account, LeftOut, Recording, account, page

RAN = [name for name in EMITTERS if Recording.of(name).ledger["source"] == "recorded"]


@cache
def settled(emitter: str) -> Account:
    return account(Recording.of(emitter))


@pytest.mark.parametrize("emitter", EMITTERS)
def test_a_call_costs_what_it_was_billed_or_its_spans_leave_out_what_explains_the_rest(
    emitter: str,
) -> None:
    unexplained = [call for call in settled(emitter).differing if not call.left_out]

    assert not unexplained


@pytest.mark.parametrize("emitter", EMITTERS)
def test_a_sum_over_spans_is_the_bill_but_for_the_calls_that_differ(emitter: str) -> None:
    books = settled(emitter)

    assert all(len(call.costs) <= 1 for call in books.calls), "a call was priced twice"
    assert books.cost_of_spans == sum(call.ours for call in books.calls), "a cost without a call"


@pytest.mark.parametrize("emitter", EMITTERS)
def test_what_is_left_out_stands_nowhere_else_on_the_spans(emitter: str) -> None:
    elsewhere = {name for call in settled(emitter).differing for name in call.elsewhere}

    assert elsewhere <= NOT_READ.keys()


def test_every_attribute_that_is_not_read_is_there() -> None:
    elsewhere = {
        name for each in EMITTERS for call in settled(each).calls for name in call.elsewhere
    }

    assert elsewhere == NOT_READ.keys()


@pytest.mark.parametrize("emitter", RAN)
def test_the_calls_of_an_emitter_have_all_that_prices_depend_on(emitter: str) -> None:
    calls = Recording.of(emitter).ledger["calls"]
    labels = {call["label"] for call in calls}

    for count in ("cached_tokens", "cache_write_tokens", "reasoning_tokens", "is_byok"):
        assert any(call[count] for call in calls), count
    assert {"fallback_provider", "fallback_model"} <= labels
    assert any("stream" in label for label in labels)


def with_entry(label: str, changes: Mapping[str, Any]) -> Account:
    recording = Recording.of("openllmetry")
    calls = [
        entry | changes if entry["label"] == label else entry for entry in recording.ledger["calls"]
    ]
    return account(replace(recording, ledger={**recording.ledger, "calls": calls}))


@pytest.mark.parametrize(
    ("label", "changes"),
    [
        ("plain", {"total": "0.00022"}),  # nothing is left out
        ("cache_write", {"total": "0.01726"}),  # not all of it is the cache's
        ("cache_write", {"prompt_tokens": 3999}),
        ("byok", {"is_byok": False}),
        ("http_429", {"total": "0.00021"}),
    ],
)
def test_a_difference_that_nothing_explains_is_seen(label: str, changes: dict[str, Any]) -> None:
    [call] = [each for each in with_entry(label, changes).calls if each.label == label]

    assert call.error
    assert call.left_out == ()


def test_of_a_call_without_spans_the_bill_is_missing() -> None:
    recording = Recording.of("openllmetry")
    nothing_came = replace(recording, lines=[], ledger={**recording.ledger, "spans": {"plain": []}})

    [call] = account(nothing_came).calls

    assert (call.left_out, call.error) == ((LeftOut.SPAN,), -call.billed)


def test_the_page_is_what_the_recordings_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run in tests/: python -m dialects.accounts"
