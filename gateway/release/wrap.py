"""JWE to the attested key (RFC 7516, RFC 7518 section 4.6 and 4.3).

ECDH-ES+A256KW for EC keys, RSA-OAEP-256 for RSA keys, A256GCM for the content. The library is given the one
algorithm that the key allows at every call, so that no header ever widens it.

The content type names the tenant whose secret it is. A guest's challenge does not tell it for whom the
gateway made it, so without that, another tenant of the same gateway could have its own secret released to the
guest's public key, over a challenge that the network gave to the guest. `cty` is a registered header (RFC
7516 section 4.1.12), which libraries hand over without a view of their own.
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


def content_type(tenant: str) -> str:
    """`cty` of a secret of that tenant. Names of tenants have no character that a media type would quote."""
    return f"application/octet-stream; tenant={tenant}"


def wrap(secret: bytes, key: AttestedKey, tenant: str) -> str:
    """Compact JWE of a secret of `tenant` for the holder of `key`. The caller has the key from a stored
    appraisal."""
    known = key.public
    public = RSAKey.import_key(known) if isinstance(known, rsa.RSAPublicKey) else ECKey.import_key(known)
    header = {"alg": key.alg, "enc": ENC, "kid": key.thumbprint, "typ": TYP, "cty": content_type(tenant)}
    return jwe.encrypt_compact(header, secret, public, registry=_ONLY[key.alg])


def unwrap(token: str, key: PrivateKey, tenant: str) -> bytes:
    """Open what `wrap` made, in a guest of `tenant`.

    Raises GatewayError: "token.malformed" for another algorithm, another type or a wrong key (which of these
    it was is not told apart), "token.audience" for a secret of another tenant.
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
    if headers.get("cty") != content_type(tenant):
        raise GatewayError(
            GatewayReason.TOKEN_AUDIENCE,
            "the secret is not one of this guest's tenant",
            where="release.tenant",
            expected=content_type(tenant),
            found=str(headers.get("cty"))[:120],
        )
    return plaintext


def _cannot_open() -> GatewayError:
    return GatewayError(
        GatewayReason.TOKEN_MALFORMED,
        "the wrapped secret does not open with this key",
        where="jwe",
        expected=f"{ENC} for this key",
        found="something else",
    )
