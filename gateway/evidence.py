"""What an appraisal was made from, kept so that it can be made again: sealed, and named by its content.

What must stay true: evidence and runtime data lie in the store under a key that is not in it (they name
machines); tenant, attempt and digest are authenticated with them, so no row can stand in for another; the
digest is over both as they were sent. What was *handed* to the verifier is listed whole, not only what the
verdict relied on: a certificate that was left aside is part of why another one counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway import build
from gateway.appraisals import CollateralSet, SealedSubmission, StoredAppraisal
from gateway.collateral.slots import CERTIFICATE, CRL, QE_IDENTITY, TCB_INFO
from gateway.encoding import fields
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Keys, Supplied
from policies.appraise import Appraisal
from policies.model import Baseline
from verifiers.codec import b64
from verifiers.model import AnchorSet, Binding, ReportData

_LABEL = b"sealgate/1 evidence"
_LENGTH = 4
MAX_SET = 4096
"""Objects in one collateral set."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a guest sent: the request's `evidence` as JSON, and its runtime data byte for byte."""

    evidence: bytes
    runtime_data: bytes

    def __repr__(self) -> str:
        return f"Submission({len(self.evidence)} and {len(self.runtime_data)} bytes)"

    @property
    def joined(self) -> bytes:
        return len(self.evidence).to_bytes(_LENGTH, "big") + self.evidence + self.runtime_data

    @property
    def digest(self) -> str:
        """SHA-256, hex, over the length of `evidence` as u32be, `evidence` and `runtime_data`."""
        return hashlib.sha256(self.joined).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a verification was made from, besides evidence and time. held: what our own sources gave;
    withheld: a line for each thing that they held back."""

    anchors: AnchorSet
    binding: Binding
    held: CollateralSet
    withheld: tuple[str, ...] = ()


def pieces_of(held: Supplied) -> tuple[tuple[str, bytes], ...]:
    """(kind, bytes) of everything that was handed over, in the order of its digests."""
    return (
        *((CERTIFICATE, raw) for raw in held.certificates),
        *((CRL, raw) for raw in held.crls),
        *((TCB_INFO, raw) for raw in held.tcb_infos),
        *((QE_IDENTITY, raw) for raw in held.qe_identities),
    )


def set_of(held: Supplied) -> CollateralSet:
    """The set of objects that were handed over, by kind, in the order in which the verifier saw them."""
    pieces = zip(pieces_of(held), held.digests, strict=True)
    listing = "".join(f"{kind} {digest}\n" for (kind, _), digest in pieces).encode()
    return CollateralSet(digest=hashlib.sha256(listing).hexdigest(), listing=listing)


def members(kept: CollateralSet) -> tuple[tuple[str, str], ...]:
    """(kind, SHA-256 in hex) of every object, in order.

    Raises GatewayError(REPLAY_ALTERED) when the listing is not the one that the digest names.
    """
    if hashlib.sha256(kept.listing).hexdigest() != kept.digest:
        raise GatewayError(
            GatewayReason.REPLAY_ALTERED,
            "the list of collateral is not the one that was kept",
            where="collateral set",
            expected=f"sha256:{kept.digest}",
            found=f"sha256:{hashlib.sha256(kept.listing).hexdigest()}",
        )
    return tuple((kind, digest) for kind, _, digest in (line.partition(" ") for line in _lines(kept.listing)))


def _lines(listing: bytes) -> list[str]:
    return listing.decode("ascii", "replace").splitlines()


# --- at rest -------------------------------------------------------------------------------------------


def seal(keys: Keys, tenant: str, jti: str, submission: Submission) -> SealedSubmission:
    """jti: of the attempt that keeps it."""
    joined = submission.joined
    digest = hashlib.sha256(joined).hexdigest()
    key_id, sealed = keys.seal(joined, _bound_to(tenant, jti, digest))
    return SealedSubmission(digest=digest, key_id=key_id, sealed=sealed, held_by=jti)


def again(stored: StoredAppraisal) -> SealedSubmission | None:
    """How another attempt names what `stored` was made from: kept once, where it is."""
    return None if stored.submission is None else replace(stored.submission, sealed=b"", key_id="")


def open_stored(keys: Keys, stored: StoredAppraisal) -> Submission:
    """What `stored` was made from. Raises GatewayError: REPLAY_NOT_KEPT, KEYS_UNKNOWN, SEAL_BROKEN."""
    kept = stored.submission
    where = f"evidence of attempt {stored.jti}"
    if kept is None or not kept.sealed:
        raise GatewayError(
            GatewayReason.REPLAY_NOT_KEPT,
            "the evidence of this attempt is not kept: nothing vouched for it, or its time is over",
            where=where,
            expected="kept evidence",
            found="none",
        )
    try:
        joined = keys.open(kept.key_id, kept.sealed, _bound_to(stored.tenant, kept.held_by, kept.digest))
    except KeyError:
        raise GatewayError(
            GatewayReason.KEYS_UNKNOWN,
            "the gateway has lost the key of this evidence",
            where=where,
            expected="its key in the key folder",
            found=f"no {kept.key_id}",
        ) from None
    except ValueError:
        raise GatewayError(
            GatewayReason.SEAL_BROKEN,
            "the stored evidence was changed or moved",
            where=where,
            expected="what was sealed for this tenant and attempt",
            found="something else",
        ) from None
    end = _LENGTH + int.from_bytes(joined[:_LENGTH], "big")
    return Submission(joined[_LENGTH:end], joined[end:])


def _bound_to(tenant: str, jti: str, digest: str) -> bytes:
    return fields(_LABEL, tenant.encode(), jti.encode(), digest.encode())


# --- in the record -------------------------------------------------------------------------------------


def told(inputs: Inputs, appraisal: Appraisal, digest: str, baselines: Sequence[Baseline]) -> dict[str, Any]:
    """The record's `replay`: how the verdict beside it was come to. `gateway/replay/bundle.py` reads it.

    digest: of the submission. baselines: all that were compiled with the policy, in their order; those about
    other machines have no say, but the policy may ask that they are there.
    """
    binding = inputs.binding
    return {
        "verifier": build.identity(),
        "submission": digest,
        "anchors": inputs.anchors.value,
        "binding": {"report_data": b64.encode_url(binding.expected)}
        if isinstance(binding, ReportData)
        else {"unbound": binding.why},
        "collateral": inputs.held.digest,
        "withheld": list(inputs.withheld),
        "profile": appraisal.profile.value,
        "required": sorted(appraisal.required),
        "baselines": [{"name": f"{b.name}@{b.version}", "digest": b.digest} for b in baselines],
    }
