"""Who may administrate: a random token, shown once, of which only a digest is kept.

    sga_<id, 16 hex digits>_<secret, 43 characters of base64url>

The secret has 256 random bits, so one SHA-256 is enough: there is nothing to guess faster. Others sign each
of their requests with a key that was registered for them, or come from an identity provider (`oidc/`); all
of them are known by a random or keyed id, in the ledger too, and by no name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway import approval, roles
from gateway.approval import ApprovalKey
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import AdministratorStore, Clock, NewEntry, Random, StoredAdministrator
from gateway.roles import Role
from verifiers.codec import b64

TOKEN, KEY, OIDC = "token", "key", "oidc"
"""How an administrator logs in."""
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


def create_with_key(
    tenant: str,
    key: ApprovalKey,
    *,
    store: AdministratorStore,
    clock: Clock,
    random: Random,
    by: str,
    holds: frozenset[Role],
) -> str:
    """A new administrator who signs requests with this key; the id. Raises GatewayError(STORE_CONFLICT) for a
    key that somebody has or had, STORE_UNAVAILABLE."""
    administrator_id = random.bytes(8).hex()
    row = StoredAdministrator(
        id=administrator_id,
        tenant=tenant,
        role=roles.written(holds),
        token_sha256=bytes(32),
        created=clock.now(),
        revoked=None,
        login=KEY,
        key=key.thumbprint,
        jwk=json.dumps(dict(key.jwk), sort_keys=True),
    )
    said = {"id": administrator_id, "roles": sorted(holds), "key": key.thumbprint, "by": by}
    if not store.add(row, NewEntry(tenant, "admin.create", said)):
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            "this key is or was an administrator's; it does not come back",
            where="key",
            expected="a key that is new here",
            found=key.thumbprint,
        )
    return administrator_id


def by_key(thumbprint: str, *, store: AdministratorStore) -> tuple[Administrator, ApprovalKey]:
    """Who signs with this key. Raises GatewayError(UNAUTHENTICATED) for nobody who counts."""
    found = store.by_key(thumbprint)
    if found is None or found.revoked is not None or found.login != KEY:
        raise _unknown()
    who = Administrator(found.id, found.tenant, roles.read(found.role))
    return who, approval.parse_key(json.loads(found.jwk))


def from_provider(
    administrator_id: str, tenant: str, holds: frozenset[Role], *, store: AdministratorStore, clock: Clock
) -> Administrator:
    """Who comes from the identity provider with this tenant and these roles today. Whoever is new is kept,
    and what changed is changed, each with an entry in the ledger: keys that approve belong to somebody who
    is known, and whoever is revoked here is revoked, whatever the provider says. Raises
    GatewayError(UNAUTHENTICATED)."""
    role, said = roles.written(holds), {"id": administrator_id, "roles": sorted(holds), "by": OIDC}
    found = store.get(administrator_id)
    if found is None:
        row = StoredAdministrator(
            id=administrator_id,
            tenant=tenant,
            role=role,
            token_sha256=bytes(32),
            created=clock.now(),
            revoked=None,
            login=OIDC,
        )
        store.add(row, NewEntry(tenant, "admin.create", said))  # False: another request was faster
        found = store.get(administrator_id)
    if found is None or found.revoked is not None or found.login != OIDC:
        raise _unknown()
    if (found.tenant, found.role) != (tenant, role):
        entries = [NewEntry(each, "admin.assign", said) for each in dict.fromkeys((found.tenant, tenant))]
        if not store.assign(administrator_id, tenant, role, entries):
            raise _unknown()
    return Administrator(administrator_id, tenant, holds)


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
    if not right or found is None or found.revoked is not None or found.login != TOKEN:
        raise _unknown()
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


def _unknown() -> GatewayError:
    return GatewayError(
        GatewayReason.UNAUTHENTICATED,
        "an administrator's token is needed",
        where="authorization",
        expected="the token of an administrator",
        found="another",
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
