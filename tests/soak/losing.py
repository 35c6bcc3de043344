"""Runs an enricher that loses data: now and then it says "delivered" over HTTP and sends nothing.

The control of the delivery audit: it has to find this out. Used like `small_segments.py`.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping

import genops_enricher.cli
from genops_enricher.export.otlp_http import HttpSender
from genops_enricher.export.outcome import Delivered, Outcome

EVERY, FIRST = 50, 5
"""One request in so many, and that one of them: by chance a short run might lose none."""

_count = itertools.count()
_send = HttpSender.send


def _send_or_lose(
    self: HttpSender, payload: bytes, headers: Mapping[str, str] | None = None
) -> Outcome:
    return Delivered() if next(_count) % EVERY == FIRST else _send(self, payload, headers)


if __name__ == "__main__":
    HttpSender.send = _send_or_lose  # type: ignore[method-assign]
    sys.exit(genops_enricher.cli.main(sys.argv[4:]))
