"""One module a source of prices: bytes in, observations out."""
