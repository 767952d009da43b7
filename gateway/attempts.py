"""One attempt, from a used challenge to the ledger: nothing that happens to it goes unrecorded."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway import evidence, record
from gateway.appraisals import SealedSubmission, StoredAppraisal
from gateway.appraiser import Errand
from gateway.errors import GatewayError, GatewayReason
from gateway.evidence import Inputs, Submission
from gateway.ledger.entry import MAX_BODY
from gateway.ports import Journal, Keys, LedgerReceipt, LedgerUnavailable, NewEntry, Random
from gateway.question import Question
from gateway.refusal import Denied, PathRefusal, Why, because, of_error
from policies.appraise import Appraisal
from policies.joining import FRESHNESS_CHECK
from policies.model import Baseline
from verifiers.errors import AttestationError
from verifiers.model import Outcome, Verdict

log = logging.getLogger("sealgate.attempts")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(random: Random) -> str:
    """80 random bits in Crockford's base32: "A7Q2-M4KD-0FW9-3ZXE". Names an attempt; grants nothing."""
    value = int.from_bytes(random.bytes(10), "big")
    text = "".join(_ALPHABET[(value >> shift) & 31] for shift in range(75, -1, -5))
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


@dataclass(slots=True, kw_only=True)
class Attempt:
    """kind: "attest", "release" or "verify". facts: what is known so far, for the record and the ledger.
    errand: for whom, and when it is worth coming again."""

    id: str
    tenant: str
    kind: str
    at: datetime
    evidence: bytes = b""
    runtime_data: bytes = b""
    kept: SealedSubmission | None = None
    """Of a release: the submission that an earlier attempt keeps."""
    inputs: Inputs | None = None
    """What the verification was made from, once there is one."""
    baselines: tuple[Baseline, ...] = ()
    """Those that its policies were compiled with."""
    question: Question | None = None
    """What was asked and answered, for a shadow; None before there are findings."""
    facts: dict[str, Any] = field(default_factory=dict)
    errand: Errand = field(default_factory=lambda: Errand(client=""))
    accepted: bool = False
    """Stored and in the ledger; what fails from here on is added to the ledger, and changes no record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """keys: seal the evidence that is kept. count: called with (outcome, reason) of every decision; ignored:
    with the reason of every request that carried no challenge of ours. Both for metrics."""

    journal: Journal
    keys: Keys
    count: Callable[[str, str], None]
    ignored: Callable[[str], None]

    @contextmanager
    def recording(self, attempt: Attempt) -> Iterator[None]:
        """Whatever is raised inside, the attempt is in the ledger before it leaves here.

        Our own errors become Denied; anything else is a bug, recorded as such and raised as it is.
        """
        try:
            yield
        except (Denied, LedgerUnavailable):
            raise
        except (GatewayError, AttestationError) as error:
            why = of_error(error)
            if why.status >= 500:
                log.error("attempt %s: %s", attempt.id, error)
            raise self.refuse(attempt, why) from error
        except Exception:
            self.refuse(attempt, because(GatewayReason.INTERNAL, "gateway"))
            raise

    def accept(
        self,
        attempt: Attempt,
        appraisal: Appraisal,
        told: Mapping[str, Any],
        expires: datetime,
        *,
        releasable: bool,
        further: Sequence[NewEntry] = (),
        epoch: int | None = None,
    ) -> Sequence[LedgerReceipt]:
        """Store the appraisal and say so in the ledger, in one durable step with `further` entries: the
        receipts of those. told: what `record.of` made of it. releasable: whether a later release may rest on
        it. epoch: as `Journal.commit`, which raises PolicyChanged."""
        entry = self._entry(attempt, "accepted", appraisal)
        row = self._row(attempt, told, expires, appraisal, verdict=appraisal.verdict, releasable=releasable)
        receipts = self.journal.commit((entry, *further), row, epoch=epoch)
        attempt.accepted = True
        self.count("accepted", "")
        return receipts[1:]

    def granted(self, attempt: Attempt, appraisal: Appraisal) -> StoredAppraisal:
        """What is stored of a release on an earlier result, with its outcomes. Nothing rests on it later, but
        that it can be judged again."""
        told = record.of(appraisal)
        return self._row(attempt, told, attempt.at, appraisal, verdict=appraisal.verdict, releasable=False)

    def refuse(
        self,
        attempt: Attempt,
        why: Why,
        appraisal: Appraisal | None = None,
        refusals: Sequence[PathRefusal] = (),
    ) -> Denied:
        """Record the refusal; the exception to raise."""
        attempt.facts |= {"reason": why.reason, "where": why.where[:200]}
        if refusals:
            # They name every path that was asked for.
            attempt.facts.pop("paths", None)
            attempt.facts["refusals"] = [refusal.public() for refusal in refusals]
        if appraisal is None or not _vouched(appraisal):
            _forget_evidence(attempt)
        if attempt.accepted:
            self.journal.commit((self._entry(attempt, "failed", appraisal),))
        else:
            told = {} if appraisal is None else record.of(appraisal)
            row = self._row(attempt, told, attempt.at, appraisal, verdict=why.verdict, releasable=False)
            self.journal.commit((self._entry(attempt, "refused", appraisal),), row)
        self.count(str(why.verdict), why.reason)
        again = attempt.errand.retry_after if why.verdict is Verdict.UNDECIDED else None
        return Denied(why, attempt=attempt.id, refusals=tuple(refusals), retry_after=again)

    def _row(
        self,
        attempt: Attempt,
        told: Mapping[str, Any],
        expires: datetime,
        appraisal: Appraisal | None,
        *,
        verdict: Verdict,
        releasable: bool,
    ) -> StoredAppraisal:
        about: dict[str, Any] = {"attempt": attempt.id, "kind": attempt.kind, "tenant": attempt.tenant}
        kept = attempt.kept
        if attempt.evidence:
            submission = Submission(attempt.evidence, attempt.runtime_data)
            kept = evidence.seal(self.keys, attempt.tenant, attempt.id, submission)
        inputs, replay = attempt.inputs, {}
        if kept is None or appraisal is None or inputs is None:
            inputs = None
        else:
            replay["replay"] = evidence.told(inputs, appraisal, kept.digest, attempt.baselines)
        return StoredAppraisal(
            tenant=attempt.tenant,
            jti=attempt.id,
            created=attempt.at,
            expires=expires,
            releasable=releasable,
            verdict=str(verdict),
            record=record.encode(
                {**about, **told, **attempt.facts, **replay, "at": record.rfc3339(attempt.at)}
            ),
            submission=kept,
            collateral=None if inputs is None else inputs.held,
        )

    def _entry(self, attempt: Attempt, what: str, appraisal: Appraisal | None) -> NewEntry:
        """What the ledger keeps: names and digests, no contents."""
        body: dict[str, Any] = {"attempt": attempt.id, **attempt.facts}
        if appraisal is not None:
            body |= {
                "verdict": str(appraisal.verdict),
                "evidence": f"sha256:{appraisal.verification.evidence.digest.hex()}",
                "type": str(appraisal.verification.evidence.kind),
                "policies": list(appraisal.policy_digests),
                "simulated": appraisal.verification.simulated,
            }
        return NewEntry(attempt.tenant, f"{attempt.kind}.{what}", _fitting(body))


def _vouched(appraisal: Appraisal) -> bool:
    """Whether the evidence is a machine's, made for our challenge: genuine evidence of others is public."""
    verification = appraisal.verification
    fresh = any(c.id == FRESHNESS_CHECK and c.outcome is Outcome.PASSED for c in verification.checks)
    return verification.authentic and fresh


def _forget_evidence(attempt: Attempt) -> None:
    """Anybody can send bytes that nothing vouches for: of those we keep the digest and the length."""
    if attempt.evidence:
        attempt.facts["evidence_sent"] = {
            "sha256": hashlib.sha256(attempt.evidence).hexdigest(),
            "bytes": len(attempt.evidence),
        }
        attempt.evidence = b""
    attempt.kept = None


def _fitting(body: dict[str, Any]) -> dict[str, Any]:
    """`body`, or what is short in it with the number of everything left out: an entry that does not fit must
    not be an entry that is not written."""
    if len(record.encode(body)) <= MAX_BODY:  # as many bytes as in canonical order
        return body
    short = {name: value for name, value in body.items() if not isinstance(value, (list, dict))}
    return short | {"left_out": {name: len(body[name]) for name in body.keys() - short.keys()}}
