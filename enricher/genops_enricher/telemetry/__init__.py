"""What the enricher tells about itself: its metrics and its log.

How it is (ready, degraded and why) is told by `life.health`.
"""

from genops_enricher.telemetry.recorder import Telemetry
from genops_enricher.telemetry.table import LABELS, METRICS, Instrument, Kind

__all__ = ["LABELS", "METRICS", "Instrument", "Kind", "Telemetry"]
