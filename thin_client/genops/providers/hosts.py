"""Decide who serves a client from its base URL.

Most providers speak the OpenAI API, so the SDK in use says nothing; the host does. Names are those
of `gen_ai.provider.name` in the semantic conventions where they have one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

__all__ = ["DEFAULT_BASE_URL", "OPENAI_COMPATIBLE", "OPENROUTER", "address", "provider_of"]

OPENROUTER: Final = "openrouter"
DEFAULT_BASE_URL: Final = "https://openrouter.ai/api/v1"  # OpenRouter's own

# An unknown host that speaks the OpenAI API: a proxy, a local model. Calling it `openai` would be
# a guess, and a wrong price.
OPENAI_COMPATIBLE: Final = "openai_compatible"

# A host is matched as it is or as the parent of a subdomain, never as a substring.
_PROVIDERS: Final = {
    "openrouter.ai": OPENROUTER,
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "models.inference.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@lru_cache  # asked at each call, about the few hosts that an application talks to
def address(base_url: str) -> tuple[str | None, int | None]:
    """Host and port of a base URL; the scheme's port where it states none.

    The host is None if the URL has none or is malformed.
    """
    try:
        parts = urlsplit(base_url)
        return parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None, None


@lru_cache
def provider_of(base_url: str, openrouter_base_url: str | None = None) -> str:
    """The provider behind a base URL.

    Args:
        base_url: The client's.
        openrouter_base_url: Another address at which OpenRouter is served (a gateway, a test
            server); a base URL of the same host and port is OpenRouter.
    """
    host, port = address(base_url)
    if host is None:
        return OPENAI_COMPATIBLE
    if openrouter_base_url and (host, port) == address(openrouter_base_url):
        return OPENROUTER
    labels = host.split(".")
    # Regional Bedrock and Vertex hosts put the region into a label: bedrock-runtime.eu-west-1…,
    # europe-west1-aiplatform.googleapis.com.
    if labels[0].startswith("bedrock") and host.endswith(".amazonaws.com"):
        return "aws.bedrock"
    if host.endswith("-aiplatform.googleapis.com"):
        return "gcp.vertex_ai"
    for start in range(len(labels)):
        name = _PROVIDERS.get(".".join(labels[start:]))
        if name is not None:
            return name
    return OPENAI_COMPATIBLE
