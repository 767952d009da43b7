"""Every route there is: one table, read by the server, by the description at /openapi.json, and by tests.

A row that does not say who may call, or without a body limit, cannot be written. Routes of a tenant exist
twice: /v1/… for the tenant "default", and /t/<tenant>/v1/….
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.collateral import bundle
from gateway.http import admin, collateral, forecast, handlers, lifecycle
from gateway.http.message import JSON, OCTETS, YAML, Handler
from gateway.roles import ANYONE, APPROVE, Access, Role, only, open_to

KIB = 1024
ADMINISTRATION = "/v1/admin/"
_ANY_YAML = (YAML, "text/yaml", "application/x-yaml", "text/x-yaml")
_FILES = (OCTETS, JSON, "application/x-pem-file", "application/pkix-cert", "application/pkix-crl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """access: who may call. body: most bytes of a request body; 0 means none is accepted. accepts: media
    types of the body; () when there is none. empty: whether a body may be left out. request, reply: names in
    `schemas.py`. Raises ValueError where administration would be open to anybody, or anything else closed.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    body: int
    accepts: tuple[str, ...]
    tenant: bool
    summary: str
    empty: bool = False
    request: str | None = None
    reply: str | None = None

    def __post_init__(self) -> None:
        if self.access.open == self.path.startswith(ADMINISTRATION):
            raise ValueError(
                f"{self.method} {self.path}: all of {ADMINISTRATION} asks for a role, and only that"
            )


def _post(
    path: str, handler: Handler, body: int, request: str, reply: str, summary: str, access: Access = ANYONE
) -> Route:
    return Route(
        method="POST", path=path, handler=handler, access=access, body=body, accepts=(JSON,), tenant=True,
        summary=summary, request=request, reply=reply, empty=request == "Challenge",
    )  # fmt: skip


def _get(path: str, handler: Handler, summary: str, reply: str | None = None) -> Route:
    return Route(
        method="GET", path=path, handler=handler, access=ANYONE, body=0, accepts=(), tenant=False,
        summary=summary, reply=reply,
    )  # fmt: skip


def _admin(
    access: Access,
    method: str,
    path: str,
    handler: Handler,
    summary: str,
    *,
    body: int = 0,
    accepts: tuple[str, ...] = (),
    empty: bool = False,
) -> Route:
    return Route(
        method=method, path=path, handler=handler, access=access, body=body, accepts=accepts, tenant=True,
        summary=summary, empty=empty,
    )  # fmt: skip


_OWNERS, _GATEWAY_OWNERS, _OWNERS_SEEN = only(), only(wide=True), only(Role.AUDITOR)
_AUTHORS = only(Role.POLICY_AUTHOR)
_CHANGES = only(Role.POLICY_AUTHOR, Role.OPERATOR)
"""Of content that is known here already: who wrote it is known too."""
_POLICIES_SEEN = only(Role.POLICY_AUTHOR, Role.APPROVER, Role.SECRET_OWNER, Role.OPERATOR, Role.AUDITOR)
_SECRETS, _SECRETS_SEEN = only(Role.SECRET_OWNER), only(Role.SECRET_OWNER, Role.OPERATOR, Role.AUDITOR)
_ATTEMPTS = only(Role.POLICY_AUTHOR, Role.APPROVER, Role.OPERATOR, Role.AUDITOR)
_COLLATERAL = only(Role.OPERATOR, wide=True)
_COLLATERAL_SEEN = only(Role.OPERATOR, Role.AUDITOR, wide=True)
_FORECAST = only(Role.POLICY_AUTHOR, Role.OPERATOR, Role.AUDITOR, wide=True)
_LEDGER = only(Role.OPERATOR, Role.AUDITOR)

ROUTES: tuple[Route, ...] = (
    _post("/v1/challenge", handlers.challenge, 4 * KIB, "Challenge", "ChallengeReply",
          "A fresh challenge, good once."),
    _post("/v1/attest", handlers.attest, 1024 * KIB, "Attest", "AttestReply",
          "Evidence for an EAR, and for secrets when `release` lists paths."),
    _post("/v1/release", handlers.release, 128 * KIB, "Release", "ReleaseReply",
          "Secrets for an EAR of this gateway, decided anew."),
    _post("/v1/verify", handlers.verify, 1024 * KIB, "Verify", "VerifyReply",
          "Background check: what a relying party may know. Never releases.", open_to(Role.RELYING_PARTY)),
    _get("/v1/ledger/checkpoint", handlers.checkpoint, "Index and head of the ledger."),
    _get("/.well-known/jwks.json", handlers.jwks, "Keys that sign tokens and releases."),
    _get("/.well-known/openid-configuration", handlers.openid_configuration, "Discovery."),
    _get("/healthz", handlers.healthz, "The process answers."),
    _get("/readyz", handlers.readyz, "A release could be decided and recorded now."),
    _get("/metrics", handlers.metrics, "Counters of the worker that answers."),
    _get("/openapi.json", handlers.openapi, "This description."),
    _admin(_SECRETS, "PUT", "/v1/admin/secrets/<path:path>", admin.put_secret,
           "Store the body as the next version.",
           body=64 * KIB + 1, accepts=(OCTETS,)),
    _admin(_SECRETS_SEEN, "GET", "/v1/admin/secrets/<path:path>", admin.show_secret,
           "What is known of one secret."),
    _admin(_SECRETS, "DELETE", "/v1/admin/secrets/<path:path>", admin.remove_secret, "Forget every version."),
    _admin(_SECRETS_SEEN, "GET", "/v1/admin/secrets", admin.list_secrets,
           "What secrets there are; never their values."),
    _admin(_AUTHORS, "POST", "/v1/admin/policies", admin.apply_policies,
           "Activate the documents of one YAML file, if everything compiles together.",
           body=4096 * KIB, accepts=_ANY_YAML),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/policies", admin.list_policies, "Active documents."),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/policies/<kind>/<name>", admin.policy,
           "An active document, with its file."),
    _admin(_CHANGES, "DELETE", "/v1/admin/policies/<kind>/<name>", admin.retire_policy,
           "Let a document rest."),
    _admin(_AUTHORS, "POST", "/v1/admin/activations", lifecycle.activate,
           "Activate the documents of several files at once, with signatures.",
           body=lifecycle.MAX_BODY, accepts=(JSON,)),
    _admin(_AUTHORS, "POST", "/v1/admin/proposals", lifecycle.propose, "Keep files that may become active.",
           body=lifecycle.MAX_BODY, accepts=(JSON,)),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/proposals", lifecycle.list_proposals,
           "Proposals, newest first."),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/proposals/<id>", lifecycle.show_proposal, "What became of one."),
    _admin(_AUTHORS, "POST", "/v1/admin/proposals/<id>/reports", lifecycle.report,
           "It was tested or backtested.",
           body=4 * KIB, accepts=(JSON,)),
    _admin(APPROVE, "POST", "/v1/admin/proposals/<id>/approvals", lifecycle.approve, "A signature for it.",
           body=4 * KIB, accepts=(JSON,)),
    _admin(_CHANGES, "POST", "/v1/admin/proposals/<id>/activation", lifecycle.activate_proposal,
           "Activate it.",
           body=64 * KIB, accepts=(JSON,)),
    _admin(_AUTHORS, "POST", "/v1/admin/proposals/<id>/shadow", lifecycle.start_shadow,
           "Ask it beside what counts, without any effect.", body=KIB, accepts=(JSON,), empty=True),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/proposals/<id>/shadow", lifecycle.show_shadow,
           "How its answers differ."),
    _admin(_AUTHORS, "DELETE", "/v1/admin/proposals/<id>/shadow", lifecycle.stop_shadow, "Ask it no more."),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/shadows", lifecycle.list_shadows,
           "Shadows that run or ran, newest first."),
    _admin(_CHANGES, "POST", "/v1/admin/rollbacks", lifecycle.rollback, "Let older content count again.",
           body=64 * KIB, accepts=(JSON,)),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/leases", lifecycle.running_leases,
           "Running leases that would not be renewed under what counts now."),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/history", lifecycle.history,
           "Who changed what when under which approvals."),
    _admin(_POLICIES_SEEN, "GET", "/v1/admin/approvals", lifecycle.show_approvals,
           "How many must approve, with whose keys."),
    _admin(_OWNERS, "PUT", "/v1/admin/approvals", lifecycle.set_approvals,
           "How many must approve from now on.",
           body=4 * KIB, accepts=(JSON,)),
    _admin(_GATEWAY_OWNERS, "POST", "/v1/admin/approval-keys", lifecycle.add_key,
           "Whose signature approves from now on.",
           body=4 * KIB, accepts=(JSON,)),
    _admin(_OWNERS, "DELETE", "/v1/admin/approval-keys/<thumbprint>", lifecycle.revoke_key,
           "Whose signature approves no more."),
    _admin(_COLLATERAL, "POST", "/v1/admin/collateral", collateral.import_file,
           "Certificates, CRLs, TCB info or QE identity, as served.", body=1024 * KIB, accepts=_FILES),
    _admin(_COLLATERAL_SEEN, "GET", "/v1/admin/collateral", collateral.overview,
           "What collateral is held, how old it is, when it ends, what depends on it; wants and vendors."),
    _admin(_COLLATERAL_SEEN, "GET", "/v1/admin/collateral/objects/<digest>", collateral.show,
           "The bytes of one object."),
    _admin(_COLLATERAL, "DELETE", "/v1/admin/collateral/<kind>", collateral.remove,
           "Empty the slot that ?key=, ?channel=, ?variant= and ?simulated= name."),
    _admin(_COLLATERAL, "POST", "/v1/admin/collateral/fetch", collateral.fetch,
           "Let vendors be asked at once: {\"names\": [...]}, or for all that is held.",
           body=64 * KIB, accepts=(JSON,), empty=True),
    _admin(_COLLATERAL, "POST", "/v1/admin/collateral/prune", collateral.prune,
           "Forget what ended long ago, and bytes that nothing refers to; ?dry=true only says what.",
           body=KIB, accepts=(JSON,), empty=True),
    _admin(_COLLATERAL_SEEN, "POST", "/v1/admin/collateral/export", collateral.export,
           "The signed head of a bundle: {\"names\": [...]}, or all that is held.",
           body=64 * KIB, accepts=(JSON,), empty=True),
    _admin(_COLLATERAL, "POST", "/v1/admin/collateral/bundle", collateral.import_bundle,
           "A bundle's head, alone (what is lacking?) or with members from ?from= on; ?trust= names its key.",
           body=bundle.MAX_HEAD + bundle.MAX_PIECE, accepts=(OCTETS,)),
    _admin(_OWNERS_SEEN, "GET", "/v1/admin/administrators", admin.list_administrators,
           "Who may administrate."),
    _admin(_OWNERS, "POST", "/v1/admin/administrators", admin.add_administrator,
           "A new administrator, whose credential is shown this once: {\"roles\": [...]}, or an owner.",
           body=4 * KIB, accepts=(JSON,), empty=True),
    _admin(_OWNERS, "DELETE", "/v1/admin/administrators/<id>", admin.revoke_administrator,
           "Let a credential count no more."),
    _admin(_ATTEMPTS, "GET", "/v1/admin/attempts", admin.attempts, "Recent attempts with every finding."),
    _admin(_ATTEMPTS, "GET", "/v1/admin/attempts/<id>", admin.attempt, "One attempt."),
    _admin(_ATTEMPTS, "GET", "/v1/admin/attempts/<id>/evidence", admin.evidence,
           "Everything that it was decided on, as a replay bundle."),
    _admin(_FORECAST, "GET", "/v1/admin/forecast", forecast.forecast,
           "Which machines that are accepted today will not be, when, and what is short."),
    _admin(_FORECAST, "POST", "/v1/admin/forecast", forecast.forecast,
           "The same, if the baselines in the body were active too.", body=4096 * KIB, accepts=_ANY_YAML),
    _admin(_LEDGER, "GET", "/v1/admin/ledger", admin.ledger, "The last ledger entries."),
)  # fmt: skip
