"""X.509 certificates as plain values (RFC 5280), parsed once; nothing here is trusted.

`cryptography` does the parsing. Two things it does not promise are checked here: that there is nothing
behind the certificate, and that the signature algorithm inside the signed part equals the one outside.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtensionOID, NameOID

from verifiers.codec import der
from verifiers.errors import EndorsementFormatError, Reason

MAX_CERTIFICATE = 8 * 1024
"""Bytes. Real ones are 1.2 to 1.7 KiB."""

# Whole AlgorithmIdentifier encodings, so that parameters cannot differ.
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
PSS_SHA384 = frozenset(
    bytes.fromhex(text)
    for text in (
        # RFC 4055: SHA-384, MGF1 with SHA-384, salt 48; trailerField left out, as DER wants …
        "304106092a864886f70d01010a3034a00f300d06096086480165030402020500"
        "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130",
        # … and spelled out as 1, as AMD's roots and intermediates have it.
        "304606092a864886f70d01010a3039a00f300d06096086480165030402020500"
        "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101",
    )
)

_PEM_SPACE = b" \t\r\n"

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate, parsed, *not* trusted. Names are compared as DER bytes (`subject`, `issuer`)."""

    der: bytes
    sha256: str
    tbs: bytes
    signature_algorithm: bytes
    signature: bytes
    serial: int
    subject: bytes
    issuer: bytes
    subject_cn: str
    issuer_cn: str
    not_before: datetime
    not_after: datetime
    public_key: PublicKey
    spki: bytes
    is_ca: bool
    path_length: int | None
    may_sign_certificates: bool
    may_sign_crls: bool
    extensions: Mapping[str, tuple[bool, bytes]]
    """OID to (critical, content octets of extnValue), for extensions that nothing above describes."""

    def valid_at(self, now: datetime) -> bool:
        """notBefore <= now < notAfter. Exclusive at the end, like every other window here."""
        return self.not_before <= now < self.not_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What signs a certificate and over which bytes, cut out by lengths alone: nothing inside was read.
    issuer: Name in DER."""

    tbs: bytes
    issuer: bytes
    signature_algorithm: bytes
    signature: bytes


def outline(raw: bytes, where: str) -> Outline:
    """The outermost elements of one DER certificate. Raises EndorsementFormatError(CERTIFICATE_MALFORMED)."""
    if len(raw) > MAX_CERTIFICATE:
        raise _bad(where, f"at most {MAX_CERTIFICATE} bytes", f"{len(raw)} bytes")
    if raw.lstrip()[:10] == b"-----BEGIN":
        raise _bad(where, "DER", "PEM text")
    outer = der.children(der.only(raw, der.SEQUENCE, where).value, where, limit=3)
    if len(outer) != 3 or outer[2].tag != der.BIT_STRING or outer[2].value[:1] != b"\x00":
        raise _bad(
            where, "SEQUENCE {tbsCertificate, signatureAlgorithm, BIT STRING}", f"{len(outer)} elements"
        )
    inner = der.children(outer[0].value, f"{where}.tbs", limit=12)
    if len(inner) < 7 or inner[2].raw != outer[1].raw:
        raise _bad(where, "the same signature algorithm inside and outside", "different ones")
    return Outline(
        tbs=outer[0].raw,
        issuer=inner[3].raw,
        signature_algorithm=outer[1].raw,
        signature=outer[2].value[1:],
    )


def parse(raw: bytes, where: str) -> Certificate:
    """Parse one DER certificate. Raises EndorsementFormatError(CERTIFICATE_MALFORMED) naming `where`."""
    front = outline(raw, where)
    try:
        cert = x509.load_der_x509_certificate(raw)
        public_key = cert.public_key()
        basic, usage, others = _extensions(cert)
        subject_cn, issuer_cn = _common_name(cert.subject), _common_name(cert.issuer)
        not_before, not_after = cert.not_valid_before_utc, cert.not_valid_after_utc
        serial, version = cert.serial_number, cert.version
        subject, issuer = cert.subject.public_bytes(), cert.issuer.public_bytes()
    except Exception as error:  # a library's parser on hostile bytes: whatever it raises, it is a refusal
        raise _bad(where, "an X.509 certificate", str(error)[:120] or type(error).__name__) from None
    if version is not x509.Version.v3:
        raise _bad(where, "X.509 version 3", version.name)
    if not isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise _bad(where, "an EC or RSA public key", type(public_key).__name__)
    return Certificate(
        der=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
        tbs=front.tbs,
        signature_algorithm=front.signature_algorithm,
        signature=front.signature,
        serial=serial,
        subject=subject,
        issuer=issuer,
        subject_cn=subject_cn,
        issuer_cn=issuer_cn,
        not_before=not_before,
        not_after=not_after,
        public_key=public_key,
        spki=public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        is_ca=basic.ca if basic else False,
        path_length=basic.path_length if basic else None,
        may_sign_certificates=usage.key_cert_sign if usage else False,
        may_sign_crls=usage.crl_sign if usage else False,
        extensions=MappingProxyType(others),
    )


def split_pem(raw: bytes, where: str, *, limit: int) -> tuple[bytes, ...]:
    """The DER certificates of a PEM text, in order, at most `limit`; line ends, blanks and one final NUL
    may surround them (Intel's quotes end their chain with a NUL), anything else may not. One spelling only
    for each base64 group: spare bits must be zero.

    Raises EndorsementFormatError(CERTIFICATE_MALFORMED).
    """
    if raw.count(b"-----BEGIN CERTIFICATE-----") > limit:
        raise _bad(where, f"at most {limit} certificates", "more")
    out: list[bytes] = []
    rest = raw.removesuffix(b"\x00").strip(_PEM_SPACE)
    while rest:
        head, tail = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
        end = rest.find(tail)
        if not rest.startswith(head) or end < 0:
            raise _bad(where, "PEM certificates and nothing else", repr(rest[:24]))
        try:
            body = rest[len(head) : end].translate(None, _PEM_SPACE)
            out.append(binascii.a2b_base64(body, strict_mode=True))
            if binascii.b2a_base64(out[-1], newline=False) != body:
                raise ValueError
        except ValueError:
            raise _bad(where, "base64 inside PEM", repr(body[:24])) from None
        rest = rest[end + len(tail) :].strip(_PEM_SPACE)
    if not out:
        raise _bad(where, "at least one PEM certificate", "none")
    return tuple(out)


def signed_by(signed: bytes, algorithm: bytes, signature: bytes, key: PublicKey) -> bool:
    """True when `signature` over `signed` verifies under `key` with exactly the algorithm that kind of
    key uses here: RSA-4096 with PSS/SHA-384 (AMD), P-256 with SHA-256 (Intel). Anything else: False."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if algorithm not in PSS_SHA384 or key.key_size != 4096:
                return False
            key.verify(signature, signed, padding.PSS(padding.MGF1(hashes.SHA384()), 48), hashes.SHA384())
        else:
            if algorithm != ECDSA_SHA256 or not isinstance(key.curve, ec.SECP256R1):
                return False
            key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def issued_by(cert: Certificate, issuer_key: PublicKey) -> bool:
    """True when `cert` carries a signature by `issuer_key`. Says nothing of names, dates or CA flags."""
    return signed_by(cert.tbs, cert.signature_algorithm, cert.signature, issuer_key)


def _extensions(
    cert: x509.Certificate,
) -> tuple[x509.BasicConstraints | None, x509.KeyUsage | None, dict[str, tuple[bool, bytes]]]:
    basic: x509.BasicConstraints | None = None
    usage: x509.KeyUsage | None = None
    others: dict[str, tuple[bool, bytes]] = {}
    for extension in cert.extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            basic = extension.value
        elif isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
        elif isinstance(extension.value, x509.UnrecognizedExtension):
            others[extension.oid.dotted_string] = (extension.critical, extension.value.value)
        elif extension.critical and extension.oid != ExtensionOID.KEY_USAGE:
            # Whoever judges the path refuses critical extensions that it does not know.
            others[extension.oid.dotted_string] = (True, b"")
    return basic, usage, others


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(found) != 1:
        raise ValueError(f"expected one common name, found {len(found)}")
    value = found[0].value
    text = value if isinstance(value, str) else value.decode("ascii")
    # RFC 5280, ub-common-name. The library only warns, so that its filters would decide.
    if not 0 < len(text.encode()) <= 64:
        raise ValueError("a common name is 1 to 64 bytes long")
    return text


def _bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.CERTIFICATE_MALFORMED, where, expected=expected, found=found)
