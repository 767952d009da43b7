"""Creating and opening a store that is a file of SQLite."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Set
from contextlib import closing, contextmanager
from pathlib import Path

from gateway import locks
from gateway.errors import GatewayReason
from gateway.files import FILE_MODE, make_private_folder, require_private, sync_folder
from gateway.ports import Clock, Random
from gateway.store.columns import to_micros
from gateway.store.connection import Connection, busy, unavailable
from gateway.store.database import Database
from gateway.store.identity import StoreIdentity, StoreKind, absent, ensure_epoch, foreign, settle
from gateway.store.migrations import APPLICATION_ID, migrate
from gateway.store.sqlite import SqliteBackend, connect, file_number, translate

_OPENING_SECONDS = 30.0


class Running:
    """A shared lock that says somebody has the store open; it ends with the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_file(
    path: Path, create: StoreKind | None, wanted: Set[StoreKind], clock: Clock, random: Random
) -> tuple[Database, StoreIdentity, Running]:
    """As `opening.open_store`, for a file."""
    path = path.absolute()
    if create is None and not path.exists():
        raise absent(str(path), "nothing")
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
        return Database(SqliteBackend(path)), identity, Running(running)
    except BaseException as error:
        if running >= 0:
            os.close(running)
        if isinstance(error, TimeoutError):
            raise busy() from None
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise foreign(str(path), "a SQLite database", "another file") from None
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
    wanted: Set[StoreKind],
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
            identity = settle(
                connection, create, wanted, random, now=now, place=str(path), folder=path.parent.resolve()
            )
            ensure_epoch(connection, random, new=new_epoch)
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
        raise foreign(str(path), "a store", "another program's database")
    if application != APPLICATION_ID:
        if create is None:
            raise absent(str(path), "an empty file")
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
