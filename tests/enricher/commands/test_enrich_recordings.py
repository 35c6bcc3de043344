"""`genops-enricher enrich` on what real emitters wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_enricher.cli import main
from genops_enricher.enrich.vocabularies import VOCABULARIES

RECORDINGS = sorted((Path(__file__).parents[2] / "dialects" / "recordings").glob("*.jsonl"))
CONFIG = "exporters: {{otlp_http: {{endpoint: 'http://backend:4318'}}}}\nenrichment: {}\n"


@pytest.mark.parametrize("vocabularies", [(), VOCABULARIES], ids=["ours", "all names"])
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_spans_that_are_priced_again_say_the_same(
    recording: Path,
    vocabularies: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, out = tmp_path / "enricher.yaml", tmp_path / "out.jsonl"
    config.write_text(CONFIG.format({"vocabularies": [str(name) for name in vocabularies]}))
    main(["enrich", str(recording), "--config", str(config), "-o", str(out)])
    first = capsys.readouterr().out

    main(["enrich", str(out), "--config", str(config), "--reprice"])

    assert capsys.readouterr().out == first
