"""Look prices up in the catalog of `genops_pricing`: the client's one door to it.

The catalog is loaded (0.15 s) when the first price is asked for: by the functions of
`openrouter_pricing`, or by a call under a budget. Calls without a budget never get here.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genops_pricing import Charge, Miss, Offer

__all__ = ["exact", "find"]


def find(
    model: str,
    *,
    provider: str | None,
    at_ns: int,
    host: str | None = None,
    endpoint: str | None = None,
    service_tier: str | None = None,
) -> Offer | Miss:
    """The price in force for a model.

    Args:
        model: As a call or a response names it.
        provider: `gen_ai.provider.name` of who was called.
        at_ns: When, in Unix nanoseconds.
        host: The host that was called; it tells who bills better than the provider's name.
        endpoint: The provider behind OpenRouter that served the call, by name or slug.
        service_tier: As served: flex, priority…
    """
    from genops_pricing import Conditions, bundled_catalog

    catalog = bundled_catalog()
    market = catalog.market_of(host=host, provider=provider, model=model)
    return catalog.find(
        model,
        market=market,
        at_ns=at_ns,
        endpoint=endpoint,
        conditions=Conditions(
            service_tier=service_tier, region=catalog.region_of(market=market, host=host)
        ),
    )


def exact(charge: Charge) -> Fraction:
    """The total of a charge in USD."""
    return Fraction(charge.total, charge.divisor)
