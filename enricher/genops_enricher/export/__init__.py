"""Delivery to the destinations.

Where to start reading: `worker` (the loop from the queue to the destination), `outcome` (what an
answer means), `parcel` (how requests are divided), `doubt` (when one is given up), `otlp_grpc` and
`otlp_http` (one attempt each). Without a queue, `direct` takes the place of the first and the last.
"""

from genops_enricher.export.attempt import AttemptTracer
from genops_enricher.export.direct import DirectExporter
from genops_enricher.export.factory import build_direct_exporter, build_exporter, build_sender
from genops_enricher.export.worker import Exporter

__all__ = [
    "AttemptTracer",
    "DirectExporter",
    "Exporter",
    "build_direct_exporter",
    "build_exporter",
    "build_sender",
]
