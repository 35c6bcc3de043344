"""Write what was said (prompts, answers, tool calls) as the semantic conventions have it.

Off unless the operator asks for it by OpenTelemetry's own variable, `CAPTURE_VARIABLE`. Decides the
form and the bounds; when content is read is decided in `call` and `streaming`. Pure: objects in,
JSON text out. Only text is written: images, audio and files are named by their kind, and a link as
it is. An input that is no list or text is not read, since reading an iterator would use it up.

Form: gen_ai.input.messages, gen_ai.output.messages and gen_ai.system_instructions as JSON strings,
https://github.com/open-telemetry/semantic-conventions-genai (gen-ai-input-messages.json, …).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from genops.core import attributes as names
from genops.core.recording import Attributes, get

__all__ = [
    "CAPTURE_VARIABLE",
    "CHARS_MAX",
    "StreamedContent",
    "capture_problem",
    "captures_content",
    "request_content",
    "response_content",
]

CAPTURE_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON_SPANS: Final = frozenset({"true", "span_only", "span_and_event"})
_OFF: Final = frozenset({"", "false", "no_content", "event_only"})

# Texts of one attribute, in characters. Backends cut or refuse attributes above some 64 kB, and an
# OTLP request of a whole batch must stay within a receiver's limit.
CHARS_MAX: Final = 16_384
_PART_CHARS: Final = 50  # what a part takes besides its text

# Finish reasons of the OpenAI APIs in the words of the convention; others stand as they are.
_FINISH_REASONS: Final = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "completed": "stop",
    "max_output_tokens": "length",
    "failed": "error",
}

_Json = dict[str, Any]


def captures_content(environ: Mapping[str, str]) -> bool:
    """Whether the operator asks for content on spans: true, SPAN_ONLY or SPAN_AND_EVENT.

    Content goes to spans only; EVENT_ONLY, like NO_CONTENT and anything else, records none.
    """
    return _choice(environ) in _ON_SPANS


def capture_problem(environ: Mapping[str, str]) -> str | None:
    """What is wrong with the operator's choice, if anything is."""
    choice = _choice(environ)
    if choice in _ON_SPANS | _OFF:
        return None
    return f"{CAPTURE_VARIABLE}={choice!r} is unknown, so no content is recorded; write true"


def _choice(environ: Mapping[str, str]) -> str:
    return environ.get(CAPTURE_VARIABLE, "").strip().lower()


def request_content(operation: str, arguments: Mapping[str, object]) -> Attributes:
    """What was asked, from the arguments of the SDK's method.

    Args:
        operation: `gen_ai.operation.name`; the input of embeddings is no message.
        arguments: Keywords of the SDK's method; not changed.
    """
    if operation == "embeddings":
        return {}
    attributes: Attributes = {}
    for key in ("messages", "input", "prompt"):
        if key in arguments:
            _write(attributes, names.INPUT_MESSAGES, _messages(arguments[key]))
    instructions = arguments.get("instructions")
    if isinstance(instructions, str):
        _write(attributes, names.SYSTEM_INSTRUCTIONS, [_text(instructions)])
    return attributes


def response_content(response: object) -> Attributes:
    """What was answered, from a whole response or one put together from its chunks."""
    attributes: Attributes = {}
    messages: list[_Json] = []
    for choice in _list(get(response, "choices")):
        message = get(choice, "message")
        parts = list(
            _parts_of(message if message is not None else {"content": get(choice, "text")})
        )
        messages.append(_output(parts, get(choice, "finish_reason")))
    output = _list(get(response, "output"))
    if output:
        parts = [part for message in _messages(output) for part in message["parts"]]
        called = any(part["type"] == "tool_call" for part in parts)
        why = get(response, "incomplete_details", "reason") or get(response, "status")
        messages.append(_output(parts, "tool_calls" if called and why == "completed" else why))
    _write(attributes, names.OUTPUT_MESSAGES, messages)
    return attributes


def _output(parts: list[_Json], reason: object) -> _Json:
    # The convention wants a reason; a stream that was broken off has none.
    known = _FINISH_REASONS.get(reason, reason) if isinstance(reason, str) else "unknown"
    return {"role": "assistant", "parts": parts, "finish_reason": known}


def _messages(given: object) -> list[_Json]:
    """Messages of the chat API, items of the Responses API, or plain text."""
    if isinstance(given, str):
        return [{"role": "user", "parts": [_text(given)]}]
    messages = []
    for item in _list(given):
        if isinstance(item, str):  # one of several prompts
            messages.append({"role": "user", "parts": [_text(item)]})
            continue
        parts = list(_parts_of(item))
        if parts:
            messages.append({"role": _role(item), "parts": parts})
    return messages


def _role(item: object) -> str:
    role = get(item, "role")
    if isinstance(role, str):
        return role
    return "tool" if str(get(item, "type")).endswith("_output") else "assistant"


def _parts_of(message: object) -> Iterator[_Json]:
    kind, content = get(message, "type"), get(message, "content")
    if kind == "function_call":
        yield _tool_call(get(message, "call_id"), message)
    elif kind == "function_call_output":
        yield _tool_response(get(message, "call_id"), get(message, "output"))
    elif get(message, "role") == "tool":
        yield _tool_response(get(message, "tool_call_id"), content)
    elif kind == "reasoning":
        for part in _list(get(message, "summary")):
            yield _text(get(part, "text"), "reasoning")
    elif content is None and isinstance(kind, str) and kind != "message":
        yield {"type": kind}
    else:
        reasoning = get(message, "reasoning")
        if isinstance(reasoning, str) and reasoning:
            yield _text(reasoning, "reasoning")
        if isinstance(content, str):
            yield _text(content)
        for part in _list(content):
            yield _content_part(part)
        if isinstance(refusal := get(message, "refusal"), str):
            yield _text(refusal, "refusal")
        for call in _list(get(message, "tool_calls")):
            yield _tool_call(get(call, "id"), get(call, "function") or get(call, "custom"))


def _content_part(part: object) -> _Json:
    text, url = get(part, "text"), get(part, "image_url")
    if isinstance(text, str):
        return _text(text)
    url = url if isinstance(url, str) else get(url, "url")
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return {"type": "uri", "modality": "image", "uri": url}
    return {"type": str(get(part, "type"))}


def _text(content: object, kind: str = "text") -> _Json:
    return {"type": kind, "content": content if isinstance(content, str) else ""}


def _tool_call(identity: object, function: object) -> _Json:
    arguments = get(function, "arguments")
    if arguments is None:
        arguments = get(function, "input")  # a custom tool's
    return {
        "type": "tool_call",
        "id": identity if isinstance(identity, str) else None,
        "name": str(get(function, "name") or ""),
        "arguments": arguments if isinstance(arguments, str) else None,
    }


def _tool_response(identity: object, response: object) -> _Json:
    if not isinstance(response, str):
        response = "".join(str(get(part, "text") or "") for part in _list(response))
    return {
        "type": "tool_call_response",
        "id": identity if isinstance(identity, str) else None,
        "response": response,
    }


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _write(attributes: Attributes, name: str, items: list[_Json]) -> None:
    """Add the items as JSON, cut to the bound; a cut is stated in the text and by an attribute.

    The newest text is kept: what a conversation began with stood on the spans before.
    """
    left = CHARS_MAX
    kept: list[_Json] = []
    for item in reversed(items):
        if left <= 0:
            attributes[names.CONTENT_TRUNCATED] = True
            break
        for part in reversed(item.get("parts", [item])):
            left -= _PART_CHARS
            for key in ("content", "arguments", "response", "uri"):
                text = part.get(key)
                if not isinstance(text, str):
                    continue
                if len(text) > max(0, left):
                    attributes[names.CONTENT_TRUNCATED] = True
                    cut = text[: max(0, left)]
                    part[key] = f"{cut}… [{len(text) - len(cut)} characters left out]"
                elif key == "arguments":
                    part[key] = _decoded(text)
                left -= len(text)
        kept.insert(0, item)
    if kept:
        import json  # is not part of the cost of `import genops`

        document = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate would make the exporter lose the whole batch.
        attributes[name] = document.encode("utf-8", "replace").decode("utf-8")


def _decoded(arguments: str) -> object:
    """The arguments of a tool call as the object that they are, or the text if they are none."""
    import json

    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


class StreamedContent:
    """Answers put together from chunks of the chat and completions APIs, up to the bound."""

    __slots__ = ("_left", "_messages")

    def __init__(self) -> None:
        self._messages: dict[int, _Json] = {}
        self._left = CHARS_MAX + 1  # one more than is written, so that the cut is seen

    def add(self, chunk: object) -> None:
        """Take in a chunk."""
        for choice in _list(get(chunk, "choices")):
            delta = get(choice, "delta") or {"content": get(choice, "text")}
            message = self._messages.setdefault(_index(choice), {"tool_calls": []})
            for key in ("content", "reasoning", "refusal"):
                self._append(message, key, get(delta, key))
            for call in _list(get(delta, "tool_calls")):
                self._add_call(message["tool_calls"], call)
        if get(chunk, "type") == "response.output_text.delta":
            # Replaced by the whole response, if the stream comes to its end.
            message = self._messages.setdefault(0, {"tool_calls": []})
            self._append(message, "content", get(chunk, "delta"))

    def _add_call(self, calls: list[_Json], call: object) -> None:
        index = _index(call)
        if not 0 <= index <= len(calls):
            return
        if index == len(calls):
            calls.append({"id": get(call, "id"), "function": {}})
        function = calls[index]["function"]
        for key in ("name", "arguments"):
            self._append(function, key, get(call, "function", key))

    def _append(self, to: _Json, key: str, text: object) -> None:
        if isinstance(text, str) and text:
            kept = text[: self._left]
            self._left -= len(kept)
            to[key] = to.get(key, "") + kept

    def messages(self) -> Mapping[int, _Json]:
        """The messages so far, by the index of their choice."""
        return self._messages


def _index(source: object) -> int:
    index = get(source, "index")
    return index if isinstance(index, int) else 0
