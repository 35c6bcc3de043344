"""What the enricher wants to know of an LLM call, whoever tells of it.

Counts are inclusive, as OpenTelemetry's GenAI conventions say: input holds what was read from and
written to a cache, output holds reasoning. Which attribute says what is known to `dialects`.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from genops_pricing import Usage

__all__ = ["Call", "CallIdentity", "Kind", "Reported"]


class Kind(Enum):
    """What a span stands for, as far as its cost goes."""

    INFERENCE = "inference"
    EMBEDDINGS = "embeddings"
    AGGREGATE = "aggregate"  # repeats the usage of the calls below it
    UNSTATED = "unstated"  # no operation is named: a call if there is a model and usage
    TOOL = "tool"  # no call, whatever else the span says
    OTHER = "other"


class CallIdentity(NamedTuple):
    """What stays the same from call to call of one model at one place; "" for what is not said."""

    kind: Kind
    provider: str
    request_model: str
    response_model: str
    host: str
    endpoint: str  # who served the call behind a router such as OpenRouter, as a slug
    service_tier: str  # flex, priority… as served
    region: str = ""  # that the call was bound to


class Reported(NamedTuple):
    """What the provider says that the call cost, in USD."""

    total: float
    comparable: float  # the part that the catalog's price stands for
    may_be_fee: bool  # with a key of one's own it is the router's fee only, and does not say so


class Call(NamedTuple):
    """What one call consumed and cost, as far as its span says so."""

    usage: Usage | str  # or why it can't be priced: no_usage or bad_usage
    reported: Reported | None
    tells_output: bool = False  # how much of it was text, image and audio
