"""From a verification to wrapped secrets: each path decided by the policy that owns it.

The order is the point of this file: a plan; its intents, durable; then each secret is opened, wrapped and
signed; then the outcomes, durable; and only then is there anything to reply with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway import secrets
from gateway.appraisals import StoredAppraisal
from gateway.attempts import Attempt
from gateway.errors import GatewayError, GatewayReason
from gateway.policybook import Compiled
from gateway.ports import Journal, Keys, LedgerReceipt, NewEntry
from gateway.protocol.native import RuntimeData
from gateway.refusal import PathRefusal, Why, because, of_appraisal
from gateway.release import native
from gateway.release.wrap import wrap
from policies.appraise import Appraisal
from policies.release import ReleaseGrant, decide
from verifiers.model import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one path: a grant, or why not. appraisal: None when nobody owns the path."""

    path: str
    appraisal: Appraisal | None
    grant: ReleaseGrant | None
    why: Why | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be handed out. entries: what must be durable before `Releaser.hand_out`, an intent for each
    grant among them. refusals: of the paths that nothing is handed out for."""

    grants: tuple[ReleaseGrant, ...]
    refusals: tuple[PathRefusal, ...]
    entries: tuple[NewEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    """releases: as the reply has them, {"path", "version", "release"}. refusals: the plan's, and those of
    paths without a secret."""

    releases: tuple[dict[str, Any], ...]
    refusals: tuple[PathRefusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Releaser:
    """issuer: our name in the signed release."""

    issuer: str
    keys: Keys
    journal: Journal
    vault: secrets.Vault

    def plan(self, attempt: Attempt, runtime: RuntimeData, decisions: Sequence[Decision]) -> Plan:
        grants = tuple(decision.grant for decision in decisions if decision.grant is not None)
        if any(grant.tenant != attempt.tenant for grant in grants):
            raise AssertionError("a grant of another tenant")
        refusals = refusals_of(decisions)
        refused = (
            {"attempt": attempt.id, "path": refusal.path, "reason": refusal.why.reason}
            for refusal in refusals
        )
        rests = {name: attempt.facts[name] for name in ("appraisal",) if name in attempt.facts}
        intents = (_named(attempt, runtime, grant) | rests | _grounds(grant) for grant in grants)
        return Plan(
            grants=grants,
            refusals=refusals,
            entries=(
                *(NewEntry(attempt.tenant, "release.refused", body) for body in refused),
                *(NewEntry(attempt.tenant, "release.intent", body) for body in intents),
            ),
        )

    def hand_out(
        self,
        attempt: Attempt,
        runtime: RuntimeData,
        plan: Plan,
        receipts: Sequence[LedgerReceipt],
        row: StoredAppraisal | None = None,
    ) -> HandedOut:
        """Open, wrap and sign what was granted. receipts: of the plan's entries, which are durable.

        A secret that is not there is one path's refusal. Whatever else is raised, nothing is handed out, and
        the ledger says so of every path. row: stored with the outcomes when something is handed out.
        """
        if len(receipts) != len(plan.entries):
            raise AssertionError("a plan whose intents are not in the ledger")
        releases: list[dict[str, Any]] = []
        absent: list[PathRefusal] = []
        outcomes: list[dict[str, Any]] = []
        try:
            for grant in plan.grants:
                outcome = _named(attempt, runtime, grant)
                try:
                    version, signed = self._sealed(attempt.tenant, runtime, grant)
                except GatewayError as error:
                    if error.reason is not GatewayReason.SECRET_ABSENT:
                        raise
                    absent.append(PathRefusal(grant.path, because(error.reason, "secret")))
                    outcomes.append(outcome | {"result": "failed", "reason": str(error.reason)})
                    continue
                releases.append({"path": grant.path, "version": version, "release": signed})
                outcomes.append(outcome | {"result": "released", "version": version})
        except Exception as error:
            reason = error.reason if isinstance(error, GatewayError) else GatewayReason.INTERNAL
            failed = {"result": "failed", "reason": str(reason)}
            self._outcomes(attempt, [_named(attempt, runtime, grant) | failed for grant in plan.grants])
            raise
        self._outcomes(attempt, outcomes, row if releases else None)
        return HandedOut(releases=tuple(releases), refusals=(*plan.refusals, *absent))

    def _sealed(self, tenant: str, runtime: RuntimeData, grant: ReleaseGrant) -> tuple[int, str]:
        """Open, wrap to the attested key, sign. Nothing of it is kept."""
        opened = secrets.get(self.vault, tenant, grant.path)
        payload = native.statement(
            iss=self.issuer,
            aud=runtime.aud,
            nonce=runtime.nonce,
            path=grant.path,
            version=opened.version,
            lease=grant.lease,
            jwe=wrap(opened.value, runtime.key, tenant),
        )
        return opened.version, self.keys.sign_jws({"typ": native.TYP}, payload)

    def _outcomes(
        self, attempt: Attempt, bodies: Sequence[dict[str, Any]], row: StoredAppraisal | None = None
    ) -> None:
        if bodies:
            entries = [NewEntry(attempt.tenant, "release.outcome", body) for body in bodies]
            self.journal.commit(entries, row)


def refusals_of(decisions: Sequence[Decision]) -> tuple[PathRefusal, ...]:
    return tuple(PathRefusal(d.path, d.why) for d in decisions if d.why is not None)


def decide_paths(
    compiled: Compiled,
    tenant: str,
    paths: Sequence[str],
    judge: Callable[[str | None], Appraisal],
) -> tuple[Decision, ...]:
    """judge: the appraisal under a release policy by name. Every policy judges once, however many paths it
    owns."""
    judged: dict[str, Appraisal] = {}
    out = []
    for path in paths:
        name = compiled.owner_of(path)
        if name is None:
            why = because(GatewayReason.NO_POLICY, "policy")
            out.append(Decision(path=path, appraisal=None, grant=None, why=why))
            continue
        if name not in judged:
            judged[name] = judge(name)
        out.append(_decide(judged[name], tenant, path))
    return tuple(out)


def _decide(appraisal: Appraisal, tenant: str, path: str) -> Decision:
    """Only a ReleaseGrant opens anything, and only `policies.release.decide` makes one."""
    if appraisal.verdict is not Verdict.ACCEPTED:
        return Decision(path=path, appraisal=appraisal, grant=None, why=of_appraisal(appraisal))
    found = decide(appraisal, tenant=tenant, path=path)
    if isinstance(found, ReleaseGrant):
        return Decision(path=path, appraisal=appraisal, grant=found, why=None)
    why = Why(reason=found.reason, where=found.reason)
    return Decision(path=path, appraisal=appraisal, grant=None, why=why)


def _named(attempt: Attempt, runtime: RuntimeData, grant: ReleaseGrant) -> dict[str, Any]:
    return {"attempt": attempt.id, "path": grant.path, "jkt": runtime.key.thumbprint}


def _grounds(grant: ReleaseGrant) -> dict[str, Any]:
    return {
        "evidence": f"sha256:{grant.evidence.hex()}",
        "policy": f"{grant.policy.name}@{grant.policy.version} {grant.policy.digest}",
        "rule": grant.rule,
        "lease": int(grant.lease.total_seconds()),
        "waived": [waiver.id for waiver in grant.waived],
        "simulated": grant.simulated,
    }
