"""The family of a model, by rule: its product line with the version, read from the id.

For every model, whatever its source says: sources group more coarsely (all Claude Sonnets), or not
at all. A table for the lines whose ids put size, role or date between line and version.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["family_of"]

# Of a model's plain id; the first that fits. `None` keeps what was matched.
_LINES: Final[tuple[tuple[str, str | None], ...]] = (
    (r"claude-(\d(?:\.\d)?)(?=$|-)", r"claude-\1"),
    (r"claude-[a-z]+-(\d(?:\.\d+)?)(?=$|-)", r"claude-\1"),
    (r"claude-(v?\d(?:\.\d)?)", r"claude-\1"),
    (r"(chatgpt-4o|gpt-4o)", "gpt-4o"),
    (r"gpt-oss", None),
    (r"gpt-(\d(?:\.\d)?)", None),
    (r"o\d(?=-|$)", None),
    (r"gemini-(?:pro|flash)-(1\.5)", r"gemini-\1"),
    (r"gemini-(\d(?:\.\d)?)", None),
    (r"(?:code)?gemma-(\d)", None),
    (r"(?:code)?llama-?v?(\d(?:\.\d)?)", r"llama-\1"),
    (r"llama-guard-(\d)", None),
    (r"mistral-(?:large|medium|small|saba|nemo|tiny)", None),
    (r"mixtral|ministral|codestral|devstral|magistral|pixtral|voxtral", None),
    (r"command-[ar]|command", None),
    (r"sonar|r1-1776", None),
    (r"deepseek-(?:chat-|coder-|math-|prover-)?(r\d|v\d(?:\.\d)?)", r"deepseek-\1"),
    (r"kimi-(k\d(?:\.\d)?)", None),
    (r"glm-(\d(?:\.\d)?)", None),
    (r"minimax-(m\d(?:\.\d)?)", None),
    (r"qwen-?(\d(?:\.\d)?)", None),
    (r"qwq|qvq", None),
    (r"grok-(?:code-fast-|vision-)?(\d(?:\.\d+)?)", r"grok-\1"),
    (r"ui-tars", None),
)
_REGION: Final = re.compile(r"^(?:global|us|eu|apac|jp|au|ca|sa|me|af|in|us-gov)\.")
# What stands before the name on clouds: anthropic.claude…, meta-llama-3….
_VENDOR: Final = re.compile(
    r"^(?:(?!deepseek\.[rv]\d)[a-z0-9]+\.(?=[a-z])|(?:meta|cohere|nvidia)-(?=[a-z]))"
)
_VERSION: Final = re.compile(r"[vkm]?\d{1,2}(\.\d{1,2})?")
_DATED: Final = re.compile(r"\d{4,}")


def family_of(model: str) -> str:
    """The family of a model id, as claude-4.5 or llama-3.1."""
    leaf = model.lower().lstrip("~").rpartition("/")[2].partition(":")[0].partition("@")[0]
    leaf = _VENDOR.sub("", _REGION.sub("", leaf))
    leaf = re.sub(r"^deepseek\.(?=[rv]\d)", "deepseek-", leaf)
    # Some spell a version 4-5 or 4p5, others 4.5; a date is no version.
    leaf = re.sub(r"(?<=\d)p(?=\d)", ".", leaf)
    leaf = re.sub(r"^(llama|claude)v?(\d)", r"\1-\2", leaf)
    leaf = re.sub(r"(?<=-)(\d)-(\d)(?=$|-)", r"\1.\2", leaf)
    for pattern, family in _LINES:
        if match := re.match(pattern, leaf):
            return match.expand(family) if family else match.group()
    words: list[str] = []
    for word in leaf.split("-"):
        if words and re.search(r"\d", word):
            if _VERSION.fullmatch(word) and not _DATED.search(word):
                words.append(word)
            break
        words.append(word)
    return "-".join(words)
