"""Holds files against the models and schemas that their vendors publish. Run in a venv of its own.

    python validate.py datadog-dashboard|datadog-monitors|grafana|honeycomb-queries
                       |honeycomb-triggers|kubernetes|monitoring FILE...

Prints what is wrong, one problem a line, and exits with 1 if anything is. Models that ignore what
they do not know are made strict by comparing what went in with what comes out again.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

KUBERNETES = ("1.30", "1.37")  # the oldest that the chart names, and the newest that is known


def lost(before: Any, after: Any, where: str) -> Iterator[str]:
    """What a model did not keep of what it was given."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}: is not known"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{where}[{number}]")
    elif before != after:
        yield f"{where}: {before!r} became {after!r}"


def grafana(content: Any, where: str) -> Iterator[str]:
    dashboards = importlib.import_module("grafana_foundation_sdk.models.dashboard")
    encoder = importlib.import_module("grafana_foundation_sdk.cog.encoder")
    plugins = importlib.import_module("grafana_foundation_sdk.cog.plugins")
    plugins.register_default_plugins()
    model = dashboards.Dashboard.from_json(content)
    yield from lost(content, json.loads(json.dumps(model, cls=encoder.JSONEncoder)), where)


def _datadog(content: Any, where: str, model: str) -> Iterator[str]:
    module = importlib.import_module(f"datadog_api_client.v1.model.{model}")
    utils = importlib.import_module("datadog_api_client.model_utils")
    settings = importlib.import_module("datadog_api_client.configuration").Configuration()
    kind = getattr(module, model.title())
    made = utils.validate_and_convert_types(content, (kind,), [where], True, True, settings)
    if made._unparsed:
        yield f"{where}: something has none of the known forms"
    else:
        yield from _unknown(made, where)


def _unknown(model: Any, where: str) -> Iterator[str]:
    if isinstance(model, list | tuple):
        for number, item in enumerate(model):
            yield from _unknown(item, f"{where}[{number}]")
    elif composed := getattr(model, "_composed_instances", None):
        for item in composed:
            yield from _unknown(item, where)
    elif hasattr(model, "_data_store"):
        for key, value in model._data_store.items():
            if key != "value" and key not in model.attribute_map:
                yield f"{where}.{key}: is not known"
            yield from _unknown(value, f"{where}.{key}")


def datadog_dashboard(content: Any, where: str) -> Iterator[str]:
    yield from _datadog(content, where, "dashboard")


def datadog_monitors(content: Any, where: str) -> Iterator[str]:
    for monitor in content:
        yield from _datadog(monitor, f"{where} {monitor['name']}", "monitor")


def _honeycomb(content: Any, where: str, model: str) -> Iterator[str]:
    # Generated from Honeycomb's OpenAPI document.
    models = importlib.import_module("honeycomb._generated_models")
    made = getattr(models, model).model_validate(content)
    yield from lost(content, made.model_dump(mode="json", exclude_unset=True), where)


def honeycomb_queries(content: Any, where: str) -> Iterator[str]:
    for each in content:
        yield from _honeycomb(each["query"], f"{where} {each['name']}", "Query")


def honeycomb_triggers(content: Any, where: str) -> Iterator[str]:
    for trigger in content:
        name = f"{where} {trigger['name']}"
        yield from _honeycomb(trigger, name, "TriggerWithInlineQuery")
        yield from _honeycomb(trigger["query"], f"{name}.query", "Query")


def honeycomb_requests(content: Any, where: str) -> Iterator[str]:
    """Requests as {model: …, body: …}."""
    for number, request in enumerate(content):
        yield from _honeycomb(request["body"], f"{where}[{number}]", request["model"])


def kubernetes(content: Any, where: str) -> Iterator[str]:
    package = importlib.import_module("kubernetes_validate")
    for version in KUBERNETES:
        try:
            package.validate(content, version, strict=True)
        except package.ValidationError as error:
            yield f"{where}: {'.'.join(map(str, error.path))}: {error.message} ({version})"


def monitoring(content: Any, where: str) -> Iterator[str]:
    # Generated from the operator's custom resource definitions.
    models = importlib.import_module("cloudcoil.models.prometheus_operator.v1")
    model = getattr(models, content["kind"]).model_validate(content)
    after = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    yield from lost(content, after, where)


KINDS: dict[str, Callable[[Any, str], Iterator[str]]] = {
    "datadog-dashboard": datadog_dashboard,
    "datadog-monitors": datadog_monitors,
    "grafana": grafana,
    "honeycomb-queries": honeycomb_queries,
    "honeycomb-requests": honeycomb_requests,
    "honeycomb-triggers": honeycomb_triggers,
    "kubernetes": kubernetes,
    "monitoring": monitoring,
}


def main(kind: str, *files: str) -> int:
    found = False
    for file in files:
        try:
            problems = [*KINDS[kind](json.loads(Path(file).read_text()), Path(file).name)]
        except (ValueError, TypeError, KeyError) as error:  # how models say what they refuse
            problems = [f"{Path(file).name}: {error!r}"]
        for problem in problems:
            print(problem)
            found = True
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
