"""What happens to a request, from its bytes to the reply. Read this file first.

    protocol → nonce → parse → collateral → verify → appraise → token → release → ledger

What must stay true:

* A challenge is used up before anything else is looked at, whatever comes of the attempt.
* Evidence is always compared with the digest of the runtime data *as sent*; key, audience and tenant are read
  from those bytes only, and identity, freshness and revocation are all required.
* A release decides anew, with today's collateral, policy and time; the key comes from the stored
  runtime data.
* What is written of a decision is written in a transaction in which the documents it was made under still
  count (`Journal.commit`, epoch). If others changed them meanwhile, it is made anew.
* `release.intent` is durable before a secret is opened; if it cannot be written, nothing is opened. The
  outcome is durable before there is a reply. An attempt waits for the disk three times: its challenge alone;
  its appraisal with what the ledger says of it and of the intents; the outcomes.
* A shadow (`shadow.py`) is asked after all of this, beside it, and changes none of it.
* An exception that is not one of ours is our bug: the attempt is recorded as refused, and the bug is logged.

Each path of a request is decided by itself, under the policy that owns it: some may be released and others
not, and the reply says which. When all are refused, the reply is a refusal with the first one's reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from gateway import evidence, nonces, record
from gateway.admission import check_place, own_token, releasable
from gateway.appraisals import AppraisalStore, StoredAppraisal
from gateway.appraiser import Appraiser, Errand
from gateway.attempts import Attempt, Recorder, new_id
from gateway.errors import GatewayError, GatewayReason
from gateway.policybook import Compiled
from gateway.ports import NONCE_LIFETIME, Clock, Keys, LedgerReceipt, NonceStore, PolicyChanged, Random
from gateway.protocol import native
from gateway.question import Question
from gateway.reading import Read
from gateway.refusal import Denied, of_appraisal, of_error
from gateway.releasing import Decision, Plan, Releaser, decide_paths, refusals_of
from gateway.shadow import Shadows, answer_of, verdict_of
from gateway.token import ear
from policies.appraise import Appraisal
from verifiers.codec import b64
from verifiers.model import Binding, ReportData, Unbound, Verdict, Verification

T = TypeVar("T")

_TURNS = 8
"""Decisions are made outside the store's lock; who finds that documents changed decides again, so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Everything the pipeline uses; `app.py` puts it together. audiences: names by which guests may know us,
    the issuer among them."""

    issuer: str
    audiences: frozenset[str]
    development: bool
    token_life: timedelta
    clock: Clock
    random: Random
    keys: Keys
    nonces: NonceStore
    appraisals: AppraisalStore
    appraiser: Appraiser
    recorder: Recorder
    releaser: Releaser
    shadows: Shadows


def challenge(gateway: Gateway, tenant: str, body: bytes) -> dict[str, Any]:
    """POST /v1/challenge. Nothing is stored: a challenge proves itself."""
    native.parse_challenge(body)
    nonce = nonces.issue(
        tenant, clock=gateway.clock, random=gateway.random, keys=gateway.keys, store=gateway.nonces
    )
    return {"nonce": nonce, "expires_in": int(NONCE_LIFETIME.total_seconds())}


def attest(gateway: Gateway, tenant: str, body: bytes, client: str = "") -> dict[str, Any]:
    """POST /v1/attest: an EAR for accepted evidence, with the secrets asked for. Raises Denied."""
    request = native.parse_attest(body)
    runtime = native.parse_runtime_data(request.runtime_data)
    attempt = _begin(gateway, tenant, "attest", runtime, client)
    with gateway.shadows.beside(attempt), gateway.recorder.recording(attempt):
        check_place(runtime, tenant=tenant, audiences=gateway.audiences)
        read = _open(gateway, attempt, request.evidence)
        verification, attempt.inputs = gateway.appraiser.verify(
            read, ReportData(runtime.report_data), attempt.at, attempt.errand
        )

        def decide(epoch: int, compiled: Compiled) -> tuple[str, Plan, Sequence[LedgerReceipt]]:
            judge = _judge(gateway, compiled, verification, attempt.at)
            decisions = decide_paths(compiled, tenant, request.release, judge)
            attempt.question = _question(verification, decisions, epoch, request.policy)
            appraisal = _leading(decisions, compiled, request, judge)
            _require_accepted(gateway, attempt, appraisal, decisions)
            expires = _expiry(gateway, verification, attempt.at)
            told = record.of(appraisal)
            token = _token(gateway, attempt, appraisal, told, expires, runtime, ear.ATTESTED)
            plan = gateway.releaser.plan(attempt, runtime, decisions)
            receipts = gateway.recorder.accept(
                attempt, appraisal, told, expires, releasable=True, further=plan.entries, epoch=epoch
            )
            return token, plan, receipts

        token, plan, receipts = _under_what_counts(gateway, attempt, decide)
        return {"attempt": attempt.id, "ear": token} | _release(gateway, attempt, runtime, plan, receipts)


def release(gateway: Gateway, tenant: str, body: bytes, client: str = "") -> dict[str, Any]:
    """POST /v1/release: secrets for an EAR of ours, decided anew. Raises Denied."""
    request = native.parse_release(body)
    attempt = _new(gateway, tenant, "release", client)
    try:
        claims = own_token(
            request.ear, keys=gateway.keys, issuer=gateway.issuer, tenant=tenant, now=attempt.at
        )
    except GatewayError as error:
        gateway.recorder.ignored(str(error.reason))
        raise
    attempt.facts |= {"appraisal": claims["jti"][:64], "paths": list(request.paths)}
    with gateway.shadows.beside(attempt), gateway.recorder.recording(attempt):
        stored = releasable(claims, tenant=tenant, now=attempt.at, store=gateway.appraisals)
        attempt.kept = evidence.again(stored)
        submission = evidence.open_stored(gateway.keys, stored)
        runtime = native.parse_runtime_data(submission.runtime_data)
        read = gateway.appraiser.open(tenant, submission.evidence)
        verification, attempt.inputs = gateway.appraiser.verify(
            read, ReportData(runtime.report_data), attempt.at, attempt.errand
        )

        def decide(epoch: int, compiled: Compiled) -> tuple[Plan, Sequence[LedgerReceipt], Appraisal]:
            judge = _judge(gateway, compiled, verification, attempt.at)
            decisions = decide_paths(compiled, tenant, request.paths, judge)
            attempt.question = _question(verification, decisions, epoch)
            if not any(decision.grant for decision in decisions):
                raise _all_refused(gateway, attempt, decisions, decisions[0].appraisal)
            plan = gateway.releaser.plan(attempt, runtime, decisions)
            receipts = gateway.recorder.journal.commit(plan.entries, epoch=epoch)
            granted = next(d.appraisal for d in decisions if d.grant is not None and d.appraisal is not None)
            return plan, receipts, granted

        plan, receipts, granted = _under_what_counts(gateway, attempt, decide)
        row = gateway.recorder.granted(attempt, granted)
        return {"attempt": attempt.id} | _release(gateway, attempt, runtime, plan, receipts, row)


def verify(gateway: Gateway, tenant: str, body: bytes, client: str = "") -> dict[str, Any]:
    """POST /v1/verify: what a relying party may know. Never releases, whatever the verdict.

    With our own challenge the attempt is recorded; without one nothing is stored, for anybody may ask.
    """
    request = native.parse_verify(body)
    if request.runtime_data is None:
        binding: Binding = Unbound("the relying party gave no report data")
        if request.report_data is not None:
            binding = ReportData(request.report_data)
        attempt = _new(gateway, tenant, "verify", client)
        return _verify(gateway, attempt, request, binding, None)
    runtime = native.parse_runtime_data(request.runtime_data)
    attempt = _begin(gateway, tenant, "verify", runtime, client)
    with gateway.shadows.beside(attempt), gateway.recorder.recording(attempt):
        check_place(runtime, tenant=tenant, audiences=gateway.audiences)
        return _verify(gateway, attempt, request, ReportData(runtime.report_data), runtime)


# --- the stages ----------------------------------------------------------------------------------------


def _new(gateway: Gateway, tenant: str, kind: str, client: str) -> Attempt:
    """client: the network that asks, for the budget of machines never seen before; whatever tenant it names,
    since anybody may name many."""
    errand = Errand(client=client)
    return Attempt(id=new_id(gateway.random), tenant=tenant, kind=kind, at=gateway.clock.now(), errand=errand)


def _begin(gateway: Gateway, tenant: str, kind: str, runtime: native.RuntimeData, client: str) -> Attempt:
    """Use up the challenge. What carries none of ours is counted. The first replay of a used one is an
    attempt, and recorded; all further ones are counted too, so that nobody fills the ledger with them."""
    attempt = _new(gateway, tenant, kind, client)
    attempt.runtime_data = runtime.raw
    attempt.facts["jkt"] = runtime.key.thumbprint
    try:
        nonces.take(runtime.nonce, tenant, attempt.at, keys=gateway.keys, store=gateway.nonces)
    except GatewayError as error:
        if error.reason is GatewayReason.NONCE_USED and _first_replay(
            gateway, tenant, runtime.nonce, attempt.at
        ):
            raise gateway.recorder.refuse(attempt, of_error(error)) from None
        gateway.recorder.ignored(str(error.reason))
        raise
    return attempt


def _first_replay(gateway: Gateway, tenant: str, nonce: str, now: datetime) -> bool:
    mark = hashlib.sha256(b"sealgate/1 replayed challenge\0" + nonce.encode()).digest()
    return gateway.nonces.consume(tenant, mark, now + NONCE_LIFETIME)


def _open(gateway: Gateway, attempt: Attempt, sent: native.Evidence) -> Read:
    """Parsed evidence out of what was sent, which is kept as it was sent."""
    message = record.encode(sent)
    read = gateway.appraiser.open(attempt.tenant, message)
    attempt.evidence = message
    return read


def _under_what_counts(gateway: Gateway, attempt: Attempt, decide: Callable[[int, Compiled], T]) -> T:
    """What `decide` makes of the documents that count, and commits under their epoch. Nothing was written,
    and nothing opened, when it finds that others changed them: then it is asked again."""
    for _ in range(_TURNS):
        epoch, compiled = gateway.appraiser.book.at(attempt.tenant)
        attempt.baselines = compiled.platform.baselines  # noted for a replay
        try:
            return decide(epoch, compiled)
        except PolicyChanged:
            continue
    raise GatewayError(
        GatewayReason.STORE_BUSY,
        "policies keep changing; try again",
        where="policies",
        expected="policies that stay while one decision is made",
        found=f"{_TURNS} changes by others",
    )


def _judge(
    gateway: Gateway, compiled: Compiled, verification: Verification, now: datetime
) -> Callable[[str | None], Appraisal]:
    return lambda name: gateway.appraiser.judge(verification, compiled, name, now)


def _question(
    verification: Verification, decisions: Sequence[Decision], epoch: int, policy: str | None = None
) -> Question:
    return Question(
        verification=verification,
        paths=tuple(decision.path for decision in decisions),
        policy=policy,
        epoch=epoch,
        answers=tuple(map(answer_of, decisions)),
    )


def _leading(
    decisions: Sequence[Decision],
    compiled: Compiled,
    request: native.AttestRequest,
    judge: Callable[[str | None], Appraisal],
) -> Appraisal:
    """The appraisal that the token carries: of the first path granted; else of the first path that somebody
    owns; without paths, of the policy that was named, or of the only one there is."""
    granted = [d.appraisal for d in decisions if d.grant is not None and d.appraisal is not None]
    owned = [d.appraisal for d in decisions if d.appraisal is not None]
    if granted or owned:
        return (granted or owned)[0]
    return judge(None if decisions else _named(compiled, request.policy))


def _named(compiled: Compiled, name: str | None) -> str | None:
    if name is None:
        return compiled.only
    if name not in compiled.releases:
        raise GatewayError(
            GatewayReason.NO_POLICY,
            "no active policy has that name",
            where="policy",
            expected="the name of an active release policy",
            found=repr(name[:64]),
        )
    return name


def _require_accepted(
    gateway: Gateway, attempt: Attempt, appraisal: Appraisal, decisions: Sequence[Decision]
) -> None:
    """Raises Denied: when secrets were asked for and none is granted, and when none were and the verdict is
    not accepted."""
    if decisions:
        if not any(decision.grant for decision in decisions):
            raise _all_refused(gateway, attempt, decisions, appraisal)
    elif appraisal.verdict is not Verdict.ACCEPTED:
        raise gateway.recorder.refuse(attempt, of_appraisal(appraisal), appraisal)


def _all_refused(
    gateway: Gateway, attempt: Attempt, decisions: Sequence[Decision], appraisal: Appraisal | None
) -> Denied:
    """The machine's own fault outranks a missing policy, so that a guest without one learns what is worse."""
    refusals = refusals_of(decisions)
    why = refusals[0].why
    if appraisal is not None and appraisal.verdict is Verdict.REFUSED:
        why = of_appraisal(appraisal)
    return gateway.recorder.refuse(attempt, why, appraisal, refusals)


def _release(
    gateway: Gateway,
    attempt: Attempt,
    runtime: native.RuntimeData,
    plan: Plan,
    receipts: Sequence[LedgerReceipt],
    row: StoredAppraisal | None = None,
) -> dict[str, Any]:
    """Hand out what was granted. When no secret was there, it is the reply's refusal. row: what is stored of
    the attempt when something was handed out, unless that was done before."""
    done = gateway.releaser.hand_out(attempt, runtime, plan, receipts, row)
    if plan.grants and not done.releases:
        raise gateway.recorder.refuse(attempt, done.refusals[-1].why, refusals=done.refusals)
    return {
        "releases": list(done.releases),
        "refusals": [refusal.public() for refusal in done.refusals],
    }


def _verify(
    gateway: Gateway,
    attempt: Attempt,
    request: native.VerifyRequest,
    binding: Binding,
    runtime: native.RuntimeData | None,
) -> dict[str, Any]:
    read = _open(gateway, attempt, request.evidence)
    verification, attempt.inputs = gateway.appraiser.verify(read, binding, attempt.at, attempt.errand)
    expires = _expiry(gateway, verification, attempt.at)

    def decide(epoch: int, compiled: Compiled) -> tuple[Appraisal, dict[str, Any]]:
        attempt.question = _question(verification, (), epoch, request.policy)
        name = _named(compiled, request.policy)
        appraisal = gateway.appraiser.judge(verification, compiled, name, attempt.at)
        attempt.question = replace(attempt.question, answers=(verdict_of(appraisal),))
        told = record.of(appraisal)
        if runtime is not None and appraisal.verdict is Verdict.ACCEPTED:
            gateway.recorder.accept(attempt, appraisal, told, expires, releasable=False, epoch=epoch)
        elif runtime is not None:
            gateway.recorder.refuse(attempt, of_appraisal(appraisal), appraisal)
        return appraisal, told

    appraisal, told = _under_what_counts(gateway, attempt, decide)
    nonce = b64.encode_url(binding.expected) if isinstance(binding, ReportData) else None
    token = _token(gateway, attempt, appraisal, told, expires, runtime, ear.BACKGROUND, nonce)
    reply = {"attempt": attempt.id, "ear": token} | record.public(told)
    undecided = appraisal.verdict is Verdict.UNDECIDED and attempt.errand.retry_after is not None
    return reply | ({"retry_after": attempt.errand.retry_after} if undecided else {})


def _expiry(gateway: Gateway, verification: Verification, now: datetime) -> datetime:
    """Never later than the first certificate or document that the verdict relies on."""
    latest = (now + gateway.token_life).replace(microsecond=0)
    return latest if verification.expires is None else min(latest, verification.expires)


def _token(
    gateway: Gateway,
    attempt: Attempt,
    appraisal: Appraisal,
    told: Mapping[str, Any],
    expires: datetime,
    runtime: native.RuntimeData | None,
    purpose: str,
    nonce: str | None = None,
) -> str:
    claims = ear.claims(
        appraisal,
        told,
        issuer=gateway.issuer,
        audience=gateway.issuer,
        tenant=attempt.tenant,
        jti=attempt.id,
        issued=attempt.at,
        expires=expires,
        nonce=nonce if runtime is None else runtime.nonce,
        thumbprint=None if runtime is None else runtime.key.thumbprint,
        purpose=purpose,
    )
    return gateway.keys.sign_jws({"typ": ear.TYP}, ear.encode(claims))
