"""Start, inspect and stop the client: the functions that the package exports.

`init` composes the parts (configuration, export, runtime settings, instrumentation) in that order
and `shutdown` takes them down in reverse.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from opentelemetry import trace

from genops import _runtime
from genops._config import ClientConfig, read_config
from genops.auto_instrumentation import GenOpsInstrumentor
from genops.core.content import captures_content
from genops.core.governance import Scalar
from genops.core.streaming import end_open_streams
from genops.export.sdk import Export, existing_provider
from genops.export.vendors import cost_warning

__all__ = [
    "Status",
    "config_in_force",
    "export_if_the_environment_asks",
    "init",
    "shutdown",
    "status",
    "uninstrument",
]

logger = logging.getLogger("genops")

SHUTDOWN_TIMEOUT_S: Final = 5.0

# How long the interpreter's exit may wait for spans to leave. The SDK's own exit handler waits for
# the exporter's whole retry time, so a dead collector would hold up every short-lived process.
EXIT_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Status:
    """What the client is doing now."""

    initialized: bool
    exporter: str  # e.g. "otlp grpc to localhost:4317", "console", "existing tracer provider"
    metrics_exporter: str = "none"  # likewise
    instrumented_providers: tuple[str, ...] = ()
    not_instrumented: Mapping[str, str] = field(default_factory=dict)  # name → why, and what to do
    default_attributes: Mapping[str, Scalar] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # settings that could not be used, each with its reason


@dataclass(frozen=True, slots=True)
class _Started:
    config: ClientConfig
    export: Export
    not_instrumented: Mapping[str, str]
    problems: tuple[str, ...]
    by_init: bool = True


_lock = threading.RLock()
_started: _Started | None = None


def init(
    service_name: str | None = None,
    *,
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
    tracer_provider: trace.TracerProvider | None = None,
    debug: bool = False,
) -> Status:
    """Record the LLM calls of this process and export them, and the application's metrics.

    Arguments win over the environment, the environment over defaults. If the application has set
    up a tracer provider, it is used as it is; an exporter is added to it only if `exporter_type` or
    `otlp_endpoint` is given here. Under the same condition a meter provider is set up, unless there
    is one, so that metrics of `opentelemetry.metrics.get_meter` leave the way spans do. A second
    call, without `shutdown` in between, keeps the settings of the first and undoes `uninstrument`.

    Forked processes (gunicorn, multiprocessing) go on recording and exporting.

    Args:
        service_name: Resource attribute service.name; else OTEL_SERVICE_NAME.
        service_version: Resource attribute service.version; else OTEL_SERVICE_VERSION.
        exporter_type: "otlp" (default), "console" (prints to stdout) or "none"; else
            OTEL_TRACES_EXPORTER. For metrics too, unless OTEL_METRICS_EXPORTER is "none"; else
            OTEL_METRICS_EXPORTER.
        otlp_endpoint: Where to send them; else OTEL_EXPORTER_OTLP_{TRACES,METRICS}_ENDPOINT (used
            as it is), OTEL_EXPORTER_OTLP_ENDPOINT, then localhost. For HTTP, /v1/traces and
            /v1/metrics are appended.
        otlp_protocol: "grpc" or "http/protobuf"; else
            OTEL_EXPORTER_OTLP_{TRACES,METRICS}_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL; else gRPC for
            port 4317 or an endpoint without scheme, HTTP for others.
        otlp_headers: Headers for the exporter, e.g. a vendor's key, beside those of
            OTEL_EXPORTER_OTLP_HEADERS; where both have a name, these win.
        default_team: genops.team of every call that states none.
        default_project: genops.project, likewise.
        default_environment: genops.environment, likewise, and the resource attribute
            deployment.environment.name; else ENVIRONMENT.
        resource_attributes: More resource attributes.
        propagate_governance: Share the attributes of `set_governance_context` with other services,
            as OpenTelemetry baggage: instrumented HTTP clients send them to every host that they
            call, and what instrumented servers receive holds for the calls made while serving,
            unless a context or a call here says otherwise. Opt in where callers can be trusted.
        openrouter_metadata: Ask OpenRouter to report its routing (which provider served, failed
            attempts) by the request header X-OpenRouter-Metadata.
        openrouter_complete_aborted: Ask OpenRouter afterwards, in the background and with the
            call's own client, for usage and cost of a stream that was not read to its end. Such a
            span is exported some seconds later; its end time stays that of the abort.
        openrouter_base_url: A further base URL that is OpenRouter (a gateway, a test server); else
            GENOPS_OPENROUTER_BASE_URL. Hosts under openrouter.ai always are.
        tracer_provider: Record with this provider in place of the global one.
        debug: Log what is recorded, at level DEBUG of the logger "genops". Tracebacks of failures
            in telemetry are logged too, and may quote what the application sent.

    Returns:
        What works and what does not, as `status()` does.

    Raises:
        ValueError: an argument is wrong. Wrong environment variables do not raise: they are
            logged and listed in the returned `problems`.
    """
    global _started
    config = read_config(
        os.environ,
        service_name=service_name,
        service_version=service_version,
        exporter_type=exporter_type,
        otlp_endpoint=otlp_endpoint,
        otlp_protocol=otlp_protocol,
        otlp_headers=otlp_headers,
        default_team=default_team,
        default_project=default_project,
        default_environment=default_environment,
        resource_attributes=resource_attributes,
        propagate_governance=propagate_governance,
        openrouter_metadata=openrouter_metadata,
        openrouter_complete_aborted=openrouter_complete_aborted,
        openrouter_base_url=openrouter_base_url,
        debug=debug,
    )
    with _lock:
        if _started is not None and not _started.by_init:
            shutdown(0)  # what is queued leaves in the background
        if _started is None:
            _started = _start(config, tracer_provider)
            _flush_at_exit()
        else:
            if _started.config != config:
                logger.warning(
                    "genops.init was called before with other settings, which stay in force; "
                    "call genops.shutdown() first to change them"
                )
            # The SDK may have been uninstrumented, or installed, since.
            _started = replace(_started, not_instrumented=GenOpsInstrumentor().instrument())
        return status()


def export_if_the_environment_asks() -> None:
    """Export what OpenRouter's own functions record in an application that never calls `init`.

    It does so as `init()` would, but records nothing else, and only if the environment says where
    to or how. A tracer provider that exists is left alone; a later `init` has its way.
    """
    global _started
    with _lock:
        if _started is None and existing_provider() is None and _asks_for_export(os.environ):
            _started = replace(_start(read_config(os.environ), None, record=()), by_init=False)
            _flush_at_exit()


def _asks_for_export(environ: Mapping[str, str]) -> bool:
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return exporter != "none" and bool(exporter or any(map(environ.get, endpoints)))


def _start(
    config: ClientConfig,
    tracer_provider: trace.TracerProvider | None,
    *,
    record: Iterable[str] | None = None,  # which providers; None: all
) -> _Started:
    if config.debug:
        _log_debug()
    existing = tracer_provider or existing_provider()
    if _exports_as_the_environment_says(existing) and (
        replace(config.export, explicit=False) == read_config(os.environ).export
    ):
        config = replace(config, export=replace(config.export, explicit=False))
    export = Export(config, existing)
    # Loads importlib.metadata, which `import genops` does without.
    from genops.validation import installation

    problems = [*config.problems, *export.problems, *installation.problems()]
    if existing is not None and config.resource:
        problems.append(
            f"{', '.join(sorted(config.resource))}: not set, because the tracer provider "
            "exists already. Set them on its resource"
        )
    if export.sends_spans and (warning := cost_warning(config.export.endpoint)):
        problems.append(warning)
    _runtime.install(
        _runtime.Runtime(
            tracer_provider=export.provider,
            governance=config.governance,
            propagate_governance=config.propagate_governance,
            openrouter_metadata=config.openrouter_metadata,
            openrouter_complete_aborted=config.openrouter_complete_aborted,
            openrouter_base_url=config.openrouter_base_url,
            capture_content=captures_content(os.environ),
        )
    )
    not_instrumented = GenOpsInstrumentor().instrument(record)
    for problem in (*problems, *not_instrumented.values()):
        logger.warning("%s", problem)
    return _Started(config, export, not_instrumented, tuple(problems))


def _exports_as_the_environment_says(provider: trace.TracerProvider | None) -> bool:
    """Whether `opentelemetry-instrument` made it: its resource says so, by a conventional name."""
    resource = getattr(provider, "resource", None)
    return "telemetry.auto.version" in getattr(resource, "attributes", ())


def _flush_at_exit() -> None:
    # What is registered later runs earlier. urllib3 leaves its connections to finalizers, which do
    # nothing any more after the turn of `weakref`, which the first finalizer registers: now.
    weakref.finalize(shutdown, int).detach()
    atexit.register(shutdown, EXIT_TIMEOUT_S)
    _flush_in_children_too()


@cache
def _flush_in_children_too() -> None:
    """Shut down at the end of processes that `multiprocessing` forked: these skip `atexit`."""
    from multiprocessing import util

    def at_end(_: object) -> None:
        # Negative: after the finalizers of the application, which may record.
        util.Finalize(None, shutdown, (EXIT_TIMEOUT_S,), exitpriority=-1)

    at_end(None)  # this process may be such a child
    util.register_after_fork(shutdown, at_end)


def _log_debug() -> None:
    logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())  # stderr: stdout belongs to the application


def status() -> Status:
    """What the client is doing now."""
    instrumented = GenOpsInstrumentor().instrumented()
    started = _started
    if started is None:
        return Status(initialized=False, exporter="none", instrumented_providers=instrumented)
    return Status(
        initialized=True,
        exporter=started.export.spans,
        metrics_exporter=started.export.metrics,
        instrumented_providers=instrumented,
        not_instrumented=started.not_instrumented,
        default_attributes=started.config.governance,
        problems=started.problems,
    )


def config_in_force() -> ClientConfig | None:
    """What `init` was told; None if the client is not started."""
    return _started.config if _started else None


def uninstrument() -> None:
    """Record no more calls. The exporter goes on with what was recorded, until `shutdown`."""
    GenOpsInstrumentor().uninstrument()


def shutdown(timeout: float = SHUTDOWN_TIMEOUT_S) -> bool:
    """Stop recording, send what is queued and stop exporting; `init` may follow.

    Streams that are still open are recorded as not completed; they can be read on.

    Without this call the same happens when the interpreter exits, within 2 seconds. An existing
    tracer provider is flushed but not shut down.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        True if sending ended within the time (delivered or given up); True if there was nothing to
        stop.
    """
    global _started
    with _lock:
        started, _started = _started, None
        uninstrument()
        _runtime.install(None)
    atexit.unregister(shutdown)
    deadline = time.monotonic() + timeout
    end_open_streams()
    if started is not None and started.config.openrouter_complete_aborted:
        from genops.providers.openrouter_generation import finish_lookups

        finish_lookups(timeout / 2)
    return started is None or started.export.stop(max(0.0, deadline - time.monotonic()))
