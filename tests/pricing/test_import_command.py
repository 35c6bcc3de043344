"""`genops-pricing import`: from a source's file to rows in the price files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from genops_pricing.cli import main
from genops_pricing.load import load_directory
from genops_pricing.model import Model
from pricing_files import model_file, ns, offer_at, write_directory

ONE = """\
# a comment that stays
id: acme/one
aliases: [acme/one-20240101]
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1", output: "2"}
    provenance:
      source: OpenRouter models API
      url: https://openrouter.ai/api/v1/models
      seen_at: 2026-01-01
      basis: snapshot
"""
TWO = 'id: acme/two\nprices: [{effective_from: 2024-02-01, usd_per_mtok: {input: "1"}}]'
LISTED_TWO = ONE.replace("one", "two").replace('output: "2"', 'output: "0"')

Output = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_directory(tmp_path / "data", acme=model_file(ONE, TWO))


def listed(path: Path, **prices: tuple[str, str]) -> Path:
    """A file of OpenRouter's models, with (input, output) per million tokens."""
    raws = [
        {
            "id": f"acme/{name}",
            "created": 1793491200,
            "pricing": {"prompt": f"{pair[0]}e-6", "completion": f"{pair[1]}e-6"},
        }
        for name, pair in prices.items()
    ]
    path.write_text(json.dumps({"data": raws}))
    return path


def run(
    capsys: Output, data: Path, *arguments: str, day: str = "2026-11-20"
) -> tuple[int, list[dict[str, Any]], str]:
    line = ["import", *arguments, "--data", str(data), "--seen-at", day, "--json"]
    code = main(line)
    out, err = capsys.readouterr()
    return code, [json.loads(record) for record in out.splitlines()], err


def test_a_merged_id_is_no_new_model(tmp_path: Path, capsys: Output) -> None:
    merged = "id: acme/one-2\nmerged_into: acme/one\n" + ONE.partition("\n")[2].partition("\n")[2]
    merged = merged.replace("aliases: [acme/one-20240101]\n", "")
    data = write_directory(tmp_path / "data", acme=model_file(ONE, merged))
    source = tmp_path / "models.json"
    listed(source, **{"one-2": ("1", "2")})

    code, found, _ = run(capsys, data, "openrouter", str(source))

    assert (code, found) == (0, [])


def test_a_review_tells_new_and_changed_prices_and_changes_nothing(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    before = (data / "acme.yaml").read_bytes()
    source = listed(tmp_path / "m.json", one=("1.5", "2"), three=("4", "8"))

    code, records, _ = run(capsys, data, "openrouter", str(source))
    assert code == 0
    assert [(one["finding"], one["owner"]) for one in records] == [
        ("new_row", "openrouter/acme/one"),
        ("new_model", "openrouter/acme/three"),
    ]
    assert records[0]["old"] == {"input": "1", "output": "2"}
    assert records[0]["new"] == {"input": "1.5", "output": "2"}
    assert (data / "acme.yaml").read_bytes() == before

    arguments = ["import", "openrouter", str(source), "--data", str(data)]
    assert main([*arguments, "--seen-at", "2026-11-20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "~ openrouter/acme/one @ 2026-11-20: input 1 -> 1.5 (x1.5)"
    assert lines[-1].startswith("1 new model, 0 new endpoints, 1 new row, 0 flagged, 0 refused, 0")


def test_writing_appends_rows_and_keeps_what_is_there(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    before = (data / "acme.yaml").read_text()
    source = listed(tmp_path / "m.json", one=("1.5", "2"), two=("1", "0"), three=("4", "8"))

    code, _, err = run(capsys, data, "openrouter", str(source), "--write")
    assert code == 0
    assert f"wrote {data / 'catalog.yaml'}" in err
    after = (data / "acme.yaml").read_text()
    kept = iter(after.splitlines())
    assert all(line in kept for line in before.splitlines())

    catalog = load_directory(data)
    old = offer_at(catalog, "acme/one", ns("2026-11-19"))
    new = offer_at(catalog, "acme/one", ns("2026-11-20"))
    assert old.entry == "openrouter/acme/one@2024-01-01T00:00:00Z"
    assert new.entry == "openrouter/acme/one@2026-11-20T00:00:00Z"
    assert offer_at(catalog, "acme/three", ns("2026-11-20")).family is not None

    code, records, _ = run(capsys, data, "openrouter", str(source))
    assert (code, records) == (0, [])


def test_models_that_a_complete_list_lacks_are_removed_from_that_day(
    tmp_path: Path, capsys: Output
) -> None:
    data = write_directory(tmp_path / "data", acme=model_file(ONE, LISTED_TWO))
    source = listed(tmp_path / "m.json", one=("1", "2"))

    code, records, _ = run(capsys, data, "openrouter", str(source))
    assert (code, records) == (0, [])
    code, (gone,), _ = run(capsys, data, "openrouter", str(source), "--complete", "--write")
    assert (code, gone["finding"], gone["owner"]) == (0, "removed", "openrouter/acme/two")
    assert gone["effective_from"] == "2026-11-20"

    catalog = load_directory(data)
    assert offer_at(catalog, "acme/two", ns("2026-11-22")).removed == "2026-11-20"
    assert run(capsys, data, "openrouter", str(source), "--complete")[:2] == (0, [])

    back = listed(tmp_path / "m.json", one=("1", "2"), two=("1", "0"))
    code, (again,), _ = run(capsys, data, "openrouter", str(back), "--complete")
    assert (code, again["finding"]) == (3, "refused")
    assert "listed again" in again["reason"]


def test_a_complete_list_removes_no_model_that_was_never_on_it(
    tmp_path: Path, capsys: Output
) -> None:
    data = write_directory(tmp_path / "data", acme=model_file(ONE, TWO))
    source = listed(tmp_path / "m.json", one=("1", "2"))

    assert run(capsys, data, "openrouter", str(source), "--complete")[:2] == (0, [])


def test_a_complete_list_removes_no_model_whose_kind_of_output_it_does_not_list(
    tmp_path: Path, capsys: Output
) -> None:
    film = LISTED_TWO.replace("two", "film").replace("prices:", "modality: text->video\nprices:")
    data = write_directory(tmp_path / "data", acme=model_file(ONE, film))
    source = listed(tmp_path / "m.json", one=("1", "2"))

    assert run(capsys, data, "openrouter", str(source), "--complete")[:2] == (0, [])


def test_a_model_that_is_listed_but_can_not_be_read_is_not_removed(
    tmp_path: Path, capsys: Output
) -> None:
    data = write_directory(tmp_path / "data", acme=model_file(ONE, LISTED_TWO))
    source = listed(tmp_path / "m.json", one=("1", "2"), two=("x", "0"))

    code, records, _ = run(capsys, data, "openrouter", str(source), "--complete")

    assert (code, [one["finding"] for one in records]) == (3, ["refused"])


def test_a_list_that_lacks_most_models_is_not_complete(tmp_path: Path, capsys: Output) -> None:
    data = write_directory(tmp_path / "data", acme=model_file(ONE, LISTED_TWO))
    source = listed(tmp_path / "m.json", other=("1", "2"))

    code, records, err = run(capsys, data, "openrouter", str(source), "--complete")
    assert (code, records) == (1, [])
    assert "lacks 2 of 2 models" in err
    code, _, err = run(capsys, data, "litellm", str(source), "--complete")
    assert code == 1
    assert "Leave out --complete" in err


def test_an_announced_end_removes_no_model_that_is_listed(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = listed(tmp_path / "m.json", three=("1", "2"))
    content = json.loads(source.read_text())
    content["data"][0]["expiration_date"] = "2026-11-01"
    source.write_text(json.dumps(content))

    run(capsys, data, "openrouter", str(source), "--write")

    assert offer_at(load_directory(data), "acme/three", ns("2026-11-22")).removed is None


def test_a_price_that_becomes_dynamic_is_flagged(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = tmp_path / "m.json"
    pricing = {"prompt": "-1", "completion": "-1"}
    source.write_text(json.dumps({"data": [{"id": "acme/one", "pricing": pricing}]}))

    code, (flagged,), _ = run(capsys, data, "openrouter", str(source))

    assert (code, flagged["finding"], flagged["new"]) == (3, "flagged", {})
    assert flagged["old"] == {"input": "1", "output": "2"}


def test_a_free_variant_leaves_the_canonical_slug_to_its_base(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = tmp_path / "m.json"
    for name, price in (("acme/new:free", "0"), ("acme/new", "0.000001")):
        pricing = {"prompt": price, "completion": price}
        raw = {"id": name, "canonical_slug": "acme/new-20261101", "pricing": pricing}
        source.write_text(json.dumps({"data": [raw]}))
        assert run(capsys, data, "openrouter", str(source), "--write")[0] == 0

    catalog = load_directory(data)
    paid, free = (catalog.model(f"acme/new-20261101{end}") for end in ("", ":free"))
    assert isinstance(paid, Model)
    assert isinstance(free, Model)
    assert (paid.id, free.id) == ("acme/new", "acme/new:free")


def test_a_paid_model_is_not_taken_for_the_free_one_that_has_its_name(
    tmp_path: Path, capsys: Output
) -> None:
    block = TWO.replace("acme/two", '"acme/new:free"').replace(
        "prices:", "aliases: [acme/new]\nprices:"
    )
    data = write_directory(tmp_path / "data", acme=model_file(block))

    code, (refused,), _ = run(
        capsys, data, "openrouter", str(listed(tmp_path / "m.json", new=("1", "2")))
    )

    assert (code, refused["owner"]) == (3, "openrouter/acme/new")
    assert "alias of acme/new:free" in refused["reason"]


def test_a_steep_change_is_flagged_unless_a_second_source_says_so(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = listed(tmp_path / "m.json", one=("6", "12"), two=("1", "0"))
    backing = tmp_path / "g.json"
    prices = {"input_mtok": 6, "output_mtok": 12}
    backing.write_text(
        json.dumps([{"id": "openrouter", "models": [{"id": "acme/one", "prices": prices}]}])
    )

    code, (flagged,), _ = run(capsys, data, "openrouter", str(source))
    assert (code, flagged["finding"], flagged["new"]) == (3, "flagged", {})
    assert "more than 5 times" in flagged["reason"]
    code, (row,), _ = run(
        capsys, data, "openrouter", str(source), "--backed-by", f"genai-prices={backing}"
    )
    assert (code, row["finding"], row["new"]["input"]) == (0, "new_row", "6")


def test_a_catalog_alone_changes_no_price(tmp_path: Path, capsys: Output) -> None:
    block = 'id: gpt-9\nprices: [{effective_from: 2024-02-01, usd_per_mtok: {input: "1"}}]'
    data = write_directory(
        tmp_path / "data", openai=model_file(block, market="openai", author="openai")
    )
    litellm = tmp_path / "l.json"
    raw = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06}
    litellm.write_text(json.dumps({"gpt-9": raw}))
    dev = tmp_path / "d.json"
    dev.write_text(json.dumps({"openai": {"models": {"gpt-9": {"cost": {"input": 2}}}}}))

    code, (refused,), _ = run(capsys, data, "litellm", str(litellm))
    assert (code, refused["finding"]) == (3, "refused")
    assert refused["reason"] == "only LiteLLM states input 2: add a second source"
    code, (row,), _ = run(capsys, data, "litellm", str(litellm), "--backed-by", f"models.dev={dev}")
    assert (code, row["finding"], row["new"]) == (0, "new_row", {"input": "2"})


def test_zero_does_not_lift_a_doubt(tmp_path: Path, capsys: Output) -> None:
    block = 'id: acme/image\nprices: [{effective_from: 2024-02-01, status: suspect, reason: "?"}]'
    data = write_directory(tmp_path / "data", acme=model_file(block))

    source = listed(tmp_path / "m.json", image=("0", "0"))
    assert run(capsys, data, "openrouter", str(source))[:2] == (0, [])


def test_an_endpoint_gets_a_row_where_its_price_is_not_the_models(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = tmp_path / "e.json"
    endpoints = [
        {
            "provider_name": name,
            "quantization": "fp8",
            "pricing": {"prompt": p, "completion": "2e-6"},
        }
        for name, p in (("Cheap Co", "5e-7"), ("Same", "1e-6"))
    ]
    source.write_text(json.dumps({"data": {"id": "acme/one-20240101", "endpoints": endpoints}}))

    code, (new,), _ = run(capsys, data, "openrouter", str(source), "--write")
    assert (code, new["finding"]) == (0, "new_endpoint")
    assert new["owner"] == "openrouter/acme/one/cheap-co"
    offer = offer_at(load_directory(data), "acme/one", ns("2026-11-21"), endpoint="Cheap Co")
    assert offer.entry == "openrouter/acme/one/cheap-co@2026-11-20T00:00:00Z"


def test_what_can_not_be_read_fails_with_its_place(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"data": [{"id": "a"}]}')
    for place in (str(path), str(tmp_path / "none"), "http://prices.example/x", "ftp://localhost/"):
        code, records, err = run(capsys, data, "openrouter", place)
        assert (code, records) == (1, [])
        assert place in err


@contextmanager
def serving(body: bytes, status: int = 200, **headers: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/v1/models"
        finally:
            server.shutdown()
            thread.join()


def test_a_url_is_read_and_a_redirect_into_the_clear_is_not_followed(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = listed(tmp_path / "m.json", one=("1", "2"), two=("1", "0"))
    with serving(source.read_bytes()) as url:
        assert run(capsys, data, "openrouter", url)[0] == 0
    with serving(b"", 302, Location="http://prices.example/") as url:
        code, _, err = run(capsys, data, "openrouter", url)
    assert code == 1
    assert "https only" in err


@pytest.mark.parametrize("backing", ["genai-prices", "someone=x.json"])
def test_a_second_source_has_a_name_and_a_place(backing: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["import", "openrouter", "x.json", "--backed-by", backing])
    assert stop.value.code == 2
    assert "write SOURCE=FILE" in capsys.readouterr().err


def test_what_the_files_could_not_hold_is_refused_and_the_rest_written(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = listed(tmp_path / "m.json", one=("1.5", "2"), two=("1", "0"), dear=("4000", "8000"))

    code, records, _ = run(capsys, data, "openrouter", str(source), "--write")

    assert code == 3
    assert [(one["finding"], one["owner"]) for one in records] == [
        ("new_row", "openrouter/acme/one"),
        ("refused", "openrouter/acme/dear"),
    ]
    assert "looks like cents" in records[1]["reason"]
    assert offer_at(load_directory(data), "acme/one", ns("2026-11-20")).effective_from[:4] == "2026"


def test_endpoints_of_a_model_that_is_not_there_are_refused(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    pricing = {"prompt": "0.000001", "completion": "0.000002"}
    endpoint = {"provider_name": "Up", "pricing": pricing}
    source = tmp_path / "e.json"
    source.write_text(json.dumps({"data": {"id": "acme/new", "endpoints": [endpoint]}}))

    code, records, _ = run(capsys, data, "openrouter", str(source))

    assert (code, [one["finding"] for one in records]) == (3, ["refused"])
    assert records[0]["owner"] == "openrouter/acme/new/up"
    assert "price of the model" in records[0]["reason"]


def test_new_conditions_on_the_same_price_are_a_row(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    pricing = {
        "prompt": "0.000001",
        "completion": "0.000002",
        "overrides": [{"min_prompt_tokens": 200000, "prompt": "0.000002"}],
    }
    source = tmp_path / "m.json"
    source.write_text(json.dumps({"data": [{"id": "acme/one", "pricing": pricing}]}))

    code, records, _ = run(capsys, data, "openrouter", str(source), "--write")
    assert (code, [one["finding"] for one in records]) == (0, ["new_row"])
    assert records[0]["overrides"] == [
        {"when": {"prompt_over": 200000}, "usd_per_mtok": {"input": "2"}}
    ]

    code, records, _ = run(capsys, data, "openrouter", str(source))
    assert records == []

    del pricing["overrides"]
    source.write_text(json.dumps({"data": [{"id": "acme/one", "pricing": pricing}]}))
    arguments = ["import", "openrouter", str(source), "--data", str(data)]
    assert main([*arguments, "--seen-at", "2026-11-21"]) == 0
    assert "conditional prices 1 -> 0" in capsys.readouterr().out
    code, records, _ = run(capsys, data, "openrouter", str(source), "--write", day="2026-11-21")
    assert (code, [one["finding"] for one in records]) == (0, ["new_row"])
    assert offer_at(load_directory(data), "acme/one", ns("2026-11-22")).entry.endswith(
        "11-21T00:00:00Z"
    )


def test_conditions_that_price_alike_are_no_row(tmp_path: Path, capsys: Output) -> None:
    block = ONE + (
        "    overrides:\n"
        "      - when: {prompt_over: 200000}\n"
        '        usd_per_mtok: {input: "2", input_audio: "2"}\n'
    )
    directory = write_directory(tmp_path / "data", acme=model_file(block))
    pricing = {
        "prompt": "0.000001",
        "completion": "0.000002",
        "overrides": [{"min_prompt_tokens": 200000, "prompt": "0.000002"}],
    }
    source = tmp_path / "m.json"
    source.write_text(json.dumps({"data": [{"id": "acme/one", "pricing": pricing}]}))

    code, records, _ = run(capsys, directory, "openrouter", str(source))

    assert (code, records) == (0, [])


def test_a_condition_that_prices_far_from_the_row_is_refused(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    pricing = {
        "prompt": "0.000001",
        "completion": "0.000002",
        "overrides": [{"min_prompt_tokens": 200000, "prompt": "0.00002"}],
    }
    source = tmp_path / "m.json"
    source.write_text(json.dumps({"data": [{"id": "acme/one", "pricing": pricing}]}))

    code, records, _ = run(capsys, data, "openrouter", str(source))

    assert (code, records[0]["finding"]) == (3, "refused")
    assert "input, 20, is far from 1" in records[0]["reason"]


def test_a_file_without_a_readable_price_says_why(
    tmp_path: Path, data: Path, capsys: Output
) -> None:
    source = tmp_path / "m.json"
    source.write_text('{"data": [{"id": "acme/one", "pricing": {"prompt": "x"}}]}')

    code, _, err = run(capsys, data, "openrouter", str(source))

    assert code == 1
    assert "openrouter/acme/one" in err
