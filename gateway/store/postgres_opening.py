"""Opening a store in a database of PostgreSQL, and being present in it.

While a process has the store open it holds a shared advisory lock in a session of its own. Who opens the
store and finds that nobody holds it begins a new nonce epoch, as with the lock file of SQLite. A server that
was restarted, that took over from another or that was restored from a backup has no sessions: the first to
come back to it finds itself alone, and challenges given out before are void. So it does not matter what such
a server has lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Set

import psycopg

from gateway.errors import GatewayError
from gateway.ports import Clock, Random
from gateway.store.columns import to_micros
from gateway.store.connection import unavailable
from gateway.store.database import Database
from gateway.store.identity import StoreIdentity, StoreKind, absent, ensure_epoch, foreign, settle
from gateway.store.migrations import migrate
from gateway.store.postgres import (
    LOCKS,
    PRESENT,
    PostgresBackend,
    PostgresConnection,
    Where,
    begin_writing,
    connect,
    translate,
)
from gateway.storeserver import Server

MARK = "sealgate store"
"""The comment on one of our tables, so that another program's database is recognised as such."""
_TABLES = """
    SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_MARKED = "SELECT obj_description(to_regclass('schema_version')::oid, 'pg_class')"
_ALONE = f"SELECT pg_try_advisory_lock({LOCKS}, {PRESENT})"
_SHARE = f"SELECT pg_advisory_lock_shared({LOCKS}, {PRESENT})"
_MAKE_ROOM = f"SELECT pg_advisory_unlock({LOCKS}, {PRESENT})"
Prepare = Callable[[PostgresConnection, bool], StoreIdentity]


class Presence:
    """The session that says, while it lasts, that this process has the store open."""

    def __init__(self, server: Server, prepare: Prepare) -> None:
        """prepare: brings what a session sees up to date, and is present in it; its second argument says
        whether a store may be made. Raises psycopg.Error, GatewayError."""
        self._server, self._prepare = server, prepare
        self._lock = threading.Lock()
        self._closed = False
        self._session: PostgresConnection | None = None
        self.identity = self._enter(first=True)

    def confirm(self, where: Where) -> None:
        """Make sure that we are present where a new connection goes. Raises psycopg.Error, and
        GatewayError(STORE_UNAVAILABLE) when it goes elsewhere, or to another store."""
        with self._lock:
            if self._closed:
                raise unavailable("the store is closed")
            if self._session is None or self._session.where != where or not _answers(self._session):
                self._leave()
                try:
                    identity = self._enter(first=False)
                except GatewayError as error:
                    raise unavailable(f"{error.where}: {error.found} [{error.reason}]") from None
                if identity.store_id != self.identity.store_id:
                    self._leave()
                    raise unavailable("another store than the one that was opened; restart every process")
            if self._session is None or self._session.where != where:
                raise unavailable("a server that changed meanwhile")

    def _enter(self, *, first: bool) -> StoreIdentity:
        session = connect(self._server, read_only=False)
        try:
            identity = self._prepare(session, first)
        except BaseException:
            session.close()
            raise
        self._session = session
        return identity

    def _leave(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._closed = True
            self._leave()


def _answers(session: PostgresConnection) -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def open_database(
    server: Server, create: StoreKind | None, wanted: Set[StoreKind], clock: Clock, random: Random
) -> tuple[Database, StoreIdentity, Presence]:
    """As `opening.open_store`, for a database of a server."""

    def prepare(session: PostgresConnection, first: bool) -> StoreIdentity:
        return _prepare(session, server, create if first else None, wanted, clock, random)

    try:
        presence = Presence(server, prepare)
    except psycopg.Error as error:
        raise translate(error) from None
    return Database(PostgresBackend(server, presence.confirm)), presence.identity, presence


def _prepare(
    session: PostgresConnection,
    server: Server,
    create: StoreKind | None,
    wanted: Set[StoreKind],
    clock: Clock,
    random: Random,
) -> StoreIdentity:
    """Recognise, migrate, create the identity row when there is none, check the kind, and stay present: one
    transaction in which nobody else writes or opens."""
    begin_writing(session)
    new = _recognise(session, server, create)
    now = to_micros(clock.now())
    migrate(session, now, postgres=True)
    if new:
        session.execute(f"COMMENT ON TABLE schema_version IS '{MARK}'")
    identity = settle(session, create, wanted, random, now=now, place=server.name, folder=None)
    (alone,) = session.execute(_ALONE).fetchone()
    ensure_epoch(session, random, new=alone)
    session.execute(_SHARE)
    if alone:
        session.execute(_MAKE_ROOM)
    session.commit()
    return identity


def _recognise(session: PostgresConnection, server: Server, create: StoreKind | None) -> bool:
    """True for an empty database. Refuse another program's before anything is written to it."""
    (mark,) = session.execute(_MARKED).fetchone()
    if mark == MARK:
        return False
    if session.execute(_TABLES).fetchone() != (0,):
        raise foreign(server.name, "a store", "another program's tables")
    if create is None:
        raise absent(server.name, "an empty database")
    return True
