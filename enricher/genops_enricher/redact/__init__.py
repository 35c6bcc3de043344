"""Content control: takes out of requests, or hashes, what is not to leave. Off by default."""

from genops_enricher.redact.redactor import Redactor
from genops_enricher.redact.stage import redacting

__all__ = ["Redactor", "redacting"]
