"""An appraisal made again from its bundle, and what differs from the one that is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway import appraiser, build, policybook, record
from gateway.collateral.slots import CERTIFICATE, CRL, QE_IDENTITY, TCB_INFO
from gateway.errors import GatewayError, GatewayReason
from gateway.evidence import Submission
from gateway.ports import Supplied
from gateway.protocol.native import MAX_BODY
from gateway.replay.bundle import Bundle, Piece
from policies import compiler
from policies.appraise import Appraisal, appraise
from policies.compiler import Policy
from policies.model import Baseline, ReferenceSet, ReleasePolicy
from verifiers.carriers import Opened, open_message
from verifiers.codec import strictjson
from verifiers.model import NoCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One check that came out otherwise. was, now: as the record has checks; None where there was none."""

    id: str
    was: Mapping[str, Any] | None
    now: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """identical: every finding is the stored one, byte for byte. members: what else of the record differs.
    gone, fresh: objects handed over only then, only now."""

    identical: bool
    verdict: tuple[str, str]
    reason: tuple[str | None, str | None]
    checks: tuple[Change, ...]
    members: tuple[str, ...]
    verifier: tuple[str, str]
    at: tuple[datetime, datetime]
    gone: tuple[Piece, ...]
    fresh: tuple[Piece, ...]

    @property
    def same_inputs(self) -> bool:
        return self.at[0] == self.at[1] and not self.gone and not self.fresh


def opened(submission: Submission) -> Opened:
    """The evidence, parsed. Raises EvidenceFormatError, as for whoever sent it."""
    return open_message(strictjson.loads(submission.evidence, "evidence", limit=MAX_BODY))


def repeat(bundle: Bundle, *, at: datetime, pieces: Sequence[Piece]) -> Appraisal:
    """Judge the evidence of `bundle` at `at` with `pieces`: its own `collateral`, or others.

    Raises GatewayError: REPLAY_INCOMPLETE naming the first object or document that is lacking, REPLAY_ALTERED
    for documents that are not what they are named; EvidenceFormatError, PolicyErrors under code that reads
    evidence or documents in another way than the one that stored it.
    """
    evidence = opened(bundle.submission)
    endorsements = appraiser.endorse(evidence, _supplied(pieces), bundle.anchors, NoCache())
    withheld = bundle.withheld if pieces is bundle.collateral else ()
    verification = appraiser.verify(evidence, endorsements, bundle.binding, at, withheld)
    policy, references = _policy(bundle)
    return appraise(verification, references, policy, at, profile=bundle.profile, required=bundle.required)


def _supplied(pieces: Sequence[Piece]) -> Supplied:
    held: dict[str, list[bytes]] = {}
    for piece in pieces:
        if piece.raw is None:
            raise _incomplete(f"{piece.kind} sha256:{piece.sha256}")
        held.setdefault(piece.kind, []).append(piece.raw)
    return Supplied(
        certificates=tuple(held.get(CERTIFICATE, ())),
        crls=tuple(held.get(CRL, ())),
        tcb_infos=tuple(held.get(TCB_INFO, ())),
        qe_identities=tuple(held.get(QE_IDENTITY, ())),
    )


def _policy(bundle: Bundle) -> tuple[Policy, tuple[ReferenceSet, ...]]:
    baselines: list[Baseline] = []
    references: list[ReferenceSet] = []
    release: ReleasePolicy | None = None
    for document in bundle.documents:
        if document.source is None:
            raise _incomplete(str(document))
        named = (document.kind, document.name, document.version)
        for found in policybook.read(document.source, document.name):
            if (policybook.kind_of(found), found.name, found.version) != named:
                continue
            if isinstance(found, Baseline):
                baselines.append(found)
            elif isinstance(found, ReferenceSet):
                references.append(found)
            else:
                release = found
            break
        else:
            raise GatewayError(
                GatewayReason.REPLAY_ALTERED,
                "a policy document is not the one that it is named",
                where="policies",
                expected=str(document),
                found="another document",
            )
    return compiler.compile(baselines, references, release), tuple(references)


def compare(bundle: Bundle, again: Appraisal, pieces: Sequence[Piece]) -> Differences:
    """pieces: what `again` was made with."""
    told = record.of(again)
    stored = bundle.record
    # Of a refusal the record has the reason that the peer was told, and that may be a path's.
    compared = [name for name in told if name != "reason" or "where" not in stored]
    was = {name: stored.get(name) for name in compared}
    now = {name: told[name] for name in compared}
    members = tuple(
        name for name in compared if name != "checks" and record.encode(was[name]) != record.encode(now[name])
    )
    old, new = ({(piece.kind, piece.sha256) for piece in some} for some in (bundle.collateral, pieces))
    return Differences(
        identical=record.encode(was) == record.encode(now),
        verdict=(str(stored.get("verdict")), str(told["verdict"])),
        reason=(stored.get("reason"), told["reason"]),
        checks=tuple(_changes(stored.get("checks") or (), told["checks"])),
        members=members,
        verifier=(bundle.verifier, build.identity()),
        at=(bundle.at, again.at),
        gone=tuple(piece for piece in bundle.collateral if (piece.kind, piece.sha256) not in new),
        fresh=tuple(piece for piece in pieces if (piece.kind, piece.sha256) not in old),
    )


def _changes(was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[Change]:
    """By id, and the n-th of an id against the n-th: in the order of now, then what is there no more."""
    before, after = _by_id(was), _by_id(now)
    return [
        Change(id=key[0], was=before.get(key), now=after.get(key))
        for key in (*after, *(key for key in before if key not in after))
        if before.get(key) != after.get(key)
    ]


def _by_id(checks: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    out: dict[tuple[str, int], Mapping[str, Any]] = {}
    seen: Counter[str] = Counter()
    for check in checks:
        name = str(check["id"])
        out[name, seen[name]] = check
        seen[name] += 1
    return out


def _incomplete(what: str) -> GatewayError:
    return GatewayError(
        GatewayReason.REPLAY_INCOMPLETE,
        f"{what} is not held any more",
        where="bundle",
        expected=what,
        found="nothing",
    )
