"""Signatures, certificates and CRLs, with no knowledge of any TEE. Primitives are `cryptography`'s."""
