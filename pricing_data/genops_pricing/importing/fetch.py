"""Get the bytes of a source: a file, or a URL over HTTPS."""

from __future__ import annotations

import ipaddress
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from genops_pricing.errors import PricingError

__all__ = ["fetch"]

_TIMEOUT_S: Final = 30.0
_MOST_BYTES: Final = 64 * 2**20


def fetch(place: str) -> bytes:
    """The bytes at a path or a URL.

    Raises:
        PricingError: it can't be read, is larger than 64 MiB, or would travel in the clear.
    """
    try:
        if "://" not in place:
            with Path(place).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        else:
            _check_scheme(place)
            opener = urllib.request.build_opener(_SameRules)
            with opener.open(place, timeout=_TIMEOUT_S) as answer:
                data = answer.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise PricingError(f"{place}: can't be read: {error}. Give a file or a URL") from error
    if len(data) > _MOST_BYTES:
        raise PricingError(
            f"{place}: more than {_MOST_BYTES >> 20} MiB. Give the source's own file"
        )
    return data


class _SameRules(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where one may fetch from."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise ValueError("prices are fetched over https only")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
