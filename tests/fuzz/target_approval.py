"""Any text is a signature of a known key over the statement, or refused by one of our errors; so is any key.

Only what that key's owner signed approves.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway import approval
from gateway.approval import Action, Statement, Subject
from gateway.errors import GatewayError
from verifiers.codec import strictjson
from verifiers.errors import AttestationError

_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = approval.of_public(_KEY.public_key())
_STATEMENT = Statement(
    store="00" * 16,
    tenant="acme",
    action=Action.ACTIVATE,
    sequence=1,
    documents=(Subject("release", "db", 1, "sha256:" + "00" * 32),),
)
_SIGNATURE = approval.sign(_KEY, _STATEMENT)


def seeds() -> list[bytes]:
    return [
        _SIGNATURE.encode(),
        b"e30..AAAA",
        b'{"crv":"Ed25519","kty":"OKP","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}',
        b'{"crv":"P-256","kty":"EC","x":"AA","y":"AA"}',
    ]


def target(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        assert approval.check(text, _STATEMENT, [_PUBLIC]) == _PUBLIC.thumbprint
    except GatewayError as error:
        assert error.reason.startswith("approval.")
    else:
        assert text == _SIGNATURE, "Ed25519 is deterministic, and there is one spelling"
    try:
        key = approval.parse_key(strictjson.loads(data, "key", limit=4096, max_depth=2))
    except (AttestationError, GatewayError) as error:
        assert error.reason
    else:
        assert approval.parse_key(dict(key.jwk)) == key
