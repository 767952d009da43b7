"""From whatever certificates and CRLs were given to leaves and CRLs judged under the pinned keys.

What must stay true: trust comes from `roots` alone. A leaf's issuer is the pinned ASK or ASVK that it
names and that signed it; ASK, ASVK and ARK certificates that come along add nothing and are only compared.
Nothing here depends on a report or on the time, so the result may be remembered (`ChainCache`): only where
all that was given is AMD's own, or else anybody could fill the cache with what they make up.

Sources: AMD 57230, chapters 2 and 3; RFC 5280, sections 5 and 6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from verifiers.crypto import crl as crls
from verifiers.crypto import ecdsa, x509
from verifiers.crypto.crl import Crl, UnverifiedCrl
from verifiers.crypto.x509 import Certificate
from verifiers.errors import EndorsementFormatError
from verifiers.model import AnchorSet, Endorsements
from verifiers.sevsnp import certificates, product, roots
from verifiers.sevsnp.abi import SigningKey, SnpReport
from verifiers.sevsnp.certificates import LeafExtensions
from verifiers.sevsnp.roots import Anchor, Role

MAX_CERTIFICATES = 256

_LEAF_CN = {"SEV-VCEK": SigningKey.VCEK, "SEV-VLEK": SigningKey.VLEK}
_BY_CN: dict[str, tuple[Anchor, ...]] = {
    anchor.cn: tuple(other for other in roots.ALL if other.cn == anchor.cn) for anchor in roots.ALL
}
_ARK_BY_SUBJECT: dict[bytes, tuple[Anchor, ...]] = {
    anchor.subject: _BY_CN[anchor.cn] for anchor in roots.ALL if anchor.role is Role.ARK
}
_PINNED = frozenset(anchor.cert_sha256 for anchor in roots.ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate that calls itself a VCEK or VLEK, and what holds of it whatever the time.

    key: None when it is not on P-384. extensions: None when AMD's cannot be read; `problem` says why.
    named: the issuer that it names, by product and role, trusted or not; None for a name that AMD does
    not use. issuer, ark: the pinned keys that vouch for it; None when no signature leads to a pin.
    wrong_names: what is not as AMD writes names and flags; empty when all is well.
    windows: who is valid from when until when, of the certificate and of each pinned key above it.
    """

    certificate: Certificate
    kind: SigningKey
    key: ec.EllipticCurvePublicKey | None
    extensions: LeafExtensions | None
    problem: str | None
    named: Anchor | None
    issuer: Anchor | None
    ark: Anchor | None
    wrong_names: tuple[str, ...]
    windows: tuple[tuple[str, datetime, datetime], ...]

    @property
    def simulated(self) -> bool:
        return self.issuer is not None and self.issuer.simulated

    def trusted_under(self, anchors: AnchorSet) -> bool:
        """True when the signatures lead to a pin that counts as a root."""
        return self.issuer is not None and (
            not self.issuer.simulated or anchors is AnchorSet.VENDOR_AND_SIMULATED
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Everything given, read and judged once.

    malformed: why certificates could not be read. foreign: certificates with the name of an AMD issuer that
    are not AMD's. others: number of certificates with any other name. lists: CRLs with the ARK that signed
    them, of those ARKs that vouch for a leaf. forged: Names in DER of ARKs in whose name a CRL speaks that
    they did not sign. malformed_crls: why. unread: Names of ARKs with more CRLs than are looked at. too_many:
    set when there were too many certificates; then nothing was read.
    """

    leaves: tuple[Leaf, ...] = ()
    malformed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    others: int = 0
    lists: tuple[tuple[Crl, Anchor], ...] = ()
    forged: frozenset[bytes] = frozenset()
    malformed_crls: tuple[str, ...] = ()
    unread: frozenset[bytes] = frozenset()
    too_many: str | None = None

    def worth_remembering(self, anchors: AnchorSet) -> bool:
        """True when there are leaves, all trusted, and no certificate that somebody else than AMD can make;
        CRLs never come from strangers."""
        return (
            bool(self.leaves)
            and all(leaf.trusted_under(anchors) for leaf in self.leaves)
            and not (self.malformed or self.foreign or self.others)
        )


def judged(endorsements: Endorsements) -> Judged:
    """Judge all certificates and CRLs given, or remember it. Raises nothing for their content."""
    given, lists = endorsements.certificates, endorsements.crls
    if len(given) > MAX_CERTIFICATES:
        return Judged(too_many=f"{len(given)} certificates")
    digests = [hashlib.sha256(raw).hexdigest() for raw in given]
    # Neither order nor AMD's issuers change what is found, so neither makes another entry.
    leaves = sorted(set(digests) - _PINNED)
    # CRLs are our own, and stand in the key as they are: exact, and hashed once in the life of each object.
    key = ("snp-chain", tuple(leaves), lists, endorsements.anchors)
    known = endorsements.cache.get(key)
    if isinstance(known, Judged):
        return _in_order(known, digests)
    result = _judge(given, lists)
    if len(set(digests)) == len(digests) and result.worth_remembering(endorsements.anchors):
        endorsements.cache.put(key, result)
    return result


def _in_order(known: Judged, digests: list[str]) -> Judged:
    """With the leaves in the order in which they were given this time: of equals the first counts."""
    if len(known.leaves) < 2:
        return known
    leaves = sorted(known.leaves, key=lambda leaf: digests.index(leaf.certificate.sha256))
    return replace(known, leaves=tuple(leaves))


def arks_named(crl: UnverifiedCrl) -> tuple[Anchor, ...]:
    """The ARKs whose Name the CRL bears as its issuer's, vendor's and simulator's. Says nothing of the
    signature."""
    return _ARK_BY_SUBJECT.get(crl.issuer, ())


def issuer_of(cert: Certificate, anchors: Iterable[Anchor]) -> Anchor | None:
    """The ASK or ASVK among `anchors` that `cert` names as its issuer and that signed it, or None."""
    for anchor in anchors:
        if anchor.role is not Role.ARK and anchor.cn == cert.issuer_cn and x509.issued_by(cert, anchor.key):
            return anchor
    return None


def select(report: SnpReport, leaves: tuple[Leaf, ...], anchors: AnchorSet, now: datetime) -> Leaf | None:
    """The leaf that belongs to this report, or the one that shows best why none does.

    Leaves of the kind that KEY_INFO names come first; then: same chip, same TCB, signatures to a pin, valid
    now. Where several are equal on all that (VLEKs of two providers), the one whose key signed the report.
    """
    same_kind = [leaf for leaf in leaves if leaf.kind is report.signing_key] or list(leaves)
    if len(same_kind) < 2:
        return same_kind[0] if same_kind else None
    ranked = [(rank(report, leaf, anchors, now), leaf) for leaf in same_kind]
    top = max(score for score, _ in ranked)
    best = [leaf for score, leaf in ranked if score == top]
    if len(best) > 1:
        for leaf in best:
            if leaf.trusted_under(anchors) and signature_holds(report, leaf):
                return leaf
    return best[0]


def rank(report: SnpReport, leaf: Leaf, anchors: AnchorSet, now: datetime) -> tuple[bool, ...]:
    """How well a leaf fits a report; compare as tuples."""
    return (
        fits_chip(report, leaf),
        fits_tcb(report, leaf),
        leaf.trusted_under(anchors),
        leaf.certificate.valid_at(now),
    )


def fits_chip(report: SnpReport, leaf: Leaf) -> bool:
    """True when hwID, padded with zeros, is CHIP_ID; always for VLEKs, which name no chip."""
    if leaf.kind is SigningKey.VLEK:
        return True
    if leaf.extensions is None or leaf.extensions.hwid is None or leaf.named is None:
        return False
    hwid = leaf.extensions.hwid
    return (
        len(hwid) == product.HWID_SIZE[leaf.named.product]
        and any(hwid)
        and report.chip_id == hwid.ljust(len(report.chip_id), b"\0")
    )


def fits_tcb(report: SnpReport, leaf: Leaf) -> bool:
    """True when every SPL of the certificate equals its component of REPORTED_TCB."""
    return (
        leaf.extensions is not None
        and leaf.named is not None
        and leaf.extensions.struct_version == product.STRUCT_VERSION[leaf.named.product]
        and leaf.extensions.tcb == product.decode_tcb(report.reported_tcb, leaf.named.product)
    )


def signature_holds(report: SnpReport, leaf: Leaf) -> bool:
    """True when the leaf's key signed bytes 0x000..0x29F, with the one algorithm that is defined."""
    return (
        leaf.key is not None
        and report.signature_algo == 1
        and ecdsa.verify_p384_sha384(leaf.key, report.r, report.s, report.signed)
    )


def _judge(given: tuple[bytes, ...], lists: tuple[bytes, ...]) -> Judged:
    leaves: list[Leaf] = []
    malformed: list[str] = []
    foreign: list[str] = []
    others = 0
    for index, raw in enumerate(given):
        try:
            cert = x509.parse(raw, f"certificates[{index}]")
        except EndorsementFormatError as error:
            malformed.append(str(error))
            continue
        if cert.subject_cn in _LEAF_CN:
            leaves.append(_leaf(cert))
        elif cert.subject_cn not in _BY_CN:
            others += 1
        elif not _is_pinned(cert):
            foreign.append(f"certificates[{index}] is named {cert.subject_cn} and is not AMD's")
    return Judged(
        leaves=tuple(leaves),
        malformed=tuple(malformed),
        foreign=tuple(foreign),
        others=others,
        **_crls(lists, leaves),
    )


def _leaf(cert: Certificate) -> Leaf:
    extensions, problem = None, None
    try:
        extensions = certificates.parse(cert.extensions, cert.subject_cn)
    except EndorsementFormatError as error:
        problem = str(error)
    named = _BY_CN.get(cert.issuer_cn, ())
    issuer = issuer_of(cert, named)
    ark = roots.ark_of(issuer) if issuer else None
    pins = ((pin.cn, pin.not_before, pin.not_after) for pin in (issuer, ark) if pin is not None)
    key = cert.public_key
    return Leaf(
        certificate=cert,
        kind=_LEAF_CN[cert.subject_cn],
        key=key
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1)
        else None,
        extensions=extensions,
        problem=problem,
        named=named[0] if named and named[0].role is not Role.ARK else None,
        issuer=issuer,
        ark=ark,
        wrong_names=tuple(_wrong_names(cert)),
        windows=((cert.subject_cn, cert.not_before, cert.not_after), *pins),
    )


def _wrong_names(cert: Certificate) -> Iterable[str]:
    if cert.subject != roots.name_der(cert.subject_cn):
        yield f"subject is not AMD's name for {cert.subject_cn}"
    if cert.issuer_cn not in _BY_CN or cert.issuer != _BY_CN[cert.issuer_cn][0].subject:
        yield f"issuer {cert.issuer_cn[:64]!r} is not AMD's name for an ASK or ASVK"
    if cert.is_ca or cert.may_sign_certificates or cert.may_sign_crls:
        yield "the leaf is marked as a CA"
    for oid, (critical, _) in cert.extensions.items():
        if critical:
            yield f"critical extension {oid[:64]}"


def _is_pinned(cert: Certificate) -> bool:
    """True when an issuer's certificate carries the pinned key of its name and the ARK signed it."""
    spki = hashlib.sha256(cert.spki).hexdigest()
    return any(
        anchor.spki_sha256 == spki and x509.issued_by(cert, roots.ark_of(anchor).key)
        for anchor in _BY_CN[cert.subject_cn]
    )


def _crls(lists: tuple[bytes, ...], leaves: Iterable[Leaf]) -> dict[str, Any]:
    """The parts of `Judged` about CRLs: those of the ARKs that vouch for `leaves`. CRLs of other issuers,
    other products' and Intel's, are nobody's business here."""
    trusted: list[tuple[Crl, Anchor]] = []
    malformed: dict[str, None] = {}
    forged, unread = {}, {}
    # Without any, what cannot be read is still named.
    for subject in {leaf.ark.subject: None for leaf in leaves if leaf.ark is not None} or (b"",):
        arks = _ARK_BY_SUBJECT.get(subject, ())
        found = crls.select(lists, subject, [ark.key for ark in arks])
        trusted += ((crl, arks[number]) for crl, number in found.verified)
        malformed |= dict.fromkeys(found.malformed)
        forged[subject], unread[subject] = found.forged, found.unread
    return {
        "lists": tuple(trusted),
        "forged": frozenset(subject for subject, number in forged.items() if number),
        "malformed_crls": tuple(malformed),
        "unread": frozenset(subject for subject, number in unread.items() if number),
    }
