"""Any bytes are a bundle that is read to its end and is the same when put together again, or refused as one.

What begins with "S" is two lines, a manifest and origins, that the target signs first: whoever packs a bundle
may sign whatever they like, so nothing behind the signature may be read less strictly than before it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import keyring
from gateway.collateral import bundle
from gateway.collateral.bundle import Row
from gateway.errors import GatewayError
from gateway.ports import Slot

_PRIVATE = ec.derive_private_key(7, ec.SECP256R1())
_KEY = keyring.jwk(_PRIVATE.public_key())
_NOW = datetime(2026, 7, 1, tzinfo=UTC)
_PIECES = (b"one", b"another")


def _sign(header: Mapping[str, Any], payload: bytes) -> str:
    kid = keyring.thumbprint(_PRIVATE.public_key())
    return jwt.PyJWS().encode(payload, _PRIVATE, algorithm="ES256", headers={**header, "kid": kid})


def _signed(manifest: bytes, origins: bytes) -> bytes:
    claims = {
        "created": "", "format": bundle.MAGIC.decode(), "issuer": "", "key": _KEY,
        "manifest": hashlib.sha256(manifest).hexdigest(), "origins": hashlib.sha256(origins).hexdigest(),
    }  # fmt: skip
    payload = json.dumps(claims, sort_keys=True, separators=(",", ":")).encode()
    token = _sign({"typ": bundle.TYP}, payload).encode()
    return b"\n".join((bundle.MAGIC, token, origins, manifest, b"")) + b"".join(_PIECES)


def seeds() -> list[bytes]:
    rows = [
        Row(Slot(kind, "", "standard", "", False), hashlib.sha256(raw).hexdigest(), len(raw), "vendor", "")
        for kind, raw in zip(("amd.crl", "intel.root-crl"), _PIECES, strict=True)
    ]
    head = bundle.make_head(rows, issuer="x", created=_NOW, key=_KEY, sign=_sign)
    _, _, origins, manifest, _ = head.raw.split(b"\n")
    return [head.raw + b"".join(_PIECES), b"S" + manifest + b"\n" + origins, b"S[]\n[]"]


def target(data: bytes) -> None:
    if data[:1] == b"S":
        manifest, _, origins = data[1:].partition(b"\n")
        data = _signed(manifest, origins)
    file = io.BytesIO(data)
    try:
        head = bundle.read_head(file)
        read = [raw for _, raw in bundle.members(head, file)]
    except GatewayError as error:
        assert error.reason.startswith("collateral.bundle-"), error.reason
        assert error.where and error.expected and error.found
        return
    assert head.raw + b"".join(read) == data
    assert head.size == len(data)
