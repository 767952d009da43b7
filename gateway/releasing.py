"""From a verification to wrapped secrets: each path decided by the policy that owns it.

The order inside `hand_out` is the point of this file: intent, durable; then the secret is opened; then it is
wrapped; then the outcome, durable; and only then is there anything to reply with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway import secrets
from gateway.attempts import Attempt
from gateway.errors import GatewayError, GatewayReason
from gateway.policybook import Compiled
from gateway.ports import Keys, Ledger
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
class Releaser:
    """issuer: our name in the signed release."""

    issuer: str
    keys: Keys
    ledger: Ledger
    vault: secrets.Vault

    def hand_out(self, attempt: Attempt, runtime: RuntimeData, grant: ReleaseGrant) -> dict[str, Any]:
        """One released secret as the reply has it: {"path", "version", "release"}.

        Raises LedgerUnavailable before anything is opened, and GatewayError (SECRET_ABSENT and the keys')
        after the outcome "failed" is in the ledger.
        """
        if grant.tenant != attempt.tenant:
            raise AssertionError("a grant of another tenant")
        named = {"attempt": attempt.id, "path": grant.path, "jkt": runtime.key.thumbprint}
        self.ledger.append(attempt.tenant, "release.intent", named | _grounds(grant))
        try:
            version, signed = self._sealed(attempt.tenant, runtime, grant)
        except GatewayError as error:
            self._outcome(attempt, named | {"result": "failed", "reason": str(error.reason)})
            raise
        except Exception:
            self._outcome(attempt, named | {"result": "failed", "reason": str(GatewayReason.INTERNAL)})
            raise
        self._outcome(attempt, named | {"result": "released", "version": version})
        return {"path": grant.path, "version": version, "release": signed}

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
            jwe=wrap(opened.value, runtime.key),
        )
        return opened.version, self.keys.sign_jws({"typ": native.TYP}, payload)

    def refuse(self, attempt: Attempt, refusal: PathRefusal) -> None:
        body = {"attempt": attempt.id, "path": refusal.path, "reason": refusal.why.reason}
        self.ledger.append(attempt.tenant, "release.refused", body)

    def _outcome(self, attempt: Attempt, body: dict[str, Any]) -> None:
        self.ledger.append(attempt.tenant, "release.outcome", body)


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


def _grounds(grant: ReleaseGrant) -> dict[str, Any]:
    return {
        "evidence": f"sha256:{grant.evidence.hex()}",
        "policy": f"{grant.policy.name}@{grant.policy.version} {grant.policy.digest}",
        "rule": grant.rule,
        "waived": [waiver.id for waiver in grant.waived],
        "simulated": grant.simulated,
    }
