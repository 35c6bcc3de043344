"""Who stands behind the names of sources in the files."""

from __future__ import annotations

from datetime import date
from typing import Final

from genops_pricing.importing.observation import Source

__all__ = ["API", "ARCHIVE", "REPEATED", "SOURCES", "STALE", "URL"]

URL: Final = "https://openrouter.ai/api/v1/models"
API: Final = Source("OpenRouter models API", "openrouter", URL)
ARCHIVE: Final = Source(
    "OpenRouter models API, archived", "openrouter", f"https://web.archive.org/web/*/{URL}"
)
# The archived snapshot of this day repeats that of 2025-11-18: what it shows dates nothing.
STALE: Final = date(2026, 2, 27)
REPEATED: Final = date(2025, 11, 18)
# Sources by the name that they have in the files. Sources of one family copy from each other, as
# they say, or as shared numbers tell: veqen-pricebook states the price of LiteLLM for 98% of 1,028
# ids that both have, TrueFoundry lists ids that LiteLLM made up (together-ai-up-to-4b).
SOURCES: Final = {
    "openrouter-api": API,
    "openrouter-api:llm_db": API,
    "openrouter-api:ModelGraveyard": API,
    "model-price-radar": ARCHIVE,
    "genai-prices": Source(
        "genai-prices 0.2.3", "genai-prices", "https://github.com/pydantic/genai-prices"
    ),
    "pi-ai": Source("pi-ai 1.5.2", "models.dev"),
    "models.dev": Source("models.dev", "models.dev", "https://github.com/sst/models.dev"),
    "tokenlens": Source("tokenlens 1.3.0", "models.dev"),
    "litellm": Source("LiteLLM", "litellm", "https://github.com/BerriAI/litellm"),
    "tokencost": Source("tokencost 0.1.26", "litellm", "https://github.com/AgentOps-AI/tokencost"),
    "tokencostauto": Source("tokencostauto 0.1.717", "litellm"),
    "metergraph": Source("metergraph 0.7.4", "metergraph"),
    "portkey-models": Source("Portkey models", "portkey", "https://github.com/Portkey-AI/models"),
    "truefoundry-models": Source(
        "TrueFoundry models", "litellm", "https://github.com/truefoundry/models"
    ),
    "veqen-pricebook": Source("veqen-pricebook 2026.10.23", "litellm"),
    "model-prices": Source("model-prices 0.0.5", "model-prices"),
    "langfuse": Source("Langfuse", "langfuse", "https://github.com/langfuse/langfuse"),
    "llm-prices": Source("llm-prices", "llm-prices", "https://github.com/simonw/llm-prices"),
}
