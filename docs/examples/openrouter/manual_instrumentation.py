"""An instrumented client: governance and routing stand beside the SDK's own parameters."""

from genops.providers.openrouter import instrument_openrouter

client = instrument_openrouter(  # the key is OPENROUTER_API_KEY
    default_headers={
        "HTTP-Referer": "https://my-app.com",
        "X-Title": "My AI Application",
    },
)

response = client.chat_completions_create(
    model="openai/gpt-4o",
    messages=[{"role": "user", "content": "Generate product description"}],
    # On the span as genops.team, genops.project, …; never in the request.
    team="marketing",
    project="product-launch",
    customer_id="enterprise-001",
    cost_center="marketing-ops",
    environment="production",
    # In the request as `provider`.
    provider="openai",
    route="least-cost",
    max_tokens=200,
)
print(response.choices[0].message.content)
