"""A service class around the client: timeouts, retries, and governance that every call carries.

Where spans go is configured by the environment: OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import logging
import os

from genops.core.context import set_governance_context
from genops.providers.openrouter import instrument_openrouter

logging.basicConfig(
    level=logging.INFO,
    format="%(asctime)s - %(name)s - %(levelname)s - %(message)s",
)


class ProductionOpenRouterService:
    """Answers with a dictionary, never with an exception."""

    def __init__(self):
        self.client = instrument_openrouter(
            openrouter_api_key=os.getenv("OPENROUTER_API_KEY"),
            timeout=30.0,
            max_retries=3,
        )
        self.default_governance = {
            "service": os.getenv("OTEL_SERVICE_NAME", "openrouter-service"),
            "version": os.getenv("OTEL_SERVICE_VERSION", "unknown"),
            "environment": os.getenv("ENVIRONMENT", "production"),
        }

    def safe_completion(self, model: str, messages: list, **governance_attrs):
        """One completion, with the service's governance and the given one."""
        final_attrs = {**self.default_governance, **governance_attrs}
        try:
            with set_governance_context(**final_attrs):
                response = self.client.chat_completions_create(
                    model=model,
                    messages=messages,
                    max_retries=3,
                    timeout=30,
                )
                return {
                    "success": True,
                    "response": response.choices[0].message.content,
                    "usage": response.usage,
                    "cost": "calculated_automatically",
                }
        except Exception as e:
            logging.error(f"OpenRouter request failed: {e}")
            return {
                "success": False,
                "error": str(e),
            }


service = ProductionOpenRouterService()
result = service.safe_completion(
    model="anthropic/claude-3-sonnet",
    messages=[{"role": "user", "content": "Production query"}],
    team="production-team",
    customer_id="customer-456",
)
print(result)
