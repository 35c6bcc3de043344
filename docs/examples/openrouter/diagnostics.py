"""Requests work but no telemetry arrives: what is on, and where does it go?"""

import os

from genops.auto_instrumentation import GenOpsInstrumentor

instrumentor = GenOpsInstrumentor()
print("OpenRouter registered:", "openrouter" in instrumentor.provider_patches)
print("OTLP endpoint:", os.getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))

# Registered is what could be recorded; this is what is.
import genops

genops.init()
print("OpenRouter recorded:", "openrouter" in instrumentor.instrumented())
print(genops.status())
