"""What tests of the life of the enricher's process share: files that change, waiting, spans."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import yaml

from destinations import Destination
from enricher_process import EnricherProcess
from otlp import chat, request, span, spans_of

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MODEL = "openai/gpt-4o"
WAIT_S = 60.0


def overlay(price: str, models: int = 0) -> str:
    """An overlay with a price for input of the model of the tests, and so many other models."""
    more = "".join(
        f"  - id: acme/model-{number}\n    family: acme\n    prices:\n"
        f"      - effective_from: 2024-01-01\n"
        f'        usd_per_mtok: {{input: "1", output: "2"}}\n'
        for number in range(models)
    )
    return (
        f"overlay: contract\nmarket: openrouter\nauthor: acme\nmodels:\n"
        f"  - id: {MODEL}\n    prices:\n      - effective_from: 2024-01-01\n"
        f'        reason: contract\n        usd_per_mtok: {{input: "{price}", output: "0"}}\n{more}'
    )


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Change a configuration file as a deployment does: a new file in place of the old one."""
    settings = yaml.safe_load(path.read_text())
    change(settings)
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump(settings))
    new.replace(path)


def set_header(settings: Any, value: str) -> None:
    settings["exporters"]["otlp_grpc"]["headers"] = {"x-key": value}


def set_workers(settings: Any, workers: int) -> None:
    settings["receivers"]["otlp"]["protocols"]["grpc"]["max_workers"] = workers


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > deadline_s:
            raise TimeoutError(what)
        time.sleep(0.02)


def reloads(enricher: EnricherProcess, outcome: str = "") -> float:
    label = f'{{outcome="{outcome}"}}' if outcome else "{"
    return enricher.metric(f"genops_config_reloads_total{label}")


def reload(enricher: EnricherProcess, outcome: str) -> None:
    """SIGHUP, and wait until it had this outcome."""
    before, all_before = reloads(enricher, outcome), reloads(enricher)
    enricher.hang_up()
    wait_until(lambda: reloads(enricher) > all_before, "no reload was counted")
    assert reloads(enricher, outcome) == before + 1, enricher.log.read_text()[-3000:]


def send(enricher: EnricherProcess, number: int) -> None:
    with grpc.insecure_channel(enricher.grpc) as channel:
        call = channel.unary_unary(EXPORT, None, None)
        call(request(span(chat(MODEL), number=number)), timeout=WAIT_S, wait_for_ready=True)


def arrived(destination: Destination, number: int) -> dict[str, Any]:
    """The attributes with which a span came."""

    def found() -> list[dict[str, Any]]:
        return [
            {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in s.attributes}
            for payload in destination.payloads
            for s in spans_of(payload)
            if int.from_bytes(s.span_id, "big") == number
        ]

    wait_until(lambda: bool(found()), f"span {number} did not arrive")
    return found()[0]


def numbers(destination: Destination) -> list[int]:
    return [
        int.from_bytes(s.span_id, "big")
        for payload in destination.payloads
        for s in spans_of(payload)
    ]
