"""Dated prices of LLM calls: what a call cost, by model, market and time.

Standard library only. Reading YAML (overlays, `genops-pricing check`, a source checkout) needs the
extra `pricing`.
"""

from .answers import NO_CONDITIONS, Conditions, Miss, Offer, Quote
from .catalog import Catalog
from .errors import CatalogError, PricingError
from .load import bundled_catalog, load_catalog
from .model import Model
from .rates import Charge
from .units import Usage

__all__ = [
    "NO_CONDITIONS",
    "Catalog",
    "CatalogError",
    "Charge",
    "Conditions",
    "Miss",
    "Model",
    "Offer",
    "PricingError",
    "Quote",
    "Usage",
    "bundled_catalog",
    "load_catalog",
]
