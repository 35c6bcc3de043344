"""Record an existing OpenRouter application by two lines at its top."""

import os

import genops

genops.init(
    service_name="my-openrouter-app",
    default_team="ai-platform",
    default_project="production-chatbot",
)

# The application as it was before.
from openai import OpenAI

client = OpenAI(
    base_url=os.getenv("GENOPS_OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1"),
    api_key=os.getenv("OPENROUTER_API_KEY"),
)

response = client.chat.completions.create(
    model="anthropic/claude-3-sonnet",
    messages=[{"role": "user", "content": "Hello!"}],
)
print(response.choices[0].message.content)
