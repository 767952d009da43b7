"""Which TCB info, QE identity and CRLs count: signed under the pinned root, about this platform, valid now.

What must stay true: collateral is judged under the *same* root as the PCK chain, so simulated collateral can
never vouch for real evidence or the other way round; a CRL is verified with the key of a CA that was itself
verified, never found by name alone; what was verified may be remembered, its dates are looked at every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from verifiers.crypto import crl as crl_codec
from verifiers.crypto import ecdsa, x509
from verifiers.crypto.crl import Crl
from verifiers.crypto.x509 import Certificate
from verifiers.dcap import chain, identity, tcbinfo
from verifiers.dcap import questions as q
from verifiers.dcap.document import Signed
from verifiers.dcap.identity import EnclaveIdentity
from verifiers.dcap.questions import Question
from verifiers.dcap.tcbinfo import TcbInfo
from verifiers.errors import EndorsementFormatError, Reason
from verifiers.model import Check, Endorsements, TeeKind

SIGNER_CN = "Intel SGX TCB Signing"
MAX_DOCUMENTS = 64
"""TCB infos, and QE identities, that are read."""

T = TypeVar("T", TcbInfo, EnclaveIdentity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Generic[T]):
    """A document whose signature holds. signers: every certificate whose key verifies it (the same key has
    been certified more than once); from `choose`, those that are not revoked. passed: the check of the
    document itself, when it counts.
    """

    value: T
    passed: Check
    sha256: str
    signers: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf(Generic[T]):
    """All documents of one kind that were given, sorted by what is wrong with them.

    verified: about this platform and signed. forged: about this platform, signature wrong. unsigned: about
    this platform, and no signing certificate to judge by. others: about something else, and why. unread: how
    many were not looked at, because there are more than `MAX_DOCUMENTS`.
    """

    verified: tuple[Document[T], ...]
    forged: int
    unsigned: int
    others: tuple[tuple[Reason, str], ...]
    malformed: tuple[str, ...]
    unread: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crls:
    """CRLs of one issuer. forged: name the issuer but are not signed by its key. unread: as in `Lists`."""

    verified: tuple[Crl, ...] = ()
    forged: int = 0
    malformed: tuple[str, ...] = ()
    unread: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    tcb_infos: Shelf[TcbInfo]
    identities: Shelf[EnclaveIdentity]
    root_crls: Crls
    pck_crls: Crls


@dataclass(frozen=True, slots=True)
class Lack:
    """Why there is nothing to use. definite: what was given is wrong, rather than missing or out of date.
    revoked: the signers of all that was given, when that is why."""

    reason: Reason
    found: str
    definite: bool
    revoked: tuple[Certificate, ...] = ()


def resolve(
    endorsements: Endorsements,
    root: Certificate,
    ca: Certificate | None,
    tee: TeeKind,
    platform: tuple[bytes, bytes] | None,
) -> Collateral:
    """Sort and verify everything that was given, without looking at any date.

    root: pinned. ca: the PCK CA, issued by it, or None when there is none to trust. platform: FMSPC
    and PCEID, or None when unknown.
    """
    # Certificates may be a stranger's: as a digest, the cache keeps nothing of theirs. The rest is our own
    # and stands in the key as it is: exact, and hashed once in the life of each object.
    key = (
        "dcap.collateral",
        endorsements.anchors,
        root.sha256,
        ca.sha256 if ca else None,
        tee,
        platform,
        _digest(endorsements.certificates),
        endorsements.crls,
        endorsements.tcb_infos,
        endorsements.qe_identities,
    )
    cached = endorsements.cache.get(key)
    if isinstance(cached, Collateral):
        return cached
    signers = _signers(endorsements.certificates, root)
    tcb_infos = _shelve(
        endorsements.tcb_infos,
        tcbinfo.parse,
        "TCB info",
        q.TCB_INFO,
        platform[0].hex().upper().encode() if platform else b"",
        signers,
        lambda info: _not_about(info, tee, platform),
    )
    found = _shelve(
        endorsements.qe_identities,
        identity.parse,
        "QE identity",
        q.QE_DOCUMENT,
        b'"TD_QE"' if tee is TeeKind.TDX else b'"QE"',
        signers,
        lambda found: _not_for(found, tee),
    )
    out = Collateral(
        tcb_infos=tcb_infos,
        identities=found,
        root_crls=_crls(endorsements.crls, root),
        pck_crls=_crls(endorsements.crls, ca) if ca else Crls(),
    )
    # Only what a stranger's certificate cannot multiply: a platform that TCB info exists for, or none at all.
    complete = bool(tcb_infos.verified and out.pck_crls.verified) or (ca is None and platform is None)
    if complete and found.verified and out.root_crls.verified:
        endorsements.cache.put(key, out)
    return out


def choose(shelf: Shelf[T], root_crls: Crls, missing: Reason, now: datetime) -> Document[T] | Lack:
    """The document that counts at `now`: of the current ones the one with the highest evaluation number, then
    the latest. One whose every signer is revoked is left aside: it may be an old one beside a good one.
    """
    standing = [d for d in [_standing(d, root_crls, now) for d in shelf.verified] if d.signers]
    current = [d for d in standing if d.value.window.contains(now)]
    if current:
        return max(current, key=_rank) if len(current) > 1 else current[0]
    if standing:
        ended = [d.value.window.next_update for d in standing if d.value.window.next_update <= now]
        if ended:
            return Lack(Reason.COLLATERAL_EXPIRED, f"nextUpdate {_time(max(ended))}", False)
        first = min(d.value.window.issued for d in standing)
        return Lack(Reason.COLLATERAL_NOT_YET_VALID, f"issueDate {_time(first)}", False)
    if shelf.verified:
        signers = tuple(signer for d in shelf.verified for signer in d.signers)
        return Lack(Reason.DCAP_REVOKED, named(signers), True, signers)
    if shelf.unread:
        found = f"{shelf.unread} more than the {MAX_DOCUMENTS} that are looked at"
        return Lack(Reason.COLLATERAL_TOO_MANY, found, False)
    if shelf.forged:
        return Lack(Reason.COLLATERAL_SIGNATURE, f"{shelf.forged} with a wrong signature", True)
    if shelf.unsigned:
        return Lack(Reason.DCAP_TCB_CHAIN_MISSING, f"no {SIGNER_CN!r} certificate under the root", False)
    if shelf.malformed:
        return Lack(Reason.COLLATERAL_MALFORMED, shelf.malformed[0], True)
    if len(shelf.others) == 1:
        # One document was meant for this evidence, and it is the wrong one.
        return Lack(*shelf.others[0], True)
    return Lack(missing, ", ".join(text for _, text in shelf.others[:8]) or "none given", False)


def choose_crl(crls: Crls, missing: Reason, now: datetime) -> Crl | Lack:
    """The newest CRL that is valid at `now`."""
    current = [c for c in crls.verified if c.current_at(now)]
    if current:
        return max(current, key=lambda c: (c.this_update, c.number)) if len(current) > 1 else current[0]
    if crls.unread:
        found = f"{crls.unread} more than are looked at, and none of the newest is a current one"
        return Lack(Reason.COLLATERAL_TOO_MANY, found, False)
    if crls.verified:
        ended = [c.next_update for c in crls.verified if c.next_update <= now]
        if ended:
            return Lack(Reason.CRL_EXPIRED, f"nextUpdate {_time(max(ended))}", False)
        first = min(c.this_update for c in crls.verified)
        return Lack(Reason.CRL_NOT_YET_VALID, f"thisUpdate {_time(first)}", False)
    if crls.forged:
        return Lack(Reason.CRL_SIGNATURE, "the issuer's name, but not its signature", True)
    if crls.malformed:
        return Lack(Reason.CRL_MALFORMED, crls.malformed[0], True)
    return Lack(missing, "none given", False)


def revoked(crls: Crls, serial: int, now: datetime) -> bool:
    """Whether a CRL that is or was valid lists `serial`. Old lists still tell the truth about entries."""
    return any(serial in c.revoked for c in crls.verified if c.this_update <= now)


def named(certificates: Iterable[Certificate]) -> str:
    """Revoked certificates, for people."""
    return "revoked: " + ", ".join(
        dict.fromkeys(f"{chain.shown(c.subject_cn)} (serial {c.serial:x})" for c in certificates)
    )


def pinned_root(endorsements: Endorsements, pins: frozenset[str]) -> Certificate | None:
    """A pinned root among the certificates given, to judge collateral when the chain itself brings none."""
    for raw in endorsements.certificates:
        if hashlib.sha256(raw).hexdigest() in pins:
            return x509.parse(raw, "root")
    return None


def _signers(certificates: Sequence[bytes], root: Certificate) -> tuple[Certificate, ...]:
    out: list[Certificate] = []
    for raw in certificates:
        try:
            cert = x509.parse(raw, "certificate")
        except EndorsementFormatError:
            # Not needed as long as another one signs; without one the documents count as unsigned.
            continue
        if cert.subject_cn != SIGNER_CN or any(cert.sha256 == known.sha256 for known in out):
            continue
        if signer_problem(cert, root) is None:
            out.append(cert)
    return tuple(out)


def signer_problem(cert: Certificate, root: Certificate) -> str | None:
    """Why `cert` may not sign documents under `root`, which is pinned; None when it may."""
    problem = next(chain.leaf_problems(cert, root, SIGNER_CN), None)
    if problem is None and not x509.issued_by(cert, root.public_key):
        problem = f"{SIGNER_CN!r} is not signed by the root"
    return problem


def _shelve(
    raws: Sequence[bytes],
    parse: Callable[[bytes, str], tuple[T, Signed]],
    what: str,
    question: Question,
    word: bytes,
    signers: tuple[Certificate, ...],
    about: Callable[[T], tuple[Reason, str] | None],
) -> Shelf[T]:
    verified: list[Document[T]] = []
    others: list[tuple[Reason, str]] = []
    malformed: list[str] = []
    forged = unsigned = 0
    # What bears this word comes first: whatever else is kept hides nothing that is meant for this platform.
    given = sorted(dict.fromkeys(raws), key=lambda raw: word not in raw.upper())
    for index, raw in enumerate(given[:MAX_DOCUMENTS]):
        try:
            value, signed = parse(raw, f"{what} {index + 1}")
        except EndorsementFormatError as error:
            malformed.append(f"{error.where}: {error.found}")
            continue
        wrong = about(value)
        if wrong is not None:
            others.append(wrong)
        elif not signers:
            unsigned += 1
        elif fitting := tuple(_verifying(signed, signers)):
            passed = question.holds(f"evaluation {value.evaluation_number} of {_time(value.window.issued)}")
            verified.append(Document(value=value, passed=passed, sha256=signed.sha256, signers=fitting))
        else:
            forged += 1
    return Shelf(
        verified=tuple(verified),
        forged=forged,
        unsigned=unsigned,
        others=tuple(others),
        malformed=tuple(malformed),
        unread=max(0, len(given) - MAX_DOCUMENTS),
    )


def _verifying(signed: Signed, signers: Sequence[Certificate]) -> Iterator[Certificate]:
    outcome: dict[bytes, bool] = {}
    for signer in signers:
        key = signer.public_key
        if signer.spki not in outcome:
            outcome[signer.spki] = isinstance(key, ec.EllipticCurvePublicKey) and ecdsa.verify_p256_sha256(
                key, signed.r, signed.s, signed.body
            )
        if outcome[signer.spki]:
            yield signer


def _standing(document: Document[T], root_crls: Crls, now: datetime) -> Document[T]:
    """The document with those of its signers that no CRL lists."""
    left = [signer for signer in document.signers if not revoked(root_crls, signer.serial, now)]
    return document if len(left) == len(document.signers) else replace(document, signers=tuple(left))


def _rank(document: Document[T]) -> tuple[int, datetime]:
    return document.value.evaluation_number, document.value.window.issued


def _not_about(
    info: TcbInfo, tee: TeeKind, platform: tuple[bytes, bytes] | None
) -> tuple[Reason, str] | None:
    text = f"{info.tee.value.upper()} {info.fmspc.hex().upper()}, PCEID {info.pce_id.hex()}"
    if info.tee is not tee:
        return Reason.DCAP_WRONG_TEE, text
    if platform is None or info.fmspc != platform[0]:
        return Reason.DCAP_FMSPC_MISMATCH, text
    return None if info.pce_id == platform[1] else (Reason.DCAP_PCEID_MISMATCH, text)


def _not_for(found: EnclaveIdentity, tee: TeeKind) -> tuple[Reason, str] | None:
    return None if found.tee is tee else (Reason.DCAP_WRONG_TEE, f"identity {found.id}")


def _crls(raws: Sequence[bytes], issuer: Certificate) -> Crls:
    """Those of `issuer`; of one that may not sign CRLs, all that bear its name are forged."""
    keys = [issuer.public_key] if issuer.may_sign_crls else []
    found = crl_codec.select(raws, issuer.subject, keys)
    return Crls(
        verified=tuple(crl for crl, _ in found.verified),
        forged=found.forged,
        malformed=found.malformed,
        unread=found.unread,
    )


def _digest(pieces: Sequence[bytes]) -> bytes:
    """SHA-256 over all of them, each after its length, so that no two sequences look the same."""
    out = hashlib.sha256()
    for raw in pieces:
        out.update(len(raw).to_bytes(8, "big"))
        out.update(raw)
    return out.digest()


def _time(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")
