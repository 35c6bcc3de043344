"""The models of the bundled catalog as text, each parsed when it is first asked for.

A process sees few of the thousands of models: reading all of them would cost more time and memory
than a sidecar has to give.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = ["Shelf", "canonical", "shelve"]

Raw = Mapping[str, Any]


class Shelf:
    """Models by market and id.

    Args:
        index: by market the length (bytes) of each model's line by id, and the aliases of its
            models; in the order of the lines.
        text: the lines, one after the other: `[author, model]`.
        start: where in `text` the first one starts.
    """

    def __init__(
        self,
        index: Mapping[str, tuple[Mapping[str, int], Mapping[str, str]]],
        text: bytes | mmap.mmap,
        start: int = 0,
    ) -> None:
        self._text: Final = text
        self._starts: dict[str, dict[str, int]] = {}
        self._aliases: dict[str, Mapping[str, str]] = {}
        for market, (lengths, aliases) in index.items():
            starts: dict[str, int] = {}
            for model_id, length in lengths.items():
                starts[model_id] = start
                start += length
            self._starts[market] = starts
            self._aliases[market] = aliases

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key[1] in self._starts.get(key[0], ())

    def markets(self) -> Iterable[str]:
        """The markets that have models."""
        return self._starts.keys()

    def ids(self, market: str) -> Iterable[str]:
        """The models of a market, in the order of the files."""
        return self._starts.get(market, {}).keys()

    def aliases(self, market: str) -> Mapping[str, str]:
        """What else the models of a market are called: id by alias; that of a merged one too."""
        return self._aliases.get(market, {})

    def read(self, market: str, model_id: str) -> tuple[str | None, Raw]:
        """The author of a model, and what its file states of it.

        Raises:
            KeyError: there is no such model.
        """
        start = self._starts[market][model_id]
        author, raw = json.loads(self._text[start : self._text.find(b"\n", start)])
        return author, raw


def canonical(content: Any) -> str:
    """The one JSON text of a content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def shelve(files: Sequence[Raw]) -> tuple[dict[str, tuple[dict[str, int], dict[str, str]]], bytes]:
    """The index and the lines of the models of price files."""
    index: dict[str, tuple[dict[str, int], dict[str, str]]] = {}
    lines: dict[str, list[bytes]] = {}
    for file in files:
        lengths, aliases = index.setdefault(file["market"], ({}, {}))
        for raw in file["models"]:
            line = f"{canonical([file.get('author'), raw])}\n".encode()
            lines.setdefault(file["market"], []).append(line)
            lengths[raw["id"]] = len(line)
            aliases.update(dict.fromkeys(raw.get("aliases", ()), raw["id"]))
            if "merged_into" in raw:
                aliases[raw["id"]] = raw["merged_into"]
    return index, b"".join(line for market in index for line in lines.get(market, ()))
