"""Makes docs/dialects.md from the table of dialects; see `pages`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from genops_enricher.decode.dialect import Cost, Dialect, KindRule
from genops_enricher.decode.dialects import DIALECTS

__all__ = ["dialects_page"]

_PAGE = """\
# Dialects

Who writes spans of LLM calls, under which names, and what the enricher takes them to mean.
All names are looked for on every span, whoever wrote it, so a gateway that speaks two dialects is
read as well.
Where several names say the same, the first on this page counts; they are never added up.

Only single inference and embedding calls are priced.
An aggregate, which repeats the usage of calls below it, is marked `aggregate` if it states usage.
Tools and everything else stay as they came, byte for byte.

## Counts

Every count is made inclusive first: `input` holds what was read from and written to a cache,
`output` holds reasoning.
A count that is said to be *apart* is added to its whole, unless a total is stated that shows that
it is in there already.
Cached tokens that are more than the whole input can't be a part of it, and are added too.
More reasoning than output counts as all of the output.
Numbers may be integers, doubles or text.
JSON is read up to 128 KiB.

## Costs

1. A cost that the provider reported is the total.
2. Else it is computed from the catalog.
3. What another tool reckoned is never read: without a price of ours the call stays unpriced.

With a provider key of your own (BYOK) OpenRouter's cost is a fee, 5 % of what the provider bills.
Where the emitter states both, the total is their sum.
Where it can't, and what it copied is 5 % of the computed cost, the computed cost is the total; it
lacks the fee.

## Whose price

The host that was called decides, then the provider's name, then a model named `author/model`, which
is OpenRouter's way.
A host or provider that is named and not known is never taken for OpenRouter, unless the model is
named `openrouter/author/model`. Such calls belong to the market `openai_compatible`, which has the
prices that an overlay states and no others.
Instrumentations of the OpenAI SDK name `openai` as provider whoever they call: where they do not
say the host, a model named `author/model` overrules that.
"""


def dialects_page(made: str) -> str:
    """The page; `made` is the comment that says where it comes from."""
    return f"{made}\n{_PAGE}" + "".join(_section(dialect) for dialect in DIALECTS)


def _section(dialect: Dialect) -> str:
    rows = [
        ("recognised by", _any(dialect.marks)),
        *((f"kind by `{rule.name}`", _kinds(rule)) for rule in dialect.kinds),
        ("kind", dialect.kind.value if dialect.kind else ""),
        ("provider", f"always `{dialect.provider_is}`" if dialect.provider_is else ""),
        ("provider", _names(dialect.provider)),
        ("provider", "; ".join(f"`{n}` up to the first `/`" for n in dialect.provider_prefix)),
        ("model that answered", _names(dialect.served)),
        ("model asked for", _names(dialect.asked)),
        ("host", _names(dialect.host)),
        ("endpoint", _names(dialect.endpoint)),
        ("service tier", _names(dialect.service_tier)),
        *_counts(dialect.counts),
        *(
            row
            for document in dialect.documents
            for row in (
                *((f"{what}, in `{document.name}`", n) for what, n in _counts(document.counts)),
                (f"service tier, in `{document.name}`", _names(document.service_tier)),
                (f"region, in `{document.name}`", _names(filter(None, (document.region,)))),
                *(_cost(document.cost, f" in `{document.name}`") if document.cost else ()),
            )
        ),
        *(row for cost in dialect.costs for row in _cost(cost, "")),
        ("estimates, never read", _names(dialect.estimates)),
        ("response id", _names(dialect.ids)),
        (
            "cached tokens",
            f"apart if the provider is `{dialect.exclusive_for}`" if dialect.exclusive_for else "",
        ),
    ]
    text = f"\n## {dialect.title}\n\n{dialect.note}" if dialect.note else f"\n## {dialect.title}\n"
    text = text.rstrip("\n") + f"\n\nSource: {_source(dialect.source)}.\n\n| | |\n|---|---|\n"
    return text + "".join(f"| {what} | {value} |\n" for what, value in rows if value)


def _source(source: str) -> str:
    return f"<{source}>" if source.startswith("https:") else f"`{source}`"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _any(names: tuple[str, ...]) -> str:
    return f"any of {_names(names)}" if len(names) > 1 else _names(names)


def _kinds(rule: KindRule) -> str:
    kinds: dict[str, list[str]] = {}
    for value, kind in rule.kinds.items():
        kinds.setdefault(kind.value, []).append(f"`{value}`")
    texts = [f"{', '.join(values)}: {kind}" for kind, values in kinds.items()]
    return "; ".join([*texts, f"else {rule.default.value}"])


def _counts(counts: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    names: dict[str, list[str]] = {}
    for name, field in counts.items():
        names.setdefault(field, []).append(name)
    for field, of_field in names.items():
        words = field.replace("_", " ").replace(" apart", ", apart")
        yield words, _names(of_field)


def _cost(cost: Cost, where: str) -> Iterable[tuple[str, str]]:
    text = f"`{cost.amount}`{where}"
    if cost.upstream:
        text += f"; with a key of one's own plus `{cost.upstream}`"
    if cost.byok:
        text += f", if `{cost.byok}`"
    if cost.only_if:
        text += f"; only if `{cost.only_if[0]}` is `{cost.only_if[1]}`"
    if cost.currency:
        text += f"; in USD, if `{cost.currency}` says nothing else"
    if cost.unless:
        text += f"; not beside `{cost.unless}`"
    if cost.only_on:
        text += f"; only for calls to {cost.only_on}"
    yield "reported cost", text
