"""Compile the catalog while a wheel is built. Runs in the build environment only; not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import (  # type: ignore[import-not-found, unused-ignore]
    BuildHookInterface,
)


class CompileCatalog(BuildHookInterface):  # type: ignore[misc, unused-ignore]
    """Write genops_pricing/catalog.json from the YAML beside it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 -- hatchling calls it by name
        """Called by hatchling before it collects files; editable installs compile on first use."""
        if version == "editable":
            return
        package = Path(self.root) / "pricing_data" / "genops_pricing"
        sys.path.insert(0, str(package.parent))
        from genops_pricing.compiled import compile_directory, write_compiled

        write_compiled(compile_directory(package / "data"), package / "catalog.json")
