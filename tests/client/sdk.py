"""What the installed version of the OpenAI SDK offers, for tests that run with several versions."""

from __future__ import annotations

from operator import attrgetter

import openai
import pytest

__all__ = ["needs", "offers"]


def offers(path: str) -> bool:
    """Whether a client has the method at this path, such as "responses.create"."""
    with openai.OpenAI(base_url="http://127.0.0.1:1", api_key="k") as client:
        try:
            attrgetter(path)(client)
        except AttributeError:
            return False
    return True


def needs(path: str) -> pytest.MarkDecorator:
    """Skips the test where the SDK lacks the method."""
    return pytest.mark.skipif(not offers(path), reason=f"openai {openai.__version__} has no {path}")
