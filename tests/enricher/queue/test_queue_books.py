"""Random histories of a queue: nothing accepted is lost, and the books balance at every step."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from genops_enricher.config.model import OnFull, Storage
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue import Ended, Entry, SignalQueue
from genops_enricher.telemetry import Telemetry
from queues import assert_books_balance, bounded, stepping

EXPORTERS = {
    "a": bounded(2_000),
    "b": bounded(700, OnFull.DROP_OLDEST),
    "aged": replace(bounded(5_000), max_age_s=30),
    "memory": replace(bounded(900, OnFull.DROP_OLDEST), storage=Storage.MEMORY),
    "aged memory": replace(bounded(5_000), max_age_s=30, storage=Storage.MEMORY),
}
NAMES = st.sampled_from(sorted(EXPORTERS))


def fails_to_read(*_: object) -> bytes:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.temporary = TemporaryDirectory()
        self.disk_fails = False
        self.clock = stepping()
        self.sent = 0
        self.accepted: dict[bytes, int] = {}  # payload -> when, by the clock
        self.finished: dict[str, set[bytes]] = {name: set() for name in EXPORTERS}
        self.out: dict[str, list[Entry]] = {name: [] for name in EXPORTERS}

    def sync(self, descriptor: int) -> None:
        if self.disk_fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @initialize()
    def start(self) -> None:
        self.telemetry = Telemetry()
        self.open()

    def open(self) -> None:
        folder = Path(self.temporary.name) / "traces"
        self.clock = self.clock.restarted()
        self.queue = SignalQueue(
            folder,
            Signal.TRACES,
            EXPORTERS,
            self.telemetry,
            segment_bytes=300,
            sync=self.sync,
            clock=self.clock,
        )
        self.queue.open()
        self.out = {name: [] for name in EXPORTERS}

    @rule(size=st.integers(0, 300), items=st.integers(0, 9))
    def send(self, size: int, items: int) -> None:
        self.sent += 1
        payload = b"%d|" % self.sent + b"x" * size
        try:
            self.queue.consume(Batch(Signal.TRACES, payload, items))
        except RetryableError:
            return
        self.accepted[payload] = self.clock.wall_ms()

    @rule(name=NAMES)
    def take(self, name: str) -> None:
        entry = self.queue.reader(name).take(0)
        if entry is not None:
            assert entry.payload not in self.finished[name]
            self.out[name].append(entry)

    @rule(name=NAMES, which=st.integers(0, 99), rejected=st.integers(0, 9))
    def deliver(self, name: str, which: int, rejected: int) -> None:
        if self.out[name]:
            entry = self.out[name].pop(which % len(self.out[name]))
            dropped = {"rejected": min(rejected, entry.items)}
            self.queue.reader(name).finish(Ended(entry, dropped))
            self.finished[name].add(entry.payload)

    @rule(name=NAMES, which=st.integers(0, 99), dead=st.integers(0, 9))
    def give_up(self, name: str, which: int, dead: int) -> None:
        if self.out[name]:
            entry = self.out[name].pop(which % len(self.out[name]))
            dead = min(dead, entry.items)
            dropped = {"retries_exhausted": entry.items - dead}
            self.queue.reader(name).finish(Ended(entry, dropped, dead))
            self.finished[name].add(entry.payload)

    @rule(fails=st.booleans())
    def disk(self, fails: bool) -> None:
        self.disk_fails = fails

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.clock.pass_s(seconds)

    @rule(name=NAMES)
    def read_in_vain(self, name: str) -> None:
        """As for want of descriptors: the record stays."""
        cursor = self.queue.reader(name)._cursor
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(cursor), "read", fails_to_read)
            with contextlib.suppress(OSError):
                assert self.queue.reader(name).take(0) is None

    @precondition(lambda self: not self.disk_fails)
    @rule()
    def restart(self) -> None:
        self.queue.close()
        self.start()

    @precondition(lambda self: not self.disk_fails)
    @rule()
    def reload(self) -> None:
        """The process goes on, and so do its books."""
        late = {name: list(out) for name, out in self.out.items()}
        readers = {name: self.queue.reader(name) for name in EXPORTERS}
        self.queue.close()
        self.open()
        for name, out in late.items():  # attempts that outlasted the stop change nothing
            for entry in out:
                readers[name].finish(Ended(entry))

    @invariant()
    def the_books_balance(self) -> None:
        for name in EXPORTERS:
            assert_books_balance(self.telemetry, name)
            reader = self.queue.reader(name)
            assert reader.queued_bytes >= sum(len(entry.payload) for entry in self.out[name])
            if not reader.queued_bytes:
                assert reader.wait_until_empty(0)

    def teardown(self) -> None:
        missing = {name: self.missing(name) for name in ("a", "aged")}
        self.queue.close()
        self.temporary.cleanup()
        assert missing["a"] == set()  # it drops nothing
        now_ms = self.clock.wall_ms()
        assert all(now_ms - self.accepted[payload] > 30_000 for payload in missing["aged"])

    def missing(self, name: str) -> set[bytes]:
        """What was accepted, and is neither finished nor there; nothing is there twice."""
        reader = self.queue.reader(name)
        left = [entry.payload for entry in self.out[name]]
        while (entry := reader.take(0)) is not None:
            left.append(entry.payload)
        there = [*left, *self.finished[name]]
        assert len(set(there)) == len(there)
        return self.accepted.keys() - set(there)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
