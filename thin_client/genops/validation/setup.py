"""Check that calls to OpenRouter would be made, recorded and exported, before any is made.

Each check looks at one thing and yields what it found; `validate_setup` runs them all and never
raises. An error is what keeps calls or their spans from working; what only may be wrong is a
warning. How a result is printed is decided in `report`.

Without `live` the verdict depends on this process and its environment alone, so that a container
probe passes without DNS and while the collector restarts: that nothing listens at the OTLP endpoint
is a warning then. With `live` what the network says counts: the endpoint gets an empty OTLP
request, and OpenRouter is asked about the key. No call of a model is made, and nothing is charged.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from genops import _lifecycle, _runtime
from genops._config import ClientConfig, read_config
from genops.export.destination import ExportConfig
from genops.export.sdk import existing_provider
from genops.export.vendors import cost_warning
from genops.providers.hosts import DEFAULT_BASE_URL
from genops.validation import installation
from genops.validation.endpoint import check_endpoint
from genops.validation.openrouter_key import can_be_sent, check_form, check_with_openrouter
from genops.validation.probe import Finding, Findings, Level

__all__ = ["TIMEOUT_S", "ValidationIssue", "ValidationResult", "validate_setup"]

Component = Literal["api_key", "installation", "pricing", "export", "configuration", "openrouter"]

TIMEOUT_S: Final = 2.0

# What the checks note in the summary.
_FACTS: Final = (
    "openai_version",
    "opentelemetry_version",
    "catalog_version",
    "catalog_age_days",
    "exporter",
    "initialized",
    "instrumented_providers",
    "openrouter_key",
)

# How OpenTelemetry is told to export nothing.
_SWITCHED_OFF: Final = (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none"))
_SWITCH_ON: Final = (
    "Unset OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER, and correct OTEL_EXPORTER_OTLP_ENDPOINT"
)

_REINSTALL: Final = "pip install --force-reinstall genops-ai"
_CATALOG_OLD_DAYS: Final = 60  # as the enricher, which warns of the same


@dataclass(frozen=True, slots=True)
class ValidationIssue:
    """One finding."""

    level: Level
    component: Component
    message: str
    fix_suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """All findings.

    `summary` holds plain values for a machine, None where not known: live, error_count,
    warning_count, genops_version, python_version, openai_version, opentelemetry_version,
    catalog_version, catalog_age_days, exporter, initialized, instrumented_providers, openrouter_key
    (live: limit, limit_remaining and usage in USD, limit_reset, expires_at, is_free_tier).
    """

    is_valid: bool  # no error was found
    issues: list[ValidationIssue]
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Setup:
    """What the checks look at, and where they note facts."""

    environ: Mapping[str, str]
    live: bool
    timeout_s: float
    summary: dict[str, Any]

    @property
    def config(self) -> ClientConfig:
        """What `init` was told, or would be by the environment."""
        return _lifecycle.config_in_force() or read_config(self.environ)

    @property
    def base_url(self) -> str:
        return self.config.openrouter_base_url or DEFAULT_BASE_URL


def validate_setup(*, live: bool = False, timeout: float = TIMEOUT_S) -> ValidationResult:
    """Check the key, the installation, the prices and where spans go. Never raises.

    Args:
        live: Also ask OpenRouter about the key (GET /key, free of charge) and send the OTLP
            endpoint an empty request. Without it, the one connection that is made opens a socket
            to the OTLP endpoint and closes it, and has no say in `is_valid`.
        timeout: Seconds that each step over the network may take; there are one or, live, three.
    """
    setup = _Setup(environ=os.environ, live=live, timeout_s=timeout, summary=dict.fromkeys(_FACTS))
    issues: list[ValidationIssue] = []
    for component, check in _CHECKS.items():
        try:
            issues.extend(
                ValidationIssue(found.level, component, found.message, found.fix)
                for found in check(setup)
            )
        except Exception as error:  # noqa: BLE001 - a broken installation fails in any way
            # Its message may quote what the check looked at, and so a key.
            message = f"this could not be checked ({type(error).__name__})"
            issues.append(ValidationIssue("error", component, message, _REINSTALL))
    levels = [issue.level for issue in issues]
    summary = {
        "live": live,
        "error_count": levels.count("error"),
        "warning_count": levels.count("warning"),
        "genops_version": _runtime.version(),
        "python_version": platform.python_version(),
        **setup.summary,
    }
    return ValidationResult("error" not in levels, issues, summary)


def _check_key(setup: _Setup) -> Findings:
    yield from check_form(setup.environ, setup.base_url)


def _check_installation(setup: _Setup) -> Findings:
    for problem in installation.problems():
        yield _with_hint("error", problem)
    unmet = installation.unmet("openai")
    for item in unmet:
        found = f"{item.installed} is installed" if item.installed else "is not installed"
        yield Finding(
            "error",
            f"{item.name} {found}; {item.floor} or newer is needed",
            f"pip install -U '{item.name}>={item.floor}'",
        )
    sdk, otel = map(installation.version_of, ("openai", "opentelemetry-sdk"))
    setup.summary.update(openai_version=sdk, opentelemetry_version=otel)
    if not unmet:
        yield Finding("info", f"openai {sdk} and OpenTelemetry {otel} are installed")


def _check_pricing(setup: _Setup) -> Findings:
    from genops_pricing import CatalogError, bundled_catalog

    try:
        catalog = bundled_catalog()
    except CatalogError as error:
        yield Finding("error", f"the price catalog cannot be read: {error}", _REINSTALL)
        return
    age_days = (datetime.now(UTC) - catalog.released).days
    setup.summary.update(catalog_version=catalog.version, catalog_age_days=age_days)
    message = f"the price catalog {catalog.version} is {age_days} days old"
    if age_days > _CATALOG_OLD_DAYS:
        yield Finding("warning", f"{message}: prices may have changed", "pip install -U genops-ai")
    else:
        yield Finding("info", message)


def _check_export(setup: _Setup) -> Findings:
    status, export = _lifecycle.status(), setup.config.export
    if status.initialized:
        exporter, is_ours = status.exporter, str(export) in status.exporter
    else:
        is_ours = existing_provider() is None
        exporter = str(export) if is_ours else "existing tracer provider"
        if warning := cost_warning(export.endpoint):  # a problem in `status`
            yield Finding("warning", warning)
    setup.summary["exporter"] = exporter
    if exporter == "none":
        wanted = _is_switched_off(setup.environ, export)
        yield Finding("warning" if wanted else "error", "no spans are exported", _SWITCH_ON)
    elif not is_ours:
        yield Finding("info", f"spans go to: {exporter}")
    elif export.kind == "console":
        yield Finding("info", "spans are printed on stdout")
    elif export.kind == "otlp":
        yield from check_endpoint(export, live=setup.live, timeout_s=setup.timeout_s)


def _is_switched_off(environ: Mapping[str, str], export: ExportConfig) -> bool:
    """Whether nothing is exported on purpose: by an argument of `init`, or by the environment."""
    return export.kind == "none" and (
        export.explicit
        or any(environ.get(name, "").strip().lower() == value for name, value in _SWITCHED_OFF)
    )


def _check_configuration(setup: _Setup) -> Findings:
    status = _lifecycle.status()
    setup.summary.update(
        initialized=status.initialized,
        instrumented_providers=list(status.instrumented_providers),
    )
    told = installation.problems()  # by the check of the installation
    problems = status.problems if status.initialized else setup.config.problems
    for problem in dict.fromkeys((*problems, *status.not_instrumented.values())):
        if problem not in told:
            yield _with_hint("warning", problem)
    if status.instrumented_providers:
        providers = ", ".join(status.instrumented_providers)
        yield Finding("info", f"calls are recorded, to: {providers}")
    elif status.initialized:
        yield Finding("warning", "no calls are recorded", "Call genops.init() again")
    else:
        yield Finding("info", "genops.init() was not called in this process")


def _check_openrouter(setup: _Setup) -> Findings:
    key = setup.environ.get("OPENROUTER_API_KEY")
    if setup.live and key and can_be_sent(key):
        facts, findings = check_with_openrouter(key, setup.base_url, setup.timeout_s)
        setup.summary["openrouter_key"] = facts
        yield from findings


def _with_hint(level: Level, problem: str) -> Finding:
    """The finding for a problem that ends in its fix, as problems of the client do."""
    message, _, fix = problem.partition(" hint: ")
    return Finding(level, message, fix or None)


_CHECKS: Final[Mapping[Component, Callable[[_Setup], Findings]]] = {
    "api_key": _check_key,
    "installation": _check_installation,
    "pricing": _check_pricing,
    "export": _check_export,
    "configuration": _check_configuration,
    "openrouter": _check_openrouter,
}
