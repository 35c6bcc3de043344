"""Runs an enricher that loses data: now and then it says "delivered" over HTTP and sends nothing.

The control of the delivery audit: it has to find this out. Used like `small_segments.py`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping

import genops_enricher.cli
from genops_enricher.export.otlp_http import HttpSender
from genops_enricher.export.outcome import Delivered, Outcome

SHARE = 0.02

_send = HttpSender.send


def _send_or_lose(
    self: HttpSender, payload: bytes, headers: Mapping[str, str] | None = None
) -> Outcome:
    return Delivered() if random.random() < SHARE else _send(self, payload, headers)


if __name__ == "__main__":
    HttpSender.send = _send_or_lose  # type: ignore[method-assign]
    sys.exit(genops_enricher.cli.main(sys.argv[4:]))
