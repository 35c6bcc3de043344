"""Writes the dashboards and alerts of collector-config/ anew.

    python -m genops_enricher.dashboards collector-config

A test compares the files with what this makes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from genops_enricher.dashboards.files import FILES


def main(folder: str) -> None:
    """Write every file into `folder`."""
    for name, make in FILES.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
