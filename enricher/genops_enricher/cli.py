"""The command line of the enricher: which command runs with which arguments, and exit codes.

Exit codes: 0 done (enrich: every call priced or free), 1 failure, 2 usage or configuration, 3
enrich found unpriced calls.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["main"]

_FAILURE, _USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Commands import what they need when they run."""
    from genops_pricing.streams import prepare_streams

    prepare_streams()
    options = _parser().parse_args(arguments)
    try:
        from genops_enricher.errors import ConfigError, EnricherError
        from genops_pricing import CatalogError

        try:
            code = int(options.run(options))
            if sys.stdout is not None:  # which it is where it was closed
                sys.stdout.flush()
            return code
        except ConfigError as error:
            for problem in error.problems:
                print(problem, file=sys.stderr)
            return _USAGE
        except (EnricherError, CatalogError) as error:
            print(f"genops-enricher: {error}", file=sys.stderr)
            return _FAILURE
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is buffered must not fail again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILURE
    except ModuleNotFoundError as error:
        print(
            f"genops-enricher: {error.name} is not installed. hint: pip install 'genops-ai[all]'",
            file=sys.stderr,
        )
        return _FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="genops-enricher",
        description="Add cost, model family and tier to LLM spans on their way to a backend.",
    )
    parser.add_argument("--version", action="version", version=version("genops-ai"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the service")
    _add_config(run)
    run.set_defaults(run=_run)

    validate = commands.add_parser("validate", help="check a configuration; all mistakes at once")
    _add_config(validate)
    validate.set_defaults(run=_validate)

    print_config = commands.add_parser(
        "print-config", help="print the configuration in effect, without secrets"
    )
    _add_config(print_config)
    print_config.set_defaults(run=_print_config)

    health = commands.add_parser("health", help="ask a running enricher whether it is ready")
    where = health.add_mutually_exclusive_group()
    where.add_argument("--endpoint", metavar="HOST:PORT", help="where it serves health")
    where.add_argument("--config", type=Path, metavar="FILE", help="the configuration that says so")
    health.set_defaults(run=_health)

    enrich = commands.add_parser("enrich", help="price the spans of OTLP files, offline")
    enrich.add_argument("files", nargs="+", type=Path, metavar="FILE", help="protobuf or JSON")
    enrich.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML configuration, for its `enrichment`"
    )
    enrich.add_argument(
        "--overlay",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="prices of your own, on top of those of the configuration; may be repeated",
    )
    enrich.add_argument(
        "--reprice", action="store_true", help="take earlier enrichment away and price again"
    )
    enrich.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="write enriched OTLP here; a folder for several",
    )
    enrich.add_argument("--json", action="store_true", help="print spans, one JSON object a line")
    enrich.set_defaults(run=_enrich)

    letters = commands.add_parser(
        "dead-letters", help="what a destination refused for ever: look at it, send it again"
    ).add_subparsers(required=True, metavar="COMMAND")
    list_letters = letters.add_parser("list", help="print a line for each")
    _add_config(list_letters)
    list_letters.add_argument("--json", action="store_true", help="print JSON, one object a line")
    list_letters.set_defaults(run=_list_letters)
    show_letters = letters.add_parser("show", help="print all of them, as JSON")
    show_letters.add_argument("ids", nargs="+", metavar="ID")
    _add_config(show_letters)
    show_letters.set_defaults(run=_show_letters)
    resend_letters = letters.add_parser("resend", help="try once to send; what arrives is removed")
    which = resend_letters.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", metavar="ID", default=[])
    which.add_argument("--all", action="store_true", help="every dead letter there is")
    _add_config(resend_letters)
    resend_letters.set_defaults(run=_resend_letters)

    demo = commands.add_parser("demo", help="the whole path on this machine, without a key")
    demo.add_argument("--json", action="store_true", help="print the arrived spans as JSON lines")
    demo.add_argument(
        "--live",
        action="store_true",
        help="call the real OpenRouter with OPENROUTER_API_KEY; spends a little money",
    )
    demo.set_defaults(run=_demo)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML configuration; without it the OTEL_EXPORTER_OTLP_* variables name the backend",
    )


def _run(options: argparse.Namespace) -> int:
    from genops_enricher.commands.signals import hold_signals

    # The library reads it when it is imported. Else it writes a line past our log for each TLS
    # handshake that fails and each header that it can't read: a scanner of ports, or a sender
    # without a token, could fill a disk. What matters of it comes with the errors that it raises.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    hold_signals()  # before the imports, which take a second: a SIGHUP must not end the process
    from genops_enricher.commands.run import run

    run(options.config)
    return 0


def _validate(options: argparse.Namespace) -> int:
    from genops_enricher.config.load import load_config
    from genops_pricing import load_catalog

    loaded = load_config(options.config, os.environ)
    catalog = load_catalog(loaded.config.enrichment.overlays)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    where = options.config or "the OTEL_EXPORTER_OTLP_* variables"
    print(f"{where}: valid; catalog {catalog.version}")
    return 0


def _print_config(options: argparse.Namespace) -> int:
    from genops_enricher.config.dump import dump_config
    from genops_enricher.config.load import load_config

    print(dump_config(load_config(options.config, os.environ).config), end="")
    return 0


def _health(options: argparse.Namespace) -> int:
    from genops_enricher.commands.health import ask_health

    endpoint = options.endpoint
    if endpoint is None:
        from genops_enricher.config.load import load_config

        endpoint = load_config(options.config, os.environ).config.service.health_endpoint
    return ask_health(endpoint)


def _enrich(options: argparse.Namespace) -> int:
    from genops_enricher.commands.enrich import enrich_files
    from genops_enricher.config.load import load_config
    from genops_enricher.config.model import EnrichmentConfig
    from genops_enricher.enrich.enricher import Enricher
    from genops_enricher.redact import Redactor
    from genops_enricher.seen.duplicates import Duplicates
    from genops_enricher.seen.orphans import Orphans
    from genops_pricing import load_catalog

    config = EnrichmentConfig()
    if options.config:
        config = load_config(options.config, os.environ).config.enrichment
    catalog = load_catalog([*config.overlays, *options.overlay])
    enricher = Enricher(catalog, config.attribution, config.vocabularies)
    return enrich_files(
        options.files,
        enricher,
        duplicates=Duplicates(math.inf, sys.maxsize) if config.dedupe.enabled else None,
        orphans=Orphans(math.inf, sys.maxsize) if config.price_orphan_aggregates else None,
        redactor=Redactor.of(config.redaction),
        reprice=options.reprice,
        out=options.output,
        as_json=options.json,
    )


def _list_letters(options: argparse.Namespace) -> int:
    from genops_enricher.commands.dead_letters import print_letters
    from genops_enricher.config.load import load_config

    config = load_config(options.config, os.environ).config
    return print_letters(config.service.data_dir, as_json=options.json)


def _show_letters(options: argparse.Namespace) -> int:
    from genops_enricher.commands.dead_letters import show_letters
    from genops_enricher.config.load import load_config

    config = load_config(options.config, os.environ).config
    return show_letters(config.service.data_dir, options.ids)


def _resend_letters(options: argparse.Namespace) -> int:
    from genops_enricher.commands.dead_letters import resend_letters
    from genops_enricher.config.load import load_config

    return resend_letters(load_config(options.config, os.environ).config, options.ids)


def _demo(options: argparse.Namespace) -> int:
    from genops_enricher.demo.runner import run_demo

    return run_demo(live=options.live, json_output=options.json)
