"""What is fixed for ever when a store is created, and what every opening checks, whatever database it is."""

from __future__ import annotations

import enum
from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Random
from gateway.store.columns import from_micros
from gateway.store.connection import Connection
from gateway.store.counters import read_counter, set_counter
from gateway.store.nonces import EPOCH


class StoreKind(enum.StrEnum):
    """DEVELOPMENT: simulated evidence is possible, and every result says so. Never changes."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreIdentity:
    """What was fixed when the store was created. folder: where the database lies; None when a server has
    it."""

    store_id: str
    kind: StoreKind
    created: datetime
    folder: Path | None

    @property
    def development(self) -> bool:
        return self.kind is StoreKind.DEVELOPMENT


def settle(
    connection: Connection,
    create: StoreKind | None,
    wanted: Set[StoreKind],
    random: Random,
    *,
    now: int,
    place: str,
    folder: Path | None,
) -> StoreIdentity:
    """Create the identity row when there is none, and check the kind. Inside the caller's transaction, over
    a schema that is up to date.

    now: in microseconds. place: the store's name for people. Raises GatewayError: STORE_ABSENT, STORE_KIND.
    """
    if create is not None and _row(connection) is None:
        connection.execute(
            "INSERT INTO store VALUES (1, ?, ?, ?)", (random.bytes(16).hex(), create.value, now)
        )
    row = _row(connection)
    if row is None:
        raise absent(place, "an empty one")
    identity = StoreIdentity(
        store_id=row[0], kind=StoreKind(row[1]), created=from_micros(row[2]), folder=folder
    )
    for kind in wanted:
        _require_kind(identity, kind, place)
    return identity


def ensure_epoch(connection: Connection, random: Random, *, new: bool) -> None:
    """Begin a nonce epoch when `new` or when there is none. Random, not counted: after a restored backup a
    counter would repeat itself."""
    before = read_counter(connection, EPOCH)
    if before is not None and not new:
        return
    epoch = int.from_bytes(random.bytes(4), "big")
    set_counter(connection, EPOCH, (epoch + 1) % 2**32 if epoch == before else epoch)


def refuse(reason: GatewayReason, detail: str, place: str, expected: str, found: str) -> GatewayError:
    return GatewayError(reason, detail, where=place, expected=expected, found=found)


def absent(place: str, found: str) -> GatewayError:
    return refuse(GatewayReason.STORE_ABSENT, "there is no store yet", place, "a store", found)


def foreign(place: str, expected: str, found: str) -> GatewayError:
    return refuse(GatewayReason.STORE_FOREIGN, "this is no store", place, expected, found)


def _row(connection: Connection) -> tuple[str, str, int] | None:
    row: tuple[str, str, int] | None = connection.execute(
        "SELECT store_id, kind, created FROM store"
    ).fetchone()
    return row


def _require_kind(identity: StoreIdentity, kind: StoreKind, place: str) -> None:
    if identity.kind is not kind:
        raise refuse(
            GatewayReason.STORE_KIND,
            f"this store was created in {identity.kind} mode and stays so; use another one",
            place,
            f"a {kind} store",
            f"a {identity.kind} store",
        )
