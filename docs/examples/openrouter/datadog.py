"""Send spans to Datadog.

Straight to Datadog they carry tokens but no cost: with DATADOG_ENDPOINT set to an enricher's
address (http://localhost:4318) they are priced on the way.
"""

import os

import genops

genops.init(
    service_name="openrouter-datadog-demo",
    exporter_type="otlp",
    otlp_endpoint=os.getenv("DATADOG_ENDPOINT", "https://otlp.datadoghq.com"),
    otlp_headers={"dd-api-key": os.getenv("DATADOG_API_KEY")},
    resource_attributes={
        "env": "production",
        "service.version": "1.2.0",
    },
)

from genops.providers.openrouter import instrument_openrouter

instrument_openrouter().chat_completions_create(
    model="openai/gpt-4o",
    messages=[{"role": "user", "content": "Hello"}],
)
print(genops.status().exporter)
