"""What a test asks the fake to do: the `X-Fake-Scenario` request header.

A header, because it leaves the body exactly as a real client would send it. With the OpenAI SDK it
goes in `extra_headers`. The value is a comma-separated list of the keys below, some with a value:

    X-Fake-Scenario: label=cache_read, prompt_tokens=2000, cached_tokens=1500
    X-Fake-Scenario: status=429

Everything that a real request can ask for by itself (streams, tools, `models`, `provider`,
`max_tokens`) is driven by the body instead.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["HEADER", "Scenario", "parse_scenario"]

HEADER = "X-Fake-Scenario"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One request's script. Booleans are keys without a value, the others are `key=value`."""

    label: str = ""  # what the caller calls this request; the ledger repeats it
    # Token counts; None leaves them to the length of the texts.
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_tokens: int = 0
    reasoning_tokens: int = 0
    # How the call goes.
    status: int = 200  # answer this HTTP error
    failures: int = 0  # this many upstream attempts fail before one answers
    stream_error: bool = False  # the stream breaks after its first words
    late_lookups: int = 0  # GET /generation does not find it this many times
    # How the answer looks.
    byok: bool = False  # served with the caller's own provider key, for a fee
    byok_waived: bool = False  # the same below the monthly allowance: no fee, `cost` is 0
    dated: bool = False  # `model` is the dated canonical slug
    no_cost: bool = False  # `usage` without the cost fields, as other gateways send it
    no_usage: bool = False  # no `usage` at all
    usage_on_finish: bool = False  # stream: usage rides on the finish chunk, as some upstreams do


_DEFAULTS = Scenario()
_KEYS = [field.name for field in fields(Scenario)]


def parse_scenario(header: str) -> Scenario:
    """Read the header.

    Raises:
        ValueError: an unknown key, a missing number or a value where none belongs; the message
            says which.
    """
    script: dict[str, str | int | bool] = {}
    for item in filter(None, map(str.strip, header.split(","))):
        key, has_value, value = item.partition("=")
        if key not in _KEYS:
            raise ValueError(f"{HEADER}: unknown key {key!r}; known are {', '.join(_KEYS)}")
        default = getattr(_DEFAULTS, key)
        if isinstance(default, bool):
            if has_value:
                raise ValueError(f"{HEADER}: {key} takes no value")
            script[key] = True
        elif isinstance(default, str):
            script[key] = value
        elif not value.isascii() or not value.isdigit():
            raise ValueError(f"{HEADER}: {key} needs a whole number, as in {key}=3")
        else:
            script[key] = int(value)
    return Scenario(**script)  # type: ignore[arg-type]  # each key has its field's type
