"""The demo: the whole path on one machine, from an instrumented app to a backend.

`runner` starts and stops the parts, each in a process of its own: `fake_openrouter` answers the
app and bills from its own price list, `app` makes the calls, the enricher is the real one, and
`sink` is the backend. `report` turns the spans that arrived into a table. Tests use the fake and
the sink in process.
"""
