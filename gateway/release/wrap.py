"""JWE to the attested key (RFC 7516, RFC 7518 section 4.6 and 4.3).

ECDH-ES+A256KW for EC keys, RSA-OAEP-256 for RSA keys, A256GCM for the content. The library is given the one
algorithm that the key allows at every call, so that no header ever widens it.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import GatewayError, GatewayReason
from gateway.protocol.jwk import ECDH_ALG, RSA_ALG, AttestedKey

ENC = "A256GCM"
TYP = "sealgate-secret"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_ONLY = {alg: JWERegistry(algorithms=[alg, ENC]) for alg in (ECDH_ALG, RSA_ALG)}


def wrap(secret: bytes, key: AttestedKey) -> str:
    """Compact JWE of `secret` for the holder of `key`. The caller has the key from a stored appraisal."""
    known = key.public
    public = RSAKey.import_key(known) if isinstance(known, rsa.RSAPublicKey) else ECKey.import_key(known)
    header = {"alg": key.alg, "enc": ENC, "kid": key.thumbprint, "typ": TYP}
    return jwe.encrypt_compact(header, secret, public, registry=_ONLY[key.alg])


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
        opened = jwe.decrypt_compact(token, private, registry=_ONLY[alg])
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
