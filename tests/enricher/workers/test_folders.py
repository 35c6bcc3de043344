"""Whose folder is whose, and which ones nobody has any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_enricher.config.model import QueueConfig
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue import SignalQueue
from genops_enricher.telemetry import Telemetry
from genops_enricher.workers.folders import folder_of, left_behind


def fill(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    queue = SignalQueue(folder / "logs", Signal.LOGS, {"otlp": QueueConfig()}, Telemetry())
    queue.open()
    queue.consume(Batch(Signal.LOGS, b"x", 1))
    queue.close()


def test_the_first_worker_has_the_folder_of_a_process_alone(tmp_path: Path) -> None:
    assert folder_of(tmp_path, 1) == tmp_path
    assert folder_of(tmp_path, 3) == tmp_path / "worker-3"


@pytest.mark.parametrize(("workers", "left"), [(1, [2, 12]), (2, [12]), (12, [])])
def test_folders_in_which_requests_wait_and_of_which_the_worker_is_no_more(
    tmp_path: Path, workers: int, left: list[int]
) -> None:
    fill(tmp_path)
    for number in (2, 12):
        fill(tmp_path / f"worker-{number}")
    (tmp_path / "worker-3" / "logs").mkdir(parents=True)  # empty
    (tmp_path / "worker-0").mkdir()
    fill(tmp_path / "worker-x")
    (tmp_path / "worker-5").write_text("a file")

    assert left_behind(tmp_path, workers) == left


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert left_behind(tmp_path / "new", 1) == []
