"""From OTLP bytes to what the enricher must know: the envelopes, and the LLM call in a span."""
