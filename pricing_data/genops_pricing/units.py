"""What a call consumed, and the units that a price can be stated for, as one table.

Decides which tokens are part of which other tokens, so that none is counted twice. Leaves money to
`rates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["PARTS", "PROMPT_ORDER", "UNITS", "UNITS_BY_KEY", "Unit", "Usage", "count_units"]


class Usage(NamedTuple):
    """What one call consumed. Counts include their subsets, as in OTel's GenAI conventions.

    `input` includes `cache_read`, `cache_write`, `input_audio` and `input_image`; `cache_write`
    includes `cache_write_1h`; `output` includes `reasoning`, `output_audio` and `output_image`.
    All are tokens but the last three. What most calls have comes first. (A named tuple because one
    is made for every span: a frozen dataclass of this size takes more than twice as long to make.)
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    reasoning: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    output_audio: int = 0
    input_image: int = 0
    output_image: int = 0
    requests: int = 1
    web_searches: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that has a price. Its tokens are counted without those of its children."""

    key: str  # in a price file
    table: str  # usd_per_mtok or usd_per_unit
    parent: str | None  # whose price holds where this unit states none
    part: str  # of the cost that its price lands in
    meaning: str


# In the order in which the parts of a cost are listed.
UNITS: Final = (
    Unit("input", "usd_per_mtok", None, "input", "prompt tokens, uncached text"),
    Unit("output", "usd_per_mtok", None, "output", "completion tokens"),
    Unit("reasoning", "usd_per_mtok", "output", "output", "reasoning tokens, where priced apart"),
    Unit("cache_read", "usd_per_mtok", "input", "cache_read", "prompt tokens read from a cache"),
    Unit(
        "cache_write",
        "usd_per_mtok",
        "input",
        "cache_write",
        "prompt tokens written to a cache that keeps them for minutes",
    ),
    Unit(
        "cache_write_1h",
        "usd_per_mtok",
        "cache_write",
        "cache_write",
        "prompt tokens written to a cache that keeps them for an hour",
    ),
    Unit("input_audio", "usd_per_mtok", "input", "audio", "audio tokens of the prompt"),
    Unit("output_audio", "usd_per_mtok", "output", "audio", "audio tokens of the completion"),
    Unit("input_image", "usd_per_mtok", "input", "image", "image tokens of the prompt"),
    Unit("output_image", "usd_per_mtok", "output", "image", "image tokens of the completion"),
    Unit("image", "usd_per_unit", None, "image", "one image, on top of its tokens"),
    Unit("web_search", "usd_per_unit", None, "web_search", "one web search"),
    Unit("request", "usd_per_unit", None, "request", "one request"),
)
UNITS_BY_KEY: Final = {unit.key: unit for unit in UNITS}

PARTS: Final = tuple(dict.fromkeys(unit.part for unit in UNITS))

# How the units of a prompt follow each other: a cache holds the front of a prompt, and entries
# that live for an hour come before those that live for minutes (Anthropic's prompt caching docs).
PROMPT_ORDER: Final = tuple(
    [unit.key for unit in UNITS].index(key)
    for key in (
        "cache_read",
        "cache_write_1h",
        "cache_write",
        "input",
        "input_audio",
        "input_image",
    )
)


def count_units(usage: Usage) -> tuple[int, ...] | str:
    """How many of each of UNITS were used, none counted twice, or what is wrong with `usage`.

    A cached token is billed as cached whatever it holds: audio and image tokens are counted apart
    only as far as the prompt was not cached, since no usage report says which of them were.
    """
    (
        prompt,
        completion,
        cache_read,
        reasoning,
        cache_write,
        cache_write_1h,
        input_audio,
        output_audio,
        input_image,
        output_image,
        requests,
        web_searches,
        images,
    ) = usage
    if min(usage) < 0:
        negative = next(name for name in usage._fields if getattr(usage, name) < 0)
        return f"{negative} is negative: {getattr(usage, negative)}"
    uncached = prompt - cache_read - cache_write
    if uncached < 0:
        return f"more cached tokens ({cache_read} + {cache_write}) than input tokens ({prompt})"
    if cache_write_1h > cache_write:
        return f"cache_write_1h ({cache_write_1h}) exceeds cache_write ({cache_write})"
    if input_audio + input_image > prompt:
        return f"more audio and image tokens ({input_audio} + {input_image}) than input ({prompt})"
    text_out = completion - reasoning - output_audio - output_image
    if text_out < 0:
        inside = f"{reasoning} + {output_audio} + {output_image}"
        return f"more reasoning, audio and image tokens ({inside}) than output ({completion})"
    audio = min(input_audio, uncached)
    image = min(input_image, uncached - audio)
    return (
        uncached - audio - image,
        text_out,
        reasoning,
        cache_read,
        cache_write - cache_write_1h,
        cache_write_1h,
        audio,
        output_audio,
        image,
        output_image,
        images,
        web_searches,
        requests,
    )
