"""A mapping that forgets by age and by number, and not before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from genops_enricher.seen.recent import Recent


def test_an_entry_is_kept_for_a_window_and_gone_after_two() -> None:
    recent: Recent[str, int] = Recent(10.0, 100)
    recent.forget(0.0)
    recent.put("at the end of a generation", 1)
    recent.forget(10.0)
    recent.put("at its beginning", 2)

    recent.forget(19.9)
    assert recent.get("at the end of a generation") == 1
    recent.forget(20.0)
    assert recent.get("at the end of a generation") is None
    assert recent.get("at its beginning") == 2


def test_after_a_long_pause_nothing_is_left() -> None:
    recent: Recent[str, int] = Recent(10.0, 100)
    recent.forget(0.0)
    recent.put("a", 1)
    recent.forget(1000.0)

    assert recent.get("a") is None
    assert len(recent) == 0


def test_what_is_put_again_is_kept_again() -> None:
    recent: Recent[str, int] = Recent(10.0, 100)
    recent.forget(0.0)
    recent.put("a", 1)
    recent.forget(10.0)
    recent.put("a", 2)
    recent.forget(20.0)

    assert recent.get("a") == 2


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 40), st.lists(st.integers(0, 60), max_size=200))
def test_it_never_holds_more_than_its_bound_and_always_the_latest_half(
    bound: int, keys: list[int]
) -> None:
    recent: Recent[int, int] = Recent(10.0, bound)
    for number, key in enumerate(keys):
        recent.put(key, number)

        assert len(recent) <= bound
    latest = {key: number for number, key in enumerate(keys)}
    by_age = sorted(latest, key=lambda key: -latest[key])
    for key in by_age[: bound // 2]:
        assert recent.get(key) == latest[key]
