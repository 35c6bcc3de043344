"""The queue: what is accepted here waits until it is delivered, on disk or in memory.

Where to start reading: `signal_queue` (the queue of a signal), `reader` (what an exporter sees of
it). On disk: `log` and `log_cursor`, `segment` (the files), `frame` (the bytes). What can't be
delivered at all is kept in `dead_letters`.
"""

from genops_enricher.queue.dead_letters import DeadLetters
from genops_enricher.queue.memory import MemoryStore
from genops_enricher.queue.reader import Ended, Entry, Reader
from genops_enricher.queue.signal_queue import SignalQueue, give_up, lose_memory, warn_if_left

__all__ = [
    "DeadLetters",
    "Ended",
    "Entry",
    "MemoryStore",
    "Reader",
    "SignalQueue",
    "give_up",
    "lose_memory",
    "warn_if_left",
]
