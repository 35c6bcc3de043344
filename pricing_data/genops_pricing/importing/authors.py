"""Who made a model that a market sells: by the market itself, or by the model's name.

Authors are spelt as in OpenRouter's ids.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MAKERS", "author_of", "is_list_priced"]

# Markets that sell mostly models of their own.
MAKERS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "mistral": "mistralai",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "cohere": "cohere",
    "perplexity": "perplexity",
    "moonshot": "moonshotai",
    "alibaba": "qwen",
    "zai": "z-ai",
}

# Of names, vendor and all; the first that occurs.
_NAMES: Final = (
    ("nemotron|nvidia", "nvidia"),
    ("claude|anthropic", "anthropic"),
    ("gemini|gemma|palm|bison|google|imagen|veo|medlm|unicorn|learnlm", "google"),
    ("kimi|moonshot", "moonshotai"),
    ("deepseek", "deepseek"),
    ("qwen|qwq|qvq|tongyi|wan", "qwen"),
    ("glm|zai|z-ai|chatglm", "z-ai"),
    ("grok|x-ai|xai", "x-ai"),
    ("minimax", "minimax"),
    ("codestral|devstral|magistral|mistral|mixtral|ministral|pixtral|voxtral", "mistralai"),
    ("command|cohere|aya|embed-(?:english|multilingual)|rerank", "cohere"),
    ("hermes|nous", "nousresearch"),
    ("dolphin", "cognitivecomputations"),
    ("cogito", "deepcogito"),
    ("llama|meta", "meta-llama"),
    ("phi-|wizardlm|^mai-|microsoft", "microsoft"),
    ("jamba|ai21|^j2-", "ai21"),
    ("nova|titan|amazon", "amazon"),
    ("sonar|pplx|r1-1776|perplexity", "perplexity"),
    ("gpt|davinci|babbage|curie|whisper|openai|codex|computer-use|^o\\d|text-embedding", "openai"),
    ("yi-", "01-ai"),
    ("dbrx", "databricks"),
    ("palmyra|writer", "writer"),
    ("starcoder", "bigcode"),
    ("bge-|baai", "baai"),
    ("lfm", "liquid"),
    ("arcee|virtuoso|maestro|coder-large|spotlight|caller", "arcee-ai"),
)


# Makers that keep their weights and set the price wherever the model is sold. Open weights of the
# same makers are not among them: each host has a price of its own for those.
_LIST_PRICED: Final = re.compile(r"openai/(?!gpt-oss)|anthropic/|google/gemini|x-ai/")


def is_list_priced(market: str, model: str) -> bool:
    """Whether a market's price of a model is a list price, not the offer of one host of many."""
    return market != "openrouter" or bool(_LIST_PRICED.match(model.lower()))


def author_of(market: str, model: str) -> str:
    """The author of a model; the market where nothing tells."""
    for pattern, author in _NAMES:
        if re.search(pattern, model.lower()):
            return author
    return MAKERS.get(market, market)
