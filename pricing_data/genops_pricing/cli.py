"""The genops-pricing command."""


def main() -> int:
    """Run it."""
    return 0
