"""Dashboards and alerts as files, made from the tables of attributes and metrics."""

from genops_enricher.dashboards.files import FILES

__all__ = ["FILES"]
