"""docs/topologies.md: what the runs of collector-config/ came to, and with which parts.

`python -m topologies.page`, run in `tests/`, runs every topology and writes the page. The heavy
tests run them too and hold each row against it.
"""

# ruff: noqa: E501 - sentences of the page, one a line

from __future__ import annotations

import re
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from real_parts.build import TELEMETRYGEN, otelcol
from topologies.runs import RUNS, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "topologies.md"
_MANIFEST = Path(__file__).parents[1] / "real_parts" / "otelcol" / "manifest.yaml"

_HEAD = """\
<!-- Made by `python -m topologies.page`, run in tests/. -->
# Topologies, run

Every folder of [collector-config/](../collector-config/README.md), run from the files as they are, by a real Collector and a real enricher.
`make test-all` runs them again and holds the figures against this page.
Only backends and OpenRouter are fakes: they ask for the key, and keep the limits, that the vendors document.

- *Arrived* counts each span once, with the ids that it was sent with.
- *Cost* is the sum of `genops.cost.total` over the spans at the backend, in USD; *bill* is what the same calls cost: what the fake OpenRouter billed for the client's, the price of the tokens for telemetrygen's, and for recordings what [emitters](emitters.md) says.

| topology | sent by | spans | arrived | cost | bill | and |
|---|---|---|---|---|---|---|
"""


def row(outcome: Outcome) -> str:
    """The line of the table."""
    arrived = "sampled" if outcome.arrived is None else f"{outcome.arrived:,}"
    cells = (
        f"[{outcome.topology}](../collector-config/{outcome.topology}/README.md)",
        outcome.senders,
        f"{outcome.sent:,}",
        arrived,
        f"{outcome.cost.normalize():f}",
        f"{outcome.expected_cost.normalize():f}",
        outcome.also,
    )
    return f"| {' | '.join(cells)} |"


def parts() -> str:
    """The real parts and their versions."""
    modules = re.findall(r"gomod: (\S+) (\S+)", _MANIFEST.read_text(encoding="utf-8"))
    names = [(module.rpartition("/")[2], release) for module, release in modules]
    modules_of: dict[str, list[str]] = {}
    for name, release in names:
        modules_of.setdefault(release, []).append(f"`{name}`")
    collector = "; ".join(f"{release}: {', '.join(each)}" for release, each in modules_of.items())
    sdk = version("opentelemetry-sdk")
    return f"""\
## Real parts

- The Collector is built by the official builder from [a manifest](../tests/real_parts/otelcol/manifest.yaml). {collector}.
- telemetrygen {TELEMETRYGEN.rpartition("@")[2]}, two spans a trace: one call that is told twice, as frameworks do, and costs once.
- The client is the demo's application, with `opentelemetry-sdk` {sdk} and `openai` {version("openai")}.

Building them takes about four minutes of processor time at first, and seconds once Go's cache has them.
All topologies together run for a minute and a half on two cores that others use as well.

Not run, because a module that they need could not be fetched: `genainormalizer`, `queuebatch` and `datadog` of the Collector (for the last it is one of the Datadog Agent), and newer releases of the modules that are older than the others.
None of the files uses the first three; `sending_queue.batch` does what `queuebatch` would.
"""


def main() -> None:
    otelcol()
    rows = []
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for name, run in RUNS.items():
            outcome = run(Path(folder) / name)
            if not outcome.is_whole:
                raise SystemExit(f"not as it should be: {outcome}")
            rows.append(row(outcome))
            print(rows[-1], flush=True)
    print(f"{time.monotonic() - start_s:.0f} s")
    PAGE.write_text(_HEAD + "\n".join(rows) + "\n\n" + parts(), encoding="utf-8")


if __name__ == "__main__":
    main()
