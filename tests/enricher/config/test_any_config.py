"""Whatever a file holds, the answer is a configuration or a report, never a crash."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_enricher.config.dump import dump_config
from genops_enricher.config.keys import KEYS
from genops_enricher.config.load import load_config
from genops_enricher.errors import ConfigError

_ENV = {"HOME": "/home/someone", "SET": "a: [b"}

_WORDS = [*sorted({part for key in KEYS for part in key.path.split(".")}), "otlp/a", "otlp_http"]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["5s", "1GiB", "gzip", "host:1", "http://h:1", "${SET}", "${NO}", "${", "$$", "[::1]:1"]
    ),
)
_TREES = st.recursive(
    _SCALARS,
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from(_WORDS), below, max_size=4),
    ),
    max_leaves=12,
)


@st.composite
def _configurations(draw: st.DrawFn) -> dict[str, object]:
    """Some keys of the table, at their places, with values that are mostly wrong."""
    tree: dict[str, object] = {"exporters": {"otlp": {"endpoint": "backend:5317"}}}
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=5)):
        *sections, leaf = key.path.replace("<id>", draw(st.sampled_from(_WORDS))).split(".")
        here: object = tree
        for name in sections:
            here = here.setdefault(name, {}) if isinstance(here, dict) else None
        if isinstance(here, dict):
            here[leaf] = draw(_TREES)
    return tree


def _load(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "enricher.yaml"
        file.write_bytes(data)
        try:
            loaded = load_config(file, _ENV)
        except ConfigError as error:
            assert error.problems
            assert all(problem.startswith(str(file)) for problem in error.problems)
        else:
            assert dump_config(loaded.config)


@settings(max_examples=200, deadline=None)
@given(_configurations())
def test_any_values_at_any_keys(tree: dict[str, object]) -> None:
    _load(yaml.safe_dump(tree, sort_keys=False).encode())


@settings(max_examples=100, deadline=None)
@given(_TREES)
def test_any_tree(tree: object) -> None:
    _load(yaml.safe_dump(tree).encode())


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text("{}[]:,-&*!|>'\"%@`#?~\n\t ${a", max_size=60)))
def test_any_bytes(data: bytes | str) -> None:
    _load(data if isinstance(data, bytes) else data.encode())
