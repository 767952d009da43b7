"""AMD's certificates and CRLs by themselves, without a report: whose are they, and what are they about?

What must stay true: everything leads to a key of `roots`. Dates are told and not judged, for what is stored
today is used tomorrow; whether a certificate belongs to a report is `verify`'s question.

Source: AMD 57230, chapters 2 to 4.
"""

from __future__ import annotations

from verifiers.crypto import crl as crls
from verifiers.errors import EndorsementFormatError, Reason, VettingError
from verifiers.model import AnchorSet, EndorsementFacts, Endorsements
from verifiers.sevsnp import chain, product
from verifiers.sevsnp.abi import SigningKey
from verifiers.sevsnp.chain import Leaf
from verifiers.sevsnp.roots import Role

LEAF_NAMES = frozenset({"SEV-VCEK", "SEV-VLEK"})
PLACES = ("vcek", "vlek")
"""Where KDS serves the CRL of one ARK: one path for each kind of leaf."""

_ISSUER = {SigningKey.VCEK: Role.ASK, SigningKey.VLEK: Role.ASVK}
_KIND = {SigningKey.VCEK: "amd.vcek", SigningKey.VLEK: "amd.vlek"}


def leaf(raw: bytes, where: str, anchors: AnchorSet) -> EndorsementFacts:
    """A VCEK or VLEK certificate in DER.

    key: the product, the SPLs by their KDS names, and chip_id (lower-case hex, as KDS wants it) or csp_id.
    Raises EndorsementFormatError(CERTIFICATE_MALFORMED); VettingError: SNP_CHAIN, SIMULATED, SNP_CHAIN_NAMES.
    """
    judged = chain.judged(Endorsements(anchors=anchors, certificates=(raw,)))
    if judged.malformed:
        raise _malformed(where, "a VCEK or VLEK certificate", judged.malformed[0])
    if not judged.leaves:
        raise _wrong(Reason.SNP_CHAIN_NAMES, where, "a VCEK or VLEK certificate", "another certificate")
    found = judged.leaves[0]
    _trusted(found, where, anchors)
    if found.extensions is None:
        raise _malformed(where, "AMD's extensions", found.problem or "none")
    line = _named_properly(found, where)
    pairs = [*product.kds_parameters(found.extensions.tcb), ("product", str(line))]
    if found.extensions.hwid is not None:
        pairs.append(("chip_id", found.extensions.hwid.hex()))
    else:
        pairs.append(("csp_id", found.extensions.csp_id or ""))
    return EndorsementFacts(
        kind=_KIND[found.kind],
        key=tuple(sorted(pairs)),
        issued=found.certificate.not_before,
        ends=found.certificate.not_after,
        number=None,
        issuers=(),
        simulated=found.simulated,
    )


def crl(raw: bytes, where: str, anchors: AnchorSet) -> EndorsementFacts:
    """A CRL of an ARK, in DER. key: the product alone, because a CRL does not say at which of `PLACES` it
    was.

    Raises EndorsementFormatError(CRL_MALFORMED); VettingError: CRL_SIGNATURE when no ARK signed it,
    SIMULATED.
    """
    unverified = crls.parse(raw, where)
    arks = chain.arks_named(unverified)
    signed = ((crls.verify(unverified, ark.subject, ark.key), ark) for ark in arks)
    verified, ark = next(((crl, ark) for crl, ark in signed if crl is not None), (None, None))
    if verified is None or ark is None:
        found = "the name of an ARK, but not its signature" if arks else "another issuer"
        raise _wrong(Reason.CRL_SIGNATURE, where, "a CRL that an ARK of AMD signed", found)
    if ark.simulated and anchors is not AnchorSet.VENDOR_AND_SIMULATED:
        raise _simulated(where)
    return EndorsementFacts(
        kind="amd.crl",
        key=(("product", str(ark.product)),),
        issued=verified.this_update,
        ends=verified.next_update,
        number=verified.number,
        issuers=(),
        simulated=ark.simulated,
    )


def is_arks(raw: bytes, where: str) -> bool:
    """Whether a CRL names an ARK as its issuer, truly or not. Raises
    EndorsementFormatError(CRL_MALFORMED)."""
    return bool(chain.arks_named(crls.parse(raw, where)))


def is_pinned_issuer(raw: bytes) -> bool:
    """Whether this is a genuine ARK, ASK or ASVK: not needed, because their keys are pinned."""
    judged = chain.judged(Endorsements(anchors=AnchorSet.VENDOR_AND_SIMULATED, certificates=(raw,)))
    return not (judged.leaves or judged.malformed or judged.foreign or judged.others)


def _trusted(found: Leaf, where: str, anchors: AnchorSet) -> None:
    if found.issuer is None:
        cert = found.certificate
        text = f"{cert.subject_cn} by {cert.issuer_cn[:64]!r}, and no pinned key signed it"
        raise _wrong(Reason.SNP_CHAIN, where, "signatures to a pinned AMD key", text)
    if not found.trusted_under(anchors):
        raise _simulated(where)


def _named_properly(found: Leaf, where: str) -> product.Product:
    """The product line, on which name, extensions and issuer must agree. Raises
    VettingError(SNP_CHAIN_NAMES)."""
    issuer, extensions = found.issuer, found.extensions
    if issuer is None or extensions is None:
        raise AssertionError("asked before")
    problems = list(found.wrong_names)
    if found.key is None:
        problems.append("the key is not on P-384")
    if issuer.role is not _ISSUER[found.kind]:
        problems.append(f"{found.kind.name} by {issuer.cn}")
    if extensions.product is not issuer.product:
        problems.append(f"product {extensions.product_name[:32]!r} by {issuer.cn}")
    if extensions.struct_version != product.STRUCT_VERSION[issuer.product]:
        problems.append(f"structVersion {extensions.struct_version}")
    is_vcek = found.kind is SigningKey.VCEK
    if is_vcek != (extensions.hwid is not None) or is_vcek == (extensions.csp_id is not None):
        problems.append("VCEKs have an hwID, VLEKs a cspID")
    if is_vcek and len(extensions.hwid or b"") != product.HWID_SIZE[issuer.product]:
        problems.append(f"an hwID of {len(extensions.hwid or b'')} bytes")
    if problems:
        raise _wrong(Reason.SNP_CHAIN_NAMES, where, "a leaf as AMD issues it", "; ".join(problems))
    return issuer.product


def _wrong(reason: Reason, where: str, expected: str, found: str) -> VettingError:
    return VettingError(reason, where, expected=expected, found=found)


def _simulated(where: str) -> VettingError:
    return _wrong(Reason.SIMULATED, where, "signatures to one of AMD's own keys", "the simulator's")


def _malformed(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.CERTIFICATE_MALFORMED, where, expected=expected, found=found)
