"""Read `genops.init`'s arguments and the environment into one checked, immutable configuration.

Pure: takes the environment as a mapping, opens nothing. A wrong argument raises, it is a bug that
the developer sees at once; a wrong environment variable is a problem that is reported while the
application runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genops._runtime import OPENROUTER_BASE_URL_VARIABLE
from genops.core.content import capture_problem
from genops.core.governance import Scalar, clean
from genops.export.destination import ExportConfig, ExportReading, read_headers, without_secrets
from genops.providers.hosts import address

__all__ = ["ClientConfig", "ExportConfig", "read_config"]


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """All that `init` needs to know."""

    export: ExportConfig  # of spans
    metrics: ExportConfig
    resource: Mapping[str, str | bool | int | float]
    governance: Mapping[str, Scalar]  # by span attribute name
    propagate_governance: bool
    openrouter_metadata: bool
    openrouter_complete_aborted: bool
    openrouter_base_url: str | None
    debug: bool
    problems: tuple[str, ...] = ()


def read_config(
    environ: Mapping[str, str],
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    exporter_type: str | None = None,
    otlp_endpoint: str | None = None,
    otlp_protocol: str | None = None,
    otlp_headers: Mapping[str, str | None] | None = None,
    default_team: str | None = None,
    default_project: str | None = None,
    default_environment: str | None = None,
    resource_attributes: Mapping[str, str | bool | int | float] | None = None,
    propagate_governance: bool = False,
    openrouter_metadata: bool = True,
    openrouter_complete_aborted: bool = False,
    openrouter_base_url: str | None = None,
    debug: bool = False,
) -> ClientConfig:
    """The configuration; arguments win over the environment.

    Raises:
        ValueError: an argument is wrong; the text says which and what to write.
    """
    problems: list[str] = []
    if problem := capture_problem(environ):
        problems.append(problem)
    environment = default_environment or environ.get("ENVIRONMENT") or None
    resource = dict(resource_attributes or {})
    if service_name:
        resource["service.name"] = service_name
    if service_version:
        resource["service.version"] = service_version
    elif version := environ.get("OTEL_SERVICE_VERSION"):
        resource.setdefault("service.version", version)
    if environment:
        resource.setdefault("deployment.environment.name", environment)
    reading = ExportReading(
        environ=environ,
        exporter_type=exporter_type,
        endpoint=otlp_endpoint,
        protocol=otlp_protocol,
        headers=read_headers(otlp_headers, problems),
        problems=problems,
    )
    return ClientConfig(
        export=reading.export("traces"),
        metrics=reading.export("metrics"),
        resource=resource,
        governance=clean(
            {"team": default_team, "project": default_project, "environment": environment}
        ),
        propagate_governance=propagate_governance,
        openrouter_metadata=openrouter_metadata,
        openrouter_complete_aborted=openrouter_complete_aborted,
        openrouter_base_url=_read_openrouter_base_url(environ, openrouter_base_url, problems),
        debug=debug,
        problems=tuple(dict.fromkeys(problems)),  # both signals read the shared variables
    )


def _read_openrouter_base_url(
    environ: Mapping[str, str], argument: str | None, problems: list[str]
) -> str | None:
    """The address, if it is one that a client's base URL can be compared with."""
    value = argument or environ.get(OPENROUTER_BASE_URL_VARIABLE)
    if not value or (address(value)[0] and value.startswith(("http://", "https://"))):
        return value
    source = "openrouter_base_url" if argument else OPENROUTER_BASE_URL_VARIABLE
    problem = (
        f"{source}={without_secrets(value)!r} is no URL; write e.g. https://gateway.example/v1"
    )
    if argument:
        raise ValueError(problem)
    problems.append(f"{problem}. It is ignored")
    return None
