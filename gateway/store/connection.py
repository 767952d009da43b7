"""One SQLite connection with the settings everything here relies on, and SQLite's errors in our words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.errors import GatewayError, GatewayReason

Connection = sqlite3.Connection

BUSY_SECONDS = 5.0

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


def connect(path: Path, *, read_only: bool) -> Connection:
    """An open connection in autocommit mode, usable from any one thread at a time.

    path: an existing file. read_only: nothing can be changed through it. Raises sqlite3.Error.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
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


def unavailable(found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_UNAVAILABLE,
        "the store did not answer; nothing was changed",
        where="store",
        expected="a store that can be read and written",
        found=found,
    )


def busy() -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_BUSY,
        "the store is busy; try again",
        where="store",
        expected=f"the write lock within {BUSY_SECONDS:g} s",
        found="another process holds it",
    )


def forked() -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_FORKED,
        "this process must open the store itself",
        where="store",
        expected="a store opened in this process",
        found="one carried over a fork while it was in use",
    )


def translate(error: sqlite3.Error) -> GatewayError:
    """SQLite's messages name tables and limits, never values, so they may be shown to an operator."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code & 0xFF in _BUSY_CODES:
        return busy()
    return unavailable(str(error))


def isolated(error: Exception) -> bool:
    """True when `error` concerns one operation only and the transaction around it is sound."""
    if not isinstance(error, sqlite3.Error):
        return True
    return isinstance(
        error, (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError)
    )
