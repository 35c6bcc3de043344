"""What becomes of a key: the answers of the rules, remembered, and the hashes."""

from __future__ import annotations

from collections.abc import Iterable

from genops_enricher.config.patterns import BODY, STATUS_MESSAGE, Action, Rules
from genops_enricher.redact.hashing import Hasher

__all__ = ["Actions"]

_KEYS_MAX = 10_000  # that are remembered; senders choose them, and how long they are
_KEY_BYTES_MAX = 256


class Actions:
    """Safe for use by several threads."""

    def __init__(self, rules: Rules, hash_key: str) -> None:
        self._rules = rules
        self._hasher = Hasher(hash_key)
        self._known: dict[bytes, Action | None] = {}
        self.known = self._known.get
        """The action for a key that was asked for before; None: `of` tells."""
        self._of_bodies = rules.action(BODY)
        self.of_status_message = rules.action(STATUS_MESSAGE)

    def of(self, key: bytes) -> Action | None:
        """What becomes of an attribute; None: its key can't be read."""
        known = self._known
        try:
            return known[key]
        except KeyError:
            pass
        try:
            action = self._rules.action(key.decode())
        except UnicodeDecodeError:
            action = None
        if len(key) <= _KEY_BYTES_MAX:
            if len(known) >= _KEYS_MAX:
                known.clear()
            known[key] = action
        return action

    def of_body(self, events: Iterable[bytes]) -> Action:
        """What becomes of the body of a log record that stands for these events."""
        named = [self._rules.action(f"{e.decode('utf-8', 'replace')}.body") for e in events]
        return max([self._of_bodies, *named])

    def hashed(self, value: bytes) -> bytes:
        """The serialized AnyValue that stands for another one. Raises DecodeError."""
        return self._hasher.of_value(value)

    def hashed_text(self, text: bytes) -> bytes:
        """What stands for a text."""
        return self._hasher.of_text(text.decode("utf-8", "replace")).encode()

    def label(self, name: str, text: str) -> str:
        """What stands for the text of the attribute `name` where it is told elsewhere."""
        match self._rules.action(name):
            case Action.DROP:
                return ""
            case Action.HASH:
                return self._hasher.of_text(text) if text else ""
        return text
