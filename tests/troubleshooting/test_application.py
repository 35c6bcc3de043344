"""What goes wrong on the side of the application."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

from client.scripted_server import ScriptedServer, serve
from enricher_process import EnricherProcess, running
from free_ports import free_port
from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from pages import KEY, ROOT, Reader, Section
from troubleshooting.conftest import GRPC, HTTP, check, configured, reader_of

OPENROUTER = "https://openrouter.ai/api/v1"


@pytest.fixture(scope="module")
def router() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as router:
        yield router


@pytest.fixture(scope="module")
def enricher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnricherProcess]:
    with running(configured(tmp_path_factory.mktemp("enricher"))) as enricher:
        yield enricher
        enricher.kill()


def test_401_from_openrouter(symptom: Section, tmp_path: Path, router: FakeOpenRouter) -> None:
    environment = {"OPENROUTER_API_KEY": "wrong", "GENOPS_OPENROUTER_BASE_URL": router.base_url}
    reader = Reader(tmp_path, {OPENROUTER: router.base_url}, **environment)

    ran = reader.run_all(symptom)
    call = reader.run(f"python {ROOT}/docs/examples/openrouter/zero_code.py")

    check(symptom, ran.output + call.output)
    assert ran.output.endswith("401\n")
    assert (ran.code, call.code) == (0, 1)


def test_the_limit_of_the_key_is_used_up(symptom: Section, tmp_path: Path) -> None:
    server = ScriptedServer()
    server.answer({"data": {"limit": 10, "limit_remaining": 0, "usage": 10}})
    serving = serve(server)
    try:
        ran = Reader(tmp_path, GENOPS_OPENROUTER_BASE_URL=server.url).run_all(symptom)
    finally:
        serving.shutdown()
        serving.server_close()

    check(symptom, ran.output)
    assert ran.code == 1


def test_there_is_no_key(symptom: Section, tmp_path: Path) -> None:
    ran = Reader(tmp_path, OPENROUTER_API_KEY="").run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == 1


def test_no_module_named_genops(symptom: Section, tmp_path: Path) -> None:
    """With a Python that has nothing installed, and with ours, which has."""
    (tmp_path / "python").symlink_to(Path(sys.executable).resolve())
    bare = Reader(tmp_path, {"python -c": "./python -I -S -c"}).run_all(symptom)
    installed = Reader(tmp_path).run_all(symptom)

    check(symptom, bare.output)
    assert bare.code == 1
    assert installed.code == 0


def beside(folder: Path, **versions: str) -> Reader:
    """A reader in whose environment these distributions are found before all others."""
    for name, version in versions.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return Reader(folder, PYTHONPATH=str(folder))


def test_the_openai_sdk_is_missing_or_too_old(symptom: Section, tmp_path: Path) -> None:
    ran = beside(tmp_path, openai="0.28.1").run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == 1
    assert any(line.startswith("openai>=") for line in requires("genops-ai") or ())


def test_another_package_is_named_genops(symptom: Section, tmp_path: Path) -> None:
    ran = beside(tmp_path, genops="1.2.3").run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == 1


def test_calls_work_and_nothing_is_recorded(symptom: Section, tmp_path: Path) -> None:
    ran = Reader(tmp_path).run_all(symptom)
    (block,) = symptom.blocks("python")
    fixed = block.replace("print(genops.status())", "genops.init()\nprint(genops.status())")
    cured = Reader(tmp_path, OTEL_TRACES_EXPORTER="console").run(fixed, "python")

    check(symptom, ran.output)
    assert "OpenRouter is known: True" in ran.output
    assert "initialized=True" in cured.output
    assert "'openai'" in cured.output


def test_the_application_has_a_tracer_provider_of_its_own(symptom: Section, tmp_path: Path) -> None:
    ran = Reader(tmp_path).run_all(symptom)
    (block,) = symptom.blocks("python")
    (cure,) = [part for part in symptom.text.split("`") if part.startswith("genops.init(otlp_")]
    fixed = block.replace('genops.init(service_name="my-app")', cure)
    cured = Reader(tmp_path).run(fixed, "python")

    check(symptom, ran.output)
    assert "127.0.0.1:4317" in cured.output


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_nothing_listens_at_the_otlp_endpoint(
    symptom: Section, tmp_path: Path, router: FakeOpenRouter, protocol: str
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    reader = Reader(
        tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=nobody,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        GENOPS_OPENROUTER_BASE_URL=router.base_url,
    )
    ran = reader.run_all(symptom)
    app = (ROOT / "docs/examples/openrouter/zero_code.py").read_text()
    logged = reader.run(f"import logging\nlogging.basicConfig()\n{app}", "python")

    check(symptom, ran.output + logged.output)
    assert logged.code == 0
    assert nobody.removeprefix("http://") in ran.output


@pytest.mark.parametrize(("port", "protocol"), [(GRPC, "http/protobuf"), (HTTP, "grpc")])
def test_the_protocol_does_not_fit_the_port(
    symptom: Section,
    tmp_path: Path,
    router: FakeOpenRouter,
    enricher: EnricherProcess,
    port: str,
    protocol: str,
) -> None:
    config = enricher.log.parent / "enricher.yaml"
    fit = {GRPC: "grpc", HTTP: "http/protobuf"}
    shown, cured = (
        reader_of(
            config,
            GENOPS_OPENROUTER_BASE_URL=router.base_url,
            OTEL_EXPORTER_OTLP_ENDPOINT=reader_of(config).here(f"http://{port}"),
            OTEL_EXPORTER_OTLP_PROTOCOL=spoken,
        ).run_all(symptom)
        for spoken in (protocol, fit[port])
    )

    check(symptom, shown.output)
    assert shown.code == 1
    assert "an empty request was accepted" in cured.output
    assert cured.code == 0


def test_export_is_switched_off(symptom: Section, tmp_path: Path) -> None:
    for variable in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        ran = Reader(tmp_path, **variable).run_all(symptom)
        check(symptom, ran.output)


def test_the_last_spans_of_a_short_program_are_missing(
    symptom: Section, tmp_path: Path, router: FakeOpenRouter, enricher: EnricherProcess
) -> None:
    reader = Reader(
        tmp_path,
        GENOPS_OPENROUTER_BASE_URL=router.base_url,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{enricher.grpc}",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
    )
    call = (ROOT / "docs/examples/openrouter/zero_code.py").read_text()
    received = 'genops_received_items_total{signal="traces"}'
    before = enricher.metric(received)
    assert reader.run(f"{call}\nimport os\nos._exit(0)", "python").code == 0
    lost = enricher.metric(received) - before
    (cure,) = [part for part in symptom.text.split("`") if part == "genops.shutdown()"]
    assert reader.run(f"{call}\n{cure}\nimport os\nos._exit(0)", "python").code == 0

    assert lost == 0
    assert enricher.metric(received) - before == 1


def test_spans_arrive_without_cost(symptom: Section, tmp_path: Path) -> None:
    proxy = "http://127.0.0.1:1"  # so that nothing outside is asked

    check(symptom, Reader(tmp_path, https_proxy=proxy).run_all(symptom).output)


def test_see_what_the_client_does(symptom: Section, tmp_path: Path, router: FakeOpenRouter) -> None:
    reader = Reader(tmp_path, OPENAI_BASE_URL=router.base_url, OPENAI_API_KEY=KEY)

    ran = reader.run_all(symptom)

    assert ran.code == 0, ran.output
    check(symptom, ran.output)
    assert '"name": "chat openai/gpt-4o-mini"' in ran.output
    assert KEY not in ran.output


def test_a_call_costs_more_than_expected(symptom: Section, tmp_path: Path) -> None:
    ran = Reader(tmp_path).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == 0
    for model, input_price, output_price in (
        ("opus", 15, 75),
        ("haiku", 0.25, 1.25),
    ):  # per million
        cost = (1000 * input_price + 500 * output_price) / 1e6
        assert f"anthropic/claude-3-{model}: {cost:g} USD" in ran.output


def test_a_call_is_refused_by_its_budget(
    symptom: Section, tmp_path: Path, router: FakeOpenRouter
) -> None:
    example = (ROOT / "docs/examples/openrouter/budget.py").read_text(encoding="utf-8")
    path = tmp_path / "docs/examples/openrouter/budget.py"
    path.parent.mkdir(parents=True)
    path.write_text(example.replace("budget_limit=0.01", "budget_limit=0.00001"))
    asked = len(router.asked)

    ran = Reader(
        tmp_path,
        GENOPS_OPENROUTER_BASE_URL=router.base_url,
        OTEL_TRACES_EXPORTER="none",
    ).run_all(symptom)

    check(symptom, ran.output)
    assert len(router.asked) == asked


def test_the_price_of_a_model_is_asked_and_not_known(symptom: Section, tmp_path: Path) -> None:
    ran = Reader(tmp_path).run_all(symptom)

    check(symptom, ran.output)
    assert "anthropic/claude-3-opus" in ran.output
