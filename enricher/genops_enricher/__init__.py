"""The enricher: an OTLP service that prices LLM spans on their way to a backend.

    receive ▶ decode ▶ enrich ▶ queue ▶ export

Where to start reading: `pipeline` (what a stage is), `life` (how the stages are joined),
`enrich.stage` and `enrich.enricher` (what is added to a span, and why).
"""
