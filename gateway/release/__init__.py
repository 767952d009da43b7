"""Secrets on their way out: wrapped to the attested key, inside a statement that the gateway signs."""
