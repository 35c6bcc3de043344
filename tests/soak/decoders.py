"""Whatever bytes the pure decoders are given, they take them or raise their own errors.

`take` feeds all of them: the lens messages and what enriching reads through them, OTLP/JSON, gzip.
As a program it lets atheris search for inputs that reach new lines of ours (coverage-guided; there
are wheels for CPython 3.11 on Linux). Start from the same seeds as the fuzz run.

    pip install atheris
    PYTHONPATH=tests python -m soak.decoders -max_total_time=600

Ends with the input at the first finding. Options are those of libFuzzer.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genops_enricher.decode.lens import DecodeError, count_data_points, count_log_records
from genops_enricher.decode.llm_logs import count_llm_events
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.errors import PermanentError
from genops_enricher.pipeline import Signal
from genops_enricher.receive.http_body import gunzip, json_to_protobuf
from genops_pricing import bundled_catalog
from otlp import spans_of
from soak.mutate import Encoding, seeds

_ENRICHER = Enricher(bundled_catalog())
_LIMIT_BYTES = 1 << 20


def _traces(data: bytes) -> None:
    enriched = enrich_request(data, _ENRICHER)
    assert enriched.outcomes.total() == enriched.spans
    if enriched.payload != data:
        # What can be read before can be read after, span for span.
        assert enrich_request(enriched.payload, _ENRICHER).spans == enriched.spans


def _metrics(data: bytes) -> None:
    assert count_data_points(data) >= 0


def _logs(data: bytes) -> None:
    assert sum(count_llm_events(data).values()) <= count_log_records(data)


def _json(signal: Signal) -> Callable[[bytes], None]:
    read = {Signal.TRACES: _traces, Signal.METRICS: _metrics, Signal.LOGS: _logs}[signal]

    def run(data: bytes) -> None:
        encoded = json_to_protobuf(signal, data)
        read(encoded)  # what JSON says is always a request
        if signal is Signal.TRACES:
            spans_of(encoded)  # and valid to the last field

    return run


def _gzip(data: bytes) -> None:
    content = gunzip(data, _LIMIT_BYTES, lambda _size: None)
    assert len(content) <= _LIMIT_BYTES


# By the first byte of an input.
_DECODERS: Mapping[int, tuple[Callable[[bytes], None], tuple[type[Exception], ...]]] = {
    0: (_traces, (DecodeError,)),
    1: (_metrics, (DecodeError,)),
    2: (_logs, (DecodeError,)),
    3: (_json(Signal.TRACES), (PermanentError,)),
    4: (_json(Signal.METRICS), (PermanentError,)),
    5: (_json(Signal.LOGS), (PermanentError,)),
    6: (_gzip, (PermanentError,)),
}


def take(data: bytes) -> bool:
    """Whether the decoder that the first byte names takes the rest.

    Any error that is not its own is a finding.
    """
    if not data:
        return False
    decode, expected = _DECODERS[data[0] % len(_DECODERS)]
    try:
        decode(data[1:])
    except expected:
        return False
    return True


def starts() -> list[bytes]:
    """Inputs to start from, for every decoder."""
    return [
        bytes([number]) + payload
        for base, encoding in ((0, Encoding.PROTOBUF), (3, Encoding.JSON))
        for number, signal in enumerate(Signal, base)
        for payload in seeds(signal, encoding)
    ]


def main() -> None:
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is missing: pip install atheris")
    with tempfile.TemporaryDirectory(prefix="genops-corpus-") as corpus:
        for number, start in enumerate(starts()):
            Path(corpus, str(number)).write_bytes(start)
        atheris.instrument_all()
        atheris.Setup([*sys.argv, corpus], take)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
