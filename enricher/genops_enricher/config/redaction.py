"""Reads what does not leave, and holds it against what the enricher is there to add."""

from __future__ import annotations

from collections.abc import Mapping

from genops_enricher.config.model import RedactionConfig
from genops_enricher.config.patterns import Action, Rules
from genops_enricher.config.reading import Reading

__all__ = ["OWN", "read_redaction"]

_PATH = ("enrichment", "redaction")

OWN = (
    *(
        f"genops.cost.{part}"
        for part in (
            "total",
            "input",
            "output",
            "cache_read",
            "cache_write",
            "audio",
            "image",
            "web_search",
            "request",
            "estimated",
            "currency",
            "source",
            "status",
            "unpriced_reason",
            "duplicate_of",
        )
    ),
    "genops.model_family",
    "genops.model_tier",
    "genops.pricing.version",
    "genops.pricing.entry",
    "genops.pricing.effective_from",
    "genops.provider",
    "genops.model",
    "genops.tokens.input",
    "genops.tokens.output",
    "genops.tokens.total",
)
"""What the enricher writes by itself. Without it a next enricher would price the span again."""


def read_redaction(reading: Reading, attribution: Mapping[str, tuple[str, ...]]) -> RedactionConfig:
    """The section `enrichment.redaction`; `attribution` are the rules that copy attributes."""
    find = reading.settings.find
    lists: dict[Action, tuple[str, ...]] = {
        Action.DROP: find(tuple, *_PATH, "drop") or (),
        Action.HASH: find(tuple, *_PATH, "hash") or (),
    }
    key = find(str, *_PATH, "hash_key") or ""
    for action, patterns in lists.items():
        for pattern in patterns:
            _check_pattern(reading, action, pattern)
    has_key = reading.settings.is_set(*_PATH, "hash_key")
    is_wrong = find(tuple, *_PATH, "hash") is None and reading.settings.is_set(*_PATH, "hash")
    if (lists[Action.HASH] or is_wrong) and not has_key:
        reading.note(
            (*_PATH, "hash"),
            "needs `hash_key` beside it: without a secret anyone can hash all ids that there may "
            "be, and compare",
        )
    if has_key and not reading.settings.is_set(*_PATH, "hash"):
        reading.warn((*_PATH, "hash_key"), "has no effect without `hash`")
    rules = Rules(lists[Action.DROP], lists[Action.HASH])
    for target, sources in attribution.items():
        for source in sources:
            name = source.removeprefix("resource:")
            if rules.action(name) and not rules.action(target):
                reading.warn(
                    ("enrichment", "attribution", target),
                    f"is a copy of `{name}`, which is redacted, and leaves as it is; name "
                    f"`{target}` under `redaction` too",
                )
    return RedactionConfig(lists[Action.DROP], lists[Action.HASH], key)


def _check_pattern(reading: Reading, action: Action, pattern: str) -> None:
    path = (*_PATH, action.name.lower())
    rules = Rules([pattern])
    hit = next((name for name in OWN if rules.action(name)), None)
    if hit is not None:
        shown = "a pattern" if path in reading.settings.private else f"`{pattern}`"
        reading.note(
            path,
            f"{shown} matches `{hit}`, which the enricher writes itself; write a pattern that "
            "does not",
        )
