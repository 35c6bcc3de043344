"""The life of the service: start, ready, reload, stop.

Where to start reading: `service` (the parts, in order), `stages` (how the stages are joined),
`reload` (when there is something to apply), `health` (how it says how it is). This is the one
package that knows all the stages.
"""
