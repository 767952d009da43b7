"""The door: a store is opened here, and what it is opened in is chosen here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

from gateway.ports import Clock, Random
from gateway.store import sqlite_opening
from gateway.store.administrators import SqliteAdministrators
from gateway.store.appraisals import SqliteAppraisals
from gateway.store.approvals import SqliteApprovals
from gateway.store.chores import SqliteChores
from gateway.store.collateral import SqliteCollateral
from gateway.store.database import Database
from gateway.store.documents import SqliteDocuments
from gateway.store.gauges import SqliteGauges
from gateway.store.identity import StoreIdentity, StoreKind
from gateway.store.journal import SqliteJournal
from gateway.store.keyids import SqliteKeyIds
from gateway.store.ledger import SqliteLedger
from gateway.store.nonces import SqliteNonces
from gateway.store.proposals import SqliteProposals
from gateway.store.secrets import SqliteSecrets
from gateway.store.shadows import SqliteShadows
from gateway.storeserver import Server


class Presence(Protocol):
    def close(self) -> None:
        """Idempotent."""
        ...


class Store:
    """All repositories over one database. One per process; threads share it. Made by `open_store`."""

    def __init__(
        self, database: Database, identity: StoreIdentity, presence: Presence, clock: Clock, random: Random
    ) -> None:
        """presence: what says, while it is held, that somebody has the store open."""
        self._database, self._presence = database, presence
        self.identity = identity
        self.nonces = SqliteNonces(database)
        self.collateral = SqliteCollateral(database)
        self.chores = SqliteChores(database)
        self.key_ids = SqliteKeyIds(database)
        self.appraisals = SqliteAppraisals(database)
        self.gauges = SqliteGauges(database)
        self.ledger = SqliteLedger(database, clock, random)
        self.journal = SqliteJournal(database, self.ledger)
        self.secrets = SqliteSecrets(database, self.ledger)
        self.documents = SqliteDocuments(database, self.ledger)
        self.approvals = SqliteApprovals(database, self.ledger)
        self.proposals = SqliteProposals(database, self.ledger)
        self.shadows = SqliteShadows(database, self.ledger)
        self.administrators = SqliteAdministrators(database, self.ledger)

    def __repr__(self) -> str:
        return f"Store({self.store_id}, {self.identity.kind})"

    @property
    def store_id(self) -> str:
        return self.identity.store_id

    @property
    def development(self) -> bool:
        return self.identity.development

    @property
    def created(self) -> datetime:
        return self.identity.created

    @property
    def database(self) -> Database:
        """For readiness probes and tests."""
        return self._database

    def close(self) -> None:
        """Idempotent."""
        self._database.close()
        self._presence.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(
    place: Path | Server, *, create: StoreKind | None, expect: StoreKind | None, clock: Clock, random: Random
) -> Store:
    """Open the store at `place`, a file of SQLite or a database of PostgreSQL, creating it when it is absent
    and `create` says of which kind. The database of a server must exist; what is in it is made here.

    create: None never creates. expect: the kind it must have; None takes either (for commands that only
    look). A `create` implies the same `expect`. Several processes may do this at once; one creates.

    When nobody else has the store open, or those who have it hold another file, a new nonce epoch begins:
    what is there may be a restored backup, so challenges given out before are void.

    Raises GatewayError: STORE_ABSENT, STORE_KIND, STORE_PERMISSIONS, STORE_FOREIGN (no store of ours),
    STORE_SCHEMA_NEWER, STORE_SCHEMA_CHANGED, STORE_SETTINGS (a server that may lose what it acknowledged),
    STORE_BUSY, STORE_UNAVAILABLE.
    """
    wanted = {kind for kind in (create, expect) if kind is not None}
    if len(wanted) > 1:
        raise ValueError("create and expect contradict each other")
    if isinstance(place, Path):
        return Store(*sqlite_opening.open_file(place, create, wanted, clock, random), clock, random)
    from gateway.store import postgres_opening  # its driver is loaded by those only who need it

    return Store(*postgres_opening.open_database(place, create, wanted, clock, random), clock, random)
