"""Every argument of the client and of its two methods."""

import os

from genops.providers.openrouter import instrument_openrouter

client = instrument_openrouter(
    client=None,  # or an openai.OpenAI or openai.AsyncOpenAI of your own, and nothing else
    openrouter_api_key=os.getenv("OPENROUTER_API_KEY"),
    api_key=os.getenv("OPENROUTER_API_KEY"),  # the same under the SDK's name
    base_url=os.getenv("GENOPS_OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1"),
    timeout=30.0,  # seconds
    max_retries=3,
    default_headers={
        "HTTP-Referer": "https://your-app.com",
        "X-Title": "Your Application Name",
    },
)

response = client.chat_completions_create(
    # The SDK's
    model="anthropic/claude-3-sonnet",
    messages=[{"role": "user", "content": "Hello"}],
    temperature=0.7,
    max_tokens=150,
    stream=False,
    # Routing
    provider="anthropic",
    route="least-cost",
    fallbacks=["openai/gpt-4o"],
    # Governance
    team="your-team",
    project="your-project",
    customer_id="customer-123",
    environment="production",
    cost_center="engineering",
    feature="ai-assistant",
    user_id="user-456",
    # Governance under any name
    experiment_id="exp-001",
    model_version="v1.2",
    region="us-west-2",
)
print(response.choices[0].message.content)

# The older API of instruct models.
response = client.completions_create(
    model="openai/gpt-3.5-turbo-instruct",
    prompt="Complete this text: The future of AI is",
    max_tokens=100,
    team="content-team",
    project="text-generation",
)
print(response.choices[0].text)
