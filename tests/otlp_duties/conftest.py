"""One enricher for all duties, and one whose queue is full."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genops_enricher.pipeline import Signal
from otlp_duties.system import System, message, system


@pytest.fixture(scope="package")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("duties")) as one:
        yield one


@pytest.fixture(scope="package")
def full_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Its queues take no more of any signal: the destination is away."""
    with system(tmp_path_factory.mktemp("full"), queue_size="1MiB") as one:
        for signal in Signal:
            payload = message(signal, "x" * 200_000).SerializeToString()
            answers = [one.over_grpc(signal, payload).code for _ in range(12)]
            assert answers[-1] == "UNAVAILABLE", answers
        yield one
