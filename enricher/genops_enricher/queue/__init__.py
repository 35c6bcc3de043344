"""The durable queue: what is accepted here survives the process and the machine.

Where to start reading: `durable` (the queue), `reader` (what an exporter sees of it), `segment`
(the files), `frame` (the bytes). What can't be delivered at all is kept in `dead_letters`.
"""

from genops_enricher.queue.dead_letters import DeadLetters
from genops_enricher.queue.durable import DurableQueue
from genops_enricher.queue.reader import Entry, Reader

__all__ = ["DeadLetters", "DurableQueue", "Entry", "Reader"]
