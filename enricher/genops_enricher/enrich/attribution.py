"""Who a call was for, derived from other attributes by the operator's attribution table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genops_enricher.config.model import AttributionRule
from genops_enricher.decode.lens import DecodeError, parse_resource
from genops_enricher.decode.values import as_label
from genops_enricher.enrich.attributes import text_attribute

__all__ = ["attributed"]

_OF_RESOURCE = "resource:"


def attributed(
    rules: Sequence[AttributionRule], attributes: Mapping[str, bytes], resource: bytes
) -> bytes:
    """What the rules add to a span with `attributes`; `resource` is its serialized Resource."""
    of_resource: Mapping[str, bytes] | None = None
    out = b""
    for rule in rules:
        if rule.target in attributes:
            continue
        for source in rule.sources:
            if source.startswith(_OF_RESOURCE):
                if of_resource is None:
                    of_resource = _resource_attributes(resource)
                label = as_label(of_resource.get(source.removeprefix(_OF_RESOURCE)))
            else:
                label = as_label(attributes.get(source))
            if label:
                out += text_attribute(rule.target, label)
                break
    return out


def _resource_attributes(resource: bytes) -> Mapping[str, bytes]:
    try:
        return parse_resource(resource)
    except DecodeError:
        return {}
