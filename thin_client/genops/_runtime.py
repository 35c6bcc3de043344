"""What `genops.init` set up, as the recording code sees it: one immutable value, swapped whole.

Before `init` the defaults hold: the global tracer provider (a no-op until an application sets one)
and `GENOPS_OPENROUTER_BASE_URL` and `ENVIRONMENT` from the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry import trace

from genops.core.content import captures_content
from genops.core.governance import Scalar, clean

__all__ = [
    "OPENROUTER_BASE_URL_VARIABLE",
    "Runtime",
    "current",
    "divert",
    "install",
    "tracer",
    "version",
]

OPENROUTER_BASE_URL_VARIABLE = "GENOPS_OPENROUTER_BASE_URL"


@dataclass(frozen=True, slots=True)
class Runtime:
    """The settings that each recorded call reads."""

    tracer_provider: trace.TracerProvider | None = None  # None: the global one, whatever it is
    governance: Mapping[str, Scalar] = field(default_factory=dict)  # by span attribute name
    propagate_governance: bool = False
    openrouter_metadata: bool = True
    openrouter_base_url: str | None = None
    openrouter_complete_aborted: bool = False
    capture_content: bool = False


_installed: Runtime | None = None
_diverted: trace.TracerProvider | None = None
_tracer: tuple[trace.TracerProvider, trace.Tracer] | None = None


def install(runtime: Runtime | None) -> None:
    """Make these the settings in force; None goes back to the defaults."""
    global _installed
    _installed = runtime


def current() -> Runtime:
    """The settings in force."""
    if _installed is not None:
        return _installed
    return Runtime(
        governance=clean({"environment": os.environ.get("ENVIRONMENT") or None}),
        openrouter_base_url=os.environ.get(OPENROUTER_BASE_URL_VARIABLE),
        capture_content=captures_content(os.environ),
    )


def divert(provider: trace.TracerProvider | None) -> trace.TracerProvider | None:
    """Record with this provider, whatever is installed, until it is taken back; for tests.

    Returns:
        What this function was called with before, for taking it back.
    """
    global _diverted
    before, _diverted = _diverted, provider
    return before


def version() -> str:
    """The version of the installed distribution."""
    from importlib import metadata  # costs more than the rest of `import genops`

    try:
        return metadata.version("genops-ai")
    except metadata.PackageNotFoundError:  # run from a bare source tree
        return "0+unknown"


def tracer() -> trace.Tracer:
    """The tracer of scope `genops`, made once per provider (making one is slow in the SDK)."""
    global _tracer
    provider = _diverted or current().tracer_provider or trace.get_tracer_provider()
    cached = _tracer  # read once: another thread may replace it
    if cached is None or cached[0] is not provider:
        _tracer = cached = (provider, provider.get_tracer("genops", version()))
    return cached[1]
