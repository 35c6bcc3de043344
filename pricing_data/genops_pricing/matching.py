"""Resolve the name that a call gave for a model to one id of a market.

The spelling is tried as it is, and then plainer by each of `RULES` in turn. Never guesses: a name
that fits two models is ambiguous, and one that fits none is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

__all__ = ["RULES", "Ambiguous", "Names", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which a name is made plainer. Names are in lower case."""

    name: str
    pattern: re.Pattern[str]
    replacement: str
    given: str  # an example, and what it becomes
    plainer: str
    aside: bool = False  # tried, but the rules after it go on from the name before it
    maker: bool = False  # applies only where what it drops is a maker that is known

    def rewrite(self, name: str) -> str:
        """The plainer name; the same where the rule does not apply."""
        return self.pattern.sub(self.replacement, name)


def _rule(
    name: str,
    pattern: str,
    replacement: str,
    example: tuple[str, str],
    *,
    aside: bool = False,
    maker: bool = False,
) -> Rule:
    return Rule(name, re.compile(pattern), replacement, *example, aside, maker)


# A geography of Bedrock's inference profiles before an id, which has its maker first
# (https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html).
_REGION: Final = r"^(?:us|eu|apac|global|jp|au|ca|sa|me|af|in)\.(?=[a-z][a-z0-9]*\.[a-z])"

_MONTH: Final = r"0[1-9]|1[0-2]"
_DAY: Final = r"0[1-9]|[12]\d|3[01]"

# In the order in which they apply. Before all of them stands the name of the market itself, as in
# openrouter/openai/gpt-4o, and after them the name of the maker (see `Names`).
RULES: Final = (
    _rule(
        "API of the client library",
        r"^(?:converse|converse_like|invoke|responses|global|global-standard)/",
        "",
        ("converse/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ),
    _rule(
        "Amazon resource name",
        r"^arn:[^/]*:(?:foundation-model|inference-profile)/",
        "",
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
            "amazon.nova-pro-v1:0",
        ),
    ),
    # Of Vertex AI, the Gemini API and Fireworks. That of a model which a customer has tuned
    # (projects/p/locations/l/models/m, accounts/acme/models/m) is no name of a listed one.
    _rule(
        "resource path",
        r"^(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/([^/]+/)|accounts/fireworks/)?models/",
        r"\1",
        (
            "projects/p/locations/global/publishers/google/models/gemini-2.5-pro",
            "google/gemini-2.5-pro",
        ),
    ),
    # Routing hints that OpenRouter takes on any id; the price is that of the id without them
    # (https://openrouter.ai/docs/guides/routing/model-variants). `:free`, `:thinking`, `:batch` …
    # are models of their own.
    _rule(
        "routing suffix",
        r"(?::(?:nitro|floor|online|exacto))+$",
        "",
        ("openai/gpt-4o:nitro", "openai/gpt-4o"),
    ),
    # A snapshot may have a price of its own: its day is tried in both spellings before none.
    _rule(
        "day without dashes",
        rf"[-@](20\d{{2}})({_MONTH})({_DAY})(?=$|[-:])",
        r"-\1-\2-\3",
        ("gpt-4o-20240513", "gpt-4o-2024-05-13"),
        aside=True,
    ),
    _rule(
        "day with dashes",
        rf"-(20\d{{2}})-({_MONTH})-({_DAY})(?=$|[-:])",
        r"-\1\2\3",
        ("claude-sonnet-4-5-2025-09-29", "claude-sonnet-4-5-20250929"),
        aside=True,
    ),
    # The regions whose price is the one that is listed. Others, and GovCloud, have prices of their
    # own, up to half as much again (https://aws.amazon.com/bedrock/pricing/).
    _rule(
        "AWS region",
        r"^us-(?:east-[12]|west-2)/(?=[a-z][a-z0-9]*\.[a-z])",
        "",
        ("us-west-2/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ),
    _rule(
        "region",
        _REGION,
        "",
        ("us.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ),
    _rule(
        "version alias of Vertex AI",
        r"@(?:default|latest)$",
        "",
        ("claude-opus-4-6@default", "claude-opus-4-6"),
    ),
    _rule(
        "version of Vertex AI",
        r"@(?=\d)",
        "-",
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
    ),
    _rule(
        "version of Bedrock",
        r"-v\d+:\d+$",
        "",
        ("amazon.nova-pro-v1:0", "amazon.nova-pro"),
    ),
    _rule(
        "day of a snapshot",
        rf"-20\d{{2}}(-?)(?:{_MONTH})\1(?:{_DAY})(?=$|:)",
        "",
        ("gpt-4o-2024-08-06", "gpt-4o"),
    ),
    # Azure's names of these models have no dot
    # (https://learn.microsoft.com/azure/ai-foundry/openai/concepts/models).
    _rule(
        "gpt-35 of Azure",
        r"(?:^|(?<=/))gpt-35-",
        "gpt-3.5-",
        ("gpt-35-turbo", "gpt-3.5-turbo"),
    ),
    _rule(
        "maker before a dot",
        # Of two words before dots, the first is a region that is not known.
        r"^[a-z][a-z0-9]*\.(?=[a-z])(?![a-z][a-z0-9]*\.[a-z])",
        "",
        ("amazon.nova-pro", "nova-pro"),
        aside=True,
        maker=True,
    ),
    _rule(
        "dash in a version",
        r"(?<=-\d)-(?=\d(?:[-:]|$))",
        ".",
        ("anthropic/claude-3-5-sonnet", "anthropic/claude-3.5-sonnet"),
        aside=True,
    ),
    _rule(
        "dot in a version",
        r"(?<=\d)\.(?=\d)",
        "-",
        ("claude-sonnet-4.5", "claude-sonnet-4-5"),
        aside=True,
    ),
)
_BY_NAME: Final = {rule.name: rule for rule in RULES}
_REGION_RULE: Final = _BY_NAME["region"]
_MAKER_RULE: Final = _BY_NAME["maker before a dot"]
# What may be left out of a name where only one model is meant.
_OPTIONAL: Final = (_BY_NAME["version of Bedrock"], _BY_NAME["version of Vertex AI"], _MAKER_RULE)
# An id that is for one region says nothing about the name without it.
_REGIONAL: Final = re.compile(rf"{_REGION}|^us-gov[.-]|/us-gov-")


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A name that fits several models."""

    ids: tuple[str, ...]


class Names:
    """The model names of one market.

    A name without its maker (`gpt-4o` for `openai/gpt-4o`) is enough where only one model has it.
    A known maker before a name (`openai/gpt-4o`) is dropped where the market lists models without.

    Args:
        ids: of the models.
        aliases: what else they are called: id by alias.
        prefixes: what may stand before an id, as in `openrouter/openai/gpt-4o`.
        makers: whose names may stand before an id that lacks them, besides those that the market's
            own ids begin with. No other word is dropped: it may name a deployment or a region.
    """

    def __init__(
        self,
        ids: Iterable[str],
        aliases: Mapping[str, str] = MappingProxyType({}),
        prefixes: Iterable[str] = (),
        makers: Iterable[str] = (),
    ) -> None:
        self._prefixes = tuple(f"{prefix}/" for prefix in prefixes)
        self.ids: Final = tuple(ids)
        self._known = {alias.lower(): model_id for alias, model_id in aliases.items()}
        # An id outranks an alias of the same spelling.
        self._known.update((model_id.lower(), model_id) for model_id in self.ids)
        self._named_makers = frozenset(makers)

    @cached_property
    def _short(self) -> Mapping[str, tuple[str, ...]]:
        """The ids that a shortened spelling may mean. Made on the first name that is no id."""
        short: dict[str, tuple[str, ...]] = {}
        for spelling, model_id in self._known.items():
            if not _REGIONAL.search(spelling):
                for name in _shorter(spelling):
                    owners = short.get(name, ())
                    if model_id not in owners:
                        short[name] = (*owners, model_id)
        return short

    @cached_property
    def _priced_by_region(self) -> frozenset[str]:
        """Names that some id has a region before, shortened ones too."""
        plain = {_REGION_RULE.rewrite(name) for name in self._known if _REGIONAL.search(name)}
        return frozenset(plain.union(*map(_shorter, plain)))

    @cached_property
    def _makers(self) -> frozenset[str]:
        """The makers that are known: those named, and those that ids begin with and a dot ends."""
        own = {
            name.partition(".")[0]
            for name in map(_REGION_RULE.rewrite, self._known)
            if _MAKER_RULE.rewrite(name) != name
        }
        return self._named_makers | own

    def resolve(self, name: str) -> str | Ambiguous | None:
        """The id that `name` means; None if none."""
        spellings: list[str] = []
        for spelling in self._spellings(name.strip().lower()):
            if found := self._known.get(spelling):
                return found
            if owners := self._short.get(spelling):
                return owners[0] if len(owners) == 1 else Ambiguous(tuple(sorted(owners)))
            spellings.append(spelling)
        for spelling in spellings:
            maker, _, leaf = spelling.partition("/")
            found = self._known.get(leaf)
            if found and "/" not in found and maker in self._makers:
                return found
        return None

    def _spellings(self, name: str) -> Iterator[str]:
        """The name, and then plainer and plainer; last the plainest that is no aside."""
        yield name
        is_regional = False
        for prefix in self._prefixes:
            if name.startswith(prefix):
                name = name.removeprefix(prefix)
                yield name
                break
        for rule in RULES:
            plainer = rule.rewrite(name)
            if plainer == name or (rule.maker and name.partition(".")[0] not in self._makers):
                continue
            # Where the market prices some regions of a model apart, no other is guessed.
            is_regional = is_regional or rule is _REGION_RULE
            if is_regional and plainer in self._priced_by_region:
                return
            yield plainer
            if not rule.aside:
                name = plainer


def _shorter(spelling: str) -> Iterator[str]:
    """A spelling without its maker, and without other parts that may be left out."""
    name = spelling
    _, maker, leaf = spelling.rpartition("/")
    if maker:
        yield (name := leaf)
    for rule in _OPTIONAL:
        plainer = rule.rewrite(name)
        if plainer != name:
            yield plainer
            name = plainer
