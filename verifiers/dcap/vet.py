"""Intel's certificates, CRLs and documents by themselves, without a quote: whose are they, what are they
about?

What must stay true: only the digest of a whole root certificate makes it a root; a CRL and a document are
verified with the key of a certificate that was itself verified. Dates are told and not judged, for what is
stored today is used tomorrow.

Sources: Intel PCK Certificate and CRL Profile, 1.3; PCS API v4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from verifiers.crypto import crl as crl_codec
from verifiers.crypto import ecdsa, x509
from verifiers.crypto.x509 import Certificate
from verifiers.dcap import chain, identity, roots, tcbinfo
from verifiers.dcap import pck as pck_extension
from verifiers.dcap.collateral import SIGNER_CN, signer_problem
from verifiers.dcap.document import Signed
from verifiers.errors import EndorsementFormatError, Reason, VettingError
from verifiers.model import AnchorSet, EndorsementFacts

ISSUER_ROLES = {chain.ROOT_CN: "root", SIGNER_CN: "tcb-signing"} | {
    name: f"pck-{ca}" for name, ca in chain.CA_OF.items()
}
"""Common name to the role in an "intel.issuer" key."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Certificates to build chains from: read, not trusted. What cannot be read is not in it."""

    certificates: tuple[Certificate, ...]

    @classmethod
    def of(cls, raws: Sequence[bytes]) -> Pool:
        found = []
        for raw in dict.fromkeys(raws):
            try:
                found.append(x509.parse(raw, "issuer"))
            except EndorsementFormatError:
                continue
        return cls(tuple(found))

    def roots(self, anchors: AnchorSet, where: str) -> tuple[Certificate, ...]:
        """The pinned ones. Raises VettingError: SIMULATED when there is only the simulator's and it does not
        count, DCAP_CHAIN when there is none."""
        known = tuple(c for c in self.certificates if c.sha256 in roots.PINS[anchors])
        if known:
            return known
        if any(c.sha256 == roots.SIMULATED for c in self.certificates):
            raise _wrong(Reason.SIMULATED, where, "signatures to Intel's own root", "the simulator's")
        raise _wrong(Reason.DCAP_CHAIN, where, "Intel's root certificate beside it", "none that is pinned")


def is_intel(certificate: Certificate) -> bool:
    """By its names alone: a certificate for this module to judge."""
    return certificate.subject_cn in ISSUER_ROLES or pck_extension.EXTENSION in certificate.extensions


def certificate(raw: bytes, where: str, pool: Pool, anchors: AnchorSet) -> EndorsementFacts:
    """A PCK certificate, or one of its issuers or of the documents' signer ("intel.issuer").

    key of a PCK: ppid, cpusvn, pcesvn, pceid, fmspc, ca. key of an issuer: role and spki (SHA-256, hex).
    Raises EndorsementFormatError(CERTIFICATE_MALFORMED); VettingError: DCAP_CHAIN, DCAP_CHAIN_NAMES,
    SIMULATED.
    """
    cert = x509.parse(raw, where)
    pool = Pool((*pool.certificates, cert))
    if pck_extension.EXTENSION in cert.extensions:
        return _pck(cert, where, pool, anchors)
    role = ISSUER_ROLES.get(cert.subject_cn)
    if role is None:
        raise _wrong(
            Reason.DCAP_CHAIN_NAMES, where, "a certificate of Intel's SGX and TDX chains", "another one"
        )
    root = _root_of(cert, role, where, pool, anchors)
    return EndorsementFacts(
        kind="intel.issuer",
        key=(("role", role), ("spki", hashlib.sha256(cert.spki).hexdigest())),
        issued=cert.not_before,
        ends=cert.not_after,
        number=None,
        issuers=() if cert is root else (root.der,),
        simulated=root.sha256 == roots.SIMULATED,
    )


def crl(raw: bytes, where: str, pool: Pool, anchors: AnchorSet) -> EndorsementFacts:
    """A CRL of the root ("intel.root-crl", no key) or of a PCK CA ("intel.pck-crl", key: ca), in DER.

    Raises EndorsementFormatError(CRL_MALFORMED); VettingError: CRL_SIGNATURE, DCAP_CHAIN, SIMULATED.
    """
    unverified = crl_codec.parse(raw, where)
    for issuer, root in _crl_issuers(where, pool, anchors):
        verified = crl_codec.verify(unverified, issuer.subject, issuer.public_key)
        if verified is None:
            continue
        ca = chain.CA_OF.get(issuer.subject_cn)
        return EndorsementFacts(
            kind="intel.root-crl" if ca is None else "intel.pck-crl",
            key=() if ca is None else (("ca", ca),),
            issued=verified.this_update,
            ends=verified.next_update,
            number=verified.number,
            issuers=tuple(dict.fromkeys((issuer.der, root.der))),
            simulated=root.sha256 == roots.SIMULATED,
        )
    named = [i for i, _ in _crl_issuers(where, pool, anchors) if i.subject == unverified.issuer]
    found = (
        "its issuer's name, but not its signature" if named else f"no such certificate under {roots_text()}"
    )
    expected = f"a CRL that {chain.shown(unverified.issuer_cn)} signed"
    raise _wrong(Reason.CRL_SIGNATURE, where, expected, found)


def tcb_info(raw: bytes, where: str, pool: Pool, anchors: AnchorSet) -> EndorsementFacts:
    """A TCB info as PCS serves it. key: fmspc (upper-case hex), tee; as the Need's.

    Raises EndorsementFormatError(COLLATERAL_MALFORMED); VettingError: COLLATERAL_SIGNATURE,
    DCAP_TCB_CHAIN_MISSING, DCAP_CHAIN, SIMULATED.
    """
    info, signed = tcbinfo.parse(raw, where)
    key = (("fmspc", info.fmspc.hex().upper()), ("tee", info.tee.value))
    window = (info.window.issued, info.window.next_update)
    return _document("intel.tcb-info", key, window, info.evaluation_number, signed, where, pool, anchors)


def qe_identity(raw: bytes, where: str, pool: Pool, anchors: AnchorSet) -> EndorsementFacts:
    """The identity of a quoting enclave as PCS serves it. key: tee. Raises as `tcb_info`; an enclave that
    signs no quotes is VettingError(DCAP_WRONG_TEE)."""
    found, signed = identity.parse(raw, where)
    if found.tee is None:
        raise _wrong(Reason.DCAP_WRONG_TEE, where, "QE or TD_QE", found.id)
    key = (("tee", found.tee.value),)
    window = (found.window.issued, found.window.next_update)
    return _document("intel.qe-identity", key, window, found.evaluation_number, signed, where, pool, anchors)


def roots_text() -> str:
    return f"a pinned {chain.ROOT_CN!r}"


def _document(
    kind: str,
    key: tuple[tuple[str, str], ...],
    window: tuple[datetime, datetime],
    number: int,
    signed: Signed,
    where: str,
    pool: Pool,
    anchors: AnchorSet,
) -> EndorsementFacts:
    signers = [
        (cert, root)
        for root in pool.roots(anchors, where)
        for cert in pool.certificates
        if cert.subject_cn == SIGNER_CN and not signer_problem(cert, root)
    ]
    # The same key was certified more than once: the certificate that lasts longest is the one to keep.
    signers.sort(key=lambda pair: pair[0].not_after, reverse=True)
    if not signers:
        raise _wrong(Reason.DCAP_TCB_CHAIN_MISSING, where, f"{SIGNER_CN!r} under {roots_text()}", "none")
    for cert, root in signers:
        public = cert.public_key
        if isinstance(public, ec.EllipticCurvePublicKey) and ecdsa.verify_p256_sha256(
            public, signed.r, signed.s, signed.body
        ):
            return EndorsementFacts(
                kind=kind,
                key=key,
                issued=window[0],
                ends=window[1],
                number=number,
                issuers=(cert.der, root.der),
                simulated=root.sha256 == roots.SIMULATED,
            )
    raise _wrong(Reason.COLLATERAL_SIGNATURE, where, f"a signature by {SIGNER_CN!r}", "another one")


def _pck(cert: Certificate, where: str, pool: Pool, anchors: AnchorSet) -> EndorsementFacts:
    pool.roots(anchors, where)
    found = chain.of_leaf(cert, pool.certificates, anchors)
    if found.problem is not None:
        raise _wrong(found.problem.reason, where, f"a PCK under {roots_text()}", found.problem.found)
    if found.names or found.pck is None or found.ca is None or found.root is None:
        raise _wrong(Reason.DCAP_CHAIN_NAMES, where, "a PCK chain as Intel issues it", "; ".join(found.names))
    pairs = {
        "ca": chain.CA_OF[found.ca.subject_cn],
        "cpusvn": found.pck.cpu_svn.hex(),
        "fmspc": found.pck.fmspc.hex().upper(),
        "pceid": found.pck.pce_id.hex(),
        "pcesvn": str(found.pck.pce_svn),
        "ppid": found.pck.ppid.hex(),
    }
    return EndorsementFacts(
        kind="intel.pck",
        key=tuple(sorted(pairs.items())),
        issued=cert.not_before,
        ends=cert.not_after,
        number=None,
        issuers=(found.ca.der, found.root.der),
        simulated=found.simulated,
    )


def _root_of(cert: Certificate, role: str, where: str, pool: Pool, anchors: AnchorSet) -> Certificate:
    """The pinned root above an issuer, or `cert` itself. Raises VettingError."""
    found = ""
    for root in pool.roots(anchors, where):
        if role == "root":
            problem = None if cert.sha256 == root.sha256 else f"root {cert.sha256[:16]}…, which is not pinned"
        elif role == "tcb-signing":
            problem = signer_problem(cert, root)
        else:
            problem = _ca_problem(cert, root)
        if problem is None:
            return cert if role == "root" else root
        found = problem
    raise _wrong(Reason.DCAP_CHAIN, where, f"an issuer under {roots_text()}", found)


def _crl_issuers(where: str, pool: Pool, anchors: AnchorSet) -> list[tuple[Certificate, Certificate]]:
    """Everybody whose CRL counts, each with the root above: the roots themselves, and PCK CAs."""
    tops = pool.roots(anchors, where)
    cas = [
        (cert, root)
        for root in tops
        for cert in pool.certificates
        if cert.subject_cn in chain.CA_OF and _ca_problem(cert, root) is None
    ]
    return [*((root, root) for root in tops if root.may_sign_crls), *cas]


def _ca_problem(cert: Certificate, root: Certificate) -> str | None:
    problem = next(chain.issuer_problems(cert, root), None)
    if problem is None and not x509.issued_by(cert, root.public_key):
        problem = f"{chain.shown(cert.subject_cn)} is not signed by the root"
    return problem


def _wrong(reason: Reason, where: str, expected: str, found: str) -> VettingError:
    return VettingError(reason, where, expected=expected, found=found)
