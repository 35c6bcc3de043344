"""What calls cost, from the price catalog inside the package: no key, no network.

The figures are those of the day on which this runs; `at=` asks for another one.
"""

from genops.providers.openrouter_pricing import (
    calculate_openrouter_cost,
    get_cost_breakdown,
    get_supported_models,
)

cost = calculate_openrouter_cost(
    model_name="anthropic/claude-3-sonnet",
    actual_provider="anthropic",
    input_tokens=150,
    output_tokens=75,
)
print(f"claude-3-sonnet, 150 in and 75 out: ${cost:.6f}")

cost_breakdown = get_cost_breakdown(
    "anthropic/claude-3-sonnet",
    actual_provider="anthropic",
    input_tokens=150,
    output_tokens=75,
)
print(f"Total cost: ${cost_breakdown['total_cost']:.6f}")
print(f"Input cost: ${cost_breakdown['input_cost']:.6f}")
print(f"Output cost: ${cost_breakdown['output_cost']:.6f}")
print(f"Provider: {cost_breakdown['provider']}")
print(f"Model family: {cost_breakdown['model_family']}")

breakdown = get_cost_breakdown(
    "anthropic/claude-3-opus",
    input_tokens=1000,
    output_tokens=500,
)
print(f"Model: {breakdown['model_name']}")
print(f"Provider: {breakdown['provider']}")
print(f"Total cost: ${breakdown['total_cost']:.6f}")
print(f"Cost per token: ${breakdown['input_cost_per_token']:.8f}")

breakdown = get_cost_breakdown(
    model_name="openai/gpt-4o",
    input_tokens=200,
    output_tokens=100,
)
for name in (
    "total_cost",
    "input_cost",
    "output_cost",
    "input_tokens",
    "output_tokens",
    "input_cost_per_token",
    "output_cost_per_token",
    "provider",
    "model_family",
    "currency",
    "model_name",
):
    print(f"{name}: {breakdown[name]}")

models = get_supported_models()
print(f"{len(models)} models are priced today; of Anthropic:")
for model_name, pricing in models.items():
    if pricing.provider == "anthropic":
        print(f"{model_name}: ${pricing.input_cost_per_token:.8f}/token input")
