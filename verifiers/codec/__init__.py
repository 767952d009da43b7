"""Bounded decoding: fixed layouts, strict JSON, DER, CBOR and base64. Knows no TEE and no cryptography."""
