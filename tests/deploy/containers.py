"""Processes in images that were built without an engine, and networks for them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.dockerfile import Stage
from deploy.namespaces import enter

__all__ = ["Container", "bridge", "network"]

TIMEOUT_S = 60.0


@contextmanager
def network() -> Iterator[str]:
    """A network of its own, with nothing but loopback: the ports of an image are all free there."""
    with _held("ip link set lo up") as holder:
        yield f"/proc/{holder}/ns/net"


@contextmanager
def bridge(names: Sequence[str]) -> Iterator[dict[str, tuple[str, str]]]:
    """A network of hosts with no way out: name -> (its name space, its address)."""
    with ExitStack() as stack:
        switch = stack.enter_context(
            _held("ip link set lo up && ip link add br0 type bridge && ip link set br0 up")
        )
        hosts = {}
        for number, name in enumerate(names, start=1):
            holder = stack.enter_context(_held("ip link set lo up"))
            address = f"10.99.0.{number}"
            _ip(switch, f"link add v{number} type veth peer name eth0 netns {holder}")
            _ip(switch, f"link set v{number} master br0 up")
            _ip(holder, f"addr add {address}/24 dev eth0")
            _ip(holder, "link set eth0 up")
            hosts[name] = (f"/proc/{holder}/ns/net", address)
        yield hosts


@contextmanager
def _held(prepare: str) -> Iterator[int]:
    """A network name space, prepared and kept by a process that does nothing else: its id."""
    holder = subprocess.Popen(
        ["unshare", "--net", "/bin/sh", "-c", f"{prepare} && echo up && exec sleep 3600"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "up\n"
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout
        holder.stdout.close()


def _ip(holder: int, what: str) -> None:
    command = ["nsenter", f"--net=/proc/{holder}/ns/net", "ip", *what.split()]
    subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)


class Container:
    """A process in an image, as `docker run --read-only` starts it."""

    def __init__(
        self,
        layers: Sequence[Path],
        stage: Stage,
        where: str,
        log: Path,
        *,
        command: Sequence[str] = (),
        env: Mapping[str, str] = {},
        volumes: Mapping[str, Path] = {},
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.stage = stage
        self.log = log
        self._net = ["nsenter", f"--net={where}"]
        own = log.with_suffix(".layer")  # as an engine gives each container a layer of its own
        own.mkdir()
        for place, text in (files or {}).items():
            (own / place.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (own / place.lstrip("/")).write_text(text, encoding="utf-8")
        inside = [*stage.entrypoint, *(command or stage.command)]
        line, variables = enter(
            [*layers, own],
            inside,
            user=stage.user,
            folder=stage.workdir,
            env={**stage.env, **env},
            volumes=volumes,
        )
        with log.open("ab") as out:
            self._engine = subprocess.Popen(
                [*self._net, *line], env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def pid(self) -> int:
        """The process in the container, by its number outside. Inside it is number 1."""
        children = Path(f"/proc/{self._engine.pid}/task/{self._engine.pid}/children")
        deadline_s = time.monotonic() + TIMEOUT_S
        while not (found := children.read_text().split()):
            assert time.monotonic() < deadline_s, self.log.read_text()
            time.sleep(0.02)
        return int(found[0])

    def exec(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run another command in the container, as its user: what a health check does."""
        user, _, group = self.stage.user.partition(":")
        line = ["nsenter", f"--target={self.pid()}", "--mount", "--pid", "--net", "--root", "--wd"]
        return subprocess.run(
            [*line, f"--setuid={user}", f"--setgid={group}", *command],
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def wait(self) -> int:
        """The exit code, once the process has ended by itself."""
        return self._engine.wait(TIMEOUT_S)

    def stop(self) -> int:
        """Send the stop signal of the image; the exit code."""
        os.kill(self.pid(), signal.Signals[self.stage.stop_signal])
        return self.wait()

    def kill(self) -> None:
        """End it, however it is."""
        if self._engine.poll() is None:
            # unshare's --kill-child does not reach a process that has changed its user.
            os.kill(self.pid(), signal.SIGKILL)
        self._engine.wait()

    def _env(self) -> dict[str, str]:
        variables = Path(f"/proc/{self.pid()}/environ").read_text().split("\0")
        return dict(pair.split("=", 1) for pair in variables if pair)
