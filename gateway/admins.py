"""Who may administrate: a random token, shown once, of which only a digest is kept.

    sga_<id, 16 hex digits>_<secret, 43 characters of base64url>

The secret has 256 random bits, so one SHA-256 is enough: there is nothing to guess faster.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import AdministratorStore, Clock, Ledger, Random, StoredAdministrator
from verifiers.codec import b64

OWNER = "owner"
_PREFIX = "sga"
_TOKEN = re.compile(r"sga_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z")
_NOBODY = hashlib.sha256(b"sealgate/1 nobody").digest()


@dataclass(frozen=True, slots=True)
class Credential:
    """A new administrator and the token, which exists nowhere else. Its repr hides the token."""

    id: str
    token: str

    def __repr__(self) -> str:
        return f"Credential({self.id!r})"


@dataclass(frozen=True, slots=True)
class Administrator:
    """Somebody whose token was right. tenant: "" is the whole gateway."""

    id: str
    tenant: str
    role: str


def create(
    tenant: str, *, store: AdministratorStore, ledger: Ledger, clock: Clock, random: Random, by: str
) -> Credential:
    """A new administrator; its token must be shown to its owner now. by: id of who does it, or "setup".

    Raises LedgerUnavailable before any change; GatewayError(STORE_CONFLICT) if the random id exists.
    """
    administrator_id, secret = random.bytes(8).hex(), b64.encode_url(random.bytes(32))
    token = f"{_PREFIX}_{administrator_id}_{secret}"
    row = StoredAdministrator(
        id=administrator_id,
        tenant=tenant,
        role=OWNER,
        token_sha256=_digest(token),
        created=clock.now(),
        revoked=None,
    )
    ledger.append(tenant, "admin.create", {"id": administrator_id, "role": OWNER, "by": by})
    if not store.add(row):
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            "this administrator exists already",
            where=f"administrator {administrator_id}",
            expected="a new id",
            found="one in use",
        )
    return Credential(administrator_id, token)


def authenticate(token: str, *, store: AdministratorStore) -> Administrator:
    """Whose token this is. Raises GatewayError(UNAUTHENTICATED), the same for every cause."""
    match = _TOKEN.match(token)
    found = None if match is None else store.get(match[1])
    kept = _NOBODY if found is None else found.token_sha256
    right = hmac.compare_digest(kept, _digest(token))
    if not right or found is None or found.revoked is not None:
        raise GatewayError(
            GatewayReason.UNAUTHENTICATED,
            "an administrator's token is needed",
            where="authorization",
            expected="the token of an administrator",
            found="another",
        )
    return Administrator(found.id, found.tenant, found.role)


def revoke(
    administrator_id: str, *, store: AdministratorStore, ledger: Ledger, clock: Clock, by: str
) -> bool:
    """The token counts no more; False when it did not. Raises LedgerUnavailable before any change."""
    found = store.get(administrator_id)
    if found is None or found.revoked is not None:
        return False
    ledger.append(found.tenant, "admin.revoke", {"id": administrator_id, "by": by})
    return store.revoke(administrator_id, clock.now())


def listed(store: AdministratorStore) -> Sequence[StoredAdministrator]:
    return store.list()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
