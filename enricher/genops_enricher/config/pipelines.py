"""Reads the pipelines: which signals are received, and which exporters get them."""

from __future__ import annotations

from collections.abc import Mapping

from genops_enricher.config import endpoint as endpoints
from genops_enricher.config.check import closest
from genops_enricher.config.model import ExporterConfig, OnFull, Protocol, Storage
from genops_enricher.config.reading import Reading
from genops_enricher.pipeline import Signal

__all__ = ["Exporters", "Pipelines", "read_pipelines", "takes"]

Exporters = Mapping[str, ExporterConfig]
Pipelines = dict[Signal, tuple[str, ...]]

_ROOT = ("service", "pipelines")
_OWN_SPANS = ("service", "telemetry", "traces", "exporter")


def read_pipelines(reading: Reading, exporters: Exporters) -> Pipelines:
    """The exporters of each signal that is received. A signal that none takes is left out."""
    if reading.settings.is_set(*_ROOT):
        pipelines = _written(reading, exporters)
    else:
        takers = {
            signal: tuple(name for name, e in exporters.items() if takes(e, signal))
            for signal in Signal
        }
        pipelines = {signal: names for signal, names in takers.items() if names}
    _check_storage(reading, exporters, pipelines)
    _check_losses(reading, exporters, pipelines)
    return pipelines


def _written(reading: Reading, exporters: Exporters) -> Pipelines:
    pipelines = {
        signal: _pipeline(reading, signal, exporters)
        for signal in Signal
        if reading.settings.is_set(*_ROOT, signal)
    }
    if not pipelines and _ROOT not in reading.settings.broken:
        reading.note(_ROOT, "has no pipeline; add `traces` with `exporters`, or remove it")
    used = {name for names in pipelines.values() for name in names}
    used.add(reading.settings.find(str, *_OWN_SPANS) or "")
    for name in exporters:
        if name not in used:
            reading.warn(("exporters", name), "is in no pipeline and gets nothing")
    return pipelines


def _pipeline(reading: Reading, signal: Signal, exporters: Exporters) -> tuple[str, ...]:
    path = (*_ROOT, signal.value)
    for name in reading.settings.get(tuple, *path, "receivers"):
        if name != "otlp":
            shown = reading.shown((*path, "receivers"), name)
            reading.note((*path, "receivers"), f"there is no receiver {shown}; use `otlp`")
    names: tuple[str, ...] = reading.settings.find(tuple, *path, "exporters") or ()
    if not names and not reading.settings.is_set(*path, "exporters"):
        reading.note((*path, "exporters"), "is required; name the exporters to send to")
    for position, name in enumerate(names):
        if name in names[:position]:
            reading.note((*path, "exporters"), f"names `{name}` twice; keep one")
        elif name not in reading.settings.exporters:
            hint = closest(name, reading.settings.exporters) or "; define it under `exporters`"
            shown = reading.shown((*path, "exporters"), name)
            reading.note((*path, "exporters"), f"there is no exporter {shown}{hint}")
        elif name in exporters and not takes(exporters[name], signal):
            vendor = endpoints.vendor_at(exporters[name].endpoint)
            who = f"{vendor.name} does" if vendor else f"it has no `{signal}_endpoint` and does"
            reading.note(
                (*path, "exporters"), f"`{name}`: {who} not take {signal} this way; remove it"
            )
    return names


def _check_storage(reading: Reading, exporters: Exporters, pipelines: Pipelines) -> None:
    """A sender can get the answer of one destination only."""
    for name, exporter in exporters.items():
        shared = [s for s, names in pipelines.items() if name in names and len(names) > 1]
        if exporter.queue.storage is Storage.NONE and shared:
            reading.note(
                ("exporters", name, "sending_queue", "storage"),
                f"is `none`, but has other exporters beside it for {', '.join(shared)}, and the "
                "sender can get the answer of one only; use `durable` or `memory`, or leave it "
                "alone in `service.pipelines`",
            )


def _check_losses(reading: Reading, exporters: Exporters, pipelines: Pipelines) -> None:
    """State what several exporters of one signal mean for each other."""
    shared = {name for names in pipelines.values() if len(names) > 1 for name in names}
    for name, exporter in exporters.items():
        queue = exporter.queue
        if (
            name not in shared
            or queue.on_full is not OnFull.REFUSE
            or queue.storage is Storage.NONE
        ):
            continue
        reading.warn(
            ("exporters", name, "sending_queue", "on_full"),
            "is `refuse`: nothing is lost, but once this destination was gone for so long that "
            f"{exporter.queue.queue_size_bytes} bytes wait for it, the other exporters "
            "get nothing new either. `drop_oldest` would lose its oldest spans instead",
        )


def takes(exporter: ExporterConfig, signal: Signal) -> bool:
    """Whether the exporter has a way to send the signal that its destination is known to take."""
    if exporter.endpoint.protocol is Protocol.HTTP:
        return signal in exporter.endpoint.urls
    vendor = endpoints.vendor_at(exporter.endpoint)
    return vendor is None or signal in vendor.grpc
