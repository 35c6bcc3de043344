"""Attribute the cost of LLM calls to teams, projects and customers, over OpenTelemetry.

    import genops

    genops.init(service_name="chatbot", default_team="ai-platform")

From then on each call of the OpenAI SDK, to OpenRouter or any other host, makes a span with what
was asked, what served it, tokens and governance attributes. Costs are added on the way by
genops-enricher. Importing this package loads only the OpenTelemetry API.

Start reading at `_lifecycle.init`; a call's way is `providers.openai` (or `providers.openrouter`),
`core.call`, `core.recording`, `core.streaming`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops._lifecycle import Status, init, shutdown, status, uninstrument
from genops.core.budget import BudgetError, BudgetExceededError, BudgetUncheckedError
from genops.core.context import set_governance_context

__all__ = [
    "BudgetError",
    "BudgetExceededError",
    "BudgetUncheckedError",
    "Status",
    "__version__",
    "init",
    "set_governance_context",
    "shutdown",
    "status",
    "uninstrument",
]

__version__: str

if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """`__version__` when it is asked for: reading it takes longer than all of the import."""
        if name == "__version__":
            from genops._runtime import version

            return version()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
