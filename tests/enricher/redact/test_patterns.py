"""Which names a pattern matches, and where a name that matches can't be."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_enricher.config.groups import GROUPS
from genops_enricher.config.patterns import Action, Rules
from genops_enricher.config.redaction import OWN
from genops_enricher.decode.dialects import DIALECTS
from genops_enricher.enrich.attributes import ATTRIBUTES
from genops_enricher.enrich.vocabularies import VOCABULARIES

_PARTS = st.sampled_from(
    ["a", "b", ".", "ab", "body", "log", "*", "?", "[", "]", "!", "[ab]", "[!]a]", "[a*]", "é"]
)
_PATTERNS = st.lists(_PARTS, min_size=1, max_size=6).map("".join)
_NAMES = st.text(alphabet="ab.]![*é", max_size=6) | st.sampled_from(["log.body", "a.body"])


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("user.id", "user.id", True),
        ("user.id", "user.ids", False),
        ("user.id", "a.user.id", False),
        ("user.*", "user.id.hash", True),  # dots too
        ("user.*", "user", False),
        ("user.?d", "user.id", True),
        ("user.[in]*", "user.name", True),
        ("user.[!in]*", "user.name", False),
        ("user.id", "User.id", False),  # keys of OTLP differ by case
        ("[Uu]ser.id", "User.id", True),
        ("a*", "a\nb", True),
        ("a.b", "axb", False),
    ],
)
def test_a_pattern_is_a_whole_name_as_a_shell_has_it(
    pattern: str, name: str, matches: bool
) -> None:
    assert bool(Rules([pattern]).action(name)) is matches


def test_to_drop_wins_over_to_hash() -> None:
    rules = Rules(["user.id"], ["user.*"])

    assert rules.action("user.id") is Action.DROP
    assert rules.action("user.name") is Action.HASH
    assert rules.action("users") is Action.KEEP


@given(st.lists(_PATTERNS, min_size=1, max_size=3), _NAMES)
def test_a_name_that_matches_holds_a_hint(patterns: list[str], name: str) -> None:
    rules = Rules(patterns)
    if rules.action(name):
        assert any(hint in name.encode() for hint in rules.hints())
    for event in ("", name):
        # Of the body of a record only the name of the event stands in the bytes.
        if rules.action(f"{event}.body") or rules.action("log.body"):
            assert any(hint in event.encode() for hint in rules.hints(bodies=True))
    if rules.action("span.status.message"):
        assert rules.hints() == (b"",)


@given(_PATTERNS, _NAMES)
def test_matching_is_that_of_fnmatch(pattern: str, name: str) -> None:
    assert bool(Rules([pattern]).action(name)) is fnmatchcase(name, pattern)


def test_what_the_enricher_writes_is_protected_by_name() -> None:
    assert set(OWN) == {attribute.name for attribute in ATTRIBUTES}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_matches_nothing_that_the_enricher_writes(group: str) -> None:
    rules = Rules([f"group:{group}"])
    written = {*OWN, *(alias.name for aliases in VOCABULARIES.values() for alias in aliases)}

    assert [name for name in written if rules.action(name)] == []


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_leaves_the_facts_of_every_dialect_alone(group: str) -> None:
    """Models, counts and costs are no content; a next enricher and backends need them."""
    rules = Rules([f"group:{group}"])
    names = {
        name
        for dialect in DIALECTS
        for name in (
            *dialect.marks,
            *(rule.name for rule in dialect.kinds),
            *dialect.provider,
            *dialect.served,
            *dialect.asked,
            *dialect.host,
            *dialect.ids,
            *dialect.endpoint,
            *dialect.service_tier,
            *dialect.counts,
            *dialect.estimates,
            *(name for cost in dialect.costs for name in cost.names),
            *(document.name for document in dialect.documents),
        )
    }
    mixed = {"ai.response.providerMetadata"} if group == "content" else set()  # with reasoning

    assert {name for name in names if rules.action(name)} == mixed


@pytest.mark.parametrize("provider", ["openai", "cohere", "cerebras", "together_ai", "None", "xai"])
def test_what_litellm_copies_of_a_request_is_content_whoever_is_called(provider: str) -> None:
    rules = Rules(["group:content"])

    for field in ("messages", "prompt", "input", "output", "choices", "data"):
        assert rules.action(f"llm.{provider}.{field}") is Action.DROP
