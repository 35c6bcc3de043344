"""Test what your code records: capture the spans of a block, without a receiver.

    from genops.testing import capture_spans

    def test_answers_are_charged_to_support() -> None:
        with capture_spans() as spans:
            answer_ticket("Where is my order?")

        (span,) = spans.find(team="support")
        assert span.model == "openai/gpt-4o"
        assert span.attributes["gen_ai.usage.output_tokens"] == 200

As a fixture of pytest:

    @pytest.fixture
    def spans() -> Iterator[CapturedSpans]:
        with capture_spans() as spans:
            yield spans

It works whether or not `genops.init` was called, before the block or in it. Spans of the client
come here and go nowhere else; spans of the application are left alone. Costs are not among the
attributes: genops-enricher adds them on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, overload

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util.types import Attributes

from genops import _lifecycle, _runtime
from genops.auto_instrumentation import GenOpsInstrumentor
from genops.core.attributes import GENOPS_MODEL

__all__ = ["CapturedEvent", "CapturedSpan", "CapturedSpans", "capture_spans"]


@dataclass(frozen=True, slots=True)
class CapturedEvent:
    """An event on a span, e.g. an attempt of OpenRouter's that failed."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CapturedSpan:
    """One recorded call, complete."""

    name: str
    attributes: Mapping[str, Any]
    status: Literal["unset", "ok", "error"]
    events: tuple[CapturedEvent, ...] = ()

    @property
    def model(self) -> str | None:
        """The model that was asked for."""
        return self.attributes.get(GENOPS_MODEL)


class CapturedSpans(Sequence[CapturedSpan]):
    """The finished spans so far, in the order in which they ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def find(self, *, model: str | None = None, **governance: object) -> tuple[CapturedSpan, ...]:
        """The spans with this model and these governance values.

        Args:
            model: The model that was asked for.
            **governance: team="support", customer_id="acme", …
        """
        wanted = {f"genops.{key}": value for key, value in governance.items()}
        if model is not None:
            wanted[GENOPS_MODEL] = model
        return tuple(span for span in self if wanted.items() <= dict(span.attributes).items())

    @overload
    def __getitem__(self, index: int) -> CapturedSpan: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[CapturedSpan, ...]: ...

    def __getitem__(self, index: int | slice) -> CapturedSpan | tuple[CapturedSpan, ...]:
        return tuple(map(_captured, self._exporter.get_finished_spans()))[index]

    def __len__(self) -> int:
        return len(self._exporter.get_finished_spans())

    def __repr__(self) -> str:
        return f"CapturedSpans({list(self)})"


@contextmanager
def capture_spans() -> Iterator[CapturedSpans]:
    """Capture the spans of the calls that start in this block, in all threads.

    Calls of an SDK that is not instrumented yet are recorded for the length of the block.

    Yields:
        The finished spans; they can be read during the block and after it.

    Raises:
        ImportError: the OpenAI SDK is not installed.
        RuntimeError: OTEL_SDK_DISABLED is true, so that nothing can be recorded.
    """
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    if not provider.get_tracer(__name__).start_span("probe").is_recording():
        raise RuntimeError("OTEL_SDK_DISABLED is true: no span can be captured. Unset it in tests")
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    patches = GenOpsInstrumentor.provider_patches.values()
    ours = [patch for patch in patches if not patch.is_patched()]
    was_initialized = _lifecycle.status().initialized
    before = _runtime.divert(provider)
    try:
        for patch in ours:
            patch.patch()
        yield CapturedSpans(exporter)
    finally:
        _runtime.divert(before)
        # An `init` in the block is the application's, and so is what it instruments.
        if was_initialized or not _lifecycle.status().initialized:
            for patch in ours:
                patch.unpatch()


def _captured(span: ReadableSpan) -> CapturedSpan:
    status: Mapping[str, Literal["unset", "ok", "error"]] = {"OK": "ok", "ERROR": "error"}
    return CapturedSpan(
        name=span.name,
        attributes=_plain(span.attributes),
        status=status.get(span.status.status_code.name, "unset"),
        events=tuple(CapturedEvent(event.name, _plain(event.attributes)) for event in span.events),
    )


def _plain(attributes: Attributes) -> Mapping[str, Any]:
    return MappingProxyType(dict(attributes or {}))
