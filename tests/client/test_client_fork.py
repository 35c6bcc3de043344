"""Forked processes export: what a prefork server (gunicorn) and multiprocessing do."""

from __future__ import annotations

import pytest

from client.otlp_receiver import PROTOCOLS, Receiver, receiving
from client.processes import python
from client.scripted_server import ScriptedServer
from otlp import plain_attributes

APP = """
import os, sys, warnings, genops
from opentelemetry import metrics, trace

def work(name):
    with trace.get_tracer("app").start_as_current_span(name):
        metrics.get_meter("app").create_counter(name).add(1)

# Python 3.12 and later warn of a fork beside threads, which is what is tested here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
genops.init("app", otlp_endpoint=sys.argv[1])
"""

OS_FORK = """
child = os.fork()
work("child" if child == 0 else "parent")
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

USED_BEFORE = """
work("before")
trace.get_tracer_provider().force_flush()
metrics.get_meter_provider().force_flush()
"""


def names(receiver: Receiver) -> tuple[list[str], set[str]]:
    return sorted(span.name for span in receiver.spans()), {name for _, name, _ in receiver.sums()}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_forked_child_and_its_parent_export(protocol: str) -> None:
    with receiving(protocol) as receiver:
        result = python(APP + OS_FORK, receiver.endpoint)

        assert (result.returncode, result.stderr) == (0, "")
        assert names(receiver) == (["child", "parent"], {"child", "parent"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_child_exports_if_its_parent_did_before(protocol: str) -> None:
    with receiving(protocol) as receiver:
        result = python(APP + USED_BEFORE + OS_FORK, receiver.endpoint)

        assert result.returncode == 0
        assert names(receiver) == (["before", "child", "parent"], {"before", "child", "parent"})


def test_a_child_exports_if_the_application_loaded_grpc_first() -> None:
    with receiving("grpc") as receiver:
        result = python("import grpc\n" + APP + OS_FORK, receiver.endpoint)

        assert (result.returncode, result.stderr) == (0, "")
        assert names(receiver)[0] == ["child", "parent"]


def test_a_child_that_would_hang_in_grpc_exports_nothing_and_says_why() -> None:
    code = "import grpc\n" + APP + USED_BEFORE + OS_FORK
    with receiving("grpc") as receiver:
        result = python(code, receiver.endpoint)

        assert result.returncode == 0
        assert "GRPC_ENABLE_FORK_SUPPORT=1" in result.stderr
        assert names(receiver)[0] == ["before", "parent"]


OPEN_STREAM = """
import gc, openai
with openai.OpenAI(base_url=sys.argv[2], api_key="k") as client:
    stream = client.chat.completions.create(model="m", messages=[], stream=True)
    next(stream)
    child = os.fork()
    if child == 0:
        del stream
        gc.collect()
        genops.shutdown()
        os._exit(0)
    os.waitpid(child, 0)
    list(stream)
"""


def test_a_stream_open_at_a_fork_is_recorded_by_the_parent_alone(server: ScriptedServer) -> None:
    server.stream()
    with receiving("http") as receiver:
        result = python(APP + OPEN_STREAM, receiver.endpoint, server.url)

        assert (result.returncode, result.stderr) == (0, "")
        (span,) = receiver.spans()
        assert plain_attributes(span)["genops.stream.completed"] is True


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_processes_of_multiprocessing_export(protocol: str) -> None:
    code = (
        "import multiprocessing\n"
        + APP
        + "child = multiprocessing.get_context('fork').Process(target=work, args=('child',))\n"
        + "child.start(); child.join(); sys.exit(child.exitcode)"
    )
    with receiving(protocol) as receiver:
        result = python(code, receiver.endpoint)

        assert (result.returncode, result.stderr) == (0, "")
        assert names(receiver) == (["child"], {"child"})


def test_a_process_of_multiprocessing_that_starts_the_client_itself_exports() -> None:
    start = 'genops.init("app", otlp_endpoint=sys.argv[1])\n'
    code = (
        "import multiprocessing\n"
        + APP.replace(start, "")
        + "def run():\n"
        + "    "
        + start
        + "    work('child')\n"
        + "child = multiprocessing.get_context('fork').Process(target=run)\n"
        + "child.start(); child.join(); sys.exit(child.exitcode)"
    )
    with receiving("grpc") as receiver:
        result = python(code, receiver.endpoint)

        assert (result.returncode, result.stderr) == (0, "")
        assert names(receiver) == (["child"], {"child"})
