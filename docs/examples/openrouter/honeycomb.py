"""Send spans to Honeycomb.

Straight to Honeycomb they carry tokens but no cost: with HONEYCOMB_ENDPOINT set to an enricher's
address (http://localhost:4317) they are priced on the way.
"""

import os

import genops

genops.init(
    service_name="openrouter-honeycomb-demo",
    exporter_type="otlp",
    otlp_endpoint=os.getenv("HONEYCOMB_ENDPOINT", "https://api.honeycomb.io"),
    otlp_headers={"x-honeycomb-team": os.getenv("HONEYCOMB_API_KEY")},
    default_team="platform-team",
    default_environment="production",
)

from genops.providers.openrouter import instrument_openrouter

instrument_openrouter().chat_completions_create(
    model="openai/gpt-4o",
    messages=[{"role": "user", "content": "Hello"}],
)
print(genops.status().exporter)
