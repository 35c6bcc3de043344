"""Reads where own spans go, and how many there are."""

from __future__ import annotations

from genops_enricher.config.check import closest
from genops_enricher.config.model import TracesConfig
from genops_enricher.config.pipelines import Exporters, takes
from genops_enricher.config.reading import Reading
from genops_enricher.pipeline import Signal

__all__ = ["read_traces"]

_ROOT = ("service", "telemetry", "traces")
_EXPORTER = (*_ROOT, "exporter")
_RATIO = (*_ROOT, "sampler", "parent_based", "root", "trace_id_ratio_based", "ratio")


def read_traces(reading: Reading, exporters: Exporters) -> TracesConfig | None:
    """The settings of own spans; None where there are to be none."""
    ratio = reading.settings.get(float, *_RATIO)
    name = reading.settings.find(str, *_EXPORTER)
    if name is None:
        if reading.settings.is_set(*_RATIO) and not reading.settings.is_set(*_EXPORTER):
            reading.note(_RATIO, f"has no effect without `{'.'.join(_EXPORTER)}`; set that too")
        return None
    if name not in reading.settings.exporters:
        hint = closest(name, reading.settings.exporters) or "; define it under `exporters`"
        reading.note(_EXPORTER, f"there is no exporter {reading.shown(_EXPORTER, name)}{hint}")
    elif name in exporters and not takes(exporters[name], Signal.TRACES):
        reading.note(_EXPORTER, f"`{name}` does not take traces this way; name another one")
    return TracesConfig(name, ratio)
