"""Delivery to the destinations.

Where to start reading: `worker` (the loop from the queue to the destination), `outcome` (what an
answer means), `parcel` (how requests are divided), `doubt` (when one is given up), `otlp_grpc` and
`otlp_http` (one attempt each).
"""

from genops_enricher.export.factory import build_exporter, build_sender
from genops_enricher.export.worker import Exporter

__all__ = ["Exporter", "build_exporter", "build_sender"]
