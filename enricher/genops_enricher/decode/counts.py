"""The counts of a call made one usage: parts inside their wholes, nothing twice, nothing guessed.

Where a count stands, and under which name, is known to `dialects` and `plan`.
"""

from __future__ import annotations

from collections.abc import Mapping

from genops_enricher.decode.values import BAD
from genops_pricing import Usage

__all__ = ["APART", "TOLD_APART", "WHOLES", "inclusive", "usage_of"]

WHOLES = {"cache_read_apart": "input", "cache_write_apart": "input", "reasoning_apart": "output"}
APART = tuple(WHOLES)
_BESIDES = {"input_besides": "input", "output_besides": "output"}
TOLD_APART = frozenset((*APART, *_BESIDES, "cache_write_5m", "cache_write_1h", "total"))


def inclusive(counts: Mapping[str, int]) -> dict[str, int]:
    """The same counts with every part inside the whole. What is no number stays so.

    Parts that are written beside the whole may be inside it all the same; if a total is stated that
    is the sum of the wholes alone, they are.
    """
    out = {field: n for field, n in counts.items() if field not in APART and field not in _BESIDES}
    are_inside = out.pop("total", None) == out.get("input", 0) + out.get("output", 0)
    for field, whole in WHOLES.items():
        part, apart = field.removesuffix("_apart"), counts.get(field)
        if apart is not None and part not in out:
            out[part] = apart
            if whole in out and not are_inside:
                out[whole] = BAD if BAD in (apart, out[whole]) else out[whole] + apart
    for field, whole in _BESIDES.items():
        besides = counts.get(field)
        if besides is not None and whole in out:
            out[whole] = BAD if BAD in (besides, out[whole]) else out[whole] + besides
    short, long = out.pop("cache_write_5m", None), out.get("cache_write_1h")
    if "cache_write" not in out and (short is not None or long is not None):
        out["cache_write"] = BAD if BAD in (short, long) else (short or 0) + (long or 0)
    return out


def usage_of(counts: dict[str, int], *, exclusive: bool) -> Usage | str:
    """The usage of inclusive counts, or why there is none: no_usage or bad_usage.

    `exclusive`: cached tokens come beside the input.
    """
    if "input" not in counts or "output" not in counts:
        return "no_usage"
    if BAD in counts.values():
        return "bad_usage"
    if len(counts) > 2:
        cached = counts.get("cache_read", 0) + counts.get("cache_write", 0)
        if exclusive or cached > counts["input"]:  # what is more than the whole is no part of it
            counts["input"] += cached
        if counts.get("reasoning", 0) > counts["output"]:
            # Seen on OpenRouter: 2590 of 2567. Reasoning is part of the output, whoever counts it.
            counts["reasoning"] = counts["output"]
    return Usage(**counts)
