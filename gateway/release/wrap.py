"""JWE to the attested key (RFC 7516, RFC 7518 section 4.6 and 4.3).

ECDH-ES+A256KW for EC keys, RSA-OAEP-256 for RSA keys, A256GCM for the content. The gateway writes the one
shape it needs itself, because that costs half of what a library for all shapes does; the guest reads it with
such a library, which is given the list of algorithms at every call, so that no header ever widens it.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import GatewayError, GatewayReason
from gateway.protocol.jwk import ECDH_ALG, RSA_ALG, AttestedKey
from verifiers.codec import b64

ENC = "A256GCM"
TYP = "sealgate-secret"
_TAG = 16
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_OTHER_INFO = b"".join(
    (
        len(ECDH_ALG).to_bytes(4, "big") + ECDH_ALG.encode(),
        bytes(4),  # PartyUInfo, PartyVInfo: empty, as there is no apu and no apv
        bytes(4),
        (256).to_bytes(4, "big"),
    )
)
"""RFC 7518 section 4.6.2: AlgorithmID, PartyUInfo, PartyVInfo, SuppPubInfo (bits of the key-wrapping key)."""
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def wrap(secret: bytes, key: AttestedKey) -> str:
    """Compact JWE of `secret` for the holder of `key`. The caller has the key from a stored appraisal.

    RFC 7516 section 5.1; a content key, an ephemeral key and an IV of its own for every call.
    """
    content_key, iv = AESGCM.generate_key(256), os.urandom(12)
    header: dict[str, Any] = {"alg": key.alg, "enc": ENC, "kid": key.thumbprint, "typ": TYP}
    if isinstance(key.public, ec.EllipticCurvePublicKey):
        encrypted_key, header["epk"] = _agree(content_key, key.public, key.jwk["crv"])
    else:
        encrypted_key = key.public.encrypt(content_key, _OAEP)
    protected = b64.encode_url(msgspec.json.encode(header))
    sealed = AESGCM(content_key).encrypt(iv, secret, protected.encode())
    parts = (encrypted_key, iv, sealed[:-_TAG], sealed[-_TAG:])
    return ".".join((protected, *map(b64.encode_url, parts)))


def _agree(content_key: bytes, public: ec.EllipticCurvePublicKey, curve: str) -> tuple[bytes, dict[str, str]]:
    """ECDH-ES+A256KW (RFC 7518 section 4.6): the content key wrapped, and the ephemeral key as a JWK."""
    ephemeral = ec.generate_private_key(public.curve)
    kdf = ConcatKDFHash(hashes.SHA256(), 32, _OTHER_INFO)
    wrapped = aes_key_wrap(kdf.derive(ephemeral.exchange(ec.ECDH(), public)), content_key)
    numbers, size = ephemeral.public_key().public_numbers(), (public.key_size + 7) // 8
    x, y = (b64.encode_url(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
    return wrapped, {"kty": "EC", "crv": curve, "x": x, "y": y}


def unwrap(token: str, key: PrivateKey) -> bytes:
    """Open what `wrap` made, in the guest.

    Raises GatewayError("token.malformed") for another algorithm, another type or a wrong key; which of these
    it was is not told apart.
    """
    private: ECKey | RSAKey
    if isinstance(key, ec.EllipticCurvePrivateKey):
        alg, private = ECDH_ALG, ECKey.import_key(key)
    else:
        alg, private = RSA_ALG, RSAKey.import_key(key)
    try:
        opened = jwe.decrypt_compact(token, private, algorithms=[alg, ENC])
    except (JoseError, ValueError, TypeError, KeyError):
        raise _cannot_open() from None
    headers = opened.protected
    if headers.get("alg") != alg or headers.get("enc") != ENC or headers.get("typ") != TYP:
        raise _cannot_open()
    plaintext = opened.plaintext
    if plaintext is None:
        raise _cannot_open()
    return plaintext


def _cannot_open() -> GatewayError:
    return GatewayError(
        GatewayReason.TOKEN_MALFORMED,
        "the wrapped secret does not open with this key",
        where="jwe",
        expected=f"{ENC} for this key",
        found="something else",
    )
