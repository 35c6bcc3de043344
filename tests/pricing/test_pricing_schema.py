"""Files that are wrong: every problem at once, each with its line and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_pricing import CatalogError
from genops_pricing.load import load_directory
from pricing_files import model_file, write_directory

ROW = '{effective_from: 2024-01-01, usd_per_mtok: {input: "1", output: "2"}}'


def problems_of(directory: Path) -> list[str]:
    """What is wrong with a directory, without its path."""
    with pytest.raises(CatalogError) as caught:
        load_directory(directory)
    return [problem.replace(f"{directory}/", "") for problem in caught.value.problems]


def problems_in_row(tmp_path: Path, row: str) -> list[str]:
    """What is wrong with a row that starts on line 6 of its file."""
    lines = "\n".join(f"      {line}" for line in row.strip("\n").splitlines())
    text = f"market: openrouter\nauthor: acme\nmodels:\n  - id: acme/one\n    prices:\n{lines}\n"
    return problems_of(write_directory(tmp_path, acme=text))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            "- effective_from: 2024-01-01\n  usd_per_mtok: {input: 2.50}",
            'acme.yaml:7: 2.50 is a float, which is not exact. Quote it: "2.50"',
        ),
        (
            "- effective_from: 2024-01-01\n  usd_per_mtok: {input: 2}",
            'acme.yaml:7: input: 2 is not text. Quote it, so that it stays exact: "2"',
        ),
        (
            '- effective_from: 2024-01-01\n  usd_per_mtok: {input: "5e-06"}',
            'acme.yaml:7: input: "5e-06" is no price. Write plain decimals, not negative: "2.50"',
        ),
        (
            '- effective_from: 2024-01-01\n  usd_per_mtok: {input: "-1"}',
            'acme.yaml:7: input: "-1" is no price. Write plain decimals, not negative: "2.50"',
        ),
        (
            '- effective_from: 2024-01-01\n  usd_per_mtok: {inptu: "1"}',
            'acme.yaml:7: unknown key "inptu" in usd_per_mtok. Did you mean "input"?',
        ),
        (
            '- effective_from: 2024-01-01\n  usd_per_mtok: {input: "1", input: "2"}',
            'acme.yaml:7: key "input" is already set on line 7. Keep one of the two',
        ),
        (
            '- usd_per_mtok: {input: "1"}',
            'acme.yaml:6: price needs the key "effective_from": instant from which the price '
            "holds, UTC. Add it",
        ),
        (
            '- effective_from: 2024-13-01\n  usd_per_mtok: {input: "1"}',
            'acme.yaml:6: effective_from: "2024-13-01" is no instant: month must be in 1..12; ',
        ),
        (
            '- effective_from: "2024-01-01T12:00:00"\n  usd_per_mtok: {input: "1"}',
            'acme.yaml:6: effective_from: "2024-01-01T12:00:00" is no instant; write 2024-05-13 or '
            "2024-05-13T16:00:00Z",
        ),
        (
            "- effective_from: 2024-01-01",
            "acme.yaml:6: the row states no price. Give `usd_per_mtok`, `usd_per_unit` or a "
            "`status`",
        ),
        (
            "- effective_from: 2024-01-01\n  status: dynamic",
            "acme.yaml:6: a dynamic row needs a `reason`. Add one",
        ),
        (
            "- effective_from: 2024-01-01\n"
            "  status: suspect\n"
            "  reason: odd\n"
            '  usd_per_mtok: {input: "1"}',
            "acme.yaml:6: a suspect row can't state prices. Drop the prices or the status",
        ),
        (
            "- effective_from: 2024-01-01\n  status: odd\n  reason: odd",
            'acme.yaml:7: status: "odd" is none of dynamic, suspect',
        ),
        (
            "- effective_from: 2024-02-01\n"
            "  effective_to: 2024-02-01\n"
            "  reason: offer\n"
            '  usd_per_mtok: {input: "1"}',
            "acme.yaml:6: `effective_to` is not after `effective_from`. Swap or correct them",
        ),
        (
            "- effective_from: 2024-02-01\n"
            "  effective_to: 2024-03-01\n"
            '  usd_per_mtok: {input: "1"}',
            "acme.yaml:6: only a promotion or contract states its end, with a `reason`. Add one",
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            "    - when: {}\n"
            '      multiply: "2"',
            "acme.yaml:9: `when` states no condition. Name one, or write the prices into the row",
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            "    - when: {utc: 16:30-00:30h}\n"
            '      multiply: "2"',
            'acme.yaml:9: utc: "16:30-00:30h" is not right. Write UTC times: "16:30-00:30"',
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            '    - when: {utc: "10:00-10:00"}\n'
            '      multiply: "2"',
            'acme.yaml:9: utc: "10:00-10:00" is empty. Write an end other than the start',
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            "    - when: {prompt_over: 1, prompt_from: 2}\n"
            '      multiply: "2"',
            "acme.yaml:9: `prompt_over` and `prompt_from` exclude each other. Keep one",
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            "    - when: {days: [monday]}\n"
            '      multiply: "2"',
            'acme.yaml:9: 0: "monday" is none of mon, tue, wed, thu, fri, sat, sun',
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            "    - when: {region: eu}",
            "acme.yaml:9: an override changes nothing. Give `usd_per_mtok`, `usd_per_unit` or "
            "`multiply`",
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            "    - when: {region: eu}\n"
            "      mode: marginal\n"
            '      usd_per_mtok: {input: "1"}',
            "acme.yaml:9: mode marginal needs `prompt_over` or `prompt_from`. Add it or drop the "
            "mode",
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  overrides:\n"
            "    - when: {prompt_over: 5}\n"
            "      mode: marginal\n"
            '      usd_per_mtok: {output: "1"}',
            "acme.yaml:9: mode marginal can price only tokens of the prompt. Give it input-side "
            "prices",
        ),
        (
            "- effective_from: 2024-02-01\n"
            '  usd_per_mtok: {input: "1"}\n'
            "  provenance: {source: x, seen_at: 2024-02-01, basis: documented}",
            "acme.yaml:8: a documented price needs the `url` of its documentation. Add it",
        ),
        (
            '- effective_from: 2024-02-01\n  corrects: x\n  usd_per_mtok: {input: "1"}',
            "acme.yaml:6: a correction needs a `reason`. Add one",
        ),
        (
            "- effective_from: 2024-02-01\n"
            "  corrects: openrouter/acme/two@x\n"
            "  reason: y\n"
            '  usd_per_mtok: {input: "1"}',
            "acme.yaml:6: corrects no row before it: openrouter/acme/two@x. Put it after that row",
        ),
        (
            f"- {ROW}\n"
            "- effective_from: 2024-02-01\n"
            "  corrects: openrouter/acme/one@2024-01-01\n"
            "  reason: y\n"
            '  usd_per_mtok: {input: "1"}',
            "acme.yaml:7: corrects no row before it: openrouter/acme/one@2024-01-01. "
            "Did you mean openrouter/acme/one@2024-01-01T00:00:00Z?",
        ),
        (
            "- effective_from: 2024-01-01\n"
            "  corrects: openrouter/acme/one@2024-02-01T00:00:00Z\n"
            "  reason: each takes the place of the other\n"
            '  usd_per_mtok: {input: "1"}\n'
            "- effective_from: 2024-02-01\n"
            "  corrects: openrouter/acme/one@2024-01-01T00:00:00Z\n"
            "  reason: and none would be left\n"
            '  usd_per_mtok: {input: "1"}',
            "acme.yaml:6: corrects no row before it: openrouter/acme/one@2024-02-01T00:00:00Z. ",
        ),
        (
            '- effective_from: "0001-01-01T00:00:00+14:00"\n  usd_per_mtok: {input: "1"}',
            'acme.yaml:6: effective_from: "0001-01-01T00:00:00+14:00" is no instant: date value '
            "out of range; ",
        ),
        (
            '- effective_from: 2024-01-01\n  usd_per_mtok: {input: "١.٥"}',
            'acme.yaml:7: input: "١.٥" is no price. Write plain decimals',
        ),
        (
            f"- {ROW}\n- {ROW}",
            "acme.yaml:7: row id openrouter/acme/one@2024-01-01T00:00:00Z is taken. Number later "
            "ones with `revision: 2`, 3 …",
        ),
        (
            f'- {ROW}\n- {{effective_from: 2024-01-01, revision: 2, usd_per_mtok: {{input: "1"}}}}',
            "acme.yaml:7: openrouter/acme/one@2024-01-01T00:00:00Z#2 claims time that "
            "openrouter/acme/one@2024-01-01T00:00:00Z claims too. Change an instant, or say "
            "`corrects:`",
        ),
        (
            f"- {ROW}\n"
            "- {effective_from: 2024-02-01, effective_to: 2024-03-01, reason: a,"
            ' usd_per_mtok: {input: "1"}}\n'
            "- {effective_from: 2024-02-20, effective_to: 2024-04-01, reason: b,"
            ' usd_per_mtok: {input: "1"}}',
            "acme.yaml:8: openrouter/acme/one@2024-02-20T00:00:00Z claims time that",
        ),
        (
            '- {effective_from: 2024-01-01, usd_per_mtok: {input: "1", cache_read: "1"},'
            " unknown: [cache_read]}",
            "acme.yaml:6: cache_read is both priced and unknown. Keep one",
        ),
        (
            "- {effective_from: 2024-01-01, status: suspect, reason: a, unknown: [cache_read]}",
            "acme.yaml:6: a suspect row knows no price at all. Drop `unknown` or the status",
        ),
    ],
)
def test_a_wrong_row_is_reported_with_its_line_and_a_fix(
    tmp_path: Path, row: str, problem: str
) -> None:
    problems = problems_in_row(tmp_path, row)

    assert any(line.startswith(problem) for line in problems), problems


def test_a_row_can_not_mix_the_two_modes(tmp_path: Path) -> None:
    problems = problems_in_row(
        tmp_path,
        """
- effective_from: 2024-02-01
  usd_per_mtok: {input: "1"}
  overrides:
    - {when: {prompt_over: 5}, mode: marginal, usd_per_mtok: {input: "2"}}
    - {when: {prompt_over: 9}, usd_per_mtok: {input: "3"}}
""",
    )

    assert problems == [
        "acme.yaml:6: a row can't mix cliff and marginal prompt sizes. Choose one mode for its "
        "overrides"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "acme.yaml:1: the file is empty. Fill it or remove it"),
        ("- a\n", "acme.yaml:1: expected price file, a mapping with keys market, author, models"),
        ("a: [1\n", "acme.yaml:2: not YAML: "),
        ("market: openrouter\nauthor: a\nmodels: []\n", "acme.yaml:3: models: expected a list of"),
        (
            "market: openrouter\nauthor: on\nmodels: []\n",
            "acme.yaml:2: YAML reads on as bool. Quote",
        ),
        ("market: openrouter\nauthor: 3:00\nmodels: []\n", "acme.yaml:2: YAML reads 3:00 as int."),
        (
            "market:\nauthor: a\nmodels: []\n",
            "acme.yaml:1: the value is missing. Give one or remove",
        ),
        (
            "market: &a openrouter\nauthor: a\nmodels:\n  - &m {id: a/b, prices: []}\n  - *m\n",
            "acme.yaml:4: anchors and aliases are not read. Write the value out",
        ),
        (
            f"market: nowhere\nauthor: a\nmodels: [{{id: a/b, prices: [{ROW}]}}]\n",
            'acme.yaml:1: no market "nowhere". Known: openai, openrouter',
        ),
        (
            f"market: openrouter\nauthor: a\nmodels:\n  - {{id: a/b, prices: [{ROW}]}}\n"
            f"  - {{id: a/b, prices: [{ROW}]}}\n",
            'acme.yaml:5: "a/b" stands twice. Keep one block',
        ),
        (
            f"market: openrouter\nauthor: a\nmodels:\n  - {{id: a/b, prices: [{ROW}]}}\n"
            f"  - {{id: a/c, aliases: [A/B], prices: [{ROW}]}}\n",
            'acme.yaml:5: "A/B" already means a/b. Drop it from one of the two',
        ),
        (
            "market: openrouter\nauthor: a\nmodels:\n  - id: a/b\n",
            'acme.yaml:4: "a/b" has neither prices nor endpoints. Add `prices`',
        ),
        (
            "market: openrouter\n"
            "author: a\n"
            "models:\n"
            f"  - {{id: a/b, tier: best, tier_reason: x, prices: [{ROW}]}}\n",
            'acme.yaml:4: no tier "best". Known: balanced, economy, flagship, premium',
        ),
        (
            "market: openrouter\n"
            "author: a\n"
            "models:\n"
            f"  - {{id: a/b, tier: premium, prices: [{ROW}]}}\n",
            "acme.yaml:4: `tier` and `tier_reason` belong together",
        ),
        (
            "market: openrouter\n"
            "author: a\n"
            "models:\n"
            f"  - {{id: a/b, merged_into: a/c, prices: [{ROW}]}}\n",
            'acme.yaml:4: merged_into: no model "a/c", or it is merged itself. Name one that',
        ),
    ],
)
def test_a_wrong_file_is_reported_with_its_line_and_a_fix(
    tmp_path: Path, text: str, problem: str
) -> None:
    problems = problems_of(write_directory(tmp_path, acme=text))

    assert any(line.startswith(problem) for line in problems), problems


def test_a_model_stands_in_one_file(tmp_path: Path) -> None:
    text = model_file(f"id: acme/one\nprices: [{ROW}]")

    problems = problems_of(write_directory(tmp_path, a=text, b=text))
    assert 'b.yaml:4: "acme/one" stands in another file too. Keep one block' in problems


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    directory = write_directory(
        tmp_path,
        a=(
            "market: openrouter\n"
            "author: a\n"
            "models:\n"
            '  - {id: a/b, prices: [{effective_from: x, usd_per_mtok: {inptu: "1"}}]}\n'
        ),
        b="market: [\n",
    )
    (directory / "catalog.yaml").write_text('schema: 1\nversion: "1"\n')
    (directory / "tiers.yaml").unlink()

    problems = problems_of(directory)
    assert sorted(problem.split(" ")[0] for problem in problems) == [
        "a.yaml:4:",  # no instant
        "a.yaml:4:",  # no such unit
        "b.yaml:2:",  # no YAML
        "catalog.yaml:1:",  # two missing keys
        "catalog.yaml:1:",
        "catalog.yaml:2:",  # no CalVer
        "tiers.yaml:",  # missing
    ]


def test_a_newer_schema_is_refused_with_the_release_that_reads_it(tmp_path: Path) -> None:
    directory = write_directory(tmp_path, acme=model_file(f"id: acme/one\nprices: [{ROW}]"))
    text = (directory / "catalog.yaml").read_text()
    newer = text.replace("schema: 1", "schema: 2").replace('"0.1.0"', '"0.9.0"')
    (directory / "catalog.yaml").write_text(newer + "surprise: 1\n")

    assert problems_of(directory) == [
        "catalog.yaml:1: schema 2 is newer than this release reads (1). "
        "Install genops-ai 0.9.0 or newer"
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("tiers", "0.01", "0.0001", "tiers.yaml:1: tiers go from the cheapest, each with a higher"),
        ("tiers", "flagship}", 'flagship, below: "1"}', "tiers.yaml:1: tiers go from the cheapest"),
        ("markets", "id: openai", "id: openrouter", "markets.yaml:1: market openrouter stands"),
        ("markets", "api.openai.com", "openrouter.ai", "markets.yaml:1: host openrouter.ai stands"),
        ("markets", "[openai]", "[openrouter]", "markets.yaml:1: provider openrouter stands"),
        ("markets", "d: openrouter", "d: other", 'markets.yaml:1: vendor_prefixed: no market "oth'),
    ],
)
def test_markets_and_tiers_that_contradict_themselves_are_refused(
    tmp_path: Path, name: str, old: str, new: str, problem: str
) -> None:
    directory = write_directory(tmp_path, acme=model_file(f"id: acme/one\nprices: [{ROW}]"))
    file = directory / f"{name}.yaml"
    file.write_text(file.read_text().replace(old, new, 1))

    assert any(line.startswith(problem) for line in problems_of(directory))


def test_days_are_days_of_the_calendar(tmp_path: Path) -> None:
    text = model_file(f"id: acme/one\nremoved: 2024-02-30\nprices: [{ROW}]")

    problems = problems_of(write_directory(tmp_path, acme=text))
    assert problems[0].startswith('acme.yaml:5: removed: "2024-02-30" is no instant: day is out of')


def test_bytes_that_are_no_utf_8_are_reported(tmp_path: Path) -> None:
    directory = write_directory(tmp_path, acme=model_file(f"id: acme/one\nprices: [{ROW}]"))
    (directory / "acme.yaml").write_bytes(b"market: \xff\n")

    assert problems_of(directory) == ["acme.yaml: byte 8 is not UTF-8. Save the file as UTF-8"]
