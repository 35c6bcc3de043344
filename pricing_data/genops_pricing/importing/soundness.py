"""What is wrong with an addition by itself, so that one odd value of a source stops no other.

By the rules of price files (`schema`) and of plausible prices (`plausible`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from genops_pricing.model import Row, build_rows
from genops_pricing.plausible import mixups
from genops_pricing.schema import FILES

from .decision import NewEndpoint, NewModel, NewRow

__all__ = ["flaws"]


def flaws(item: NewModel | NewEndpoint | NewRow, before: Row | None = None) -> Iterator[str]:
    """Why the price files could not hold an addition, as "what. fix".

    Args:
        item: the addition.
        before: the row that it follows.
    """
    market, author, model = _model(item)
    found: list[str] = []
    content = {"market": market, "author": author, "models": [_plain(model)]}
    FILES["prices"].check(content, (), lambda _, what: found.append(what))
    if found:
        yield from found
        return
    owner = f"{market}/{model['id']}"
    lists = [(owner, model.get("prices", ()))]
    lists += [
        (f"{owner}/{slug}", endpoint.get("prices", ()))
        for slug, endpoint in model.get("endpoints", {}).items()
    ]
    for name, raws in lists:
        for row in build_rows(name, raws, layer=0, overlay=None):
            yield from mixups(row, before)
            before = row


def _model(item: NewModel | NewEndpoint | NewRow) -> tuple[str, str, Mapping[str, Any]]:
    """Market, author and the block of the model that an addition stands in."""
    if isinstance(item, NewModel):
        return item.market, item.author, item.raw
    subject = item.subject
    raw: Mapping[str, Any] = {"prices": [item.raw]} if isinstance(item, NewRow) else item.raw
    block = raw if subject.endpoint is None else {"endpoints": {subject.endpoint: raw}}
    return subject.market, "any", {"id": subject.model, **block}


def _plain(value: Any) -> Any:
    """As YAML gives it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
