"""OTLP servers: take requests in, call the next stage, answer as the protocol says."""
