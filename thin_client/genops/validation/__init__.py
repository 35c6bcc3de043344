"""The check of a set-up. Applications import it from `genops.providers.openrouter`."""
