"""What LLM calls cost and consumed, summed by team, model and so on, as metrics.

Where to start reading: `ledger` (the sums), `page` (for Prometheus), `otlp` (as OTLP), `reporter`
(when they are sent), `drift` (bills that differ from the catalog).
"""

from genops_enricher.spend.ledger import Amounts, Labels, Ledger
from genops_enricher.spend.page import SpendCollector
from genops_enricher.spend.reporter import Reporter

__all__ = ["Amounts", "Labels", "Ledger", "Reporter", "SpendCollector"]
