"""Read span attributes from a request and from the response to it.

Pure: objects in, attributes out; no spans, clocks or I/O. Responses are read in the shapes of the
OpenAI API (chat, completions, embeddings, responses), as SDK objects or as decoded JSON. Only what
was observed is returned; content is read in `content` alone. What only one provider reports is read
by the `observe` function that the provider puts in the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from genops.core import attributes as names
from genops.core.governance import text

__all__ = [
    "Attributes",
    "Observation",
    "Request",
    "count",
    "error_attributes",
    "get",
    "request_attributes",
    "response_attributes",
    "response_error",
]

Attributes = dict[str, str | bool | int | float | Sequence[str]]

_COUNT_MAX = 2**53  # above this JSON numbers are not exact: such a count is an error

# Where the counts stand in `usage`, group by group: the names of chat, completions and embeddings,
# and those of the Responses API.
_USAGE: tuple[tuple[str | None, tuple[tuple[str, str], ...]], ...] = (
    (
        None,
        (
            ("prompt_tokens", names.USAGE_INPUT),
            ("input_tokens", names.USAGE_INPUT),
            ("completion_tokens", names.USAGE_OUTPUT),
            ("output_tokens", names.USAGE_OUTPUT),
            ("total_tokens", names.TOKENS_TOTAL),
        ),
    ),
    *(
        (
            group,
            (
                ("cached_tokens", names.USAGE_CACHE_READ),
                ("cache_write_tokens", names.USAGE_CACHE_WRITE),
                ("audio_tokens", names.USAGE_AUDIO_INPUT),
            ),
        )
        for group in ("prompt_tokens_details", "input_tokens_details")
    ),
    *(
        (
            group,
            (
                ("reasoning_tokens", names.USAGE_REASONING),
                ("audio_tokens", names.USAGE_AUDIO_OUTPUT),
                ("image_tokens", names.USAGE_IMAGE_OUTPUT),
            ),
        )
        for group in ("completion_tokens_details", "output_tokens_details")
    ),
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a provider's own reader saw in a response."""

    attributes: Attributes
    failed_attempts: tuple[Attributes, ...] = ()  # one span event each


@dataclass(frozen=True, slots=True)
class Request:
    """One call, as far as telemetry is concerned."""

    operation: str  # chat, text_completion, embeddings
    provider: str
    model: str | None = None
    stream: bool = False
    address: str | None = None
    port: int | None = None
    asked: Mapping[str, str] = field(default_factory=dict)  # routing that the caller asked for
    observe: Callable[[object], Observation] | None = None
    # Asks the provider later, by id, for what an aborted stream has not told: takes the id and what
    # to call, once, with the missing parts of the response or None. False: it will not.
    look_up: Callable[[str, Callable[[Mapping[str, object] | None], None]], bool] | None = None
    # The arguments of the call, if the operator asks for content; nothing else reads them.
    content: Mapping[str, object] | None = field(default=None, repr=False)

    @property
    def span_name(self) -> str:
        """`{operation} {model}`, as the conventions have it."""
        return f"{self.operation} {self.model}" if self.model else self.operation


def get(source: object, *path: str) -> object:
    """The value at a path of keys or attributes; None where a step is missing."""
    for step in path:
        if isinstance(source, dict):
            source = source.get(step)
        elif source is None:
            return None
        elif isinstance(extra := getattr(source, "__pydantic_extra__", None), dict):
            # A model of the SDK: asking it for what is not there raises, at 4 µs a time.
            fields = vars(source)
            source = fields[step] if step in fields else extra.get(step)
        elif isinstance(source, Mapping):
            source = source.get(step)
        else:
            source = getattr(source, step, None)
    return source


def count(value: object) -> int | None:
    """The value if it is a possible count, else None."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _COUNT_MAX:
        return value
    return None


def request_attributes(request: Request) -> Attributes:
    """What is known before the call."""
    attributes: Attributes = {
        names.OPERATION_NAME: request.operation,
        names.PROVIDER_NAME: request.provider,
        names.GENOPS_PROVIDER: request.provider,
    }
    if request.model is not None:
        attributes[names.REQUEST_MODEL] = request.model
        attributes[names.GENOPS_MODEL] = request.model
    if request.stream:
        attributes[names.REQUEST_STREAM] = True
    if request.address is not None:
        attributes[names.SERVER_ADDRESS] = request.address
        if request.port is not None:
            attributes[names.SERVER_PORT] = request.port
    attributes.update(request.asked)
    return attributes


def response_attributes(response: object) -> Attributes:
    """What every provider's response tells: model, id, finish reasons, tokens, error."""
    attributes: Attributes = {}
    for name, key in (
        (names.RESPONSE_MODEL, "model"),
        (names.RESPONSE_ID, "id"),
        (names.RESPONSE_SERVICE_TIER, "service_tier"),
    ):
        value = get(response, key)
        if isinstance(value, str) and value:
            attributes[name] = text(value)
    reasons = [get(choice, "finish_reason") for choice in _choices(response)]
    finish_reasons = tuple(text(reason) for reason in reasons if isinstance(reason, str))
    if finish_reasons:
        attributes[names.RESPONSE_FINISH_REASONS] = finish_reasons
    attributes.update(_usage_attributes(get(response, "usage")))
    error = response_error(response)
    if error is not None:
        attributes[names.ERROR_TYPE] = error
    return attributes


def _usage_attributes(usage: object) -> Attributes:
    counts: dict[str, int] = {}
    for group, fields in _USAGE:
        source = usage if group is None else get(usage, group)
        if source is None:
            continue
        for key, name in fields:
            tokens = count(get(source, key))
            if tokens is not None:
                counts.setdefault(name, tokens)
    if names.USAGE_INPUT in counts:
        counts[names.TOKENS_INPUT] = counts[names.USAGE_INPUT]
    if names.USAGE_OUTPUT in counts:
        counts[names.TOKENS_OUTPUT] = counts[names.USAGE_OUTPUT]
    if names.TOKENS_INPUT in counts and names.TOKENS_OUTPUT in counts:
        total = counts[names.TOKENS_INPUT] + counts[names.TOKENS_OUTPUT]
        counts.setdefault(names.TOKENS_TOTAL, total)
    return dict(counts)


def _choices(response: object) -> Sequence[object]:
    choices = get(response, "choices")
    return choices if isinstance(choices, list | tuple) else ()


def response_error(response: object) -> str | None:
    """The code of an error that came in the body of an accepted request, or None.

    OpenRouter answers 200 before it knows that the upstream fails; the error then stands at the
    top level or in a choice (https://openrouter.ai/docs/api-reference/errors).
    """
    for source in (response, *_choices(response)):
        error = get(source, "error")
        if error is not None:
            code = get(error, "code")
            return text(str(code)) if isinstance(code, str | int) else "_OTHER"
    # The Responses API may say that it failed without saying why.
    return "_OTHER" if get(response, "status") == "failed" else None


def error_attributes(error: BaseException) -> Attributes:
    """The kind of a failure, never its message: messages quote prompts, keys and addresses."""
    attributes: Attributes = {names.ERROR_TYPE: type(error).__name__}
    status = count(getattr(error, "status_code", None))
    if status is not None:
        attributes[names.HTTP_STATUS] = status
    return attributes
