"""Metrics of your own beside the spans, sent to the same endpoint."""

import genops

genops.init(service_name="openrouter-metrics-demo")

from opentelemetry import metrics

from genops.providers.openrouter import instrument_openrouter
from genops.providers.openrouter_pricing import calculate_openrouter_cost

meter = metrics.get_meter("openrouter.business")
request_counter = meter.create_counter(
    "openrouter_requests_total",
    description="Total OpenRouter requests",
)
cost_histogram = meter.create_histogram(
    "openrouter_cost_per_request",
    description="Cost per OpenRouter request",
)

client = instrument_openrouter()


def calculate_cost(model, usage):
    """The cost of a call in USD."""
    return calculate_openrouter_cost(
        model, input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens
    )


def instrumented_request(model, messages, **governance_attrs):
    """A chat completion that is counted, and whose cost is recorded."""
    response = client.chat_completions_create(
        model=model,
        messages=messages,
        **governance_attrs,
    )

    request_counter.add(
        1,
        {
            "team": governance_attrs.get("team", "unknown"),
            "model_family": model.split("/")[0] if "/" in model else "unknown",
        },
    )

    if hasattr(response, "usage"):
        estimated_cost = calculate_cost(model, response.usage)
        cost_histogram.record(
            estimated_cost,
            {
                "team": governance_attrs.get("team", "unknown"),
            },
        )

    return response


response = instrumented_request(
    "openai/gpt-4o", [{"role": "user", "content": "Hello"}], team="growth"
)
print(response.choices[0].message.content)
