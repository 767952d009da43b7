"""SQLite behind `Database`: connections with the settings everything here relies on, and the file itself.

* Writers of all processes take one file lock around transaction *and* checkpoint. SQLite before 3.51.3
  can lose committed pages when a checkpoint and a write that resets the log overlap ("WAL-reset bug",
  sqlite.org/wal.html section 11); under the lock they never do. Readers cannot checkpoint.
* Nothing is acknowledged that went into a file which is no longer the store: when another file was put in
  its place (a backup restored under a running gateway), every operation fails until all are restarted.
* No connection is open across a fork: SQLite keeps its locks per process and cannot tell a child from
  its parent (`database.py` sees to it).
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from gateway.errors import GatewayError
from gateway.locks import TurnLock
from gateway.store import connection as words
from gateway.store.connection import Connection, busy, unavailable

_PRAGMAS = (
    "PRAGMA synchronous = FULL",  # with WAL: the log is synced at every commit
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # REPLACE must not slip past a trigger on DELETE
    "PRAGMA trusted_schema = OFF",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",
    "PRAGMA journal_size_limit = 67108864",
)
_BUSY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteBackend:
    errors: type[Exception] = sqlite3.Error
    begin_reading = "BEGIN"

    def __init__(self, path: Path) -> None:
        """path: an existing database in WAL mode. Raises OSError."""
        self.path, self.name = path, str(path)
        self._number = file_number(path)

    def turn(self) -> TurnLock:
        return TurnLock(self.path)

    def require_same(self) -> None:
        try:
            same = file_number(self.path) == self._number
        except OSError:
            same = False
        if not same:
            raise unavailable("another database file than the one that was opened; restart every process")

    def connect(self, *, read_only: bool) -> sqlite3.Connection:
        return connect(self.path, read_only=read_only)

    def begin_writing(self, connection: Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")

    def commit(self, connection: Connection) -> None:
        connection.execute("COMMIT")

    def gone(self, connection: Connection) -> bool:
        return False

    def translate(self, error: Exception) -> GatewayError:
        return translate(error)

    def isolated(self, error: Exception) -> bool:
        if not isinstance(error, sqlite3.Error):
            return True
        return isinstance(
            error,
            (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError),
        )


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """An open connection in autocommit mode, usable from any one thread at a time.

    path: an existing file. read_only: nothing can be changed through it. Raises sqlite3.Error.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=words.BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def file_number(path: Path) -> str:
    """Which file this is, whatever its name. Raises OSError."""
    found = os.stat(path)
    return f"{found.st_dev}:{found.st_ino}"


def translate(error: Exception) -> GatewayError:
    """SQLite's messages name tables and limits, never values, so they may be shown to an operator."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code & 0xFF in _BUSY_CODES:
        return busy()
    return unavailable(str(error))
