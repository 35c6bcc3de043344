"""The durable queue: what is accepted here survives the process and the machine.

Where to start reading: `durable` (the queue), `reader` (what an exporter sees of it), `segment`
(the files), `frame` (the bytes).
"""

from genops_enricher.queue.durable import DurableQueue
from genops_enricher.queue.reader import Entry, Reader

__all__ = ["DurableQueue", "Entry", "Reader"]
