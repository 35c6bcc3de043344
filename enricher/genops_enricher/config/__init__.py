"""What the operator asked for: read, checked and made into frozen values before anything starts."""
