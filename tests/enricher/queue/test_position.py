from __future__ import annotations

from pathlib import Path

import pytest

from genops_enricher.errors import StartError
from genops_enricher.queue import Ended
from genops_enricher.queue.position import PositionFile, State, list_positions, read_state
from genops_enricher.queue.segment import Position
from queues import batch, drain, opened

TAIL = Position(7, 0)


def position_file(directory: Path) -> PositionFile:
    return PositionFile(directory, "otlp_grpc/a", tail=TAIL)


def written(directory: Path, *states: State) -> Path:
    file = position_file(directory)
    for state in states:
        file.write(state)
    file.close()
    return list_positions(directory)["otlp_grpc/a"]


def test_the_last_state_written_is_read_back(tmp_path: Path) -> None:
    last = State(Position(3, 4096), (Position(1, 8), Position(2, 1 << 40)))

    path = written(tmp_path, State(Position(1, 8)), State(Position(2, 8)), last)

    assert read_state(path) == last


def test_a_new_exporter_starts_at_the_tail_and_stays_there(tmp_path: Path) -> None:
    written(tmp_path)

    again = PositionFile(tmp_path, "otlp_grpc/a", tail=Position(9, 0))

    assert again.state == State(TAIL)
    again.close()


def test_a_torn_write_leaves_the_state_before_it(tmp_path: Path) -> None:
    before = State(Position(5, 5), (Position(4, 4),))
    after = State(Position(6, 6), (Position(4, 4), Position(5, 9)))
    path = written(tmp_path, State(Position(1, 1)), before)
    old = path.read_bytes()
    written(tmp_path, after)
    new = path.read_bytes()
    assert len(new) >= len(old)

    seen = set()
    for cut in range(len(new) + 1):
        path.write_bytes(new[:cut] + old[cut:])
        seen.add(read_state(path))

    assert seen == {before, after}


@pytest.mark.parametrize("content", [b"", b"\0" * 8192, b"no position file"])
def test_a_damaged_file_starts_at_the_oldest_record(tmp_path: Path, content: bytes) -> None:
    written(tmp_path).write_bytes(content)

    file = position_file(tmp_path)

    assert file.state == State(Position(0, 0))
    file.close()


def test_a_new_file_has_all_the_space_it_will_need(tmp_path: Path) -> None:
    created = written(tmp_path).stat()
    later = written(tmp_path, *(State(Position(n, n), (Position(n, 0),)) for n in range(9))).stat()

    assert (created.st_size, created.st_blocks) == (later.st_size, later.st_blocks)


def test_where_more_unfinished_records_are_than_fit_it_goes_on_at_the_first_that_does_not(
    tmp_path: Path,
) -> None:
    unfinished = tuple(Position(1, n) for n in reversed(range(1000)))

    state = read_state(written(tmp_path, State(Position(2, 0), unfinished)))

    assert state is not None
    assert state.next == Position(1, len(state.unfinished)) > Position(1, 250)
    assert state.unfinished == tuple(Position(1, n) for n in range(len(state.unfinished)))


def test_what_is_done_among_very_many_that_are_out_is_not_taken_again(tmp_path: Path) -> None:
    with opened(tmp_path) as queue:
        reader = queue.reader("otlp_grpc/a")
        for number in range(400):
            queue.consume(batch(str(number)))
        out = [entry for _ in range(400) if (entry := reader.take(10))]
        for entry in out[50:100]:
            reader.finish(Ended(entry))
    with opened(tmp_path) as queue:
        again = drain(queue.reader("otlp_grpc/a"))

    assert sorted(map(int, again)) == [*range(50), *range(100, 400)]


def test_a_later_format_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = written(tmp_path, State(Position(1, 1)))
    data = bytearray(path.read_bytes())
    for slot in (0, 4096):
        data[slot + 5] = 2
    path.write_bytes(data)

    with pytest.raises(StartError, match=r"position format 2.*up to 1.*remove the file"):
        position_file(tmp_path)


def test_file_names_hold_any_exporter_id(tmp_path: Path) -> None:
    for exporter in ("otlp_grpc/a", "otlp_grpc/../../x", "otlp http", "ü"):
        PositionFile(tmp_path, exporter, tail=TAIL).close()

    assert set(list_positions(tmp_path)) == {
        "otlp_grpc/a",
        "otlp_grpc/../../x",
        "otlp http",
        "ü",
    }
    assert {path.parent for path in tmp_path.rglob("*.position")} == {tmp_path}
