"""Creating and opening a store, and what is fixed for ever when it is created."""

from __future__ import annotations

import enum
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway import locks
from gateway.errors import GatewayError, GatewayReason
from gateway.files import FILE_MODE, make_private_folder, require_private, sync_folder
from gateway.ports import Clock, Random
from gateway.store.administrators import SqliteAdministrators
from gateway.store.appraisals import SqliteAppraisals
from gateway.store.approvals import SqliteApprovals
from gateway.store.chores import SqliteChores
from gateway.store.collateral import SqliteCollateral
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection, busy, connect, translate, unavailable
from gateway.store.counters import read_counter, set_counter
from gateway.store.database import Database, file_number
from gateway.store.documents import SqliteDocuments
from gateway.store.gauges import SqliteGauges
from gateway.store.journal import SqliteJournal
from gateway.store.ledger import SqliteLedger
from gateway.store.migrations import APPLICATION_ID, migrate
from gateway.store.nonces import EPOCH, SqliteNonces
from gateway.store.proposals import SqliteProposals
from gateway.store.secrets import SqliteSecrets
from gateway.store.shadows import SqliteShadows

_OPENING_SECONDS = 30.0


class StoreKind(enum.StrEnum):
    """DEVELOPMENT: simulated evidence is possible, and every result says so. Never changes."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreIdentity:
    """What was fixed when the store was created. folder: where the database lies."""

    store_id: str
    kind: StoreKind
    created: datetime
    folder: Path

    @property
    def development(self) -> bool:
        return self.kind is StoreKind.DEVELOPMENT


class Store:
    """All repositories over one database. One per process; threads share it. Made by `open_store`."""

    def __init__(
        self, database: Database, identity: StoreIdentity, clock: Clock, random: Random, running: int
    ) -> None:
        """running: descriptor of the shared lock that says somebody has the store open."""
        self._database, self._running = database, running
        self.identity = identity
        self.nonces = SqliteNonces(database)
        self.collateral = SqliteCollateral(database)
        self.chores = SqliteChores(database)
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
        if self._running >= 0:
            os.close(self._running)
            self._running = -1

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(
    path: Path, *, create: StoreKind | None, expect: StoreKind | None, clock: Clock, random: Random
) -> Store:
    """Open the store at `path`, creating it when it is absent and `create` says of which kind.

    create: None never creates. expect: the kind it must have; None takes either (for commands that only
    look). A `create` implies the same `expect`. Several processes may do this at once; one creates.

    When nobody else has the store open, or those who have it hold another file, a new nonce epoch begins:
    what is on disk may be a restored backup, so challenges given out before are void.

    Raises GatewayError: STORE_ABSENT, STORE_KIND, STORE_PERMISSIONS, STORE_FOREIGN (no store of ours),
    STORE_SCHEMA_NEWER, STORE_SCHEMA_CHANGED, STORE_BUSY, STORE_UNAVAILABLE.
    """
    wanted = {kind for kind in (create, expect) if kind is not None}
    if len(wanted) > 1:
        raise ValueError("create and expect contradict each other")
    path = path.absolute()
    if create is None and not path.exists():
        raise _refuse(GatewayReason.STORE_ABSENT, "there is no store yet", path, "a store", "nothing")
    make_private_folder(path.parent, GatewayReason.STORE_PERMISSIONS)
    running = -1
    try:
        with _opening(path):
            if create is not None:
                _create_file(path)
            require_private(path, GatewayReason.STORE_PERMISSIONS)
            running = locks.open_lock_file(path.with_name(path.name + ".running"))
            first = locks.try_lock(running) or _file_in_use(running) != file_number(path)
            identity = _prepare(path, create, wanted, clock, random, new_epoch=first)
            _note_file_in_use(running, file_number(path))
            locks.share(running)
        return Store(Database(path), identity, clock, random, running)
    except BaseException as error:
        if running >= 0:
            os.close(running)
        if isinstance(error, TimeoutError):
            raise busy() from None
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise _refuse(
                GatewayReason.STORE_FOREIGN, "this is no store", path, "a SQLite database", "another file"
            ) from None
        if isinstance(error, sqlite3.Error):
            raise translate(error) from None
        if isinstance(error, OSError):
            raise unavailable(error.strerror or "an operating system error") from None
        raise


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """One process at a time opens, and nobody writes meanwhile."""
    lock = locks.TurnLock(path)
    try:
        with lock.held(_OPENING_SECONDS):
            yield
    finally:
        lock.close()


def _file_in_use(running: int) -> str:
    return os.pread(running, 64, 0).decode("ascii", "replace")


def _note_file_in_use(running: int, number: str) -> None:
    os.ftruncate(running, 0)
    os.pwrite(running, number.encode(), 0)


def _create_file(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        return
    os.close(descriptor)
    sync_folder(path.parent)


def _prepare(
    path: Path,
    create: StoreKind | None,
    wanted: set[StoreKind],
    clock: Clock,
    random: Random,
    *,
    new_epoch: bool,
) -> StoreIdentity:
    """Recognise, migrate, create the identity row when there is none, check the kind."""
    with closing(connect(path, read_only=False)) as connection:
        _recognise(connection, path, create)
        _write_ahead(connection)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            now = to_micros(clock.now())
            migrate(connection, now)
            if create is not None and _identity_row(connection) is None:
                connection.execute(
                    "INSERT INTO store VALUES (1, ?, ?, ?)", (random.bytes(16).hex(), create.value, now)
                )
            identity = _identity(connection, path)
            for kind in wanted:
                _require_kind(identity, kind, path)
            if new_epoch or read_counter(connection, EPOCH) is None:
                _begin_epoch(connection, random)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    return identity


def _recognise(connection: Connection, path: Path, create: StoreKind | None) -> None:
    """Refuse another program's database before anything is written to it."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and tables:
        raise _refuse(
            GatewayReason.STORE_FOREIGN, "this is no store", path, "a store", "another program's database"
        )
    if application != APPLICATION_ID:
        if create is None:
            raise _refuse(
                GatewayReason.STORE_ABSENT, "there is no store yet", path, "a store", "an empty file"
            )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _write_ahead(connection: Connection) -> None:
    """The mode stays with the file. Another opener may hold it for a moment."""
    until = time.monotonic() + _OPENING_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise unavailable("a file system on which SQLite cannot keep a write-ahead log")
        return


def _identity_row(connection: Connection) -> tuple[str, str, int] | None:
    row: tuple[str, str, int] | None = connection.execute(
        "SELECT store_id, kind, created FROM store"
    ).fetchone()
    return row


def _identity(connection: Connection, path: Path) -> StoreIdentity:
    row = _identity_row(connection)
    if row is None:
        raise _refuse(GatewayReason.STORE_ABSENT, "there is no store yet", path, "a store", "an empty one")
    return StoreIdentity(
        store_id=row[0], kind=StoreKind(row[1]), created=from_micros(row[2]), folder=path.parent.resolve()
    )


def _require_kind(identity: StoreIdentity, kind: StoreKind, path: Path) -> None:
    if identity.kind is not kind:
        raise _refuse(
            GatewayReason.STORE_KIND,
            f"this store was created in {identity.kind} mode and stays so; use another folder",
            path,
            f"a {kind} store",
            f"a {identity.kind} store",
        )


def _begin_epoch(connection: Connection, random: Random) -> None:
    """Random, not counted: after a restored backup a counter would repeat itself."""
    epoch = int.from_bytes(random.bytes(4), "big")
    if epoch == read_counter(connection, EPOCH):
        epoch = (epoch + 1) % 2**32
    set_counter(connection, EPOCH, epoch)


def _refuse(reason: GatewayReason, detail: str, path: Path, expected: str, found: str) -> GatewayError:
    return GatewayError(reason, detail, where=str(path), expected=expected, found=found)
