"""Counting tokens without a network."""

from __future__ import annotations

import hashlib
import socket
import threading
from pathlib import Path

import pytest
import tiktoken
from tiktoken.registry import ENCODINGS

from genops.providers.openrouter_pricing import estimate_cost_for_text, load_tokenizer
from genops.providers.tokens import tokenizer_for

VOCABULARY = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"


@pytest.fixture(autouse=True)
def no_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken's cache is empty, no encoding is loaded, and nothing may be looked up."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in list(ENCODINGS):
        monkeypatch.delitem(ENCODINGS, name)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def cache_file(directory: Path) -> Path:
    return directory / hashlib.sha1(VOCABULARY.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("人人生而自由", 5), ("\ud800", 1)],
)
def test_without_a_vocabulary_four_bytes_are_a_token(text: str, tokens: int) -> None:
    tokenizer = tokenizer_for("openai/gpt-4o")

    assert tokenizer.name == "utf8_bytes/4"
    assert tokenizer.count(text) == tokens


def test_a_broken_vocabulary_in_the_cache_is_left_alone(tmp_path: Path) -> None:
    cache_file(tmp_path).write_bytes(b"broken")

    assert tokenizer_for("openai/gpt-4o").name == "utf8_bytes/4"
    assert cache_file(tmp_path).read_bytes() == b"broken"  # tiktoken would remove and download it


def test_an_encoding_that_the_process_has_loaded_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    bytewise = tiktoken.Encoding(
        "o200k_base",
        pat_str=r"[\s\S]",
        mergeable_ranks={bytes([byte]): byte for byte in range(256)},
        special_tokens={"<|endoftext|>": 256},
    )
    monkeypatch.setitem(ENCODINGS, "o200k_base", bytewise)

    _, details = estimate_cost_for_text("anthropic/claude-3-sonnet", "hello<|endoftext|>")

    assert details["tokenizer"] == "tiktoken:o200k_base"
    assert details["input_tokens"] == len("hello<|endoftext|>")
    assert tokenizer_for("openai/gpt-4").name == "utf8_bytes/4"  # has another encoding


def test_loading_a_tokenizer_tells_why_it_failed() -> None:
    with pytest.raises(OSError, match=r"no network here|Max retries"):
        load_tokenizer()


def test_loading_a_tokenizer_waits_no_longer_than_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def hang(*args: object, **kwargs: object) -> None:
        release.wait(60)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(TimeoutError, match="TIKTOKEN_CACHE_DIR"):
            load_tokenizer(timeout=0.05)
    finally:
        release.set()
