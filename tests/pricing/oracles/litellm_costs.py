"""Price usages with LiteLLM's calculator. Runs in an environment of its own, not in ours.

Reads one JSON object a line (`entry`, a model's prices in LiteLLM's keys, and `usages`) and writes
a list of USD a line. Only LiteLLM and the standard library are at hand.
"""
# mypy: ignore-errors

from __future__ import annotations

import json
import sys

import litellm
from litellm.litellm_core_utils.llm_cost_calc.utils import generic_cost_per_token
from litellm.types.utils import CacheCreationTokenDetails, PromptTokensDetailsWrapper, Usage


def price(name: str, usage: dict[str, int]) -> float:
    details = PromptTokensDetailsWrapper(
        cached_tokens=usage["cache_read"],
        cache_creation_tokens=usage["cache_write"],
        cache_creation_token_details=CacheCreationTokenDetails(
            ephemeral_5m_input_tokens=usage["cache_write"] - usage["cache_write_1h"],
            ephemeral_1h_input_tokens=usage["cache_write_1h"],
        ),
    )
    used = Usage(
        prompt_tokens=usage["input"],
        completion_tokens=usage["output"],
        total_tokens=usage["input"] + usage["output"],
        prompt_tokens_details=details,
        cache_read_input_tokens=usage["cache_read"],
        cache_creation_input_tokens=usage["cache_write"],
    )
    return sum(generic_cost_per_token(model=name, usage=used, custom_llm_provider="openai"))


for number, line in enumerate(sys.stdin):
    case = json.loads(line)
    model = f"oracle-{number}"
    entry = {"litellm_provider": "openai", "mode": "chat", **case["entry"]}
    litellm.register_model({model: entry})
    sys.stdout.write(f"{json.dumps([price(model, usage) for usage in case['usages']])}\n")
