"""Attestation results as signed tokens, and how a relying party checks one."""
