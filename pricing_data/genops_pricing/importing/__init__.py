"""Turn what sources say of prices into dated rows of the catalog. Needs PyYAML.

`sources` read, `observation` is what they read, `policy` decides what becomes a row, `writer`
appends it to the YAML files. Never imported by the library that prices calls.
"""
