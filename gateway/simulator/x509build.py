"""Certificates and CRLs in exactly the shape the vendors give them (RFC 5280), right or deliberately wrong.

Nothing is checked here: a certificate with serial 0, without a required extension or signed by the wrong key
is what tests come for. Extensions are encoded in the order given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from gateway.simulator import derwrite as d

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_NAME_OIDS = {
    "CN": "2.5.4.3",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
}
_SKI, _KEY_USAGE, _BASIC_CONSTRAINTS = "2.5.29.14", "2.5.29.15", "2.5.29.19"
_CRL_NUMBER, _REASON_CODE, _CRL_DISTRIBUTION, _AKI = "2.5.29.20", "2.5.29.21", "2.5.29.31", "2.5.29.35"

DIGITAL_SIGNATURE, NON_REPUDIATION, KEY_CERT_SIGN, CRL_SIGN = 0x80, 0x40, 0x04, 0x02
"""KeyUsage bits, as they stand in the first octet (RFC 5280, 4.2.1.3)."""
_KEY_COMPROMISE = 1


@dataclass(frozen=True, slots=True)
class Extension:
    """oid: dotted. value: the octets inside extnValue's OCTET STRING, whatever they are."""

    oid: str
    value: bytes
    critical: bool = False

    def encode(self) -> bytes:
        flag = d.boolean(True) if self.critical else b""
        return d.sequence(d.oid(self.oid), flag, d.octet_string(self.value))


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the way its vendor signs with it.

    RSA: PSS, SHA-384, salt 48. EC: ECDSA with SHA-256. trailer_field: spell out the PSS parameter
    trailerField = 1, as AMD's roots, intermediates and older leaves do although DER leaves defaults out.
    """

    key: PrivateKey
    trailer_field: bool = True

    @property
    def algorithm(self) -> bytes:
        """The AlgorithmIdentifier, whole."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return d.sequence(d.oid("1.2.840.10045.4.3.2"))
        sha384 = d.sequence(d.oid("2.16.840.1.101.3.4.2.2"), d.NULL)
        mgf1 = d.sequence(d.oid("1.2.840.113549.1.1.8"), sha384)
        trailer = d.context(3, d.integer(1)) if self.trailer_field else b""
        parameters = d.sequence(
            d.context(0, sha384), d.context(1, mgf1), d.context(2, d.integer(48)), trailer
        )
        return d.sequence(d.oid("1.2.840.113549.1.1.10"), parameters)

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
        return self.key.sign(message, pss, hashes.SHA384())

    def seal(self, signed: bytes) -> bytes:
        """SEQUENCE {signed, signatureAlgorithm, signature}: the outside of certificates and CRLs."""
        return d.sequence(signed, self.algorithm, d.bit_string(self.sign(signed)))


def name(*pairs: tuple[str, str]) -> bytes:
    """An X.501 Name, one attribute per RDN, in the order given; C is a PrintableString, the rest UTF-8."""
    return d.sequence(
        *(
            d.set_of(
                d.sequence(
                    d.oid(_NAME_OIDS[key]), d.printable_string(text) if key == "C" else d.utf8_string(text)
                )
            )
            for key, text in pairs
        )
    )


def spki(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PublicKey) -> bytes:
    """20 bytes, SHA-1 of the subjectPublicKey bits (RFC 5280, 4.2.1.2, method 1)."""
    if isinstance(key, rsa.RSAPublicKey):
        bits = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    else:
        bits = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return hashlib.sha1(bits, usedforsecurity=False).digest()


def certificate(
    *,
    serial: int,
    signer: Signer,
    issuer: bytes,
    subject: bytes,
    not_before: datetime,
    not_after: datetime,
    key: PublicKey,
    extensions: Iterable[Extension],
) -> bytes:
    """A version 3 certificate, DER. `issuer` and `subject` are Names."""
    return signer.seal(
        d.sequence(
            d.context(0, d.integer(2)),
            d.integer(serial),
            signer.algorithm,
            issuer,
            d.sequence(d.time(not_before), d.time(not_after)),
            subject,
            spki(key),
            d.context(3, d.sequence(*(extension.encode() for extension in extensions))),
        )
    )


def crl(
    *,
    signer: Signer,
    issuer: bytes,
    this_update: datetime,
    next_update: datetime | None,
    revoked: Iterable[int],
    extensions: Iterable[Extension],
) -> bytes:
    """A version 2 CRL, DER, each serial of `revoked` for key compromise at `this_update`.

    next_update None leaves the field out, which verifiers must refuse.
    """
    reason = Extension(_REASON_CODE, d.enumerated(_KEY_COMPROMISE)).encode()
    entries = [d.sequence(d.integer(serial), d.time(this_update), d.sequence(reason)) for serial in revoked]
    return signer.seal(
        d.sequence(
            d.integer(1),
            signer.algorithm,
            issuer,
            d.time(this_update),
            b"" if next_update is None else d.time(next_update),
            d.sequence(*entries) if entries else b"",
            d.context(0, d.sequence(*(extension.encode() for extension in extensions))),
        )
    )


def basic_constraints(*, ca: bool, path_length: int | None = None) -> Extension:
    flag = d.boolean(True) if ca else b""
    length = b"" if path_length is None else d.integer(path_length)
    return Extension(_BASIC_CONSTRAINTS, d.sequence(flag, length), critical=True)


def key_usage(bits: int, *, unused: int | None = None) -> Extension:
    """`unused` overrides the count of spare bits: AMD writes 1 for certSign alone, where DER wants 2."""
    if unused is None:
        unused = (bits & -bits).bit_length() - 1
    return Extension(_KEY_USAGE, d.bit_string(bytes((bits,)), unused=unused), critical=True)


def subject_key_id(key: PublicKey) -> Extension:
    return Extension(_SKI, d.octet_string(key_id(key)))


def authority_key_id(key: PublicKey) -> Extension:
    return Extension(_AKI, d.sequence(d.context(0, key_id(key), constructed=False)))


def crl_distribution_point(url: str) -> Extension:
    """One full name, a URI (RFC 5280, 4.2.1.13)."""
    uri = d.context(6, url.encode("ascii"), constructed=False)
    return Extension(_CRL_DISTRIBUTION, d.sequence(d.sequence(d.context(0, d.context(0, uri)))))


def crl_number(number: int) -> Extension:
    return Extension(_CRL_NUMBER, d.integer(number))
