"""What the files of certificates and tokens hold, and whether it can be used.

Checked when the configuration is read, and again each time that a file changes while the service
runs. Errors name the key and what is wrong, never what a file holds.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from genops_enricher.config.model import ClientTls, ServerTls

__all__ = ["client_context", "read_tokens", "server_context"]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_TOKENS_FILE_BYTES_MAX = 1 << 20


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """The TLS of a receiver as its files are now.

    Raises:
        ValueError: what is wrong with a file.
        OSError: a file can't be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    _load_pair(context, tls.cert_file, tls.key_file)
    if tls.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authorities(context, "client_ca_file", tls.client_ca_file)
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """The TLS toward a destination as its files are now. Without `ca_file` it trusts nobody yet.

    Raises:
        ValueError: what is wrong with a file.
        OSError: a file can't be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[tls.min_version]
    if tls.ca_file is not None:
        _load_authorities(context, "ca_file", tls.ca_file)
    if tls.cert_file is not None and tls.key_file is not None:
        _load_pair(context, tls.cert_file, tls.key_file)
    return context


def read_tokens(content: bytes) -> tuple[str, ...]:
    """The tokens of a file: one a line, without empty lines and those that start with `#`.

    Raises:
        ValueError: there is none, or one that no header can carry.
    """
    if len(content) > _TOKENS_FILE_BYTES_MAX:
        raise ValueError("is no list of tokens: it is larger than 1 MiB; check the path")
    lines = [line.strip() for line in content.decode("latin-1").splitlines()]
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    if not tokens:
        raise ValueError("holds no token; write one a line")
    if not all("!" <= character <= "~" for token in tokens for character in token):
        raise ValueError(
            "has a line that is no token; write one a line, of printable ASCII without spaces"
        )
    return tokens


def _load_pair(context: ssl.SSLContext, cert_file: Path, key_file: Path) -> None:
    _check_readable("cert_file", cert_file)
    _check_readable("key_file", key_file)
    try:
        # Without a password of our own OpenSSL would ask for one on the terminal.
        context.load_cert_chain(cert_file, key_file, password="")
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            text = "key_file is not the key of the certificate in cert_file; give the pair"
        else:
            text = (
                "cert_file and key_file can't be used: one is no PEM certificate or no PEM key, or "
                "the key has a passphrase; give the pair, the key without a passphrase"
            )
        raise ValueError(text) from error


def _load_authorities(context: ssl.SSLContext, key: str, file: Path) -> None:
    _check_readable(key, file)
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        raise ValueError(f"{key} holds no certificate in PEM form; check the file") from error


def _check_readable(key: str, file: Path) -> None:
    """OpenSSL does not name the file that it can't open."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise ValueError(f"{key}: can't read {file}: {error.strerror}") from error
