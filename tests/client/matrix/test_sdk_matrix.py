"""Every supported version of the OpenAI SDK passes the client's tests, each in an environment."""

from __future__ import annotations

import pytest

from client.matrix.sdk_matrix import PAGE, VERSIONS, measure, page

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tests_of_calls_pass_with_this_version(version: str) -> None:
    measured = measure(version)

    assert measured.ok, measured.report
    assert "failed" not in measured.features.values()
    assert measured.features["chat", "sync"] == "passed"


def test_the_page_says_what_was_measured() -> None:
    made = page({version: measure(version) for version in VERSIONS})

    assert PAGE.read_text(encoding="utf-8") == made, (
        "run: PYTHONPATH=tests python -m client.matrix.sdk_matrix"
    )
