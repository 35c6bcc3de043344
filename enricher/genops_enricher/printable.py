"""Text of others made fit for a terminal: what would drive it stands there as escapes."""

from __future__ import annotations

import json
import re

__all__ = ["printable", "printable_json"]

# Control characters, those that turn the direction of what follows, and half characters, which
# can't be written. Tabs and line breaks stay: what they are is the caller's to decide.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text with escapes in Python's form."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def printable_json(content: object) -> str:
    """The content as JSON on one line, readable and the same to every reader.

    JSON itself lets through some characters that drive a terminal.
    """
    text = json.dumps(content, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
