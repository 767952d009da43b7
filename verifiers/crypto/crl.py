"""Certificate revocation lists (RFC 5280 section 5) as plain values, checked before they are read.

`UnverifiedCrl` and `Crl` are different types: only the second answers questions, and only
`verify` makes one, with the key of an issuer that has itself been verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID, NameOID

from verifiers.codec import der
from verifiers.crypto.x509 import PublicKey, signed_by
from verifiers.errors import EndorsementFormatError, Reason

MAX_CRL = 1024 * 1024
"""Bytes. Real ones are under 4 KiB."""
MAX_VERIFIED = 256
"""CRLs in the name of one issuer whose signature is checked, newest first. Vendors issue a few each year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedCrl:
    der: bytes
    sha256: str
    issuer: bytes
    issuer_cn: str
    """For people; "" when the issuer has no single common name. Compare `issuer`."""
    tbs: bytes
    signature_algorithm: bytes
    signature: bytes
    this_update: datetime
    next_update: datetime
    number: int
    serials: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """A CRL whose signature was checked with the key of the issuer that it names."""

    sha256: str
    this_update: datetime
    next_update: datetime
    number: int
    revoked: frozenset[int]

    def current_at(self, now: datetime) -> bool:
        """thisUpdate <= now < nextUpdate."""
        return self.this_update <= now < self.next_update


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a CRL says before its entries, and what signs it. issued: thisUpdate as "YYYYMMDDhhmmssZ"."""

    where: str
    der: bytes
    issuer: bytes
    issued: str
    tbs: bytes
    signature_algorithm: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """CRLs of one issuer out of many. verified: with the number of the key that signed each, newest first.
    forged: name the issuer, and none of its keys signed them. malformed: why. unread: name the issuer, and
    were not looked at, because there are `MAX_VERIFIED` newer ones.
    """

    verified: tuple[tuple[Crl, int], ...] = ()
    forged: int = 0
    malformed: tuple[str, ...] = ()
    unread: int = 0


def select(raws: Iterable[bytes], issuer: bytes, keys: Sequence[PublicKey]) -> Lists:
    """The CRLs in the name of `issuer` that one of `keys` signed, out of whatever was given.

    What others say costs a glance each, and what nobody vouches for one signature check: entries are read of
    genuine lists only. So a heap of old, foreign or forged lists hides no current one until more than
    `MAX_VERIFIED` newer ones bear its issuer's name, and then the caller is told.
    """
    named: list[Outline] = []
    malformed: list[str] = []
    for index, raw in enumerate(dict.fromkeys(raws)):
        try:
            found = outline(raw, f"crls[{index}]")
        except EndorsementFormatError as error:
            malformed.append(f"{error.where}: {error.found}")
            continue
        if found.issuer == issuer:
            named.append(found)
    named.sort(key=lambda each: each.issued, reverse=True)
    verified: list[tuple[Crl, int]] = []
    forged = 0
    for found in named[:MAX_VERIFIED]:
        number = next((n for n, key in enumerate(keys) if _signed(found, key)), None)
        if number is None:
            forged += 1
            continue
        try:
            verified.append((_trusted(parse(found.der, found.where)), number))
        except EndorsementFormatError as error:
            malformed.append(f"{error.where}: {error.found}")
    return Lists(
        verified=tuple(verified),
        forged=forged,
        malformed=tuple(malformed),
        unread=max(0, len(named) - MAX_VERIFIED),
    )


def outline(raw: bytes, where: str) -> Outline:
    """The front of a CRL in DER, without its entries. Raises EndorsementFormatError(CRL_MALFORMED)."""
    if len(raw) > MAX_CRL:
        raise _bad(where, f"at most {MAX_CRL} bytes", f"{len(raw)} bytes")
    try:
        outer = der.children(der.only(raw, der.SEQUENCE, where).value, where, limit=3)
        inner = der.children(outer[0].value, f"{where}.tbs", limit=8) if outer else ()
    except EndorsementFormatError as error:
        raise _bad(error.where, error.expected, error.found) from None
    if len(outer) != 3 or outer[2].tag != der.BIT_STRING or outer[2].value[:1] != b"\x00" or len(inner) < 4:
        raise _bad(where, "SEQUENCE {tbsCertList, signatureAlgorithm, BIT STRING}", f"{len(outer)} elements")
    # Version is optional in the grammar; v2 (required with extensions) puts the algorithm second.
    if inner[0].tag != der.INTEGER or inner[1].raw != outer[1].raw:
        raise _bad(where, "version 2, the same signature algorithm inside and outside", "something else")
    return Outline(
        where=where,
        der=raw,
        issuer=inner[2].raw,
        issued=_issued(inner[3], where),
        tbs=outer[0].raw,
        signature_algorithm=outer[1].raw,
        signature=outer[2].value[1:],
    )


def parse(raw: bytes, where: str) -> UnverifiedCrl:
    """Parse one DER CRL.

    Refused, as EndorsementFormatError(CRL_MALFORMED): trailing data, no nextUpdate, no CRL number, critical
    extensions, on the list or its entries, that we do not know, delta and indirect CRLs.
    """
    front = outline(raw, where)
    try:
        crl = x509.load_der_x509_crl(raw)
        number = _number(crl, where)
        serials = frozenset(_serial(entry, where) for entry in crl)
        next_update = crl.next_update_utc
        this_update = crl.last_update_utc
        issuer, names = crl.issuer.public_bytes(), crl.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    except EndorsementFormatError:
        raise
    except Exception as error:  # a library's parser on hostile bytes: whatever it raises, it is a refusal
        raise _bad(where, "a CRL", str(error)[:120] or type(error).__name__) from None
    if next_update is None:
        raise _bad(where, "nextUpdate", "none")
    return UnverifiedCrl(
        der=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
        issuer=issuer,
        issuer_cn=str(names[0].value) if len(names) == 1 else "",
        tbs=front.tbs,
        signature_algorithm=front.signature_algorithm,
        signature=front.signature,
        this_update=this_update,
        next_update=next_update,
        number=number,
        serials=serials,
    )


def verify(crl: UnverifiedCrl, issuer: bytes, key: PublicKey) -> Crl | None:
    """The CRL as a trusted value when it names `issuer` (a Name in DER) and `key` signed it; else None.

    Says nothing about time: ask `current_at` at every use.
    """
    if crl.issuer != issuer or not _signed(crl, key):
        return None
    return _trusted(crl)


def _trusted(crl: UnverifiedCrl) -> Crl:
    """For those who have just checked its issuer and signature."""
    return Crl(
        sha256=crl.sha256,
        this_update=crl.this_update,
        next_update=crl.next_update,
        number=crl.number,
        revoked=crl.serials,
    )


def _signed(crl: Outline | UnverifiedCrl, key: PublicKey) -> bool:
    return signed_by(crl.tbs, crl.signature_algorithm, crl.signature, key)


def _issued(tlv: der.Tlv, where: str) -> str:
    """thisUpdate in 15 characters: UTCTime until 2049, then GeneralizedTime (RFC 5280, 5.1.2.4)."""
    sizes = {der.UTC_TIME: 13, der.GENERALIZED_TIME: 15}
    value = tlv.value
    if len(value) != sizes.get(tlv.tag) or value[-1:] != b"Z" or not value[:-1].isdigit():
        raise _bad(where, "thisUpdate as UTCTime or GeneralizedTime", f"tag {tlv.tag:#04x}")
    text = value.decode("ascii")
    return text if tlv.tag == der.GENERALIZED_TIME else ("19" if text >= "50" else "20") + text


def _number(crl: x509.CertificateRevocationList, where: str) -> int:
    number: int | None = None
    for extension in crl.extensions:
        if extension.oid in (ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.ISSUING_DISTRIBUTION_POINT):
            raise _bad(where, "a full, direct CRL", extension.oid.dotted_string)
        if isinstance(extension.value, x509.CRLNumber):
            number = extension.value.crl_number
        elif extension.critical:
            raise _bad(where, "no unknown critical extension", extension.oid.dotted_string)
    if number is None:
        raise _bad(where, "a CRL number", "none")
    return number


def _serial(entry: x509.RevokedCertificate, where: str) -> int:
    for extension in entry.extensions:
        if extension.critical or extension.oid == CRLEntryExtensionOID.CERTIFICATE_ISSUER:
            raise _bad(where, "no unknown critical entry extension", extension.oid.dotted_string)
    return entry.serial_number


def _bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.CRL_MALFORMED, where, expected=expected, found=found)
