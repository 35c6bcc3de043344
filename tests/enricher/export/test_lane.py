from __future__ import annotations

from genops_enricher.export.lane import Lane

MIB = 1 << 20


def test_the_first_that_is_due_comes_first() -> None:
    lane: Lane[str] = Lane(8)
    for name, due_s in (("late", 30), ("early", 10), ("as early", 10)):
        assert lane.add(name, 1, due_s)

    assert lane.until_due_s(4) == 6
    assert lane.take(9.9) is None
    assert [lane.take(40) for _ in range(4)] == ["early", "as early", "late", None]


def test_it_is_bounded_in_number_and_in_bytes() -> None:
    many: Lane[int] = Lane(2)
    assert [many.add(n, 1, 0) for n in range(65)] == [True] * 64 + [False]
    large: Lane[int] = Lane(2)
    assert [large.add(n, 15 * MIB, 0) for n in range(3)] == [True, True, False]
    assert large.take(0) is not None
    assert large.add(3, 15 * MIB, 0)


def test_at_most_half_of_the_consumers_are_busy_with_it() -> None:
    lane: Lane[int] = Lane(5)
    for n in range(4):
        lane.add(n, 1, 0)

    assert [lane.take(1) for _ in range(3)] == [0, 1, None]
    assert lane.until_due_s(1) is None
    lane.done()
    assert lane.until_due_s(1) == 0
    assert lane.take(1) == 2


def test_a_single_consumer_may_work_on_it() -> None:
    lane: Lane[int] = Lane(1)
    lane.add(1, 1, 0)

    assert lane.take(1) == 1


def test_what_may_go_makes_room_for_others() -> None:
    lane: Lane[int] = Lane(2)
    for n in range(64):
        lane.add(n, MIB // 2, n)

    assert lane.evict(lambda n: n > 64) is None
    assert lane.evict(lambda n: n == 7) == 7
    assert lane.add(64, MIB // 2, 0)
    assert lane.take(0) in (0, 64)
