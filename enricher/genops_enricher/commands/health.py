"""`genops-enricher health`: asks a running enricher whether it takes spans, for probes and people.

A container's health check has no shell and no curl; it has this. A check names the endpoint: a
configuration on disk that has become wrong changes nothing about the enricher that runs.
"""

from __future__ import annotations

import http.client
import json
import sys

from genops_enricher.config.values import split_address
from genops_enricher.printable import printable

__all__ = ["ask_health"]

_TIMEOUT_S = 5.0  # the same as how long the pages wait for a silent client
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on


def ask_health(endpoint: str) -> int:
    """Print how the enricher at `endpoint`, host:port, is; 0 if ready, 1 if not, 2 if no address.

    What is degraded is printed and does not count: spans are accepted and kept, and a restart
    would mend nothing.
    """
    try:
        host, port = split_address(endpoint)
    except ValueError as error:
        print(f"--endpoint {error}", file=sys.stderr)
        return 2
    connection = http.client.HTTPConnection(
        _EVERYWHERE.get(host, host), port, timeout=_TIMEOUT_S
    )  # not urllib: no proxy stands between a process and its own health
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        content = json.loads(answer.read())
        words = ": ".join([content["status"], "; ".join(content["reasons"])])
        print(printable(words.removesuffix(": ")))  # who answers may be somebody else
        return 0 if answer.status == http.client.OK else 1
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        print(f"no enricher answers at {endpoint}: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
