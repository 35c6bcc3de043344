"""One module per SDK or service that the client instruments."""
