"""Reload: by a signal or by changed files, under load from real gRPC senders.

The process goes on with what is new, or with all of what was before; senders are told nothing but
OK and "again"; and nothing that was acknowledged is lost.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests

from destinations import GrpcAnswer, grpc_destination
from enricher_process import EnricherProcess, running, serve_http, write_config
from free_ports import free_port
from life import (
    EXPORT,
    MODEL,
    WAIT_S,
    arrived,
    edit,
    numbers,
    overlay,
    reload,
    reloads,
    send,
    set_header,
    set_workers,
    wait_until,
)
from otlp import chat, request, span
from soak.senders import retry_delay_s


@contextlib.contextmanager
def sending_over_http(address: str) -> Iterator[Counter[int]]:
    """Requests one after the other; gives how many had which status, 0 for no connection."""
    statuses: Counter[int] = Counter()
    stopping = threading.Event()

    def run() -> None:
        payload = request(span(chat(MODEL), number=2))
        headers = {"Content-Type": "application/x-protobuf"}
        while not stopping.wait(0.02):
            try:
                url = f"http://{address}/v1/traces"
                answer = requests.post(url, payload, headers=headers, timeout=WAIT_S)
            except requests.ConnectionError:
                statuses[0] += 1
            else:
                statuses[answer.status_code] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield statuses
    finally:
        stopping.set()
        thread.join()


class Senders:
    """Senders of one span a request that repeat what is to be repeated, and note all answers."""

    def __init__(self, target: str, threads: int = 4) -> None:
        self.acknowledged: set[int] = set()
        self.codes: dict[grpc.StatusCode, int] = {}
        self.details: set[str] = set()
        self.longest_s = 0.0
        self._target = target
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._next = 1000
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200),
        ]
        with grpc.insecure_channel(self._target, options) as channel:
            call = channel.unary_unary(EXPORT, None, None)
            while not self._stopping.is_set():
                with self._lock:
                    number = self._next
                    self._next += 1
                payload = request(
                    span(
                        chat(MODEL, {"gen_ai.response.id": f"gen-1763900000-{number:012}"}),
                        number=number,
                    )
                )
                while (wait_s := self._export(call, payload)) is not None:
                    time.sleep(wait_s)  # until it gets its answer, also at the end
                with self._lock:
                    self.acknowledged.add(number)

    def _export(
        self, call: grpc.UnaryUnaryMultiCallable[bytes, bytes], payload: bytes
    ) -> float | None:
        """None once it is acknowledged, else how long to wait: as long as the answer says."""
        began_s = time.monotonic()
        wait_s: float | None = None
        try:
            call(payload, timeout=WAIT_S)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
            wait_s = retry_delay_s(error) or 0.05
            with self._lock:
                self.details.add(f"{code.name}: {error.details()}")
        took_s = time.monotonic() - began_s
        with self._lock:
            self.codes[code] = self.codes.get(code, 0) + 1
            self.longest_s = max(self.longest_s, took_s)
        return wait_s


def held(enricher: EnricherProcess) -> list[int]:
    """How many files and threads the process has, where that can be seen."""
    process = Path(f"/proc/{enricher.pid}")
    folders = [process / "fd", process / "task"] if process.is_dir() else []
    return [len([*folder.iterdir()]) for folder in folders]


def test_a_new_overlay_price_holds_for_the_next_span_and_the_version_says_so(
    tmp_path: Path,
) -> None:
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}")
        prices = tmp_path / "prices.yaml"
        prices.write_text(overlay("10"))
        edit(config, lambda s: s.update(enrichment={"overlays": ["prices.yaml"]}))
        with running(config) as enricher:
            send(enricher, 1)
            prices.write_text(overlay("20"))
            reload(enricher, "applied")
            send(enricher, 2)
            before, after = arrived(backend, 1), arrived(backend, 2)

            assert before["genops.cost.total"] == 1000 * 10 / 1_000_000
            assert after["genops.cost.total"] == 1000 * 20 / 1_000_000
            assert before["genops.pricing.version"] != after["genops.pricing.version"]
            assert enricher.status()["catalog"]["version"] == after["genops.pricing.version"]
            assert enricher.metric("genops_catalog_info{") == 1


def test_a_wrong_file_leaves_all_as_it_was_and_says_every_problem(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}")
        good = config.read_text()
        with running(config) as enricher:
            edit(
                config,
                lambda s: (
                    s["service"].update(shutdown_timout="1s"),
                    s.update({f"wrong_{number:02}": 1 for number in range(20)}),
                ),
            )
            reload(enricher, "failed")
            log = enricher.log.read_text()
            degraded = enricher.status()["degraded"]

            assert "did you mean `shutdown_timeout`?" in log
            assert all(f"wrong_{number:02}: unknown key" in log for number in range(20))
            assert len(degraded) == 1
            assert "what ran before goes on" in degraded[0]
            assert "send SIGHUP" in degraded[0]
            assert enricher.metric("genops_config_last_reload_successful ") == 0
            send(enricher, 1)
            assert arrived(backend, 1)["genops.cost.status"] == "priced"

            config.write_text(good)
            reload(enricher, "unchanged")
            assert enricher.status()["degraded"] == []
            assert enricher.metric("genops_config_last_reload_successful ") == 1


def test_the_old_parts_run_again_where_the_new_ones_cannot_start(tmp_path: Path) -> None:
    with grpc_destination() as backend, grpc_destination() as other:
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}")
        with running(config) as enricher:
            grpc_settings: dict[str, str] = {"endpoint": f"127.0.0.1:{other.port}"}  # is taken
            edit(config, lambda s: s["receivers"]["otlp"]["protocols"].update(grpc=grpc_settings))
            reload(enricher, "failed")
            send(enricher, 1)

            assert arrived(backend, 1)["genops.cost.status"] == "priced"
            assert f"can't listen on 127.0.0.1:{other.port}" in enricher.status()["degraded"][0]

            edit(config, lambda s: s["service"].update(data_dir=str(tmp_path / "other")))
            reload(enricher, "failed")
            assert "service.data_dir: can't change" in enricher.log.read_text()
            assert not (tmp_path / "other").exists()


def test_another_destination_gets_what_waits_and_the_books_still_balance(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        dead = f"127.0.0.1:{free_port()}"
        config = write_config(tmp_path, dead, shutdown_timeout="1s")
        with running(config) as enricher:
            for number in range(1, 6):
                send(enricher, number)
            alive = f"127.0.0.1:{backend.port}"
            edit(config, lambda s: s["exporters"]["otlp_grpc"].update(endpoint=alive))
            reload(enricher, "applied")
            send(enricher, 6)
            enricher.wait_until_empty()

            assert sorted(numbers(backend)) == [1, 2, 3, 4, 5, 6]
            name = 'genops_exporter_{}{{exporter="otlp_grpc",signal="traces"}}'.format
            assert enricher.metric(name("recovered_items")) == 0
            assert enricher.metric(name("accepted_items_total")) == 6
            assert enricher.metric(name("delivered_items_total")) == 6


def test_what_a_removed_exporter_had_is_counted_as_lost(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{free_port()}", shutdown_timeout="1s")
        with running(config) as enricher:
            send(enricher, 1)

            def move(settings: Any) -> None:
                settings["exporters"] = {
                    "otlp_grpc/new": {"endpoint": f"http://127.0.0.1:{backend.port}"}
                }
                for pipeline in settings["service"]["pipelines"].values():
                    pipeline["exporters"] = ["otlp_grpc/new"]

            edit(config, move)
            reload(enricher, "applied")
            send(enricher, 2)
            enricher.wait_until_empty()

            assert numbers(backend) == [2]
            lost = 'genops_exporter_dropped_items_total{exporter="otlp_grpc",'
            assert enricher.metric(lost + 'reason="exporter_removed",signal="traces"}') == 1
            assert "1 items that it had not delivered are given up" in enricher.log.read_text()


def test_changed_files_are_taken_over_without_a_signal(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: links to a folder, of which one link is switched."""
    with grpc_destination() as backend:
        mount = tmp_path / "mount"
        mount.mkdir()
        config = write_config(mount, f"127.0.0.1:{backend.port}")
        edit(
            config,
            lambda s: (
                s.update(enrichment={"overlays": ["prices.yaml"]}),
                s["service"].update(reload_interval="100ms"),
            ),
        )
        for version, price in (("..one", "10"), ("..two", "20")):
            (mount / version).mkdir()
            shutil.copy(config, mount / version / "enricher.yaml")
            (mount / version / "prices.yaml").write_text(overlay(price))
        edit(
            mount / "..two" / "enricher.yaml", lambda s: s["service"].update(shutdown_timeout="9s")
        )
        (mount / "..data").symlink_to("..one")
        config.unlink()
        for name in ("enricher.yaml", "prices.yaml"):
            (mount / name).symlink_to(f"..data/{name}")
        with running(config) as enricher:
            send(enricher, 1)
            (mount / "..next").symlink_to("..two")
            (mount / "..next").replace(mount / "..data")
            wait_until(lambda: reloads(enricher, "applied") == 1, "the change was not seen")
            send(enricher, 2)

            assert arrived(backend, 1)["genops.cost.total"] == 1000 * 10 / 1_000_000
            assert arrived(backend, 2)["genops.cost.total"] == 1000 * 20 / 1_000_000


def test_a_response_seen_before_a_reload_is_a_duplicate_after_it(tmp_path: Path) -> None:
    call = chat(MODEL, {"gen_ai.response.id": "gen-1763900000-abcdefghijkl"})
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}")
        with running(config) as enricher, grpc.insecure_channel(enricher.grpc) as channel:
            export = channel.unary_unary(EXPORT, None, None)
            export(request(span(call, number=1)), timeout=WAIT_S)
            cost = "genops_cost_total{"
            spent = enricher.metric(cost)
            edit(config, lambda s: s["exporters"]["otlp_grpc"].update(headers={"x-key": "new"}))
            reload(enricher, "applied")
            edit(config, lambda s: s.update(enrichment={"dedupe": {"max_ids": 1000}}))
            reload(enricher, "applied")
            export(request(span(call, number=2)), timeout=WAIT_S, wait_for_ready=True)

            assert arrived(backend, 2)["genops.cost.unpriced_reason"] == "duplicate"
            assert enricher.metric(cost) == spent > 0
            assert backend.received[-1].headers["x-key"] == "new"


def test_reloads_under_load_lose_nothing_and_answer_only_ok_or_again(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{backend.port}")
        prices = tmp_path / "prices.yaml"
        prices.write_text(overlay("10"))
        edit(config, lambda s: s.update(enrichment={"overlays": ["prices.yaml"]}))
        http = serve_http(config)
        with running(config) as enricher:
            senders = Senders(enricher.grpc)
            held_before = held(enricher)
            with senders.sending(), sending_over_http(http) as statuses:
                for turn in range(6):
                    prices.write_text(overlay(str(20 + turn)))
                    reload(enricher, "applied")
                    good = config.read_text()
                    config.write_text(good[: len(good) // 2])
                    reload(enricher, "failed")
                    config.write_text("exporters: {}\n")
                    reload(enricher, "failed")
                    config.write_text(good)
                    edit(config, partial(set_header, value=f"turn-{turn}"))
                    reload(enricher, "applied")
                    edit(config, partial(set_workers, workers=8 + turn))
                    reload(enricher, "applied")
            send(enricher, 1)
            last = arrived(backend, 1)
            enricher.wait_until_empty()
            held_after = held(enricher)

            # CANCELLED means "again" too: a request that comes in the moment in which the receiver
            # is replaced, of which gRPC tells nobody but its sender.
            again = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
            assert set(senders.codes) <= {grpc.StatusCode.OK, *again}, senders.details
            assert statuses[200] > 0
            assert statuses.keys() <= {200, 503, 0}
            assert len(senders.acknowledged) > 100
            assert senders.acknowledged <= set(numbers(backend))
            assert last["genops.cost.total"] == 1000 * 25 / 1_000_000
            assert backend.received[-1].headers["x-key"] == "turn-5"
            assert reloads(enricher) == 30
            assert all(
                after <= before + 10 for before, after in zip(held_before, held_after, strict=True)
            )
            assert "Traceback" not in enricher.log.read_text()


def test_a_catalog_older_than_it_may_be_is_degraded_from_the_next_reload_on(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path, "127.0.0.1:9", shutdown_timeout="100ms")
    with running(config) as enricher:
        assert enricher.status()["degraded"] == []

        edit(config, lambda s: s.update(enrichment={"catalog": {"max_age": "1s"}}))
        reload(enricher, "applied")

        (reason,) = enricher.status()["degraded"]
        assert reason.startswith("catalog: 2026.")
        assert "enrichment.catalog.max_age is 0.0 days" in reason
        assert "Install a later genops-ai and restart" in reason
        assert json.loads(enricher.get("/ready"))["reasons"] == [reason]


def test_pipelines_that_cannot_start_leave_those_of_before_with_all_they_had(
    tmp_path: Path,
) -> None:
    port = free_port()
    config = write_config(tmp_path, f"127.0.0.1:{port}")
    edit(config, lambda s: s["service"]["pipelines"].pop("logs"))
    with running(config) as enricher:
        (enricher.data / "logs").write_text("in the way of the queue folder")
        send(enricher, 1)

        def grow(settings: Any) -> None:
            pipelines = settings["service"]["pipelines"]
            pipelines["logs"] = {"exporters": ["otlp_grpc"]}
            settings["enrichment"] = {"metrics": {"labels": ["genops.model"]}}

        edit(config, grow)
        reload(enricher, "failed")
        send(enricher, 2)
        with grpc_destination(port=port) as alive:
            enricher.wait_until_empty()

            assert sorted(numbers(alive)) == [1, 2]
        assert "can't use the queue folder" in enricher.status()["degraded"][0]
        name = 'genops_exporter_{}{{exporter="otlp_grpc",signal="traces"}}'.format
        assert enricher.metric(name("accepted_items_total")) == 2
        assert enricher.metric(name("delivered_items_total")) == 2
        assert enricher.metric(name("recovered_items")) == 0
        (sum_,) = [n for n in enricher.get("/metrics").splitlines() if n.startswith("genops_cost_")]
        assert "genops_model_family" in sum_
        assert float(sum_.rpartition(" ")[2]) == 2 * 0.0035


def refuses_until(gate: threading.Event) -> Any:
    def answer(_number: int, _request: object) -> GrpcAnswer:
        return GrpcAnswer() if gate.is_set() else GrpcAnswer(grpc.StatusCode.UNAVAILABLE)

    return answer


def test_what_waits_in_memory_outlives_a_reload(tmp_path: Path) -> None:
    gate = threading.Event()
    with grpc_destination(refuses_until(gate)) as destination:
        more = {"sending_queue": {"storage": "memory"}}
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}", more=more)
        with running(config) as enricher:
            for number in range(1, 6):
                send(enricher, number)
            edit(config, partial(set_header, value="one"))
            reload(enricher, "applied")
            edit(config, partial(set_header, value="two"))
            reload(enricher, "applied")
            assert enricher.metric("genops_exporter_queued_items{") == 5
            gate.set()
            enricher.wait_until_empty()
            assert enricher.metric("genops_exporter_delivered_items_total{") == 5
            assert enricher.metric("genops_exporter_recovered_items{") == 0
            assert enricher.metric("genops_exporter_dropped_items_total{") == 0
        assert {1, 2, 3, 4, 5} <= set(numbers(destination))


def set_storage(settings: Any, storage: str) -> None:
    settings["exporters"]["otlp_grpc"]["sending_queue"] = {"storage": storage}
    if storage == "none":
        settings["exporters"]["otlp_grpc"].pop("retry_on_failure", None)


def test_what_waits_in_memory_is_lost_and_counted_where_a_reload_takes_the_memory_away(
    tmp_path: Path,
) -> None:
    gate = threading.Event()
    with grpc_destination(refuses_until(gate)) as destination:
        more = {"sending_queue": {"storage": "memory"}}
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}", more=more)
        with running(config) as enricher:
            shutdown = 'genops_exporter_dropped_items_total{exporter="otlp_grpc",reason="shutdown"'
            send(enricher, 1)
            edit(config, partial(set_storage, storage="durable"))
            reload(enricher, "applied")
            assert enricher.metric(shutdown) == 1
            assert enricher.metric("genops_exporter_queued_items{") == 0
            send(enricher, 2)
            gate.set()
            enricher.wait_until_empty()
            gate.clear()

            edit(config, partial(set_storage, storage="memory"))
            reload(enricher, "applied")
            send(enricher, 3)
            edit(config, partial(set_storage, storage="none"))
            reload(enricher, "applied")
            assert enricher.metric(shutdown) == 2
            assert enricher.metric("genops_exporter_queued_items{") == 0
            gate.set()
            send(enricher, 4)
            assert enricher.metric("genops_exporter_accepted_items_total{") == 4
            assert enricher.metric("genops_exporter_delivered_items_total{") == 2
        assert {2, 4} <= set(numbers(destination))


@pytest.mark.parametrize("storage", ["memory", "none"])
def test_what_a_durable_queue_holds_is_no_damage_where_a_reload_takes_the_queue_away(
    tmp_path: Path, storage: str
) -> None:
    """It is counted as given up, and stays on disk until there is such a queue again."""
    gate = threading.Event()
    with grpc_destination(refuses_until(gate)) as destination:
        config = write_config(tmp_path, f"127.0.0.1:{destination.port}")
        with running(config) as enricher:
            name = 'genops_exporter_{}{{exporter="otlp_grpc",{}signal="traces"}}'.format
            send(enricher, 1)
            edit(config, partial(set_storage, storage=storage))
            reload(enricher, "applied")
            removed = name("dropped_items_total", 'reason="exporter_removed",')
            assert enricher.metric(removed) == 1
            assert enricher.metric("genops_exporter_dropped_items_total{") == 1
            assert enricher.metric(name("queued_items", "")) == 0

            edit(config, partial(set_storage, storage="durable"))
            reload(enricher, "applied")
            assert enricher.metric(name("queued_items", "")) == 1
            assert enricher.metric(name("recovered_items", "")) == 1
            gate.set()
            enricher.wait_until_empty()
            assert enricher.metric(name("delivered_items_total", "")) == 1
        assert set(numbers(destination)) == {1}
