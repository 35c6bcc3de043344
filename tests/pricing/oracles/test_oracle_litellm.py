"""A second independent calculator, LiteLLM's, computes what ours computes."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import venv
from decimal import Decimal
from pathlib import Path

import pytest

from genops_pricing import Charge, Usage
from genops_pricing.rates import make_rates

LITELLM = "litellm==1.104.2"
ROWS, USAGES = 400, 10
KEYS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
}
COUNTED = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


def a_row(random_: random.Random) -> list[tuple[int, dict[str, Decimal]]]:
    """All units have a price: LiteLLM takes a cache price that is not stated for 0."""
    base = {unit: Decimal(random_.randrange(1, 50_000)) / 1000 for unit in KEYS}
    if random_.random() < 0.5:
        return [(0, base)]
    start = random_.choice([128_000, 200_000, 272_000])
    return [(0, base), (start + 1, {unit: price * 2 for unit, price in base.items()})]


def a_usage(random_: random.Random) -> Usage:
    prompt = random_.choice([1, 999, 128_000, 128_001, 200_000, 200_001, 272_001, 900_000])
    read = random_.randint(0, prompt)
    write = random_.randint(0, prompt - read)
    return Usage(
        input=prompt,
        output=random_.randint(0, 50_000),
        cache_read=read,
        cache_write=write,
        cache_write_1h=random_.randint(0, write),
    )


def as_entry(row: list[tuple[int, dict[str, Decimal]]]) -> dict[str, float]:
    """A row in LiteLLM's keys: USD per token, sizes in their names."""
    return {
        f"{KEYS[unit]}{f'_above_{start // 1000}k_tokens' if start else ''}": float(price / 10**6)
        for start, prices in row
        for unit, price in prices.items()
    }


@pytest.mark.heavy
def test_arithmetic_is_that_of_litellm_on_generated_rows_and_usages(tmp_path: Path) -> None:
    random_ = random.Random(20261122)
    cases = [(a_row(random_), [a_usage(random_) for _ in range(USAGES)]) for _ in range(ROWS)]
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    environment = os.environ | {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing is fetched
    }
    install = [python, "-m", "pip", "install", "--quiet", LITELLM]
    subprocess.run(install, check=True, timeout=600, env=environment)
    lines = (
        json.dumps(
            {
                "entry": as_entry(row),
                "usages": [{name: getattr(one, name) for name in COUNTED} for one in usages],
            }
        )
        for row, usages in cases
    )
    done = subprocess.run(
        [python, str(Path(__file__).with_name("litellm_costs.py"))],
        input="\n".join(lines),
        check=True,
        timeout=300,
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]

    assert len(answers) == ROWS
    for (row, usages), theirs in zip(cases, answers, strict=True):
        rates = make_rates(row)
        for usage, cost in zip(usages, theirs, strict=True):
            charge = rates.charge(usage)
            assert isinstance(charge, Charge), charge
            ours = float(charge.usd(charge.total))
            assert math.isclose(ours, cost, rel_tol=1e-9), (row, usage, ours, cost)
