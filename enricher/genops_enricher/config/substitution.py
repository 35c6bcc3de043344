"""References to environment variables inside a value, in the Collector's syntax.

`${env:NAME}` and `${NAME}` are the variable, `${env:NAME:-default}` has a default for when it is
not set, `$$` is a dollar sign. The result is one text: what a variable holds never becomes
structure, and is never expanded again.

Source: https://opentelemetry.io/docs/collector/configuration/#environment-variables. Other than
there, a variable that is not set and has no default is an error and not an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["expand"]

_REFERENCE = re.compile(r"\$(?:\$|\{([^}]*)(\})?)")
_VARIABLE = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def expand(text: str, env: Mapping[str, str]) -> tuple[str, bool]:
    """The text with its references replaced, and whether any of it came from the environment.

    Raises:
        ValueError: a variable that is not set, or what is no reference. The message has no values.
    """
    from_env = False

    def replace(match: re.Match[str]) -> str:
        nonlocal from_env
        if match[0] == "$$":
            return "$"
        variable = _VARIABLE.fullmatch(match[1])
        if match[2] is None or variable is None:
            raise ValueError(
                "has a ${…} that is not understood; write ${env:NAME} or ${env:NAME:-default}, "
                "and $$ for a dollar sign"
            )
        name, default = variable.groups()
        if name in env:
            from_env = True
            return env[name]
        if default is None:
            raise ValueError(
                f"environment variable {name} is not set; set it or write ${{env:{name}:-default}}"
            )
        return str(default)

    return _REFERENCE.sub(replace, text), from_env
