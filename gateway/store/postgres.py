"""PostgreSQL behind `Database`: connections whose settings are checked, and one writer at a time.

* Every write transaction begins by taking one advisory lock, so that writers of all processes follow each
  other as they do with SQLite: what was proven for one writer stays true. Whoever comes first gets it first.
* What is acknowledged is on disk: `fsync`, `full_page_writes` and `synchronous_commit` are looked at for
  every connection, the first two again in every write transaction; a server without them is refused. The
  session keeps the `synchronous_commit` that was found, whatever the server is told later.
* A COMMIT that did not say COMMIT, or that came with a warning (a standby that did not confirm), counts as
  failed. So does one whose answer was lost: nothing was acknowledged, and it may be found written later.
* Every connection goes to the server on which this process is known to be present (`postgres_opening.py`):
  after a restart, a failover or a restored backup the nonce epoch is settled before anything else is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import ConnStatus, TransactionStatus

from gateway import files
from gateway.errors import GatewayError, GatewayReason
from gateway.store.connection import BUSY_SECONDS, Connection, Cursor, busy, unavailable
from gateway.storeserver import Server

LOCKS = 0x53474154
"""First half of the keys of our advisory locks ("SGAT"); the second says which."""
WRITING, PRESENT = 1, 2
OLDEST = 150000
_MAX_PASSWORD = 4096
_DEFAULTS: dict[str, Any] = {
    "application_name": "sealgate",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "target_session_attrs": "read-write",
}
"""Of libpq; what the URL says comes first."""
_ALWAYS: dict[str, Any] = {"client_encoding": "utf8"}
_FOUND = """
    SELECT current_setting('synchronous_commit'), current_setting('fsync'),
        current_setting('full_page_writes'), current_setting('server_encoding'),
        current_setting('server_version_num')::int, pg_is_in_recovery(),
        pg_postmaster_start_time()::text, (pg_control_system()).system_identifier,
        CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
"""
_SET = """
    SET synchronous_commit = {commit}; SET lock_timeout = {lock}; SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '15s'; SET standard_conforming_strings = on;
    SET default_transaction_read_only = {read_only}
"""
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_MY_TURN = f"""
    SELECT pg_advisory_xact_lock({LOCKS}, {WRITING}), current_setting('fsync'),
        current_setting('full_page_writes')
"""
_STRONG = frozenset({"on", "remote_apply"})
_BUSY_STATES = frozenset({"55P03", "57014", "40001", "40P01"})
"""lock_not_available, query_canceled, serialization_failure, deadlock_detected"""
_OWN_FAULT = frozenset({"22", "23", "42", "44", "P0"})
"""Classes of SQLSTATE that concern one statement: data, constraints, syntax, check options, triggers."""


class Where(NamedTuple):
    """Which run of which server a connection goes to, and which database of it."""

    started: str
    system: int
    timeline: str
    database: int


class PostgresConnection:
    """A connection of psycopg in the words of `connection.Connection`."""

    def __init__(self, raw: psycopg.Connection[Any], where: Where) -> None:
        self.raw, self.where = raw, where
        self._warned = False
        raw.add_notice_handler(self._notice)

    def __repr__(self) -> str:
        return f"PostgresConnection({self.where})"

    def _notice(self, notice: psycopg.errors.Diagnostic) -> None:
        self._warned = self._warned or notice.severity_nonlocalized == "WARNING"

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        if not values:
            return self.raw.execute(statement.encode())
        return self.raw.execute(translated(statement), values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> None:
        with self.raw.cursor() as cursor:
            cursor.executemany(translated(statement), rows)

    @property
    def in_transaction(self) -> bool:
        return self.raw.pgconn.transaction_status in {
            TransactionStatus.INTRANS,
            TransactionStatus.INERROR,
            TransactionStatus.ACTIVE,
        }

    @property
    def dead(self) -> bool:
        return self.raw.pgconn.status != ConnStatus.OK

    def commit(self) -> None:
        """Raises GatewayError(STORE_UNAVAILABLE) unless it was committed as durably as it should be."""
        self._warned = False
        said = self.raw.execute(b"COMMIT").statusmessage
        if said != "COMMIT":
            raise unavailable("a transaction that the server undid")
        if self._warned:
            raise unavailable("a commit that no standby confirmed")

    def close(self) -> None:
        self.raw.close()


@lru_cache(maxsize=1024)
def translated(statement: str) -> bytes:
    """Our `?` as psycopg's `%s`; no text of ours has a question mark in a literal."""
    return statement.replace("%", "%%").replace("?", "%s").encode()


class NoTurn:
    """The server settles whose turn it is."""

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        yield

    def close(self) -> None:
        pass


class PostgresBackend:
    errors: type[Exception] = psycopg.Error
    begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, server: Server, confirm: Callable[[Where], None]) -> None:
        """confirm: makes sure that this process is present where a connection goes; raises GatewayError."""
        self._server, self._confirm, self.name = server, confirm, server.name

    def turn(self) -> NoTurn:
        return NoTurn()

    def require_same(self) -> None:
        """Each connection was asked when it was made."""

    def connect(self, *, read_only: bool) -> PostgresConnection:
        connection = connect(self._server, read_only=read_only)
        try:
            self._confirm(connection.where)
        except BaseException:
            connection.close()
            raise
        return connection

    def begin_writing(self, connection: Connection) -> None:
        begin_writing(connection)

    def commit(self, connection: Connection) -> None:
        ours(connection).commit()

    def gone(self, connection: Connection) -> bool:
        return ours(connection).dead

    def translate(self, error: Exception) -> GatewayError:
        return translate(error)

    def isolated(self, error: Exception) -> bool:
        if not isinstance(error, psycopg.Error):
            return True
        return (error.sqlstate or "")[:2] in _OWN_FAULT


def ours(connection: Connection) -> PostgresConnection:
    if not isinstance(connection, PostgresConnection):
        raise TypeError("a connection of another database")
    return connection


def begin_writing(connection: Connection) -> None:
    """Raises psycopg.Error, GatewayError(STORE_SETTINGS)."""
    connection.execute(_BEGIN)
    _, fsync, full_pages = connection.execute(_MY_TURN).fetchone()
    _require("fsync", {"on"}, fsync)
    _require("full_page_writes", {"on"}, full_pages)


def connect(server: Server, *, read_only: bool) -> PostgresConnection:
    """An open connection in autocommit mode to a server that may be relied on.

    read_only: nothing can be changed through it. Raises psycopg.Error; GatewayError: STORE_SETTINGS,
    STORE_PERMISSIONS (the file of the password is not private).
    """
    given = conninfo_to_dict(server.url)
    more = {name: value for name, value in _DEFAULTS.items() if name not in given} | _ALWAYS
    if server.password_file is not None:
        secret = files.read_private(
            server.password_file, GatewayReason.STORE_PERMISSIONS, limit=_MAX_PASSWORD
        )
        more["password"] = secret.decode("utf-8", "replace").strip("\r\n")
    raw = psycopg.connect(make_conninfo(server.url, **more), autocommit=True)
    try:
        commit, *others, started, system, timeline, database = raw.execute(_FOUND).fetchone() or ()
        _require("synchronous_commit", _STRONG, commit)
        for name, wanted, found in zip(
            ("fsync", "full_page_writes", "server_encoding"), ("on", "on", "UTF8"), others[:3], strict=True
        ):
            _require(name, {wanted}, found)
        if others[3] < OLDEST:
            raise settings("version", f"PostgreSQL {OLDEST // 10000} or later", str(others[3] // 10000))
        if others[4]:
            raise unavailable("a standby, which takes no writes")
        raw.execute(
            _SET.format(
                commit=commit, lock=int(BUSY_SECONDS * 1000), read_only="on" if read_only else "off"
            ).encode()
        )
        return PostgresConnection(raw, Where(started, system, timeline, database))
    except BaseException:
        raw.close()
        raise


def _require(name: str, wanted: Iterable[str], found: str) -> None:
    if found not in wanted:
        raise settings(name, " or ".join(sorted(wanted)), found)


def settings(name: str, expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_SETTINGS,
        "the database server may lose what it acknowledged, or cannot hold a store",
        where=f"PostgreSQL, {name}",
        expected=expected,
        found=found,
    )


def translate(error: Exception) -> GatewayError:
    """The first line of what the server or libpq said: it names tables, hosts and users. Values are in the
    lines after it, which nobody is shown."""
    state = getattr(error, "sqlstate", None)
    if state in _BUSY_STATES:
        return busy()
    diagnostic = getattr(error, "diag", None)
    said = (diagnostic and diagnostic.message_primary) or str(error)
    first = " ".join((said.strip().splitlines() or ["no word"])[0].split()).removeprefix(
        "connection failed: "
    )
    return unavailable(f"{first[:200]}{f' [{state}]' if state else ''}")
