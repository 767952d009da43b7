"""Who may administrate: a random token, shown once, of which only a digest is kept.

    sga_<id, 16 hex digits>_<secret, 43 characters of base64url>

The secret has 256 random bits, so one SHA-256 is enough: there is nothing to guess faster.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway import roles
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import AdministratorStore, Clock, NewEntry, Random, StoredAdministrator
from gateway.roles import Role
from verifiers.codec import b64

OWNERS = frozenset({Role.OWNER})
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
    roles: frozenset[Role]


def create(
    tenant: str,
    *,
    store: AdministratorStore,
    clock: Clock,
    random: Random,
    by: str,
    holds: frozenset[Role] = OWNERS,
    deliver: Callable[[Credential], None] = lambda credential: None,
) -> Credential:
    """A new administrator. by: id of who does it, or "setup". holds: the roles, for good: whoever
    shall have others becomes a new administrator.

    deliver: called with the credential before it counts, to put it where its owner will find it; what it
    raises is raised here, and nobody was made. Raises GatewayError(STORE_CONFLICT) if the random id exists,
    STORE_UNAVAILABLE; then what was delivered is worthless.
    """
    return _make(tenant, "admin.create", store, clock, random, by, holds, deliver)


def recover(
    *,
    store: AdministratorStore,
    clock: Clock,
    random: Random,
    deliver: Callable[[Credential], None] = lambda credential: None,
) -> Credential:
    """A new administrator of the whole gateway, for who holds its folder; the ledger says how it came about.
    As `create` otherwise."""
    return _make("", "admin.recover", store, clock, random, "local", OWNERS, deliver)


def _make(
    tenant: str,
    kind: str,
    store: AdministratorStore,
    clock: Clock,
    random: Random,
    by: str,
    holds: frozenset[Role],
    deliver: Callable[[Credential], None],
) -> Credential:
    administrator_id, secret = random.bytes(8).hex(), b64.encode_url(random.bytes(32))
    credential = Credential(administrator_id, f"{_PREFIX}_{administrator_id}_{secret}")
    row = StoredAdministrator(
        id=administrator_id,
        tenant=tenant,
        role=roles.written(holds),
        token_sha256=_digest(credential.token),
        created=clock.now(),
        revoked=None,
    )
    deliver(credential)
    said = {"id": administrator_id, "roles": sorted(holds), "by": by}
    if not store.add(row, NewEntry(tenant, kind, said)):
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            "this administrator exists already",
            where=f"administrator {administrator_id}",
            expected="a new id",
            found="one in use",
        )
    return credential


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
    return Administrator(found.id, found.tenant, roles.read(found.role))


def revoke(
    administrator_id: str, *, store: AdministratorStore, clock: Clock, by: str, within: str = ""
) -> bool:
    """The token counts no more; False when it did not.

    within: the tenant whose administrators are meant, as if there were no others; "" means all. Raises
    GatewayError(STORE_CONFLICT) for the last owner of the whole gateway, STORE_UNAVAILABLE.
    """
    found = store.get(administrator_id)
    if found is None or found.revoked is not None or within not in ("", found.tenant):
        return False
    entry = NewEntry(found.tenant, "admin.revoke", {"id": administrator_id, "by": by})
    return store.revoke(administrator_id, clock.now(), entry)


def listed(store: AdministratorStore, within: str = "") -> Sequence[StoredAdministrator]:
    """Those of one tenant, or all of them; revoked ones included, oldest first."""
    return tuple(each for each in store.list() if within in ("", each.tenant))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
