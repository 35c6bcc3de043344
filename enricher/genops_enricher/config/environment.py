"""The configuration that the standard OpenTelemetry variables make, for a start without a file.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Only the variables for all
signals are read. OTEL_EXPORTER_OTLP_PROTOCOL is no part of the tree: it also decides for an `otlp`
exporter of a file (see `load`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from genops_enricher.config.model import Protocol
from genops_enricher.config.nodes import Entry, Node, Place, Problem, Scalar, Section

__all__ = ["ENDPOINT", "PROTOCOL", "read_environment", "read_protocol", "unread_variables"]

_PREFIX = "OTEL_EXPORTER_OTLP_"
ENDPOINT = _PREFIX + "ENDPOINT"
PROTOCOL = _PREFIX + "PROTOCOL"
_HEADERS = _PREFIX + "HEADERS"
_TIMEOUT = _PREFIX + "TIMEOUT"
_INSECURE = _PREFIX + "INSECURE"

# variable -> key of the exporter, for those whose text is written alike
_SAME = {
    ENDPOINT: ("endpoint",),
    _PREFIX + "COMPRESSION": ("compression",),
    _PREFIX + "CERTIFICATE": ("tls", "ca_file"),
    _PREFIX + "CLIENT_CERTIFICATE": ("tls", "cert_file"),
    _PREFIX + "CLIENT_KEY": ("tls", "key_file"),
}


def read_environment(env: Mapping[str, str], problems: list[Problem]) -> Section:
    """One exporter `otlp` made of the variables that are set. An empty one counts as not set."""
    exporter: dict[str, list[Entry]] = {"": [], "tls": []}
    for variable, path in _SAME.items():
        if env.get(variable):
            exporter["".join(path[:-1])].append(_scalar(variable, path[-1], env[variable]))
    if milliseconds := env.get(_TIMEOUT):
        exporter[""].append(_scalar(_TIMEOUT, "timeout", f"{milliseconds}ms"))
    if insecure := env.get(_INSECURE):
        exporter["tls"].append(_scalar(_INSECURE, "insecure", insecure.lower()))
    if headers := env.get(_HEADERS):
        exporter[""].append(_section(_HEADERS, "headers", _headers(headers, problems)))
    if exporter["tls"]:
        exporter[""].append(_section(ENDPOINT, "tls", exporter["tls"]))
    exporters = _section(ENDPOINT, "exporters", [_section(ENDPOINT, "otlp", exporter[""])])
    return Section(Place("environment"), (exporters,))


def read_protocol(env: Mapping[str, str], problems: list[Problem]) -> Protocol | None:
    """The protocol that the environment asks for, if it does."""
    text = env.get(PROTOCOL)
    if not text:
        return None
    if text not in tuple(Protocol):
        what = "is not a protocol that the enricher sends by; use grpc or http/protobuf"
        problems.append(Problem(Place(PROTOCOL), (), what))
        return None
    return Protocol(text)


def unread_variables(env: Mapping[str, str]) -> list[str]:
    """Variables for one signal that are set, and that a reader could take for effective."""
    return sorted(name for name in env if re.match(_PREFIX + "(TRACES|METRICS|LOGS)_", name))


def _headers(text: str, problems: list[Problem]) -> list[Entry]:
    entries = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        padding = value.strip() and not value.strip(" =")  # a key in base64 and nothing else
        if equals and name.strip() and not padding:
            entries.append(_scalar(_HEADERS, name.strip(), unquote(value.strip())))
        else:
            what = "has an entry that is not name=value; write name=value,name2=value2"
            problems.append(Problem(Place(_HEADERS), (), what))
    return entries


def _scalar(variable: str, key: str, text: str) -> Entry:
    place = Place(variable)
    return Entry(place, key, Scalar(place, text, private=True))


def _section(variable: str, key: str, entries: list[Entry]) -> Entry:
    place = Place(variable)
    node: Node = Section(place, tuple(entries))
    return Entry(place, key, node)
