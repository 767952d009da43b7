"""The PCK chain: leaf, PCK CA, root. Built anew from whatever order it came in, and judged part by part.

What must stay true: only the SHA-256 of the whole root certificate makes it a root; signatures of those who
may issue a PCK (`problem`), names and flags (`names`), dates and revocation are four questions, so that a
result can answer each.

Source: Intel SGX PCK Certificate and CRL Profile Specification, section 1.3; RFC 5280, section 6.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from verifiers.codec import der
from verifiers.crypto import ecdsa, x509
from verifiers.crypto.x509 import Certificate
from verifiers.dcap import pck as pck_extension
from verifiers.dcap import roots
from verifiers.dcap.pck import Pck
from verifiers.dcap.quote import PCK_CHAIN, PCK_LEAF, Quote
from verifiers.errors import EndorsementFormatError, Reason
from verifiers.model import AnchorSet, Endorsements

ROOT_CN = "Intel SGX Root CA"
LEAF_CN = "Intel SGX PCK Certificate"
CA_OF = {"Intel SGX PCK Platform CA": "platform", "Intel SGX PCK Processor CA": "processor"}
MAX_CANDIDATES = 16
"""PCK certificates, and CA certificates for each, tried when the quote brings none."""


@dataclass(frozen=True, slots=True)
class Problem:
    """garbled: the quote brought something in place of a PCK certificate, and that cannot be read."""

    reason: Reason
    found: str
    garbled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PckChain:
    """A PCK leaf with what could be found of its issuers.

    problem: why signatures do not lead from the leaf over a PCK CA to a pinned root; None when they do.
    names: what is wrong with names, CA flags, path length, key usage and critical extensions. ca_trusted: the
    CA, whatever the leaf, is a PCK CA that a pinned root issued. simulated: the root is the simulator's,
    accepted or not.
    """

    leaf: Certificate
    pck: Pck | None
    ca: Certificate | None
    root: Certificate | None
    problem: Problem | None
    names: tuple[str, ...]
    ca_trusted: bool
    simulated: bool
    key_sha256: bytes
    """Over the leaf's SubjectPublicKeyInfo."""

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        return tuple(c for c in (self.leaf, self.ca, self.root) if c is not None)


def find(quote: Quote, endorsements: Endorsements, now: datetime) -> PckChain | Problem:
    """The chain of the PCK that certified this quote's QE: from the quote (certification data type 5), else
    from the endorsements, and `now` only says which is preferred of several. A Problem means that there is no
    leaf to look at."""
    data = quote.signature_data
    if data.certification_type != PCK_CHAIN:
        return _from_endorsements(quote, endorsements, now)
    digest = hashlib.sha256(data.certification_data).digest()
    key = ("dcap.pck-chain", endorsements.anchors.value, digest)
    cached = endorsements.cache.get(key)
    if isinstance(cached, PckChain):
        return cached
    chain = _from_quote(data.certification_data, endorsements.anchors)
    if isinstance(chain, PckChain) and chain.problem is None and not chain.names:
        endorsements.cache.put(key, chain)
    return chain


def of_leaf(leaf: Certificate, pool: Sequence[Certificate], anchors: AnchorSet) -> PckChain:
    """The best chain over `leaf` that the certificates of `pool` allow; `problem` says what is wrong with
    it."""
    chains = [_judge(leaf, ca, root, anchors, None) for ca, root in _issuers(leaf, pool, roots.PINS[anchors])]
    return max(chains, key=lambda c: (c.problem is None, not c.names))


def issuer_problems(certificate: Certificate, root: Certificate) -> Iterator[str]:
    """Why `certificate` may not be a PCK CA under `root`, beside its signature and dates."""
    yield from _issuer_problems(certificate, root)
    if certificate.issuer != root.subject:
        yield f"issuer of {shown(certificate.subject_cn)} is not the subject of the root"
    if not certificate.may_sign_crls:
        yield f"{shown(certificate.subject_cn)} may not sign CRLs"
    yield from _critical(certificate)


def leaf_of(quote: Quote) -> tuple[Certificate, Pck] | None:
    """The PCK leaf inside the quote, *unverified*, for saying what collateral is needed; None without one."""
    if quote.signature_data.certification_type not in (PCK_CHAIN, PCK_LEAF):
        return None
    try:
        certificates, _ = _parse_all(_split(quote.signature_data.certification_data, limit=3))
        leaves = [c for c in certificates if pck_extension.EXTENSION in c.extensions]
        return (leaves[0], pck_extension.read(leaves[0], "PCK")) if len(leaves) == 1 else None
    except EndorsementFormatError:
        return None


def leaf_problems(leaf: Certificate, issuer: Certificate, common_name: str) -> Iterator[str]:
    """What is wrong with an end-entity certificate beside its signature and dates."""
    if leaf.subject_cn != common_name:
        yield f"subject {shown(leaf.subject_cn)}, not {common_name!r}"
    if leaf.issuer != issuer.subject:
        yield f"issuer of {shown(leaf.subject_cn)} is not the subject of {shown(issuer.subject_cn)}"
    if leaf.is_ca or leaf.may_sign_certificates or leaf.may_sign_crls:
        yield f"{shown(leaf.subject_cn)} may sign certificates or CRLs"
    yield from _critical(leaf)


def shown(name: str) -> str:
    """A name out of a certificate, for people: whoever made it chose the characters, so it is quoted, escaped
    and cut to 64."""
    quoted = repr(name)
    return quoted if len(quoted) <= 64 else quoted[:63] + "…"


def _from_quote(data: bytes, anchors: AnchorSet) -> PckChain | Problem:
    try:
        encoded = _split(data, limit=3)
    except EndorsementFormatError as error:
        # Intel's own sample has its chain in DER, which type 5 is not: a chain, but none that we look into.
        garbled = not _is_der_chain(data)
        return Problem(Reason.CERTIFICATE_MALFORMED, f"{error.where}: {error.found}", garbled=garbled)
    certificates, unreadable = _parse_all(encoded)
    leaves = [c for c in certificates if pck_extension.EXTENSION in c.extensions]
    if len(leaves) != 1:
        found = unreadable or (f"{len(leaves)} certificates with the SGX extension",)
        return Problem(Reason.CERTIFICATE_MALFORMED, found[0], garbled=True)
    rest = [c for c in certificates if c is not leaves[0]]
    self_issued = [c for c in rest if c.subject == c.issuer]
    root = self_issued[0] if len(self_issued) == 1 else None
    others = [c for c in rest if c is not root]
    problem = None
    if unreadable:
        problem = Problem(Reason.CERTIFICATE_MALFORMED, unreadable[0])
    elif len(encoded) != 3 or root is None:
        problem = Problem(Reason.DCAP_CHAIN, f"{len(encoded)} certificates, {len(self_issued)} self-issued")
    return _judge(leaves[0], others[0] if len(others) == 1 else None, root, anchors, problem)


def _from_endorsements(quote: Quote, endorsements: Endorsements, now: datetime) -> PckChain | Problem:
    """Certification data without a chain: the PCK must have come along and have signed the QE report."""
    data = quote.signature_data
    pool, _ = _parse_all(tuple(dict.fromkeys(endorsements.certificates)))
    leaves = [c for c in pool if pck_extension.EXTENSION in c.extensions][:MAX_CANDIDATES]
    if data.certification_type == PCK_LEAF:
        try:
            (encoded,) = _split(data.certification_data, limit=1)
            leaves = [x509.parse(encoded, "PCK certificate")]
        except EndorsementFormatError as error:
            return Problem(Reason.CERTIFICATE_MALFORMED, f"{error.where}: {error.found}", garbled=True)
    else:
        leaves = [c for c in leaves if signed_qe_report(quote, c)]
    if not leaves:
        return Problem(
            Reason.DCAP_PCK_MISSING,
            f"certification data type {data.certification_type}, and no PCK certificate that fits",
        )
    chains = [
        _judge(leaf, ca, root, endorsements.anchors, None)
        for leaf in leaves
        for ca, root in _issuers(leaf, pool, roots.PINS[endorsements.anchors])
    ]
    # The same keys may have been certified more than once: one bad certificate must not hide a good one.
    return max(
        chains, key=lambda c: (c.problem is None, not c.names, all(x.valid_at(now) for x in c.certificates))
    )


def _issuers(
    leaf: Certificate, pool: Sequence[Certificate], pins: frozenset[str]
) -> list[tuple[Certificate | None, Certificate | None]]:
    """Every CA whose key signed `leaf`, with the root that signed the CA; a CA alone when none has a root."""
    named = [c for c in pool if c.subject == leaf.issuer][:MAX_CANDIDATES]
    cas = [c for c in named if x509.issued_by(leaf, c.public_key)]
    known = [c for c in pool if c.sha256 in pins or c.sha256 == roots.SIMULATED]
    pairs = [(ca, root) for ca in cas for root in known if x509.issued_by(ca, root.public_key)]
    return [*pairs] or [(cas[0] if cas else None, None)]


def signed_qe_report(quote: Quote, leaf: Certificate) -> bool:
    """Whether the key of `leaf` signed the QE report."""
    data = quote.signature_data
    key = leaf.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    r = int.from_bytes(data.qe_report_signature[:32], "big")
    s = int.from_bytes(data.qe_report_signature[32:], "big")
    return ecdsa.verify_p256_sha256(key, r, s, data.qe_report.raw)


def _judge(
    leaf: Certificate,
    ca: Certificate | None,
    root: Certificate | None,
    anchors: AnchorSet,
    problem: Problem | None,
) -> PckChain:
    pck: Pck | None = None
    try:
        pck = pck_extension.read(leaf, "PCK")
    except EndorsementFormatError as error:
        problem = problem or Problem(Reason.CERTIFICATE_MALFORMED, f"{error.where}: {error.found}")
    pinned = root is not None and root.sha256 in roots.PINS[anchors]
    simulated = root is not None and root.sha256 == roots.SIMULATED
    unfit = next(_issuer_problems(ca, root), None) if ca and root else None
    ca_trusted = bool(pinned and root and ca and unfit is None and x509.issued_by(ca, root.public_key))
    return PckChain(
        leaf=leaf,
        pck=pck,
        ca=ca,
        root=root,
        problem=problem or _signature_problem(leaf, ca, root, pinned, simulated),
        names=tuple(_name_problems(leaf, ca, root)),
        ca_trusted=ca_trusted,
        simulated=simulated,
        key_sha256=hashlib.sha256(leaf.spki).digest(),
    )


def _signature_problem(
    leaf: Certificate, ca: Certificate | None, root: Certificate | None, pinned: bool, simulated: bool
) -> Problem | None:
    if ca is None or root is None:
        return Problem(Reason.DCAP_CHAIN, f"no {'PCK CA' if ca is None else 'root'} certificate")
    if not pinned:
        if simulated:
            return Problem(Reason.SIMULATED, "the simulator's root")
        return Problem(Reason.DCAP_CHAIN, f"root {root.sha256[:16]}…, which is not pinned")
    if not x509.issued_by(ca, root.public_key):
        return Problem(Reason.DCAP_CHAIN, f"{shown(ca.subject_cn)} is not signed by the root")
    unfit = next(_issuer_problems(ca, root), None)
    if unfit is not None:
        return Problem(Reason.DCAP_CHAIN_NAMES, unfit)
    if not x509.issued_by(leaf, ca.public_key):
        return Problem(Reason.DCAP_CHAIN, f"the PCK certificate is not signed by {shown(ca.subject_cn)}")
    return None


def _name_problems(leaf: Certificate, ca: Certificate | None, root: Certificate | None) -> Iterator[str]:
    if ca is None or root is None:
        yield "incomplete chain"
        return
    yield from leaf_problems(leaf, ca, LEAF_CN)
    yield from _issuer_problems(ca, root)
    if root.subject_cn != ROOT_CN:
        yield f"subject of the root is {shown(root.subject_cn)}"
    if ca.issuer != root.subject or root.issuer != root.subject:
        yield "issuer of the CA is not the subject of the root"
    for certificate in (ca, root):
        if not certificate.may_sign_crls:
            yield f"{shown(certificate.subject_cn)} may not sign CRLs"
        yield from _critical(certificate)


def _issuer_problems(ca: Certificate, root: Certificate) -> Iterator[str]:
    """Why this CA may not issue a PCK certificate, or this root such a CA, whoever signed what."""
    if ca.subject_cn not in CA_OF:
        yield f"subject of the CA is {shown(ca.subject_cn)}"
    for certificate, below in ((ca, 0), (root, 1)):
        if not (certificate.is_ca and certificate.may_sign_certificates):
            yield f"{shown(certificate.subject_cn)} may not sign certificates"
        if certificate.path_length is not None and certificate.path_length < below:
            yield f"path length of {shown(certificate.subject_cn)} is {certificate.path_length}"


def _critical(certificate: Certificate) -> Iterator[str]:
    for oid, (critical, _) in certificate.extensions.items():
        if critical and oid != pck_extension.EXTENSION:
            yield f"critical extension {oid[:64]} in {shown(certificate.subject_cn)}"


def _split(data: bytes, *, limit: int) -> tuple[bytes, ...]:
    return x509.split_pem(data, "certification data", limit=limit)


def _is_der_chain(data: bytes) -> bool:
    """Whether `data` is up to three certificates in DER, one behind the other, and nothing else."""
    try:
        elements = der.children(data, "certification data", limit=3)
    except EndorsementFormatError:
        return False
    certificates, unreadable = _parse_all([element.raw for element in elements])
    return bool(certificates) and not unreadable


def _parse_all(encoded: Sequence[bytes]) -> tuple[list[Certificate], tuple[str, ...]]:
    """Every certificate that can be read, and a line about each that cannot."""
    certificates: list[Certificate] = []
    unreadable: list[str] = []
    for index, raw in enumerate(encoded):
        try:
            certificates.append(x509.parse(raw, f"certificate {index + 1}"))
        except EndorsementFormatError as error:
            unreadable.append(f"{error.where}: {error.found}")
    return certificates, tuple(unreadable)
