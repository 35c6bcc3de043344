"""Switch the recording of installed SDKs on and off, and say truly which ones are on.

`GenOpsInstrumentor` is the entry point `opentelemetry_instrumentor` of this distribution, so that
`opentelemetry-instrument python app.py` records without a change to the application. It has the
methods that this command calls, and does not need its package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from genops.providers import openai

__all__ = ["GenOpsInstrumentor", "ProviderPatch"]


@dataclass(frozen=True, slots=True)
class ProviderPatch:
    """How the calls of one provider are recorded."""

    module: str  # the SDK that carries them
    patch: Callable[[], None]  # raises if the SDK is missing or unknown
    unpatch: Callable[[], None]
    is_patched: Callable[[], bool]


def _openai_sdk(name: str) -> ProviderPatch:
    return ProviderPatch(
        module="openai",
        patch=partial(openai.patch, name),
        unpatch=partial(openai.unpatch, name),
        is_patched=partial(openai.is_patched, name),
    )


_PATCHES: Final[Mapping[str, ProviderPatch]] = MappingProxyType(
    {name: _openai_sdk(name) for name in ("openrouter", "openai")}
)


class GenOpsInstrumentor:
    """The providers that can be recorded.

    All instances are alike: what is patched is the SDK, which there is one of in a process.
    """

    provider_patches: Mapping[str, ProviderPatch] = _PATCHES

    def instrument(
        self,
        providers: Iterable[str] | None = None,
        **_options: object,
    ) -> dict[str, str]:
        """Record the calls of these providers, by default of all known ones.

        The options that `opentelemetry-instrument` passes (skip_dep_check) have no effect: what is
        missing is in the answer.

        Returns:
            Why a provider is not recorded, by name; empty if all are.

        Raises:
            ValueError: a name is unknown.
        """
        wanted = list(self.provider_patches if providers is None else providers)
        unknown = [name for name in wanted if name not in self.provider_patches]
        if unknown:
            raise ValueError(
                f"unknown providers {unknown}; known are {list(self.provider_patches)}"
            )
        failures: dict[str, str] = {}
        for name in wanted:
            patch = self.provider_patches[name]
            try:
                patch.patch()
            except Exception as error:  # noqa: BLE001 - importing it runs the code of others
                if isinstance(error, ModuleNotFoundError) and error.name == patch.module:
                    failures[name] = (
                        f"the {patch.module} package is not installed. "
                        f"hint: pip install {patch.module}"
                    )
                else:
                    failures[name] = (
                        f"the {patch.module} package cannot be used: "
                        f"{type(error).__name__}: {error}"
                    )
        return failures

    def uninstrument(self, **_options: object) -> None:
        """Record no more calls; the SDKs get their own methods back."""
        for patch in self.provider_patches.values():
            patch.unpatch()

    def instrumented(self) -> tuple[str, ...]:
        """The providers whose calls are being recorded."""
        return tuple(name for name, patch in self.provider_patches.items() if patch.is_patched())
