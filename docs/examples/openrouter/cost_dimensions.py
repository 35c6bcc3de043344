"""One call attributed along business, financial and operational dimensions at once."""

from genops.providers.openrouter import instrument_openrouter

client = instrument_openrouter()

response = client.chat_completions_create(
    model="meta-llama/llama-3.1-8b-instruct",
    messages=[{"role": "user", "content": "Customer support query"}],
    # Business
    team="customer-success",
    project="ai-support-bot",
    customer_id="enterprise-customer-123",
    feature="ticket-classification",
    # Finance
    cost_center="customer-ops",
    billing_tier="premium",
    # Operations
    environment="production",
    region="us-west-2",
    deployment="prod-cluster-01",
)
print(response.choices[0].message.content)
