"""The quickstart, done from its first block to its last, with other addresses."""

from __future__ import annotations

import json
import os
import re
import sys
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dialects.recorder.emitters import EMITTERS
from dialects.recorder.environments import command
from free_ports import free_port
from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from life import wait_until
from pages import ROOT, Reader, Section, Terminal, section

PAGE = ROOT / "docs" / "quickstart.md"
PLAIN = section(PAGE, "An application without instrumentation")
WITHOUT_A_KEY = section(PAGE, "Without a key")
INSTRUMENTED = section(PAGE, "An application that is instrumented already")
SEEN = section(PAGE, "5. What you see")
# The applications of the second kind, in the order of the page.
OPENLLMETRY, OPENINFERENCE, SDK = INSTRUMENTED.blocks("python")


@dataclass(frozen=True)
class Desk:
    """A reader with two terminals in which the backend and the enricher run."""

    reader: Reader
    backend: Terminal
    enricher: Terminal

    def spans(self) -> list[dict[str, Any]]:
        """What the backend has printed, but for its first line, which says where it is."""
        return [json.loads(line) for line in self.backend.output.splitlines()[1:]]

    def span(self) -> dict[str, Any]:
        """The one span that comes."""
        wait_until(lambda: bool(self.spans()), f"no span; the enricher: {self.enricher.output}")
        (span,) = self.spans()
        return span


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        router = stack.enter_context(FakeOpenRouter())
        # The backend's port stands in the block that starts it without a host.
        grpc, http, health = (f"127.0.0.1:{free_port()}" for _ in range(3))
        backend_port = str(free_port())
        reader = Reader(
            tmp_path,
            {
                "127.0.0.1:4317": grpc,
                "127.0.0.1:4318": http,
                "127.0.0.1:13133": health,
                "5318": backend_port,
                "https://openrouter.ai/api/v1": router.base_url,
            },
            GENOPS_OPENROUTER_BASE_URL=router.base_url,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",  # as the port says on the page
        )
        (block,) = section(PAGE, "3. Start the enricher").blocks("yaml")
        config = yaml.safe_load(block) | {
            "receivers": {
                "otlp": {"protocols": {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}}
            },
            "service": {
                "data_dir": str(tmp_path / "data"),
                "telemetry": {"health": {"endpoint": health}},
            },
        }
        (tmp_path / "enricher.yaml").write_text(yaml.safe_dump(config))

        (start_backend,) = section(PAGE, "2. Somewhere to send to").blocks("bash")
        backend = stack.enter_context(reader.terminal(start_backend))
        backend.wait_for('"http"')
        start = section(PAGE, "3. Start the enricher")
        enricher = stack.enter_context(reader.terminal("\n".join(start.blocks("bash"))))
        said = enricher.wait_for("ready: ")
        for on_page, here in ((4317, grpc), (4318, http), (13133, health)):
            said = said.replace(f"port {here.rpartition(':')[2]}", f"port {on_page}")
        assert start.unseen(said) == []
        yield Desk(reader, backend, enricher)


def test_an_application_without_instrumentation(desk: Desk) -> None:
    (app,) = PLAIN.blocks("python")
    (desk.reader.folder / "app.py").write_text(desk.reader.here(app))

    ran = desk.reader.run(PLAIN.blocks("bash")[0])

    assert ran.code == 0, ran.output
    attributes = desk.span()["attributes"]
    assert attributes["genops.cost.source"] == "reported"
    assert attributes["genops.cost.total"] > 0
    assert attributes["genops.team"] == "search"
    shown = desk.reader.run(SEEN.blocks("bash")[0])
    assert SEEN.unseen(shown.output) == []
    assert '"degraded": []' in shown.output


def test_without_touching_its_code(desk: Desk) -> None:
    (app,) = PLAIN.blocks("python")
    untouched = app[app.index("import os") :]
    (desk.reader.folder / "app.py").write_text(desk.reader.here(untouched))

    ran = desk.reader.run(PLAIN.blocks("bash")[1])

    assert ran.code == 0, ran.output
    span = desk.span()
    assert span["attributes"]["genops.cost.total"] > 0
    assert "genops.team" not in span["attributes"]


def test_without_a_key_a_stand_in_answers(desk: Desk) -> None:
    (app,) = PLAIN.blocks("python")
    start, call = WITHOUT_A_KEY.blocks("bash")
    (base_url,) = re.findall(r'`base_url="(.+?)"`', WITHOUT_A_KEY.text)
    port = str(free_port())
    app = app.replace("https://openrouter.ai/api/v1", base_url)
    (desk.reader.folder / "app.py").write_text(desk.reader.here(app).replace("5999", port))

    with desk.reader.terminal(start.replace("5999", port)) as stand_in:
        stand_in.wait_for("base_url")
        ran = desk.reader.run(call.replace("5999", port))

    assert ran.code == 0, ran.output
    assert desk.span()["attributes"]["genops.provider"] == "openrouter"
    assert desk.span()["attributes"]["genops.cost.source"] == "reported"


def test_what_the_page_on_openrouter_adds(desk: Desk) -> None:
    """Its two programs as one application; the span says all that its table lists."""
    page = ROOT / "docs" / "openrouter-quickstart.md"
    (start,) = section(page, "Record every call").blocks("python")
    (call,) = section(page, "Say who a call is for, and how to route it").blocks("python")
    (desk.reader.folder / "app.py").write_text(desk.reader.here(start + call))

    ran = desk.reader.run("python app.py")

    assert ran.code == 0, ran.output
    attributes = desk.span()["attributes"]
    rows = re.findall(r"^\| (`.+?`) \|", section(page, "What the span says").text, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(.+?)`", row)]
    for position, name in enumerate(named):
        if name.startswith("."):
            named[position] = named[position - 1].rpartition(".")[0] + name
    assert len(named) > 8
    assert set(named) <= attributes.keys()
    assert attributes["genops.cost.source"] == "reported"
    assert attributes["genops.openrouter.preferred_provider"] == "openai"


def run_instrumented(desk: Desk, app: str, python: str) -> dict[str, Any]:
    """The attributes with which the application's span comes."""
    (desk.reader.folder / "instrumented.py").write_text(desk.reader.here(app))
    (block,) = INSTRUMENTED.blocks("bash")

    ran = desk.reader.run(block.replace("python instrumented.py", f"{python} instrumented.py"))

    assert ran.code == 0, ran.output
    attributes: dict[str, Any] = desk.span()["attributes"]
    return attributes


def test_spans_of_the_sdk_come_out_as_the_page_shows(desk: Desk) -> None:
    attributes = run_instrumented(desk, SDK, sys.executable)

    (block,) = SEEN.blocks("json")
    shown = json.loads(block)
    assert desk.span()["name"] == shown["name"]
    assert shown["attributes"].items() <= attributes.items()
    assert attributes["genops.cost.total"] == pytest.approx((1000 * 0.15 + 100 * 0.60) / 1e6)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("emitter", "app"), [("openllmetry", OPENLLMETRY), ("openinference", OPENINFERENCE)]
)
def test_spans_of_other_instrumentations(desk: Desk, emitter: str, app: str) -> None:
    """In the environments in which tests/dialects records them, with the versions pinned there."""
    python, *_ = command(EMITTERS[emitter])

    attributes = run_instrumented(desk, app, python)

    assert attributes["genops.cost.status"] == "priced"
    assert attributes["genops.cost.total"] > 0
    assert attributes["genops.model"] == "openai/gpt-4o-mini"


@pytest.mark.heavy
def test_what_is_installed_has_the_commands(tmp_path: Path) -> None:
    """In an environment of its own."""
    (install,) = section(PAGE, "1. Install").blocks("bash")
    venv.create(tmp_path / "venv", with_pip=True)
    path = {"PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    reader = Reader(tmp_path, {".[all]": f"{ROOT}[all]"}, **path)

    installed = reader.run(install, timeout_s=600)
    ran = reader.run("genops-enricher --version && genops --help && genops-pricing list | head -1")

    assert installed.code == 0, installed.output
    assert ran.code == 0, ran.output


def test_every_block_is_run() -> None:
    """By the tests above."""
    assert [len(PLAIN.blocks(kind)) for kind in ("python", "bash")] == [1, 2]
    assert [len(INSTRUMENTED.blocks(kind)) for kind in ("python", "bash")] == [3, 1]
    assert len(WITHOUT_A_KEY.blocks("bash")) == 2
    assert [len(SEEN.blocks(kind)) for kind in ("json", "bash", "text")] == [1, 1, 1]
    assert isinstance(SEEN, Section)
