"""Spans of the enricher's own work: `around` says what has one, `own_spans` sends them.

Loads the OpenTelemetry SDK, so it is imported only where own spans are on.
"""
