"""Configurations of the OpenTelemetry Collector: passing on, and adding the same attributes.

The second is what an expert would write in OTTL. Prices stand in one map, built once for a request
(`shared_cache`), a span looks its model up there, and everything is computed from what was found.
A `set` with a `where` for each model, as some templates have it, is slower: every span is compared
with every model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.peers.workload import PlainPrice
from genops_pricing import bundled_catalog

__all__ = ["write_config"]

# Of one span. The cache is shared by requests that are processed at a time, and is not locked: what
# is written to it for a span is read by others, and crashes the Collector before long.
_PRICE = 'attributes["price"]'
_IN = 'attributes["gen_ai.usage.input_tokens"]'
_OUT = 'attributes["gen_ai.usage.output_tokens"]'
_READ = 'attributes["gen_ai.usage.cache_read.input_tokens"]'
_MODEL = 'attributes["gen_ai.response.model"]'


def write_config(
    folder: Path,
    *,
    grpc_port: int,
    http_port: int,
    sink_port: int,
    prices: Sequence[PlainPrice] = (),
    durable: bool = False,
    batch: bool = True,
) -> Path:
    """Write the file.

    Args:
        folder: where the file, and what is durable, goes.
        grpc_port: of the receiver.
        http_port: of the receiver.
        sink_port: where the OTLP/gRPC destination listens.
        prices: what to price; nothing is added without.
        durable: queue on disk, each write synced (`fsync`), in place of the memory.
        batch: join requests in the queue, as the Collector does by default.
    """
    queue: dict[str, Any] = {"num_consumers": 4, "sizer": "items", "queue_size": 1_000_000}
    if batch:
        queue["batch"] = {}
    config: dict[str, Any] = {
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {
                        "endpoint": f"127.0.0.1:{grpc_port}",
                        "max_recv_msg_size_mib": 64,
                    },
                    "http": {"endpoint": f"127.0.0.1:{http_port}"},
                }
            }
        },
        "exporters": {
            "otlp_grpc": {
                "endpoint": f"127.0.0.1:{sink_port}",
                "tls": {"insecure": True},
                "compression": "none",
                "sending_queue": queue,
            }
        },
        "service": {
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_grpc"]}},
        },
    }
    if durable:
        queue["storage"] = "file_storage"
        config["extensions"] = {
            "file_storage": {
                "directory": str(folder / "storage"),
                "create_directory": True,
                "fsync": True,
            }
        }
        config["service"]["extensions"] = ["file_storage"]
    if prices:
        config["processors"] = {
            "transform": {
                "error_mode": "propagate",
                "trace_statements": [
                    {
                        "context": "span",
                        "shared_cache": True,
                        "conditions": [f"{_IN} != nil"],
                        "statements": _statements(prices),
                    }
                ],
            }
        }
        config["service"]["pipelines"]["traces"]["processors"] = ["transform"]
    path = folder / "otelcol.yaml"
    path.write_text(yaml.safe_dump(config, width=1_000_000).replace("$", "$$"))
    return path


def _statements(prices: Sequence[PlainPrice]) -> list[str]:
    table = {
        price.model: {
            **{unit: _number(usd * 1e6) for unit, usd in price.usd.items()},
            "family": price.family,
            "tier": price.offer.tier,
            "entry": price.offer.entry,
            "since": price.offer.effective_from,
        }
        for price in prices
    }
    version = bundled_catalog().version
    return [
        f'set(cache["prices"], {_literal(table)}) where cache["prices"] == nil',
        f'set({_PRICE}, cache["prices"][{_MODEL}])',
        'set(attributes["genops.provider"], attributes["gen_ai.provider.name"])',
        'set(attributes["genops.model"], attributes["gen_ai.request.model"])',
        f'set(attributes["genops.tokens.input"], {_IN})',
        f'set(attributes["genops.tokens.output"], {_OUT})',
        f'set(attributes["genops.tokens.total"], {_IN} + {_OUT})',
        _cost("input", f"{_IN} - {_READ}"),
        _cost("output", _OUT),
        _cost("cache_read", _READ),
        'set(attributes["genops.cost.total"], attributes["genops.cost.input"] '
        '+ attributes["genops.cost.output"] + attributes["genops.cost.cache_read"])',
        'set(attributes["genops.cost.currency"], "USD")',
        'set(attributes["genops.cost.source"], "computed")',
        'set(attributes["genops.cost.status"], "priced")',
        f'set(attributes["genops.model_family"], {_PRICE}["family"])',
        f'set(attributes["genops.model_tier"], {_PRICE}["tier"])',
        f'set(attributes["genops.pricing.version"], "{version}")',
        f'set(attributes["genops.pricing.entry"], {_PRICE}["entry"])',
        f'set(attributes["genops.pricing.effective_from"], {_PRICE}["since"])',
        'delete_key(attributes, "price")',
    ]


def _cost(unit: str, tokens: str) -> str:
    usd = f'Double({tokens}) * {_PRICE}["{unit}"] / 1000000.0'
    return f'set(attributes["genops.cost.{unit}"], {usd})'


def _number(value: float) -> str:
    return f"{value:.6f}"  # OTTL reads no exponents


def _literal(table: dict[str, dict[str, str | None]]) -> str:
    """The table as OTTL: JSON, with the numbers as numbers."""
    text = json.dumps(table)
    return re.sub(r'"(-?\d+\.\d{6})"', r"\1", text)
