"""Secrets at rest: sealed under keys that are not in the store, each bound to its place.

What must stay true: tenant, path, version and key id are authenticated with every secret, so no row can
stand in for another; a change and what the ledger says of it are one step; no secret, and nothing derived
from one, is in the ledger or in an error. Nothing here gives a secret to an administrator: `get` is for a
release that was granted, and for `reseal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.encoding import fields, u64
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Clock, Keys, NewEntry, SealedSecret, SecretStore
from policies.paths import MAX_SEGMENT, MAX_SEGMENTS, is_path

MAX_SECRET = 64 * 1024
_ATTEMPTS = 8
_LABEL = b"sealgate/1 secret"


@dataclass(frozen=True, slots=True)
class Plaintext:
    """A secret in clear. Its repr shows the size only."""

    value: bytes
    version: int

    def __repr__(self) -> str:
        return f"Plaintext({len(self.value)} bytes, version {self.version})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """The ports that secrets need, together."""

    store: SecretStore
    keys: Keys
    clock: Clock


def associated_data(tenant: str, path: str, version: int) -> bytes:
    """What a sealed secret is bound to besides its key id, which `Keys` binds itself."""
    return fields(_LABEL, tenant.encode(), path.encode(), u64(version))


def put(vault: Vault, tenant: str, path: str, secret: bytes, *, by: str) -> int:
    """Store `secret` as the next version of `path`; that version, from 1.

    secret: 1 byte to 64 KiB. by: id of who does it, for the ledger. Raises GatewayError: SECRET_PATH,
    SECRET_SIZE, STORE_BUSY when others keep putting the same path, STORE_UNAVAILABLE.
    """
    _require_path(path)
    _require_size(secret)
    for _ in range(_ATTEMPTS):
        version = vault.store.next_version(tenant, path)
        key_id, sealed = vault.keys.seal(secret, associated_data(tenant, path, version))
        body = {"path": path, "version": version, "key_id": key_id, "by": by}
        row = SealedSecret(
            tenant=tenant,
            path=path,
            version=version,
            key_id=key_id,
            sealed=sealed,
            created=vault.clock.now(),
        )
        if vault.store.put(row, NewEntry(tenant, "secret.put", body)):
            return version
    raise _contended(path)


def rotate(vault: Vault, tenant: str, path: str, secret: bytes, *, by: str) -> int:
    """As `put`, but for a path that has a secret. Raises GatewayError(SECRET_ABSENT) otherwise."""
    _require(vault, tenant, path)
    return put(vault, tenant, path, secret, by=by)


def get(vault: Vault, tenant: str, path: str) -> Plaintext:
    """The newest version, in clear: for a granted release only.

    Raises GatewayError: SECRET_PATH, SECRET_ABSENT, KEYS_UNKNOWN (sealed under a key that is not here),
    SEAL_BROKEN (not what was sealed for this tenant, path, version and key).
    """
    return open_sealed(vault.keys, _require(vault, tenant, path))


def open_sealed(keys: Keys, secret: SealedSecret) -> Plaintext:
    """Raises GatewayError: KEYS_UNKNOWN, SEAL_BROKEN."""
    where = f"secret {secret.path} version {secret.version}"
    try:
        associated = associated_data(secret.tenant, secret.path, secret.version)
        return Plaintext(keys.open(secret.key_id, secret.sealed, associated), secret.version)
    except KeyError:
        raise GatewayError(
            GatewayReason.KEYS_UNKNOWN,
            "the gateway has lost the key of this secret",
            where=where,
            expected="its key in the key folder",
            found=f"no {secret.key_id}",
        ) from None
    except (ValueError, OverflowError):
        raise GatewayError(
            GatewayReason.SEAL_BROKEN,
            "the stored secret was changed or moved",
            where=where,
            expected="what was sealed for this tenant, path, version and key",
            found="something else",
        ) from None


def reseal(vault: Vault, tenant: str, path: str, *, by: str) -> int:
    """Put the same secret again under the current key, after `rotate_kek`; its new version."""
    return put(vault, tenant, path, get(vault, tenant, path).value, by=by)


def remove(vault: Vault, tenant: str, path: str, *, by: str) -> None:
    """Forget every version. Raises GatewayError: SECRET_PATH, SECRET_ABSENT, and as `put`."""
    for _ in range(_ATTEMPTS):
        version = _require(vault, tenant, path).version
        entry = NewEntry(tenant, "secret.remove", {"path": path, "version": version, "by": by})
        if vault.store.remove(tenant, path, version, entry):
            return
    raise _contended(path)


def held(vault: Vault, tenant: str) -> Sequence[SealedSecret]:
    """What there is, by path, still sealed."""
    return vault.store.list(tenant)


def _require(vault: Vault, tenant: str, path: str) -> SealedSecret:
    _require_path(path)
    found = vault.store.latest(tenant, path)
    if found is None:
        raise GatewayError(
            GatewayReason.SECRET_ABSENT,
            "there is no secret of that path",
            where=f"secret {path}",
            expected="a secret",
            found="none",
        )
    return found


def _contended(path: str) -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_BUSY,
        "others change this secret at the same time; try again",
        where=f"secret {path}",
        expected="a turn of our own",
        found=f"{_ATTEMPTS} changes by others",
    )


def _require_path(path: str) -> None:
    if not is_path(path):
        raise GatewayError(
            GatewayReason.SECRET_PATH,
            f"a path has 1..{MAX_SEGMENTS} segments of 1..{MAX_SEGMENT} letters, digits, '.', '_' and '-'",
            where="path",
            expected="a secret path, as in payments/db/password",
            found=repr(path[:80]),
        )


def _require_size(secret: bytes) -> None:
    if not 1 <= len(secret) <= MAX_SECRET:
        raise GatewayError(
            GatewayReason.SECRET_SIZE,
            f"a secret has 1 to {MAX_SECRET} bytes",
            where="secret",
            expected=f"1..{MAX_SECRET} bytes",
            found=f"{len(secret)} bytes",
        )
