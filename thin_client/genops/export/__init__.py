"""Where spans and metrics go, and how they get there. Not for applications to import."""
