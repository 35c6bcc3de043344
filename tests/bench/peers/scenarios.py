"""What is measured: the workloads, how they are offered, and which servers get them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bench.peers.run import Shape
from bench.peers.servers import SERVERS
from bench.peers.workload import Workload

__all__ = ["SCENARIOS", "Scenario"]

_ALL = tuple(SERVERS)
_OURS = ("enricher, durable queue",)
_PAIR = ("enricher, durable queue", "Collector passing on, file_storage")
_TENTH = Workload(llm_every=10)
_FULL = Workload(llm_every=1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One comparison."""

    name: str
    workload: Workload
    shape: Shape = field(default_factory=Shape)
    servers: tuple[str, ...] = _ALL
    rounds: int = 2

    def meaning(self) -> dict[str, object]:
        """What it is, for the page."""
        shape, workload = self.shape, self.workload
        rate = f"{shape.spans_per_s:,.0f} spans/s" if shape.spans_per_s else "as fast as it goes"
        return {
            "LLM spans": f"1 in {workload.llm_every}" if workload.llm_every > 1 else "all",
            "spans a request": workload.spans,
            "attributes": workload.attributes,
            "prompt": f"{workload.prompt_bytes} bytes" if workload.prompt_bytes else "none",
            "models in the traffic": workload.models,
            "models in an overlay": workload.catalog_models,
            "offered": f"{rate}, {shape.connections} connections, {shape.protocol}"
            + (", gzip" if shape.gzip else ""),
        }


SCENARIOS = (
    Scenario("one in ten", _TENTH, Shape(seconds=10.0), rounds=3),
    Scenario("all LLM", _FULL, Shape(seconds=10.0), rounds=3),
    *(
        Scenario(
            f"spans a request: {spans}",
            replace(_TENTH, spans=spans),
            Shape(spans_per_s=rate),
            _PAIR,
        )
        for spans, rate in ((1, 500.0), (10, 4_000.0), (512, 10_000.0), (8192, 10_000.0))
    ),
    *(
        Scenario(f"attributes: {count}", replace(_TENTH, attributes=count), servers=_PAIR)
        for count in (10, 50, 100)
    ),
    *(
        Scenario(
            f"prompt: {size >> 10} KiB",
            replace(_TENTH, prompt_bytes=size),
            Shape(spans_per_s=rate),
            _PAIR,
        )
        for size, rate in ((4 << 10, 5_000.0), (100 << 10, 1_000.0))
    ),
    Scenario("gzip", _TENTH, Shape(gzip=True), _PAIR),
    Scenario("HTTP", _TENTH, Shape(protocol="http"), _PAIR),
    Scenario("HTTP and gzip", _TENTH, Shape(protocol="http", gzip=True), _PAIR),
    *(
        Scenario(f"connections: {count}", _TENTH, Shape(connections=count), _PAIR)
        for count in (1, 16)
    ),
    *(
        Scenario(f"models in the traffic: {count}", replace(_FULL, models=count), servers=_OURS)
        for count in (60, 1_000)
    ),
    Scenario(
        "20,000 more models in the catalog", replace(_FULL, catalog_models=20_000), servers=_OURS
    ),
    Scenario("as fast as it goes", _TENTH, Shape(spans_per_s=0.0), _PAIR),
)
