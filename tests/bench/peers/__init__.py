"""Whole OTLP servers side by side: the same load through each, and what it cost the machine.

Where to start reading: `run` (one measurement), `load` and `sink` (what is before and behind the
server), `workload` (what is sent), `meter` (what the operating system says of it).
"""
