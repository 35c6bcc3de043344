"""Every example of the OpenRouter guide runs and does what the guide says it does.

Each test asserts success, the request bodies on the wire, and the spans as they arrive at a
backend behind the enricher.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from destinations import http_destination
from genops_enricher.spans import spans_of
from guide.conftest import EXAMPLES, Guide
from pages import KEY

OPENROUTER_NAMES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openrouter",
    "genops.provider": "openrouter",
    "genops.cost.status": "priced",
    "genops.cost.source": "reported",
    "genops.cost.currency": "USD",
}


def message(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def has(attributes: Mapping[str, Any], **expected: Any) -> bool:
    """Whether the attributes hold these, with `__` for the dots of a name under `genops.`."""
    wanted = {f"genops.{name.replace('__', '.')}": value for name, value in expected.items()}
    found = {name: attributes.get(name) for name in wanted}
    assert found == wanted
    return True


def test_every_example_has_a_test() -> None:
    examples = {path.stem for path in EXAMPLES.glob("*.py")}

    assert {name for name in examples if f"test_{name}" not in globals()} == set()


def test_every_example_stands_in_the_table() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \| \[([a-z_]+\.py)\]\(\1\) \|", page, re.MULTILINE)

    assert set(rows) == {path.name for path in EXAMPLES.glob("*.py")}


def test_zero_code(guide: Guide) -> None:
    run = guide.example("zero_code.py")

    assert run.bodies == [{"model": "anthropic/claude-3-sonnet", "messages": message("Hello!")}]
    (span,) = run.spans
    assert span.resource["service.name"] == "my-openrouter-app"
    assert OPENROUTER_NAMES.items() <= span.attributes.items()
    assert has(
        span.attributes,
        team="ai-platform",
        project="production-chatbot",
        model="anthropic/claude-3-sonnet",
        model_family="claude-3",
        model_tier="premium",
        openrouter__actual_provider="anthropic",
    )
    assert span.attributes["genops.tokens.total"] > 0
    assert span.attributes["genops.cost.total"] == span.attributes["genops.cost.estimated"] > 0


def test_manual_instrumentation(guide: Guide) -> None:
    run = guide.example("manual_instrumentation.py")

    (asked,) = run.asked
    assert asked.body == {
        "model": "openai/gpt-4o",
        "messages": message("Generate product description"),
        "provider": {"order": ["openai"], "sort": "price"},
        "max_tokens": 200,
    }
    assert asked.headers["http-referer"] == "https://my-app.com"
    assert asked.headers["x-title"] == "My AI Application"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    (attributes,) = run.attributes
    assert OPENROUTER_NAMES.items() <= attributes.items()
    assert has(
        attributes,
        team="marketing",
        project="product-launch",
        customer_id="enterprise-001",
        cost_center="marketing-ops",
        environment="production",
        openrouter__preferred_provider="openai",
        openrouter__predicted_provider="openai",
        openrouter__actual_provider="openai",
        openrouter__routing_strategy="least-cost",
        openrouter__fallback_used=False,
    )


def test_governance_context(guide: Guide) -> None:
    run = guide.example("governance_context.py")

    models = [
        "openai/gpt-4o",
        "anthropic/claude-3-sonnet",
        "meta-llama/llama-3.1-70b-instruct",
        "google/gemini-1.5-pro",
    ]
    assert run.bodies == [
        {"model": model, "messages": message("Explain quantum computing"), "max_tokens": 150}
        for model in models
    ]
    assert [attributes["genops.model"] for attributes in run.attributes] == models
    for attributes in run.attributes:
        assert OPENROUTER_NAMES.items() <= attributes.items()
        assert has(
            attributes,
            team="data-science",
            project="model-evaluation",
            experiment_id="exp-2024-001",
        )
    printed = [line.split() for line in run.output.splitlines()]
    assert printed == [
        [attributes["genops.model"], str(attributes["genops.tokens.total"])]
        for attributes in run.attributes
    ]


def test_routing(guide: Guide) -> None:
    run = guide.example("routing.py")

    anthropic = {"order": ["anthropic"], "allow_fallbacks": True}
    assert [body["provider"] for body in run.bodies] == [
        anthropic,
        anthropic,
        {"sort": "price"},
        {"sort": "throughput"},
    ]
    assert all(body.keys() == {"model", "messages", "provider"} for body in run.bodies)
    first, second, third, fourth = run.attributes
    for attributes in (first, second):
        assert has(
            attributes,
            openrouter__predicted_provider="anthropic",
            openrouter__actual_provider="anthropic",
            openrouter__routing_strategy="fallback",
            openrouter__fallback_used=False,
        )
        assert attributes["genops.cost.total"] > 0
    assert has(
        third, team="customer-support", openrouter__routing_strategy="least-cost",
        openrouter__predicted_provider=None, openrouter__actual_provider="openai",
    )  # fmt: skip
    assert has(
        fourth, team="real-time-analytics", openrouter__routing_strategy="fastest",
        openrouter__predicted_provider=None, openrouter__actual_provider="openai",
    )  # fmt: skip


def test_cost_dimensions(guide: Guide) -> None:
    run = guide.example("cost_dimensions.py")

    assert run.bodies == [
        {
            "model": "meta-llama/llama-3.1-8b-instruct",
            "messages": message("Customer support query"),
        }
    ]
    (attributes,) = run.attributes
    assert OPENROUTER_NAMES.items() <= attributes.items()
    assert has(
        attributes,
        team="customer-success",
        project="ai-support-bot",
        customer_id="enterprise-customer-123",
        feature="ticket-classification",
        cost_center="customer-ops",
        billing_tier="premium",
        environment="production",
        region="us-west-2",
        deployment="prod-cluster-01",
        openrouter__actual_provider="groq",
    )
    assert attributes["genops.cost.total"] > 0


def test_pricing(guide: Guide) -> None:
    run = guide.example("pricing.py")

    assert run.asked == ()
    lines = run.output.splitlines()
    assert lines[:10] == [
        "claude-3-sonnet, 150 in and 75 out: $0.001575",
        "Total cost: $0.001575",
        "Input cost: $0.000450",
        "Output cost: $0.001125",
        "Provider: anthropic",
        "Model family: claude-3",
        "Model: anthropic/claude-3-opus",
        "Provider: anthropic",
        "Total cost: $0.052500",
        "Cost per token: $0.00001500",
    ]
    breakdown = dict(line.split(": ") for line in lines[10:21])
    assert breakdown == {
        "total_cost": "0.0015",
        "input_cost": "0.0005",
        "output_cost": "0.001",
        "input_tokens": "200",
        "output_tokens": "100",
        "input_cost_per_token": "2.5e-06",
        "output_cost_per_token": "1e-05",
        "provider": "openai",
        "model_family": "gpt-4o",
        "currency": "USD",
        "model_name": "openai/gpt-4o",
    }
    assert int(lines[21].split()[0]) >= 400
    assert "anthropic/claude-3-haiku: $0.00000025/token input" in lines[22:]
    assert all(line.startswith("anthropic/") for line in lines[22:])


def test_budget(guide: Guide) -> None:
    run = guide.example("budget.py")

    assert run.bodies == [
        {"model": "anthropic/claude-3-sonnet", "messages": message("Long text to process...")}
    ]
    (attributes,) = run.attributes
    assert has(attributes, team="content-team", budget__limit=0.01)
    assert run.output.endswith("answered by anthropic/claude-3-sonnet\n")


def test_budget_that_is_too_small_keeps_the_call_from_being_made(guide: Guide) -> None:
    example = (EXAMPLES / "budget.py").read_text(encoding="utf-8")
    assert "budget_limit=0.01" in example
    run = guide.run("-c", example.replace("budget_limit=0.01", "budget_limit=0.00001"), code=1)

    assert run.asked == ()
    assert run.spans == ()
    assert "BudgetExceededError" in run.log.splitlines()[-1]
    assert "0.00001" in run.log.splitlines()[-1]


def test_model_selection(guide: Guide) -> None:
    run = guide.example("model_selection.py")

    assert run.bodies == [
        {"model": "anthropic/claude-3-5-sonnet", "messages": message("Complex analysis task")}
    ]
    (attributes,) = run.attributes
    assert has(attributes, team="analysis-team", complexity="complex", budget_allocated=0.01)
    assert has(attributes, model_family="claude-3.5", model_tier="premium", cost__status="priced")


def test_production_service(guide: Guide) -> None:
    run = guide.example(
        "production_service.py",
        OTEL_SERVICE_NAME="openrouter-production-service",
        OTEL_SERVICE_VERSION="1.0.0",
        OPENROUTER_HTTP_REFERER="https://your-production-app.com",
        OPENROUTER_X_TITLE="Production AI Service",
        ENVIRONMENT="production",
    )

    assert "'success': True" in run.output
    (asked,) = run.asked
    assert asked.body == {
        "model": "anthropic/claude-3-sonnet",
        "messages": message("Production query"),
    }
    assert asked.headers["http-referer"] == "https://your-production-app.com"
    assert asked.headers["x-openrouter-title"] == "Production AI Service"
    assert asked.headers["x-stainless-read-timeout"] == "30"
    (span,) = run.spans
    assert span.resource["service.name"] == "openrouter-production-service"
    assert span.resource["service.version"] == "1.0.0"
    assert span.resource["deployment.environment.name"] == "production"
    assert has(
        span.attributes,
        service="openrouter-production-service",
        version="1.0.0",
        environment="production",
        team="production-team",
        customer_id="customer-456",
    )


@pytest.mark.parametrize(
    ("example", "variable", "header"),
    [
        ("honeycomb.py", "HONEYCOMB", "x-honeycomb-team"),
        ("datadog.py", "DATADOG", "dd-api-key"),
    ],
)
def test_vendors_are_sent_spans_with_their_key(
    guide: Guide, example: str, variable: str, header: str
) -> None:
    with http_destination() as vendor:
        run = guide.example(
            example,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            **{
                f"{variable}_ENDPOINT": f"http://127.0.0.1:{vendor.port}",
                f"{variable}_API_KEY": "the-key",
            },
        )

    traces = [request for request in vendor.received if request.path == "/v1/traces"]
    assert [request.headers[header] for request in traces] == ["the-key"]
    (span,) = spans_of(ExportTraceServiceRequest.FromString(traces[0].payload))
    assert span.attributes["genops.provider"] == "openrouter"
    assert not any(name.startswith("genops.pricing") for name in span.attributes)
    assert "http/protobuf" in run.output


def test_honeycomb(guide: Guide) -> None:
    run = guide.example("honeycomb.py", HONEYCOMB_ENDPOINT=guide.otlp_endpoint)

    (span,) = run.spans
    assert span.resource["service.name"] == "openrouter-honeycomb-demo"
    assert has(
        span.attributes, team="platform-team", environment="production", cost__status="priced"
    )


def test_datadog(guide: Guide) -> None:
    run = guide.example("datadog.py", DATADOG_ENDPOINT=guide.otlp_endpoint)

    (span,) = run.spans
    assert {
        "service.name": "openrouter-datadog-demo",
        "service.version": "1.2.0",
        "env": "production",
    }.items() <= span.resource.items()
    assert has(span.attributes, cost__status="priced")


def test_custom_metrics(guide: Guide) -> None:
    run = guide.example("custom_metrics.py")

    (attributes,) = run.attributes
    (count,) = run.metrics["openrouter_requests_total"].sum.data_points
    (cost,) = run.metrics["openrouter_cost_per_request"].histogram.data_points
    assert count.as_int == 1
    assert {a.key: a.value.string_value for a in count.attributes} == {
        "team": "growth",
        "model_family": "openai",
    }
    assert cost.count == 1
    assert cost.sum == attributes["genops.cost.total"] > 0


def test_diagnostics(guide: Guide) -> None:
    run = guide.example("diagnostics.py")

    assert run.output.splitlines()[:3] == [
        "OpenRouter registered: True",
        f"OTLP endpoint: {guide.otlp_endpoint}",
        "OpenRouter recorded: True",
    ]
    assert "initialized=True" in run.output


def test_debug_mode(guide: Guide) -> None:
    run = guide.example("debug_mode.py")

    printed = json.loads(run.output)
    assert printed["name"] == "chat openai/gpt-4o"
    assert printed["resource"]["attributes"]["service.name"] == "debug-session"
    assert "DEBUG:genops:recorded chat openai/gpt-4o" in run.log
    assert KEY not in run.output
    assert run.spans == ()


def test_all_arguments(guide: Guide) -> None:
    run = guide.example("all_arguments.py")

    chat, completion = run.asked
    assert chat.path == "/api/v1/chat/completions"
    assert chat.body == {
        "model": "anthropic/claude-3-sonnet",
        "messages": message("Hello"),
        "temperature": 0.7,
        "max_tokens": 150,
        "stream": False,
        "provider": {"order": ["anthropic"], "sort": "price"},
        "models": ["anthropic/claude-3-sonnet", "openai/gpt-4o"],
    }
    assert chat.headers["http-referer"] == "https://your-app.com"
    assert chat.headers["x-title"] == "Your Application Name"
    assert completion.path == "/api/v1/completions"
    assert completion.body == {
        "model": "openai/gpt-3.5-turbo-instruct",
        "prompt": "Complete this text: The future of AI is",
        "max_tokens": 100,
    }
    first, second = run.attributes
    assert has(
        first,
        team="your-team",
        project="your-project",
        customer_id="customer-123",
        environment="production",
        cost_center="engineering",
        feature="ai-assistant",
        user_id="user-456",
        experiment_id="exp-001",
        model_version="v1.2",
        region="us-west-2",
        openrouter__fallback_used=False,
        cost__status="priced",
    )
    assert second["gen_ai.operation.name"] == "text_completion"
    assert has(second, team="content-team", project="text-generation", cost__status="priced")


def test_setup_validation(guide: Guide) -> None:
    run = guide.example("setup_validation.py")

    assert run.asked == ()
    assert run.output.splitlines()[-1].startswith("True ")


def test_setup_validation_says_what_is_missing(guide: Guide) -> None:
    run = guide.run(
        str(EXAMPLES / "setup_validation.py"), code=1, environment={"OPENROUTER_API_KEY": ""}
    )

    assert "OPENROUTER_API_KEY" in run.output
    assert run.output.splitlines()[-1].startswith("False ")


def test_patching(guide: Guide) -> None:
    run = guide.example("patching.py")

    assert [body["messages"] for body in run.bodies] == [
        message("Recorded"),
        message("Not recorded"),
    ]
    (attributes,) = run.attributes
    assert OPENROUTER_NAMES.items() <= attributes.items()


def test_the_one_line_checks_of_the_guide(guide: Guide) -> None:
    """What it runs with `python -c`, and as a container's health check."""
    imports = guide.run("-c", "import genops; import openai; print('All imports successful')")
    health = guide.run(
        "-c", "from genops.providers.openrouter import validate_setup; validate_setup()"
    )

    assert imports.output == "All imports successful\n"
    assert health.output == ""
    assert health.asked == ()
