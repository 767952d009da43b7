"""What the pipeline needs from the outside, as Protocols whose docstrings state the guarantees.

`pipeline.py` imports these and no adapter; only `app.py` chooses implementations. Every row belongs to a
tenant. All times are aware and UTC. All methods may be called from several threads and processes at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from gateway.appraisals import StoredAppraisal
from gateway.collateral.ports import (
    CollateralSource as CollateralSource,
)
from gateway.collateral.ports import (
    CollateralStore as CollateralStore,
)
from gateway.collateral.ports import (
    HeldCollateral as HeldCollateral,
)
from gateway.collateral.ports import (
    HeldObject as HeldObject,
)
from gateway.collateral.ports import (
    Placed as Placed,
)
from gateway.collateral.ports import (
    Slot as Slot,
)
from gateway.collateral.ports import (
    Supplied as Supplied,
)
from gateway.ledger.ports import (
    EntryProof as EntryProof,
)
from gateway.ledger.ports import (
    Ledger as Ledger,
)
from gateway.ledger.ports import (
    LedgerReceipt as LedgerReceipt,
)
from gateway.ledger.ports import (
    LedgerRow as LedgerRow,
)
from gateway.ledger.ports import (
    LedgerUnavailable as LedgerUnavailable,
)
from gateway.ledger.ports import (
    NewEntry as NewEntry,
)


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...


class Random(Protocol):
    def bytes(self, count: int) -> bytes:
        """From the operating system's generator."""
        ...


# --- nonces ------------------------------------------------------------------------------------


class NonceStore(Protocol):
    """Remembers which nonces were used, until they would have expired anyway."""

    def consume(self, tenant: str, nonce_id: bytes, expires: datetime, *, epoch: int | None = None) -> bool:
        """True exactly once per (tenant, nonce_id), whatever happens afterwards; False ever after.

        epoch: the one that the challenge is of, looked at in the same step: False when another has begun.

        Atomic across threads, processes and replicas; durable when it returns. A caller that crashes
        after True has spent the nonce. `expires`: when the record may be pruned.
        """
        ...

    def prune(self, now: datetime) -> int:
        """Forget records that expired at or before `now`; how many. What may have been forgotten is never
        accepted again, also not after the clock was set back."""
        ...

    def epoch(self) -> int:
        """A number below 2**32 that changes whenever records may have been lost: after a full stop of the
        gateway, and so after a restored backup. A challenge of another epoch is void."""
        ...


# --- secrets -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """A secret as it lies in the store. Tenant, path, version and key id are in the associated data
    of the encryption, so no row can stand in for another."""

    tenant: str
    path: str
    version: int
    key_id: str
    sealed: bytes
    created: datetime


class SecretStore(Protocol):
    def next_version(self, tenant: str, path: str) -> int:
        """1 for a new path; versions are never reused, also not after `remove`."""
        ...

    def put(self, secret: SealedSecret, entry: NewEntry) -> bool:
        """Keep the secret and enter it into the ledger, in one durable step. False, and neither, when that
        version exists already (retry with the next)."""
        ...

    def latest(self, tenant: str, path: str) -> SealedSecret | None: ...

    def list(self, tenant: str) -> Sequence[SealedSecret]:
        """The newest version of every path, by path."""
        ...

    def remove(self, tenant: str, path: str, version: int, entry: NewEntry) -> bool:
        """Forget every version and say so in the ledger, in one durable step. False, and neither, unless
        `version` is the newest (look again)."""
        ...


# --- policy documents --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """One policy document, active. kind: "baseline", "reference" or "release"."""

    tenant: str
    kind: str
    name: str
    version: int
    digest: str
    source: bytes
    activated: datetime


class DocumentStore(Protocol):
    """Active documents. Baselines belong to tenant "" (every tenant's)."""

    def active(self, tenant: str) -> tuple[int, Sequence[StoredDocument]]:
        """(epoch, documents that count for this tenant, baselines included). The epoch grows with every
        change, so that compiled policies can be cached by (tenant, epoch)."""
        ...

    def versions(self, tenant: str, names: Sequence[tuple[str, str, int]]) -> Sequence[StoredDocument]:
        """The documents of these (kind, name, version), whether or not they count today; of this tenant, and
        baselines. What is not known is absent."""
        ...

    def everything(self) -> tuple[int, Sequence[StoredDocument]]:
        """(epoch, active documents of all tenants, baselines included)."""
        ...

    def tenants(self) -> tuple[int, frozenset[str]]:
        """(epoch, tenants that have active documents of their own)."""
        ...

    def epoch(self) -> int: ...

    def ever(self, tenant: str, name: str) -> Sequence[StoredDocument]:
        """Everything of that name that ever counted for this tenant, baselines included, oldest first."""
        ...

    def change(
        self,
        epoch: int,
        entries: Sequence[NewEntry],
        *,
        activate: Sequence[StoredDocument] = (),
        restore: Sequence[StoredDocument] = (),
        retire: Sequence[tuple[str, str, str]] = (),
        changes: Sequence[StoredChange] = (),
    ) -> bool:
        """Activate documents, each in place of the active one of the same (tenant, kind, name), restore
        others that were active before, retire others by that triple, and enter it all into the ledger and
        into the tenants' sequences of changes: one durable step, of which others see all or nothing. The
        epoch grows.

        False, and no change, when the epoch is not `epoch` any more: what was judged is not what is active.
        Raises GatewayError(STORE_CONFLICT), and no change, for a version that is not higher than every one of
        that name ever activated, for the restoring of what never was, for the retirement of what is not
        active, and for a change that is not the next one of its tenant.
        """
        ...


# --- approval of changes ---


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChange:
    """One change of what counts. sequence: from 1, without gaps, for each tenant; "" is the whole gateway's.
    action: "activate", "rollback" or "retire". record: documents, who, under which approvals."""

    tenant: str
    sequence: int
    action: str
    made: datetime
    record: Mapping[str, Any]


# --- gauges ---


class Gauges(Protocol):
    """Numbers that one process works out and all of them show."""

    def read(self, prefix: str) -> Mapping[str, int]:
        """Those whose names begin so. One small read."""
        ...

    def write(self, values: Mapping[str, int]) -> None:
        """All of them or none; others stay."""
        ...


# --- ledger ------------------------------------------------------------------------------------


class PolicyChanged(Exception):
    """Documents changed since the decision was made: nothing was written; it must be made anew."""


class Journal(Protocol):
    """What an attempt leaves behind, written in one step: the ledger's entries, and the appraisal that they
    are about.

    One `commit` is atomic and durable. When it returns, everything is on disk: the entries in the order
    given, next to each other in the ledger, and the appraisal, if there is one. When it raises, nothing of it
    may be relied on; it may be found later that all of it was written, as after a crash, but never a part.
    Others see all of it or nothing, across threads, processes and replicas.
    """

    def commit(
        self,
        entries: Sequence[NewEntry],
        appraisal: StoredAppraisal | None = None,
        *,
        epoch: int | None = None,
    ) -> Sequence[LedgerReceipt]:
        """One receipt for each entry, in order.

        epoch: of the documents under which it was decided what is written here. It is compared inside the
        step itself, so what is written was decided under what was active at that moment; PolicyChanged, and
        certainly nothing written, when it was not. None: for what rests on no document.

        Raises LedgerUnavailable when it could not be made durable; GatewayError(STORE_CONFLICT) when the
        appraisal's jti exists, in whatever tenant; ValueError for what an entry cannot hold. After each of
        them nothing was acknowledged."""
        ...


# --- administrators ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAdministrator:
    """Somebody who may administrate. tenant: "" administrates the whole gateway. token_sha256: 32 bytes;
    the token itself is nowhere. role: as `roles.written`. revoked: None while it counts. login: by "token",
    by "key" (key: its thumbprint, jwk: the public key), or by "oidc", where token_sha256 is of no token."""

    id: str
    tenant: str
    role: str
    token_sha256: bytes
    created: datetime
    revoked: datetime | None
    login: str = "token"
    key: str = ""
    jwk: str = ""


class AdministratorStore(Protocol):
    def add(self, administrator: StoredAdministrator, entry: NewEntry) -> bool:
        """Keep somebody new and enter it into the ledger, in one durable step. False, and neither, when that
        id, or that key, exists already."""
        ...

    def assign(self, administrator_id: str, tenant: str, role: str, entries: Sequence[NewEntry]) -> bool:
        """Another tenant and other roles for somebody who logs in by "oidc" and counts, in one durable step
        with the entries; it raises the epoch of the documents. False, and neither, for anybody else."""
        ...

    def by_key(self, thumbprint: str) -> StoredAdministrator | None:
        """Who logs in by this key, revoked or not."""
        ...

    def get(self, administrator_id: str) -> StoredAdministrator | None: ...

    def list(self) -> Sequence[StoredAdministrator]:
        """All, revoked ones included, oldest first."""
        ...

    def revoke(self, administrator_id: str, at: datetime, entry: NewEntry) -> bool:
        """Let somebody count no more and enter it into the ledger, in one durable step. False, and neither,
        when there is none of that id that still counts. Raises GatewayError(STORE_CONFLICT), and neither,
        for the last owner of the whole gateway: there must be a successor first. Approval keys that belong to
        who is revoked end too, so the epoch of the documents is raised."""
        ...


# --- keys --------------------------------------------------------------------------------------


class Keys(Protocol):
    """Key material, in files of mode 0600 outside the database's folder. Never logged, never in a repr."""

    def seal(self, plaintext: bytes, associated: bytes) -> tuple[str, bytes]:
        """AES-256-GCM under the current key-encryption key: (key id, nonce ‖ ciphertext ‖ tag). The key id is
        bound too, beside `associated`."""
        ...

    def open(self, key_id: str, sealed: bytes, associated: bytes) -> bytes:
        """Raises KeyError for an unknown key id, ValueError when the tag does not fit."""
        ...

    def sign_jws(self, header: Mapping[str, Any], payload: bytes) -> str:
        """Compact JWS, ES256; `alg` and `kid` are added here and cannot be chosen by the caller."""
        ...

    def verify_jws(self, token: str, typ: str) -> bytes:
        """Payload of a compact JWS that one of our own keys signed, with exactly this `typ`, ES256 and no
        `crit`; header keys (`jwk`, `jku`, `x5c`, `x5u`) are refused. Raises ValueError otherwise."""
        ...

    def jwks(self) -> Mapping[str, Any]: ...

    def nonce_mac(self, message: bytes) -> bytes:
        """HMAC-SHA-256 under the nonce key: 32 bytes."""
        ...


DEFAULT_TENANT = "default"
NONCE_LIFETIME = timedelta(minutes=5)
TOKEN_LIFETIME = timedelta(minutes=5)
