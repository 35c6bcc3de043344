"""Everything that changes while the enricher runs, at a time and in random order.

Tokens and certificates are rotated while reloads replace receivers and pipelines; redaction, the
age limit and the memory limit come and go; one destination waits on disk and one in memory, and
both misbehave. Senders hear nothing but yes and "again", what they were promised arrives, and the
books balance to the last span, also across a stop with a backlog.
"""

from __future__ import annotations

import random
import shutil
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import grpc
import pytest

from destinations import (
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    http_destination,
)
from enricher_process import EnricherProcess, running, serve_http, write_config
from genops_enricher.queue.dead_letters import letter_paths, read_letter
from life import EXPORT, WAIT_S, edit, reloads, wait_until
from otlp import chat, request, span, spans_of
from soak.senders import retry_delay_s

CERTIFICATES = Path(__file__).parents[1] / "certificates"
SECRET = "what the user said"
POISON = "nobody takes this"


class Moods:
    """How two destinations answer now. What is poisonous is refused for ever."""

    def __init__(self) -> None:
        self.grpc = grpc.StatusCode.OK
        self.http = 200
        self.taken_over_grpc: set[int] = set()

    def over_grpc(self, _number: int, received: Received) -> GrpcAnswer:
        if self.grpc is grpc.StatusCode.OK and POISON.encode() in received.payload:
            return GrpcAnswer(grpc.StatusCode.INVALID_ARGUMENT, details="poison")
        if self.grpc is grpc.StatusCode.OK:
            spans = spans_of(received.payload)
            self.taken_over_grpc |= {int.from_bytes(each.span_id, "big") for each in spans}
        return GrpcAnswer(self.grpc)

    def over_http(self, _number: int, received: Received) -> HttpAnswer:
        if self.http == 200 and POISON.encode() in received.payload:
            return HttpAnswer(400)
        return HttpAnswer(self.http, headers={"Content-Type": "application/x-protobuf"})


class Senders:
    """Senders over gRPC and HTTP, with TLS and a token, that repeat what is to be repeated."""

    def __init__(
        self, enricher: EnricherProcess, http: str, *, token: str = "token-0", first: int = 1
    ) -> None:
        self.token = token
        self.next = first
        self.acknowledged: set[int] = set()
        self.answers: Counter[str] = Counter()
        self._tokens_out: dict[int, str] = {}  # by thread
        self._authority = CERTIFICATES / "ca.pem"
        self._targets = (enricher.grpc, http)
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @contextmanager
    def sending(self) -> Iterator[None]:
        works = (self._over_grpc, self._over_grpc, self._over_http)
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def payload(self) -> tuple[list[int], bytes]:
        """A few spans: calls, others, now and then a poisonous one and one that is broken."""
        with self._lock:
            first = self.next
            self.next += 4
        call = chat(more={"gen_ai.response.id": f"gen-{first}", "gen_ai.prompt": SECRET})
        last = {"note": POISON} if first % 60 == 1 else {"note": "well"}
        spans = [
            span(call, number=first),
            span({"http.request.method": "GET"}, number=first + 1),
            span(chat("acme/nobody-knows"), number=first + 2),
            span(last, number=first + 3),
        ]
        return list(range(first, first + 4)), request(*spans)

    def _send(self, attempt: Callable[[bytes, str], float | None]) -> None:
        while not self._stopping.is_set():
            mine, payload = self.payload()
            while (wait_s := attempt(payload, self._take_token())) is not None:
                time.sleep(min(wait_s, 1.0))
            with self._lock:
                self.acknowledged.update(mine)
        with self._lock:
            self._tokens_out.pop(threading.get_ident(), None)

    def _take_token(self) -> str:
        with self._lock:
            self._tokens_out[threading.get_ident()] = self.token
            return self.token

    def change_token(self, token: str) -> None:
        """Use this one, and wait until all that was sent with another is answered."""
        with self._lock:
            self.token = token
        wait_until(self._has_one_token, "what was sent with the old token is not answered")

    def _has_one_token(self) -> bool:
        with self._lock:
            return set(self._tokens_out.values()) <= {self.token}

    def _over_grpc(self) -> None:
        credentials = grpc.ssl_channel_credentials(self._authority.read_bytes())
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
        target = f"localhost:{self._targets[0].rpartition(':')[2]}"
        with grpc.secure_channel(target, credentials, options) as channel:
            call = channel.unary_unary(EXPORT, None, None)

            def attempt(payload: bytes, token: str) -> float | None:
                try:
                    headers = (("authorization", f"Bearer {token}"),)
                    call(payload, timeout=WAIT_S, metadata=headers)
                except grpc.RpcError as error:
                    self._note(f"{error.code().name}: {error.details()}")
                    return retry_delay_s(error) or 0.05
                self._note("OK")
                return None

            self._send(attempt)

    def _over_http(self) -> None:
        port = int(self._targets[1].rpartition(":")[2])
        trusting = ssl.create_default_context(cafile=self._authority)

        def attempt(payload: bytes, token: str) -> float | None:
            headers = {
                "Content-Type": "application/x-protobuf", "Authorization": f"Bearer {token}"
            }  # fmt: skip
            connection = HTTPSConnection("localhost", port, timeout=WAIT_S, context=trusting)
            try:
                connection.request("POST", "/v1/traces", payload, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, HTTPException) as error:  # while the receiver is replaced
                self._note(f"no connection: {type(error).__name__}")
                return 0.05
            finally:
                connection.close()
            if answer.status == 200:
                self._note("OK")
                return None
            self._note(f"{answer.status}: {content!r}")
            return float(answer.headers.get("Retry-After", 0.05))

        self._send(attempt)

    def _note(self, answer: str) -> None:
        with self._lock:
            self.answers[answer] += 1


def secured(folder: Path, destinations: tuple[int, int]) -> tuple[Path, str]:
    """A configuration with all of it; the file, and where HTTP is served."""
    over_grpc, over_http = destinations
    config = write_config(
        folder, f"127.0.0.1:{over_grpc}", more={"dead_letter": {"max_size": "1MiB"}}
    )
    http = serve_http(config)
    (folder / "tokens").write_text("token-0\n")
    for kind in ("pem", "key"):
        shutil.copyfile(CERTIFICATES / f"server.{kind}", folder / f"server.{kind}")

    def secure(settings: Any) -> None:
        for protocol in settings["receivers"]["otlp"]["protocols"].values():
            protocol["tls"] = {"cert_file": "server.pem", "key_file": "server.key"}
            protocol["auth"] = {"bearer_tokens_file": "tokens"}
        settings["exporters"]["otlp_http"] = {
            "endpoint": f"http://127.0.0.1:{over_http}",
            "retry_on_failure": {"initial_interval": "50ms", "max_interval": "200ms"},
            "sending_queue": {"storage": "memory"},
        }
        for pipeline in settings["service"]["pipelines"].values():
            pipeline["exporters"] = ["otlp_grpc", "otlp_http"]

    edit(config, secure)
    return config, http


class Operator:
    """What a person does to the enricher, one thing a turn."""

    def __init__(
        self, config: Path, enricher: EnricherProcess, senders: Senders, moods: Moods
    ) -> None:
        self._config = config
        self._enricher = enricher
        self._senders = senders
        self._token = 0
        self._turn = 0
        self._moods = moods

    def do_everything(self, dice: random.Random) -> None:
        deeds = [
            self._rotate_token, self._rotate_certificate, self._break_certificate, self._redact,
            self._age, self._replace_pipelines, self._replace_receivers, self._limit_memory,
            self._write_nonsense,
        ]  # fmt: skip
        for deed in dice.sample(deeds, len(deeds)):
            self._turn += 1
            self._moods.grpc = dice.choice(
                (grpc.StatusCode.OK, grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE,
                 grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAUTHENTICATED)
            )  # fmt: skip
            self._moods.http = dice.choice((200, 200, 503, 500, 401, 0))
            deed()
            time.sleep(dice.uniform(0.1, 0.7))

    def put_right(self) -> None:
        self._moods.grpc, self._moods.http = grpc.StatusCode.OK, 200
        self._copy_pair("server", "server")
        self._reload(lambda s: s["service"].pop("memory_limit_mib", None))
        self._reload(lambda s: s.pop("enrichment", None))

    def _reload(self, change: Callable[[Any], object]) -> None:
        edit(self._config, change)
        self._hang_up()

    def _hang_up(self) -> None:
        before = reloads(self._enricher)
        self._enricher.hang_up()
        wait_until(lambda: reloads(self._enricher) > before, "no reload was counted")

    def _rotate_token(self) -> None:
        """As docs/security.md has it: add, give to senders, take away; reloads in between."""
        old, self._token = f"token-{self._token}", self._token + 1
        new = f"token-{self._token}"
        tokens = self._config.parent / "tokens"
        tokens.write_text(f"{old}\n{new}\n")
        self._replace_receivers()
        self._senders.change_token(new)
        tokens.write_text(f"# only\n{new}\n")
        self._hang_up()

    def _copy_pair(self, certificate: str, key: str) -> None:
        for source, target in ((f"{certificate}.pem", "server.pem"), (f"{key}.key", "server.key")):
            new = self._config.parent / f"{target}.new"
            shutil.copyfile(CERTIFICATES / source, new)
            new.replace(self._config.parent / target)

    def _rotate_certificate(self) -> None:
        self._copy_pair("server", "server")
        self._replace_receivers()

    def _break_certificate(self) -> None:
        """Half of a rotation, and a reload of the receivers in the middle of it."""
        self._copy_pair("server", "other")
        self._replace_receivers()
        self._copy_pair("server", "server")
        self._hang_up()

    def _redact(self) -> None:
        def toggle(settings: Any) -> None:
            if not settings.pop("enrichment", None):
                settings["enrichment"] = {"redaction": {"drop": ["gen_ai.prompt"]}}

        self._reload(toggle)

    def _age(self) -> None:
        def toggle(settings: Any) -> None:
            queue = settings["exporters"]["otlp_http"]["sending_queue"]
            if not queue.pop("max_age", None):
                queue["max_age"] = "500ms"

        self._reload(toggle)

    def _replace_pipelines(self) -> None:
        header = {"x-turn": str(self._turn)}
        self._reload(lambda s: s["exporters"]["otlp_grpc"].update(headers=header))

    def _replace_receivers(self) -> None:
        def change(settings: Any) -> None:
            for protocol in settings["receivers"]["otlp"]["protocols"].values():
                protocol["max_workers"] = 8 + self._turn

        self._reload(change)

    def _limit_memory(self) -> None:
        self._reload(lambda s: s["service"].update(memory_limit_mib=16))
        self._reload(lambda s: s["service"].pop("memory_limit_mib"))

    def _write_nonsense(self) -> None:
        good = self._config.read_text()
        self._config.write_text(good[: len(good) // 2])
        self._hang_up()
        self._config.write_text(good)


def books(enricher: EnricherProcess) -> dict[str, Any]:
    """What must be equal, side by side."""

    def spans_of_exporter(what: str, exporter: str, more: str = "") -> int:
        name = f'genops_exporter_{what}{{exporter="{exporter}",{more}signal="traces"}}'
        return int(enricher.metric(name))

    def dropped(exporter: str) -> int:
        lines = enricher.get("/metrics").splitlines()
        start = f'genops_exporter_dropped_items_total{{exporter="{exporter}"'
        mine = [line for line in lines if line.startswith(start) and 'signal="traces"' in line]
        return int(sum(float(line.rpartition(" ")[2]) for line in mine))

    received = int(enricher.metric('genops_received_items_total{signal="traces"}'))
    removed = int(enricher.metric('genops_redaction_removed_items_total{signal="traces"}'))
    sides: dict[str, Any] = {
        "spans": (received, int(enricher.metric("genops_spans_total{"))),
    }
    for exporter in ("otlp_grpc", "otlp_http"):
        accepted = spans_of_exporter("accepted_items_total", exporter)
        sides[f"{exporter} accepted"] = (received - removed, accepted)
        sides[exporter] = (
            spans_of_exporter("recovered_items", exporter) + accepted,
            spans_of_exporter("delivered_items_total", exporter)
            + spans_of_exporter("queued_items", exporter)
            + spans_of_exporter("dead_lettered_items_total", exporter)
            + dropped(exporter),
        )
    return sides


def unequal(sides: dict[str, Any]) -> dict[str, Any]:
    return {name: pair for name, pair in sides.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("seed", [1])
def test_whatever_changes_while_it_runs_nothing_is_lost_and_the_books_balance(
    tmp_path: Path, seed: int
) -> None:
    moods = Moods()
    with (
        grpc_destination(moods.over_grpc) as durable,
        http_destination(moods.over_http) as in_memory,
    ):
        config, http = secured(tmp_path, (durable.port, in_memory.port))
        with running(config) as enricher:
            senders = Senders(enricher, http)
            operator = Operator(config, enricher, senders, moods)
            with senders.sending():
                operator.do_everything(random.Random(seed))
                operator.put_right()
            enricher.wait_until_empty(timeout_s=WAIT_S)
            sides = books(enricher)
            moods.grpc, moods.http = grpc.StatusCode.UNAVAILABLE, 503
            later = Senders(enricher, http, token=senders.token, first=senders.next)
            with later.sending():
                wait_until(lambda: len(later.acknowledged) > 100, "nothing is accepted")
            before_stop = books(enricher)
            enricher.stop()
        with running(config) as enricher:
            recovered = int(enricher.metric('genops_exporter_recovered_items{exporter="otlp_grpc"'))
            moods.grpc, moods.http = grpc.StatusCode.OK, 200
            enricher.wait_until_empty(timeout_s=WAIT_S)
            after_start = books(enricher)
        log = enricher.log.read_text()

        assert unequal(sides) == {}, sides
        assert unequal(before_stop) == {}, before_stop
        assert unequal({name: after_start[name] for name in ("otlp_grpc", "otlp_http")}) == {}
        assert recovered == len(later.acknowledged)
        acknowledged = senders.acknowledged | later.acknowledged
        poisonous = {number for number in acknowledged if number % 60 == 4}
        assert acknowledged - poisonous <= moods.taken_over_grpc
        # Twice, if a reload came while more requests were out than a position has room for.
        dead = [read_letter(path) for path in letter_paths(enricher.data)]
        odd = [each for each in dead if POISON.encode() not in each.payload or each.items > 1]
        assert [(each.exporter, each.items, each.reason) for each in odd] == []
        assert len([letter for letter in dead if letter.exporter == "otlp_grpc"]) >= len(poisonous)
        wrong = [
            answer
            for answer in senders.answers + later.answers
            if not answer.startswith(("OK", "UNAVAILABLE", "CANCELLED", "503", "no connection"))
        ]
        assert wrong == [], senders.answers
        assert len(senders.acknowledged) > 100
        assert "Traceback" not in log
        assert "token-" not in log
        assert all(len(spans_of(payload)) for payload in durable.payloads)
