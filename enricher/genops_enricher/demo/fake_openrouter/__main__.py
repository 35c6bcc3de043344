"""Run the fake OpenRouter until SIGINT or SIGTERM. The first line on stdout says where it is."""

from __future__ import annotations

import argparse

from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from genops_enricher.demo.process import announce, hold_stop_signals, wait_for_stop_signal


def main() -> int:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m genops_enricher.demo.fake_openrouter",
        description="A fake OpenRouter on 127.0.0.1. GET /fake/ledger says what it billed.",
    )
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    port = parser.parse_args().port
    hold_stop_signals()
    with FakeOpenRouter(port) as fake:
        announce({"url": fake.url, "base_url": fake.base_url})
        wait_for_stop_signal()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
