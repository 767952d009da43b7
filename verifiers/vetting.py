"""From bytes that anybody may have sent to collateral that a vendor vouches for: the door of vetting.

    raw bytes, certificates to build chains from, anchors  →  Vetted, or a clear error

What must stay true: `Vetted` is made here and nowhere else (a test holds that), after the signatures over the
exact bytes were found to lead to a pin. Only what is vetted can be held; what is held is still verified at
each use, for being genuine says nothing about today. Pure, like all of this package: no clock is read,
windows are told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from verifiers.collateral import Collateral
from verifiers.crypto import x509
from verifiers.dcap import vet as intel
from verifiers.errors import EndorsementFormatError, VettingError
from verifiers.model import AnchorSet, EndorsementFacts
from verifiers.sevsnp import vet as amd

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetted:
    """One genuine piece of collateral.

    kind, key, issued, ends, number, simulated: as in `EndorsementFacts`; the key of an "amd.crl" names its
    place too. raw: DER, or the document as served. sha256: over raw, hex. where: what the caller called it,
    for people.
    """

    kind: str
    key: Key
    raw: bytes
    sha256: str
    issued: datetime
    ends: datetime
    number: int | None
    simulated: bool
    where: str

    def get(self, name: str) -> str:
        """One value of the key; "" when it has none of that name."""
        return dict(self.key).get(name, "")

    def valid_at(self, now: datetime) -> bool:
        """issued <= now < ends."""
        return self.issued <= now < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What vetting made of several pieces: each object once, issuers before what they signed. unneeded:
    pieces that are genuine and need not be held, by name."""

    objects: tuple[Vetted, ...]
    unneeded: tuple[str, ...] = ()


def certificate(raw: bytes, where: str, pool: Sequence[bytes], anchors: AnchorSet) -> tuple[Vetted, ...]:
    """A VCEK, VLEK, PCK or an issuer of Intel's, in DER, with the issuers that vouch for it in front.

    () for AMD's issuers: their keys are pinned, so the certificates add nothing. pool: certificates in DER
    that may be issuers, not trusted. Raises EndorsementFormatError(CERTIFICATE_MALFORMED); VettingError:
    SNP_CHAIN, SNP_CHAIN_NAMES, DCAP_CHAIN, DCAP_CHAIN_NAMES, SIMULATED.
    """
    parsed = x509.parse(raw, where)
    if intel.is_intel(parsed):
        found = intel.certificate(raw, where, intel.Pool.of(pool), anchors)
        return (*_issuers(found, where, anchors), _vetted(raw, where, found))
    if parsed.subject_cn not in amd.LEAF_NAMES and amd.is_pinned_issuer(raw):
        return ()
    return (_vetted(raw, where, amd.leaf(raw, where, anchors)),)


def amd_crl(raw: bytes, where: str, place: str, anchors: AnchorSet) -> Vetted:
    """The CRL of an ARK, in DER, as the one that KDS serves at `place` ("vcek" or "vlek").

    Raises EndorsementFormatError(CRL_MALFORMED); VettingError: CRL_SIGNATURE, SIMULATED.
    """
    if place not in amd.PLACES:
        raise ValueError(f"no place {place!r}")
    found = amd.crl(raw, where, anchors)
    return _vetted(raw, where, found, key=(("kind", place), *found.key))


def intel_crl(raw: bytes, where: str, pool: Sequence[bytes], anchors: AnchorSet) -> tuple[Vetted, ...]:
    """A CRL of Intel's root or of a PCK CA, in DER, with its issuers in front.

    Raises EndorsementFormatError(CRL_MALFORMED); VettingError: CRL_SIGNATURE, DCAP_CHAIN, SIMULATED.
    """
    found = intel.crl(raw, where, intel.Pool.of(pool), anchors)
    return (*_issuers(found, where, anchors), _vetted(raw, where, found))


def tcb_info(raw: bytes, where: str, pool: Sequence[bytes], anchors: AnchorSet) -> tuple[Vetted, ...]:
    """A TCB info exactly as served, with its issuers in front.

    Raises EndorsementFormatError(COLLATERAL_MALFORMED); VettingError: COLLATERAL_SIGNATURE,
    DCAP_TCB_CHAIN_MISSING, DCAP_CHAIN, SIMULATED.
    """
    found = intel.tcb_info(raw, where, intel.Pool.of(pool), anchors)
    return (*_issuers(found, where, anchors), _vetted(raw, where, found))


def qe_identity(raw: bytes, where: str, pool: Sequence[bytes], anchors: AnchorSet) -> tuple[Vetted, ...]:
    """The identity of a quoting enclave exactly as served, with its issuers in front. Raises as `tcb_info`,
    and VettingError(DCAP_WRONG_TEE) for an enclave that signs no quotes."""
    found = intel.qe_identity(raw, where, intel.Pool.of(pool), anchors)
    return (*_issuers(found, where, anchors), _vetted(raw, where, found))


def everything(found: Collateral, where: str, pool: Sequence[bytes], anchors: AnchorSet) -> Batch:
    """All pieces of a file, which may vouch for each other, or the first error. An AMD CRL counts for both
    places: it covers everything that its ARK issued, whichever path served it.

    Raises what the functions above raise. One piece that is not genuine, and nothing of the file counts.
    """
    pool = (*found.certificates, *pool)
    out: list[Vetted] = []
    unneeded: list[str] = []
    for index, raw in enumerate(found.certificates):
        name = _numbered(where, "certificate", index, len(found.certificates))
        made = certificate(raw, name, pool, anchors)
        out += made
        if not made:
            unneeded.append(name)
    for index, raw in enumerate(found.crls):
        out += _crl(raw, _numbered(where, "CRL", index, len(found.crls)), pool, anchors)
    for index, raw in enumerate(found.tcb_infos):
        out += tcb_info(raw, _numbered(where, "TCB info", index, len(found.tcb_infos)), pool, anchors)
    for index, raw in enumerate(found.qe_identities):
        out += qe_identity(
            raw, _numbered(where, "QE identity", index, len(found.qe_identities)), pool, anchors
        )
    each = {(v.kind, v.key, v.sha256): v for v in reversed(out)}
    return Batch(objects=tuple(reversed(each.values())), unneeded=tuple(unneeded))


def _crl(raw: bytes, where: str, pool: Sequence[bytes], anchors: AnchorSet) -> tuple[Vetted, ...]:
    """Whoever's it is: told apart by the issuer's name, and then verified as that one's."""
    if amd.is_arks(raw, where):
        return tuple(amd_crl(raw, where, place, anchors) for place in amd.PLACES)
    return intel_crl(raw, where, pool, anchors)


def _issuers(found: EndorsementFacts, where: str, anchors: AnchorSet) -> tuple[Vetted, ...]:
    """The certificates that `found` leads over, each judged by itself, the root first."""
    out = []
    for raw in reversed(found.issuers):
        name = f"issuer of {where}"
        pool = intel.Pool.of(found.issuers)
        out.append(_vetted(raw, name, intel.certificate(raw, name, pool, anchors)))
    return tuple(out)


def _vetted(raw: bytes, where: str, found: EndorsementFacts, key: Key | None = None) -> Vetted:
    return Vetted(
        kind=found.kind,
        key=found.key if key is None else key,
        raw=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
        issued=found.issued,
        ends=found.ends,
        number=found.number,
        simulated=found.simulated,
        where=where,
    )


def _numbered(where: str, what: str, index: int, count: int) -> str:
    return f"{where}: {what}" if count == 1 else f"{where}: {what} {index + 1}"


__all__ = [
    "Batch", "EndorsementFormatError", "Vetted", "VettingError", "amd_crl", "certificate", "everything",
    "intel_crl", "qe_identity", "tcb_info",
]  # fmt: skip
