"""What was seen before: which calls have a cost already, and which traces have calls.

Shared by the threads of all requests and bounded in time, so apart from `enrich`, which is pure.
"""

from genops_enricher.seen.duplicates import Duplicates
from genops_enricher.seen.orphans import Orphans

__all__ = ["Duplicates", "Orphans"]
