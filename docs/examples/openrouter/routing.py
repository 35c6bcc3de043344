"""Choose and observe the upstream provider.

What was asked for stands on the span as genops.openrouter.preferred_provider, predicted_provider
and routing_strategy; what OpenRouter did as actual_provider, attempts and fallback_used.
"""

from genops.providers.openrouter import instrument_openrouter

client = instrument_openrouter()

# Any provider may answer, this one is asked first.
response = client.chat_completions_create(
    model="anthropic/claude-3-sonnet",
    messages=[{"role": "user", "content": "Hello"}],
    provider="anthropic",
    route="fallback",
)

response = client.chat_completions_create(
    model="anthropic/claude-3-sonnet",
    messages=[{"role": "user", "content": "Complex reasoning task"}],
    provider="anthropic",
    route="fallback",
    team="research",
)

# The cheapest provider first.
response = client.chat_completions_create(
    model="openai/gpt-3.5-turbo",
    messages=[{"role": "user", "content": "Simple FAQ response"}],
    route="least-cost",
    team="customer-support",
)

# The one with the highest throughput first.
response = client.chat_completions_create(
    model="openai/gpt-4o",
    messages=[{"role": "user", "content": "Real-time analysis"}],
    route="fastest",
    team="real-time-analytics",
)
print(response.choices[0].message.content)
