"""The gateway's own reason codes, and the one exception that carries them to the HTTP edge.

    Exception
    ├── AttestationError   what a peer or an operator gave us cannot be read (`verifiers.errors`)
    ├── GatewayError       what was asked cannot be done: session, token, release, store, keys
    └── LedgerUnavailable  an entry is not durable, so nothing may happen (`gateway.ports`)

Who is told what: a peer gets `reason`, `title` and `detail`; an operator also `where`, `expected` and
`found`. None of them ever holds a secret, a key, a token or a nonce.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class GatewayReason(enum.StrEnum):
    """Codes seen by clients, auditors and tests. Add; never rename or reuse."""

    # The exchange: challenges and the binding of a request to one.
    NONCE_MISSING = "session.nonce-missing"
    NONCE_MALFORMED = "session.nonce-malformed"
    NONCE_FORGED = "session.nonce-forged"
    NONCE_EXPIRED = "session.nonce-expired"
    NONCE_USED = "session.nonce-used"
    NONCE_FUTURE = "session.nonce-future"
    KEY_NOT_BOUND = "session.key-not-bound"
    AUDIENCE = "session.audience"
    TENANT = "session.tenant"
    SESSION_MALFORMED = "session.malformed"
    SESSION_FORGED = "session.forged"
    SESSION_EXPIRED = "session.expired"
    PROTOCOL_VERSION = "session.protocol-version"

    # The request as such.
    REQUEST_MALFORMED = "request.malformed"
    REQUEST_TOO_LARGE = "request.too-large"
    REQUEST_MEDIA_TYPE = "request.media-type"
    REQUEST_MEMBER = "request.unknown-member"
    REQUEST_KEY = "request.key"
    REQUEST_PRIVATE_KEY = "request.private-key"
    REQUEST_ALGORITHM = "request.algorithm"
    REQUEST_NOT_FOUND = "request.not-found"
    REQUEST_METHOD = "request.method"
    UNAUTHENTICATED = "request.unauthenticated"
    FORBIDDEN = "request.forbidden"
    ROLE = "request.role"
    RATE_LIMITED = "request.rate-limited"

    # Result tokens.
    TOKEN_MALFORMED = "token.malformed"  # noqa: S105
    TOKEN_SIGNATURE = "token.signature"  # noqa: S105
    TOKEN_EXPIRED = "token.expired"  # noqa: S105
    TOKEN_AUDIENCE = "token.audience"  # noqa: S105

    # Release of secrets.
    SECRET_PATH = "release.path"  # noqa: S105
    SECRET_ABSENT = "release.secret-absent"  # noqa: S105
    SECRET_SIZE = "release.secret-size"  # noqa: S105
    NO_POLICY = "release.no-policy"
    NOT_ALLOWED = "release.not-allowed"
    NOT_RELEASABLE = "release.not-releasable"
    APPRAISAL_ABSENT = "release.appraisal-absent"
    APPRAISAL_EXPIRED = "release.appraisal-expired"

    # Approval of changes to what counts.
    APPROVAL_MALFORMED = "approval.malformed"
    APPROVAL_KEY = "approval.key"
    APPROVAL_UNKNOWN_KEY = "approval.unknown-key"
    APPROVAL_SIGNATURE = "approval.signature"
    APPROVAL_MISSING = "approval.missing"
    APPROVAL_MIXED = "approval.mixed"

    # The store.
    STORE_ABSENT = "store.absent"
    STORE_FOREIGN = "store.foreign"
    STORE_KIND = "store.kind-mismatch"
    STORE_SCHEMA_NEWER = "store.schema-newer"
    STORE_SCHEMA_CHANGED = "store.schema-changed"
    STORE_PERMISSIONS = "store.permissions"
    STORE_UNAVAILABLE = "store.unavailable"
    STORE_BUSY = "store.busy"
    STORE_CONFLICT = "store.conflict"
    STORE_FORKED = "store.forked"
    STORE_SETTINGS = "store.settings"

    # Collateral.
    COLLATERAL_ROLLBACK = "collateral.rollback"
    COLLATERAL_TOO_OLD = "collateral.too-old"
    COLLATERAL_IN_USE = "collateral.in-use"
    BUNDLE_MALFORMED = "collateral.bundle-malformed"
    BUNDLE_TOO_LARGE = "collateral.bundle-too-large"
    BUNDLE_SIGNATURE = "collateral.bundle-signature"
    BUNDLE_UNTRUSTED = "collateral.bundle-untrusted"
    BUNDLE_MEMBER = "collateral.bundle-member"
    BUNDLE_TRUNCATED = "collateral.bundle-truncated"
    BUNDLE_SURPLUS = "collateral.bundle-surplus"

    # Replays of stored appraisals.
    REPLAY_NOT_KEPT = "replay.not-kept"
    REPLAY_MALFORMED = "replay.malformed"
    REPLAY_ALTERED = "replay.altered"
    REPLAY_INCOMPLETE = "replay.incomplete"

    # The ledger.
    LEDGER_UNAVAILABLE = "ledger.unavailable"
    LEDGER_BROKEN = "ledger.broken"
    LEDGER_MALFORMED = "ledger.malformed"
    LEDGER_KEY = "ledger.key"
    LEDGER_SIGNATURE = "ledger.signature"
    LEDGER_PROOF = "ledger.proof"

    # Keys.
    KEYS_ABSENT = "keys.absent"
    KEYS_LOCATION = "keys.location"
    KEYS_PERMISSIONS = "keys.permissions"
    KEYS_FOREIGN = "keys.foreign"
    KEYS_MALFORMED = "keys.malformed"
    KEYS_INCOMPLETE = "keys.incomplete"
    KEYS_UNKNOWN = "keys.unknown"
    SEAL_BROKEN = "keys.seal-broken"

    # Contained readers of evidence.
    CONTAINED_CRASH = "containment.crash"
    CONTAINED_DEADLINE = "containment.deadline"
    CONTAINED_MEMORY = "containment.memory"
    CONTAINED_REPLY = "containment.reply"
    CONTAINED_UNAVAILABLE = "containment.unavailable"
    CONTAINED_UNSUPPORTED = "containment.unsupported"

    INTERNAL = "internal.error"


@dataclass(frozen=True, slots=True)
class About:
    """What every error of one reason has in common. status: the HTTP status that fits."""

    status: int
    title: str


_NONCE = "The challenge cannot be used; ask for a new one"
_STORE = "The gateway's store cannot be opened"
_KEYS = "The gateway's keys cannot be used"
_AGAIN = "The gateway cannot do this at the moment"
_UNREADABLE = "Whoever reads evidence here did not survive this piece of it"
_R = GatewayReason

ABOUT: Mapping[GatewayReason, About] = MappingProxyType(
    {
        _R.NONCE_MISSING: About(400, "The request carries no challenge of this gateway"),
        _R.NONCE_MALFORMED: About(400, _NONCE),
        _R.NONCE_FORGED: About(403, _NONCE),
        _R.NONCE_EXPIRED: About(403, _NONCE),
        _R.NONCE_USED: About(403, _NONCE),
        _R.NONCE_FUTURE: About(403, _NONCE),
        _R.KEY_NOT_BOUND: About(403, "The key is not the one that the evidence vouches for"),
        _R.AUDIENCE: About(403, "The evidence was made for another gateway"),
        _R.TENANT: About(403, "The evidence was made for another tenant"),
        _R.SESSION_MALFORMED: About(401, "The session cannot be read"),
        _R.SESSION_FORGED: About(401, "The session is not one of this gateway"),
        _R.SESSION_EXPIRED: About(401, "The session has ended"),
        _R.PROTOCOL_VERSION: About(400, "This version of the protocol is not accepted"),
        _R.REQUEST_MALFORMED: About(400, "The request cannot be read"),
        _R.REQUEST_TOO_LARGE: About(413, "The request is too large"),
        _R.REQUEST_MEDIA_TYPE: About(415, "The request is of another media type"),
        _R.REQUEST_MEMBER: About(400, "The request has a member that nobody knows"),
        _R.REQUEST_KEY: About(400, "The key cannot be used for wrapping"),
        _R.REQUEST_PRIVATE_KEY: About(400, "The request contains a private key; it is compromised now"),
        _R.REQUEST_ALGORITHM: About(400, "The algorithm is not accepted"),
        _R.REQUEST_NOT_FOUND: About(404, "There is nothing here"),
        _R.REQUEST_METHOD: About(405, "The method is not allowed here"),
        _R.UNAUTHENTICATED: About(401, "Who asks is not known"),
        _R.FORBIDDEN: About(403, "Who asks may not do this"),
        _R.ROLE: About(403, "Who asks has no role for this"),
        _R.RATE_LIMITED: About(429, "Too many requests"),
        _R.TOKEN_MALFORMED: About(401, "The token cannot be read"),
        _R.TOKEN_SIGNATURE: About(401, "The token is not one of this gateway"),
        _R.TOKEN_EXPIRED: About(401, "The token has expired"),
        _R.TOKEN_AUDIENCE: About(401, "The token is for somebody else"),
        _R.SECRET_PATH: About(400, "This is not a secret path"),
        _R.SECRET_ABSENT: About(404, "There is no such secret"),
        _R.SECRET_SIZE: About(413, "The secret has a size that is not accepted"),
        _R.NO_POLICY: About(403, "No active policy names this path"),
        _R.NOT_ALLOWED: About(403, "The policy does not allow this release"),
        _R.NOT_RELEASABLE: About(403, "This result never releases a secret"),
        _R.APPRAISAL_ABSENT: About(403, "The result is not known here"),
        _R.APPRAISAL_EXPIRED: About(403, "The result is too old"),
        _R.APPROVAL_MALFORMED: About(400, "The signature cannot be read"),
        _R.APPROVAL_KEY: About(400, "The key cannot be used for approvals"),
        _R.APPROVAL_UNKNOWN_KEY: About(403, "The key is not one that counts here"),
        _R.APPROVAL_SIGNATURE: About(403, "The signature is not one over this change"),
        _R.APPROVAL_MISSING: About(403, "The change needs more approvals"),
        _R.APPROVAL_MIXED: About(409, "These documents are approved by different people"),
        _R.STORE_ABSENT: About(500, _STORE),
        _R.STORE_FOREIGN: About(500, _STORE),
        _R.STORE_KIND: About(500, _STORE),
        _R.STORE_SCHEMA_NEWER: About(500, _STORE),
        _R.STORE_SCHEMA_CHANGED: About(500, _STORE),
        _R.STORE_PERMISSIONS: About(500, _STORE),
        _R.STORE_UNAVAILABLE: About(503, _AGAIN),
        _R.STORE_BUSY: About(503, _AGAIN),
        _R.STORE_CONFLICT: About(409, "This exists already"),
        _R.STORE_FORKED: About(503, _AGAIN),
        _R.STORE_SETTINGS: About(503, _AGAIN),
        _R.REPLAY_NOT_KEPT: About(410, "What this attempt was decided on is not kept"),
        _R.REPLAY_MALFORMED: About(400, "This is no replay bundle"),
        _R.REPLAY_ALTERED: About(409, "What was kept is not what the attempt was decided on"),
        _R.REPLAY_INCOMPLETE: About(409, "Something that the attempt was decided on is gone"),
        _R.COLLATERAL_ROLLBACK: About(409, "This is older than what is held"),
        _R.COLLATERAL_TOO_OLD: About(422, "This is too old, or not valid now"),
        _R.COLLATERAL_IN_USE: About(409, "This is still needed"),
        _R.BUNDLE_MALFORMED: About(400, "This is not a bundle that can be read"),
        _R.BUNDLE_TOO_LARGE: About(413, "The bundle is larger than any that is taken"),
        _R.BUNDLE_SIGNATURE: About(422, "The bundle is not as it was signed"),
        _R.BUNDLE_UNTRUSTED: About(403, "Nobody here trusts the key that signed the bundle"),
        _R.BUNDLE_MEMBER: About(422, "The bundle holds something else than it says"),
        _R.BUNDLE_TRUNCATED: About(422, "The bundle ends too early"),
        _R.BUNDLE_SURPLUS: About(422, "The bundle goes on after its end"),
        _R.LEDGER_UNAVAILABLE: About(503, "The ledger cannot be written, so nothing is released"),
        _R.LEDGER_BROKEN: About(500, "The ledger does not hold together"),
        _R.LEDGER_MALFORMED: About(400, "This is not in one of the ledger's formats"),
        _R.LEDGER_KEY: About(400, "This is no key that verifies a ledger"),
        _R.LEDGER_SIGNATURE: About(403, "The checkpoint is not signed by who must have signed it"),
        _R.LEDGER_PROOF: About(409, "The proof does not show what it must"),
        _R.KEYS_ABSENT: About(500, _KEYS),
        _R.KEYS_LOCATION: About(500, _KEYS),
        _R.KEYS_PERMISSIONS: About(500, _KEYS),
        _R.KEYS_FOREIGN: About(500, _KEYS),
        _R.KEYS_MALFORMED: About(500, _KEYS),
        _R.KEYS_INCOMPLETE: About(500, _KEYS),
        _R.KEYS_UNKNOWN: About(500, "The secret was sealed under a key that is not here"),
        _R.SEAL_BROKEN: About(500, "The stored secret is not the one that was put there"),
        _R.CONTAINED_CRASH: About(422, _UNREADABLE),
        _R.CONTAINED_DEADLINE: About(422, _UNREADABLE),
        _R.CONTAINED_MEMORY: About(422, _UNREADABLE),
        _R.CONTAINED_REPLY: About(422, _UNREADABLE),
        _R.CONTAINED_UNAVAILABLE: About(503, _AGAIN),
        _R.CONTAINED_UNSUPPORTED: About(500, "This machine cannot contain what reads evidence"),
        _R.INTERNAL: About(500, "The gateway failed; nothing was released"),
    }
)


class GatewayError(Exception):
    """What was asked cannot be done, with its stable code.

    detail: one sentence for the peer. where, expected, found: for the operator and the ledger; short
    texts, no secrets. `status` and `title` follow from the reason.
    """

    def __init__(
        self, reason: GatewayReason, detail: str, *, where: str, expected: object, found: object
    ) -> None:
        self.reason, self.detail, self.where = reason, detail, where
        self.expected, self.found = str(expected), str(found)
        super().__init__(f"{where}: expected {expected}, found {found} [{reason}]")

    @property
    def status(self) -> int:
        return ABOUT[self.reason].status

    @property
    def title(self) -> str:
        return ABOUT[self.reason].title

    def __reduce__(self) -> tuple[object, ...]:
        """Exceptions cross process borders; keyword-only arguments need help with that."""
        return (_rebuild, (self.reason, self.detail, self.where, self.expected, self.found))


def _rebuild(reason: GatewayReason, detail: str, where: str, expected: str, found: str) -> GatewayError:
    return GatewayError(reason, detail, where=where, expected=expected, found=found)
