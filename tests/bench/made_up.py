"""Results of a run that never was, by which the tests of the page and the goals know the answer."""

from __future__ import annotations

from typing import Any

from bench.peers.scenarios import COMPARISONS
from bench.peers.workload import template

__all__ = ["made_up"]

REQUEST_US, SPAN_US, KIB_US = 800.0, 4.0, 5.0  # of every server, times its factor
FACTORS = {
    "enricher, durable queue": 1.0,
    "enricher, memory queue": 0.8,
    "Collector transform, file_storage": 2.0,
    "rotel Python processor, memory": 1.6,
}


def made_up() -> dict[str, Any]:
    """All cells, two rounds, costs linear in requests, spans and bytes."""
    cells = {
        cell.name: {
            "meaning": cell.meaning(),
            "spans": cell.workload.spans,
            "kib": len(template(cell.workload)) / 1024,
            "offered_spans_per_s": cell.shape.spans_per_s,
            "measured": "2026-01-01",
            "load_before": 0.1,
            "loop_ns": [40, 42],
            "load_after": 1.0,
        }
        for comparison in COMPARISONS
        for cell in comparison.cells
    }
    rows = [
        {
            "cell": cell.name,
            "server": server,
            "rounds": [_round(cells[cell.name], FACTORS.get(server, 1.0), n) for n in (0.9, 1.1)],
        }
        for comparison in COMPARISONS
        for cell in comparison.cells
        for server in comparison.servers
    ]
    hot_path = [
        {
            "spans": spans,
            "rows": [
                {"batch": "all LLM", "lens_us": 10.0, "metrics_us_more": 1.0}
                | {"full_decode_us": 40.0, "ratio": 4.0},
                {"batch": "one in ten LLM", "lens_us": 2.0, "metrics_us_more": 0.1}
                | {"full_decode_us": 20.0, "ratio": ratio},
            ],
        }
        for spans, ratio in ((100, 9.0), (512, 7.0))
    ]
    return {
        "machine": {"cpu": "abacus", "cores": 2, "system": "none", "python": "3"},
        "versions": {"enricher": "0"},
        "cells": cells,
        "rows": rows,
        "hot_path": hot_path,
        "modules": {"all LLM": {"enrich/here": 0.9, "decode/there": 0.08, "": 0.02}},
        "instructions": {
            "versions": {"python": "3", "protobuf": "7"},
            "modules": {"all LLM": {"enrich/here": 0.9, "decode/there": 0.08, "": 0.02}},
            "instructions": {"all LLM": 200_000},
        },
    }


def _round(cell: Any, factor: float, drift: float) -> dict[str, Any]:
    us = REQUEST_US / cell["spans"] + SPAN_US + KIB_US * cell["kib"] / cell["spans"]
    return {
        "spans": 1000,
        "spans_per_s": cell["offered_spans_per_s"] or 50_000.0,
        "cpu_us_per_span": us * factor * drift,
        "system_share": 0.25,
        "core_percent": us * factor * drift,
        "rss_max_mib": 70.0,
        "answer_ms": [1.0, 4.0],
        "delivered_ms": [2.0, 5.0],
        "priced": 100,
        "retries": 0,
    }
