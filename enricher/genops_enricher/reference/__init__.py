"""The reference pages under docs/, made from the tables of what they describe."""

from genops_enricher.reference.pages import PAGES, main

__all__ = ["PAGES", "main"]
