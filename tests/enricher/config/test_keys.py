"""The table of keys is sound in itself."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from genops_enricher.config.keys import ELSEWHERE, KEYS, Key


@pytest.mark.parametrize("key", KEYS, ids=lambda k: k.path)
def test_every_key_is_of_this_version_or_an_earlier_one(key: Key) -> None:
    release = [int(part) for part in version("genops-ai").split(".")[:2]]

    assert [int(part) for part in key.since.split(".")] <= release


def test_every_key_stands_once() -> None:
    assert len({key.path for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize("key", [k for k in KEYS if k.default is not None], ids=lambda k: k.path)
def test_every_default_is_a_valid_value(key: Key) -> None:
    key.kind.read(key.default or "")


@pytest.mark.parametrize("key", KEYS, ids=lambda k: k.path)
def test_every_meaning_is_a_sentence_for_a_table(key: Key) -> None:
    assert key.meaning.endswith(".")
    assert "|" not in key.meaning + key.kind.name


def test_what_is_said_about_foreign_keys_does_not_hide_one_of_ours() -> None:
    ours = {key.path for key in KEYS}

    for foreign in ELSEWHERE:
        assert not any(f"{path}.".startswith(f"{foreign}.") for path in ours)
