"""Estimate a call before it is made, and let a limit refuse it before money is spent."""

from genops.providers.openrouter import instrument_openrouter
from genops.providers.openrouter_pricing import estimate_cost_for_text

client = instrument_openrouter()

estimated_cost = estimate_cost_for_text(
    "anthropic/claude-3-sonnet",
    "Long text to process...",
    completion_ratio=0.4,
)

if estimated_cost[0] < 0.01:
    response = client.chat_completions_create(
        model="anthropic/claude-3-sonnet",
        messages=[{"role": "user", "content": "Long text to process..."}],
        team="content-team",
        budget_limit=0.01,
    )
else:
    response = client.chat_completions_create(
        model="meta-llama/llama-3.2-3b-instruct",
        messages=[{"role": "user", "content": "Long text to process..."}],
        team="content-team",
    )
print(f"estimated ${estimated_cost[0]:.6f}, answered by {response.model}")
