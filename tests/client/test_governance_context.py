from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator

import pytest

from genops import set_governance_context
from genops.core.context import current_governance


def in_a_new_context(function: object) -> None:
    assert callable(function)
    contextvars.Context().run(function)


def test_keywords_hold_inside_the_block_only() -> None:
    with set_governance_context(team="a", project="b"):
        assert current_governance() == {"genops.team": "a", "genops.project": "b"}

    assert current_governance() == {}


def test_a_mapping_may_be_given_and_keywords_win() -> None:
    with set_governance_context({"team": "a", "cost center": "7"}, team="b"):
        assert current_governance() == {"genops.team": "b", "genops.cost center": "7"}


def test_inner_blocks_add_and_override_and_are_undone() -> None:
    with set_governance_context(team="a", project="p"):
        with set_governance_context(team="b"):
            assert current_governance() == {"genops.team": "b", "genops.project": "p"}

        assert current_governance() == {"genops.team": "a", "genops.project": "p"}


def test_the_block_is_undone_when_it_raises() -> None:
    with pytest.raises(KeyError), set_governance_context(team="a"):
        raise KeyError

    assert current_governance() == {}


def test_without_a_block_it_holds_from_the_call_on() -> None:
    def use() -> None:
        set_governance_context({"team": "a"})
        assert current_governance() == {"genops.team": "a"}

    in_a_new_context(use)

    assert current_governance() == {}


def test_a_scope_can_be_entered_again() -> None:
    scope = set_governance_context(team="a")
    with scope:
        pass
    with scope:
        assert current_governance() == {"genops.team": "a"}

    assert current_governance() == {}


def test_concurrent_tasks_keep_their_own_attributes() -> None:
    async def work(team: str, others: asyncio.Barrier) -> object:
        with set_governance_context(team=team):
            await others.wait()
            return current_governance()["genops.team"]

    async def main() -> list[object]:
        barrier = asyncio.Barrier(2)
        return list(await asyncio.gather(work("a", barrier), work("b", barrier)))

    assert asyncio.run(main()) == ["a", "b"]


def test_a_thread_sees_the_attributes_of_a_copied_context() -> None:
    seen: list[object] = []

    def look() -> None:
        seen.append(current_governance().get("genops.team"))

    with set_governance_context(team="a"):
        copied = contextvars.copy_context()
        for thread in (
            threading.Thread(target=copied.run, args=(look,)),
            threading.Thread(target=look),
        ):
            thread.start()
            thread.join()

    assert seen == ["a", None]


def test_a_block_left_in_an_unrelated_context_changes_nothing_there() -> None:
    scope = contextvars.Context().run(set_governance_context, team="theirs")

    def leave() -> None:
        with set_governance_context(team="mine"):
            scope.__exit__(None, None, None)
            assert current_governance() == {"genops.team": "mine"}

    in_a_new_context(leave)


def test_a_block_left_in_a_copied_context_is_undone_there() -> None:
    def use() -> None:
        scope = set_governance_context(team="a")
        copied = contextvars.copy_context()
        copied.run(scope.__exit__, None, None, None)
        assert copied.run(current_governance) == {}

    in_a_new_context(use)


def test_a_block_left_in_another_context_restores_what_was_before() -> None:
    async def attributed() -> AsyncIterator[None]:
        with set_governance_context(team="a"):
            yield

    async def main() -> None:
        generator = attributed()
        await asyncio.create_task(anext(generator))  # type: ignore[arg-type]
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        assert current_governance() == {}

    asyncio.run(main())
