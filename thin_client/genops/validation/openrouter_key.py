"""Check OpenRouter's key: its form, and what OpenRouter says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from genops import _runtime
from genops.providers.hosts import DEFAULT_BASE_URL, OPENROUTER, address, provider_of
from genops.validation.probe import Finding, Findings, cause, within

__all__ = ["KEY_FACTS", "can_be_sent", "check_form", "check_with_openrouter"]

_KEYS_PAGE: Final = "https://openrouter.ai/keys"
_CHECK_BASE_URL: Final = (
    f"Check {_runtime.OPENROUTER_BASE_URL_VARIABLE}; usual is {DEFAULT_BASE_URL}"
)

# All keys in OpenRouter's API reference have this form. The documents do not promise it, so only
# the prefix is insisted on.
_PREFIX: Final = "sk-or-"
_FORM: Final = re.compile(r"sk-or-v1-[0-9a-f]{64}")
_PRINTABLE: Final = re.compile(r"[!-~]+")  # what an HTTP header can carry, without blanks

# The fields of GET /key that a user wants to see
# (https://openrouter.ai/docs/api-reference/api-keys/get-current-key); the label is a part of the
# key, and rate_limit is deprecated.
KEY_FACTS: Final = (
    *("limit", "limit_remaining", "limit_reset", "usage", "is_free_tier", "expires_at"),
)


def check_form(environ: Mapping[str, str], base_url: str) -> Findings:
    """Findings about OPENROUTER_API_KEY as it stands in the environment."""
    key = environ.get("OPENROUTER_API_KEY")
    is_openrouter = provider_of(base_url) == OPENROUTER  # a gateway may have keys of its own
    if not key:
        message = "OPENROUTER_API_KEY is not set"
        if environ.get("OPENAI_API_KEY"):
            message += ". OPENAI_API_KEY is never used in its place: it would go to OpenRouter"
        fix = f"Make a key at {_KEYS_PAGE}, then: export OPENROUTER_API_KEY=sk-or-v1-..."
        yield Finding("error", message, fix)
    elif not can_be_sent(key):
        message = "OPENROUTER_API_KEY has blanks or odd characters in it and cannot be sent"
        yield Finding("error", message, "Set it without quotes, blanks and line ends")
    elif is_openrouter and not key.startswith(_PREFIX):
        message = f"OPENROUTER_API_KEY is no OpenRouter key: those start with {_PREFIX}"
        yield Finding("error", message, f"Copy the key from {_KEYS_PAGE}")
    elif is_openrouter and not _FORM.fullmatch(key):
        message = "OPENROUTER_API_KEY is not sk-or-v1- and 64 hexadecimal digits, as keys are"
        yield Finding("warning", message, "If calls fail with 401, copy the whole key again")
    else:
        yield Finding("info", "OPENROUTER_API_KEY is set")


def can_be_sent(key: str) -> bool:
    """Whether the key can stand in an HTTP header."""
    return _PRINTABLE.fullmatch(key) is not None


def check_with_openrouter(
    key: str, base_url: str, timeout_s: float
) -> tuple[dict[str, Any] | None, list[Finding]]:
    """Ask OpenRouter about a key: GET /key, which is free, as the SDK would make a call.

    Returns:
        The values of `KEY_FACTS`, or None without an answer; and findings.

    Raises:
        ImportError: the OpenAI SDK is not installed.
    """
    import openai

    host, port = address(base_url)
    place = f"OpenRouter at {host}:{port}"
    try:
        with openai.OpenAI(
            api_key=key, base_url=base_url, timeout=timeout_s, max_retries=0
        ) as client:
            answer = within(timeout_s, lambda: client.get("/key", cast_to=object))
    except openai.AuthenticationError:
        fix = f"Make a new key at {_KEYS_PAGE}; one that expired or was deleted is refused too"
        return None, [Finding("error", f"{place} does not accept the key (401)", fix)]
    except openai.APIStatusError as error:
        message = f"{place} answered {error.status_code} to GET /key"
        fix = _CHECK_BASE_URL if error.status_code == 404 else "Try again later"
        return None, [Finding("error", message, fix)]
    except Exception as error:  # noqa: BLE001 - the SDK's HTTP library has errors of its own
        message = f"{place} cannot be asked ({cause(error)})"
        return None, [Finding("error", message, "Check DNS, proxy and firewall")]
    details = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(details, Mapping):
        message = f"{place} answered GET /key with no details of a key"
        return None, [Finding("error", message, _CHECK_BASE_URL)]
    return {name: details.get(name) for name in KEY_FACTS}, list(_judge(details))


def _judge(details: Mapping[str, Any]) -> Findings:
    limit, remaining = details.get("limit"), details.get("limit_remaining")
    if details.get("is_management_key") is True:
        message = "the key is a management key: it makes keys and calls no models"
        yield Finding("error", message, f"Make an API key at {_KEYS_PAGE}")
    elif isinstance(remaining, int | float) and remaining <= 0:
        message = f"the key's limit of {_usd(limit)} is used up: calls are refused"
        yield Finding("error", message, f"Raise the limit at {_KEYS_PAGE}")
    else:
        left = "no limit" if remaining is None else f"{_usd(remaining)} of {_usd(limit)} left"
        used = _usd(details.get("usage"))
        yield Finding("info", f"OpenRouter accepts the key: {left}, {used} used")
    if details.get("is_free_tier") is True:
        message = "the key is of the free tier: few requests a day, to free models only"
        yield Finding("warning", message, "Buy credits at https://openrouter.ai/credits")


def _usd(amount: object) -> str:
    return f"${amount:,.2f}" if isinstance(amount, int | float) else "an unknown sum"
