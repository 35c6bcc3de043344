"""Governance for every call inside a block: compare models under one experiment."""

from genops.core.context import set_governance_context
from genops.providers.openrouter import instrument_openrouter

client = instrument_openrouter()

with set_governance_context(
    team="data-science",
    project="model-evaluation",
    experiment_id="exp-2024-001",
):
    models_to_test = [
        "openai/gpt-4o",
        "anthropic/claude-3-sonnet",
        "meta-llama/llama-3.1-70b-instruct",
        "google/gemini-1.5-pro",
    ]

    results = []
    for model in models_to_test:
        response = client.chat_completions_create(
            model=model,
            messages=[{"role": "user", "content": "Explain quantum computing"}],
            max_tokens=150,
        )
        results.append(
            {
                "model": model,
                "response": response.choices[0].message.content,
                "tokens": response.usage.total_tokens,
            }
        )

for result in results:
    print(result["model"], result["tokens"])
