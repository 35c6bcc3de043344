"""A value made of files follows them, and never worsens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genops_enricher.errors import StartError
from genops_enricher.host.followed import Followed
from genops_enricher.telemetry import Telemetry


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 10.0  # each use is later than the pause between two looks
        return self.now_s


def number_in(file: Path) -> int:
    return int(file.read_text())  # a ValueError for what is no number


def follow(
    file: Path, telemetry: Telemetry | None = None, interval_s: float | None = None
) -> Followed[int]:
    return Followed(
        "a.key", [file], lambda: number_in(file), telemetry, interval_s=interval_s, clock=Clock()
    )


def counts(telemetry: Telemetry) -> tuple[float, float]:
    name = "genops_file_reloads_total"
    changed = telemetry.value(name, key="a.key", outcome="applied")
    return changed, telemetry.value(name, key="a.key", outcome="failed")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "number"
    path.write_text("1")
    return path


def replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_it_is_made_again_when_the_file_changes(file: Path) -> None:
    telemetry = Telemetry()
    followed = follow(file, telemetry)
    assert followed.get() == 1
    replace(file, "2")

    assert (followed.get(), followed.get()) == (2, 2)
    assert counts(telemetry) == (1, 0)


def test_what_can_not_be_used_or_is_gone_keeps_the_old_and_counts_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = Telemetry()
    followed = follow(file, telemetry)
    replace(file, "x")
    assert [followed.get() for _ in range(3)] == [1, 1, 1]
    assert counts(telemetry) == (0, 1)
    file.unlink()
    assert [followed.get() for _ in range(3)] == [1, 1, 1]
    assert counts(telemetry) == (0, 2)
    assert len(caplog.records) == 2
    replace(file, "3")

    assert followed.get() == 3
    assert counts(telemetry) == (1, 2)


def test_a_change_that_does_not_show_is_found_after_the_interval(file: Path) -> None:
    look = file.stat()
    for interval_s, expected in ((None, 1), (5.0, 2)):
        file.write_text("1")
        followed = follow(file, interval_s=interval_s)

        file.write_text("2")
        os.utime(file, ns=(look.st_atime_ns, look.st_mtime_ns))
        followed._looks = followed._look()

        assert followed.get() == expected


def test_what_can_not_be_used_at_the_start_is_an_error_that_names_the_key(file: Path) -> None:
    file.write_text("x")
    with pytest.raises(StartError, match=r"^a\.key: invalid literal"):
        follow(file)
    file.unlink()
    with pytest.raises(StartError, match=rf"^a\.key: can't read {file}: No such file"):
        follow(file)


def test_a_file_that_changes_while_it_is_read_is_read_again(file: Path) -> None:
    replaced: list[bool] = []

    def make() -> int:
        found = number_in(file)
        if found == 2 and not replaced:
            replaced.append(True)
            replace(file, "3")
        return found

    followed = Followed("a.key", [file], make, clock=Clock())
    replace(file, "2")

    assert [followed.get(), followed.get()] == [1, 3]
