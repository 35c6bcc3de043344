"""Record every client that talks to OpenRouter, and stop again."""

import os

from openai import OpenAI

from genops.providers.openrouter import patch_openrouter, unpatch_openrouter

client = OpenAI(
    base_url=os.getenv("GENOPS_OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1"),
    api_key=os.getenv("OPENROUTER_API_KEY"),
)

patch_openrouter(auto_track=True)
client.chat.completions.create(
    model="openai/gpt-4o", messages=[{"role": "user", "content": "Recorded"}]
)

unpatch_openrouter()
client.chat.completions.create(
    model="openai/gpt-4o", messages=[{"role": "user", "content": "Not recorded"}]
)
