"""Puts the board and the triggers of this folder into a Honeycomb environment.

    HONEYCOMB_API_KEY=… python apply.py              # all datasets of the environment
    HONEYCOMB_API_KEY=… python apply.py my-dataset

The key needs the permissions "Manage Queries and Columns", "Manage Public Boards" and "Manage
Triggers". HONEYCOMB_API is https://api.honeycomb.io unless set (EU: https://api.eu1.honeycomb.io).
What is there under the same name is replaced. Triggers tell nobody until you add recipients.
Python 3.11 or newer, and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

BOARD = "LLM cost (genops)"
WHOLE_ENVIRONMENT = "__all__"


def call(method: str, path: str, body: Any = None) -> Any:
    """Call the API and return what it answers."""
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        os.environ.get("HONEYCOMB_API", "https://api.honeycomb.io") + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "X-Honeycomb-Team": os.environ["HONEYCOMB_API_KEY"],
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error


def panel(dataset: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Make a query with its name, and the panel that shows it."""
    query = call("POST", f"/1/queries/{dataset}", spec["query"])
    name = {"name": spec["name"], "description": spec["description"], "query_id": query["id"]}
    annotation = call("POST", f"/1/query_annotations/{dataset}", name)
    shown = {
        "query_id": query["id"],
        "query_annotation_id": annotation["id"],
        "query_style": spec["style"],
    }
    if dataset != WHOLE_ENVIRONMENT:
        shown["dataset"] = dataset
    return {"type": "query", "query_panel": shown}


def put(path: str, body: dict[str, Any]) -> None:
    """Replace the one of this name, or make it."""
    there = {item["name"]: item["id"] for item in call("GET", path)}
    known = there.get(body["name"])
    call("PUT", f"{path}/{known}", body) if known else call("POST", path, body)
    print(f"{'replaced' if known else 'made'}: {body['name']}")  # noqa: T201 - a command's output


def main(dataset: str = WHOLE_ENVIRONMENT) -> None:
    """Make the board and the triggers."""
    folder = Path(__file__).parent
    queries = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
    board = {
        "name": BOARD,
        "description": "What LLM calls cost, and for whom; what has no cost, and why.",
        "type": "flexible",
        "layout_generation": "auto",
        "panels": [panel(dataset, spec) for spec in queries],
    }
    put("/1/boards", board)
    for trigger in json.loads((folder / "triggers.json").read_text(encoding="utf-8")):
        put(f"/1/triggers/{dataset}", trigger)


if __name__ == "__main__":
    main(*sys.argv[1:])
