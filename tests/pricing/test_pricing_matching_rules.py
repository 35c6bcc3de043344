"""The table of rules that make a name plainer, row by row, and what holds for all names."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_pricing.matching import RULES, Ambiguous, Names, Rule

BEDROCK = (
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "anthropic.claude-v2:1",
    "us-gov.anthropic.claude-3-opus-v1:0",
)
VERTEX = ("claude-sonnet-4-5@20250929", "claude-opus-4-6", "gemini-2.5-pro", "meta/llama-4-maas")
AZURE = ("gpt-4o", "gpt-4o-2024-08-06", "gpt-3.5-turbo", "azure/eu/gpt-4o", "Phi-4")
ROUTER = (
    "anthropic/claude-3.5-sonnet",
    "anthropic/claude-sonnet-4.5",
    "openai/gpt-4o",
    "openai/gpt-3.5-turbo",
    "openai/gpt-4",
    "deepseek/deepseek-v3",
    "google/gemini-2.5-pro",
)
FIREWORKS = ("deepseek-v3", "accounts/fireworks/models/glm-5p3")
MAKERS = ("amazon", "anthropic", "google", "meta", "mistralai", "openai")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_does_to_its_example_what_its_row_says(rule: Rule) -> None:
    assert rule.rewrite(rule.given) == rule.plainer
    assert rule.rewrite(rule.plainer) == rule.plainer
    assert Names([rule.plainer], makers=["amazon"]).resolve(rule.given) == rule.plainer


@pytest.mark.parametrize(
    ("ids", "prefixes", "name", "model"),
    [
        # Bedrock
        (BEDROCK, ("bedrock",), BEDROCK[0], BEDROCK[0]),
        (BEDROCK, ("bedrock",), BEDROCK[1], BEDROCK[1]),
        (BEDROCK, ("bedrock",), f"bedrock/{BEDROCK[1]}", BEDROCK[1]),
        (BEDROCK, ("bedrock",), f"bedrock/converse/{BEDROCK[0]}", BEDROCK[0]),
        (BEDROCK, (), f"arn:aws:bedrock:us-east-1:1:inference-profile/{BEDROCK[1]}", BEDROCK[1]),
        (BEDROCK, (), f"eu.{BEDROCK[3]}", BEDROCK[3]),
        (BEDROCK, (), f"prod.{BEDROCK[3]}", None),
        (BEDROCK, (), "prod.claude-3-haiku-20240307", None),
        (BEDROCK, (), f"us-moon-1/{BEDROCK[3]}", None),
        (BEDROCK, ("bedrock",), f"bedrock/eu-west-2/{BEDROCK[3]}", None),  # priced apart
        (BEDROCK, ("bedrock",), f"bedrock/us-gov-west-1/{BEDROCK[3]}", None),
        (BEDROCK, (), f"arn:aws:bedrock:us-east-1:1:custom-model/{BEDROCK[3]}", None),
        (BEDROCK, ("bedrock",), f"bedrock/us-west-2/{BEDROCK[3]}", BEDROCK[3]),
        (BEDROCK, (), f"{BEDROCK[3]}:200k", None),
        (BEDROCK, (), f"eu.{BEDROCK[0]}", None),  # its regions are priced apart
        (BEDROCK, (), f"us-gov.{BEDROCK[3]}", None),
        (BEDROCK, (), f"mx.{BEDROCK[0]}", None),  # no region that is known
        (BEDROCK, (), "us.anthropic.claude-sonnet-4-5-2025-09-29-v1:0", BEDROCK[1]),
        (BEDROCK, (), "eu.anthropic.claude-sonnet-4-5@20250929-v1:0", None),
        (BEDROCK, (), "anthropic.claude-3-haiku-20240307", BEDROCK[3]),
        (BEDROCK, (), "claude-3-haiku-20240307", BEDROCK[3]),
        (BEDROCK, (), "anthropic.claude-sonnet-4-5-20250929", BEDROCK[0]),
        (BEDROCK, (), "anthropic.claude-3-opus-v1:0", None),
        (BEDROCK, (), "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", None),
        # Vertex AI and the Gemini API
        (VERTEX, (), "publishers/anthropic/models/claude-sonnet-4-5@20250929", VERTEX[0]),
        (VERTEX, (), "claude-sonnet-4-5-20250929", VERTEX[0]),
        (VERTEX, (), "claude-sonnet-4-5-2025-09-29", VERTEX[0]),
        (VERTEX, (), "claude-opus-4-6@default", VERTEX[1]),
        (VERTEX, (), "claude-opus-4-6@20260205", VERTEX[1]),
        (VERTEX, ("vertex_ai",), "vertex_ai/gemini-2.5-pro", VERTEX[2]),
        (VERTEX, (), "google/gemini-2.5-pro", VERTEX[2]),
        (VERTEX, (), "models/gemini-2.5-pro", VERTEX[2]),
        (VERTEX, (), "publishers/someone/models/gemini-2.5-pro", None),
        (VERTEX, (), "publishers/meta/models/llama-4-maas", VERTEX[3]),
        (VERTEX, (), "projects/p/locations/global/models/gemini-2.5-pro", None),
        (VERTEX, (), "anthropic/claude-sonnet-4-5-20250929", None),
        (VERTEX, (), "anthropic/claude-opus-4-6@20260205", VERTEX[1]),
        (VERTEX, (), "llama-4-maas", VERTEX[3]),
        (VERTEX, (), "other/llama-4-maas", None),
        # Azure
        (AZURE, (), "gpt-35-turbo", "gpt-3.5-turbo"),
        (AZURE, ("azure",), "azure/gpt-4o-2024-11-20", "gpt-4o"),
        (AZURE, ("azure",), "azure/gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        (AZURE, (), "gpt-4o-20240806", "gpt-4o-2024-08-06"),
        (AZURE, (), "gpt-4o@20240806", "gpt-4o-2024-08-06"),
        (AZURE, (), "gpt-4o-20240806:nitro", "gpt-4o-2024-08-06"),
        (AZURE, ("azure",), "azure/eu/gpt-4o", "azure/eu/gpt-4o"),
        (AZURE, ("azure",), "azure/us/gpt-4o", None),  # data zones are priced apart
        (AZURE, ("azure",), "azure/global/gpt-4o", "gpt-4o"),
        (AZURE, (), "phi-4", "Phi-4"),
        (AZURE, (), "gpt-4o-prod", None),
        (AZURE, (), "openai/gpt-4o", "gpt-4o"),
        (AZURE, ("azure",), "azure/openai/gpt-4o-2024-11-20", "gpt-4o"),
        (AZURE, (), "openai.gpt-4o", "gpt-4o"),
        (AZURE, (), "evil/gpt-4o", None),
        (AZURE, (), "prod.gpt-4o", None),
        (AZURE, (), "eu.gpt-4o", None),
        (AZURE, (), "evil/openai/gpt-4o", None),
        (AZURE, (), "prod.openai/gpt-4o", None),
        # Fireworks
        (FIREWORKS, (), "accounts/fireworks/models/deepseek-v3", FIREWORKS[0]),
        (FIREWORKS, (), "accounts/acme/models/deepseek-v3", None),
        (FIREWORKS, (), "glm-5p3", FIREWORKS[1]),
        # OpenRouter
        (ROUTER, ("openrouter",), "openrouter/anthropic/claude-3-5-sonnet", ROUTER[0]),
        (ROUTER, (), "claude-sonnet-4-5-20250929", ROUTER[1]),
        (ROUTER, (), "anthropic.claude-sonnet-4-5-20250929-v1:0", None),
        (ROUTER, (), "openai/gpt-4-1106-preview", None),
        (ROUTER, (), "deepseek/deepseek", None),
        (ROUTER, (), "someone/gpt-4o", None),
    ],
)
def test_names_of_clouds_and_routers(
    ids: tuple[str, ...], prefixes: tuple[str, ...], name: str, model: str | None
) -> None:
    names = Names(ids, prefixes=prefixes, makers=MAKERS)

    assert names.resolve(name) == model
    assert names.resolve(name.upper()) == model


def test_a_region_that_is_priced_apart_is_never_dropped_however_the_name_is_shortened() -> None:
    names = Names(("a.model-v1:0", "us.a.model-v1:0"))

    assert names.resolve("us.a.model-v1:0") == "us.a.model-v1:0"
    for name in ("us.a.model-20251201-v1:0", "us.a.model", "eu.a.model-v1:0", "eu.a.model"):
        assert names.resolve(name) is None, name


def test_an_id_in_two_spellings_is_ambiguous_without_what_tells_them_apart() -> None:
    names = Names(("a.model-v1:0", "a.model-v2:0"))

    assert names.resolve("a.model") == Ambiguous(("a.model-v1:0", "a.model-v2:0"))


words = st.sampled_from(["a", "gpt-4", "gpt-4.1", "claude-3-5", "claude-3.5", "llama", "nova"])
spellings = st.builds(
    lambda region, maker, word, tail: f"{region}{maker}{word}{tail}",
    st.sampled_from(["", "us.", "eu.", "us-west-2/", "openrouter/"]),
    st.sampled_from(["", "acme/", "other/", "acme.", "models/"]),
    words,
    st.sampled_from(["", "-v1:0", "@20250929", "-20250929", "-2025-09-29", ":free", ":nitro"]),
)


@given(ids=st.lists(spellings, unique=True, max_size=12), name=spellings, seed=st.integers(0, 99))
def test_no_name_means_two_models_in_whatever_order_they_stand(
    ids: list[str], name: str, seed: int
) -> None:
    shuffled = random.Random(seed).sample(ids, len(ids))
    names = Names(ids, prefixes=["openrouter"])

    found = names.resolve(name)
    assert found == Names(shuffled, prefixes=["openrouter"]).resolve(name)
    assert found is None or isinstance(found, Ambiguous) or found in ids
    assert all(names.resolve(model_id) == model_id for model_id in ids)


# What may stand before a name: the words that a rule or the market itself drops.
DROPPED = re.compile(
    r"(?:openrouter|azure|amazon|anthropic|google|meta|mistralai|openai|acme|us|eu|apac|global|jp|au"
    r"|ca|sa|me|af|in|models|converse|converse_like|invoke|responses|global-standard)"
)
words_before = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True).filter(
    lambda word: not DROPPED.fullmatch(word)
)


@given(
    word=words_before,
    mark=st.sampled_from(["/", ".", "//", ".x/", "/models/", ":"]),
    name=st.sampled_from([*BEDROCK, *VERTEX, *AZURE, *ROUTER, "openai/gpt-4o-2024-08-06"]),
)
def test_no_word_that_is_not_known_is_dropped_from_before_a_name(
    word: str, mark: str, name: str
) -> None:
    for ids, prefix in ((BEDROCK, "bedrock"), (VERTEX, "vertex_ai"), (AZURE, "azure")):
        names = Names(ids, prefixes=[prefix], makers=MAKERS)
        assert word == prefix or names.resolve(f"{word}{mark}{name}") is None
    assert Names(ROUTER, prefixes=["openrouter"], makers=MAKERS).resolve(f"{word}/{name}") is None
