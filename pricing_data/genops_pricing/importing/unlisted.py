"""Which models a market no longer lists. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

from genops_pricing.errors import PricingError
from genops_pricing.model import Model

from .observation import Observation, Subject

__all__ = ["unlisted"]

# Of the models that are held to be listed: a list that lacks more is a part, or of something else.
_MOST_GONE: Final = 0.5
# What its own list is called as a source, archived or not.
_LIST: Final = "OpenRouter models API"


def unlisted(
    models: Iterable[Model],
    listed: Container[Subject],
    seen: Mapping[Subject, Sequence[Observation]],
) -> list[Subject]:
    """Models that a market's complete list lacks, of the kinds of output that it lists at all.

    What only catalogs know of was never on its list, and so does not leave it.
    By default OpenRouter lists only what puts out text:
    https://openrouter.ai/docs/api-reference/list-available-models

    Raises:
        PricingError: it lacks most of them.
    """
    kinds = {
        (subject.market, _output(one.modality))
        for subject, stated in seen.items()
        for one in stated
        if subject.endpoint is None and one.source.family == subject.market
    }
    held = [
        Subject(model.market, model.id)
        for model in models
        if not model.removed
        and _was_listed(model)
        and (model.market, _output(model.modality)) in kinds
    ]
    gone = [subject for subject in held if subject not in listed]
    if len(gone) > len(held) * _MOST_GONE:
        raise PricingError(
            f"the list lacks {len(gone)} of {len(held)} models that the catalog holds as listed: "
            "it is not complete. Import it without --complete"
        )
    return gone


def _was_listed(model: Model) -> bool:
    return any(row.provenance and row.provenance.source.startswith(_LIST) for row in model.rows)


def _output(modality: str | None) -> str:
    return (modality or "").partition("->")[2] or "text"
