"""A real PostgreSQL for tests: one cluster for each pytest process, started when it is first asked for.

Without the server's binaries the tests that need it are skipped by name, except in CI, where they fail.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from gateway.store import Server, Store, StoreKind, open_store
from gateway.store.migrations import migrate
from gateway.store.postgres import connect
from gateway.store.postgres_opening import MARK
from tests.stores import FakeClock, FakeRandom, sqlite_store
from tests.support import IN_CI, ROOT

_TEMPLATE = "sealgate_template"


@functools.cache
def binaries() -> Path | None:
    """Where the newest server is whose `postgres` really is one."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))[::-1]:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
            if said.stdout.startswith("postgres (PostgreSQL)"):
                return folder
    return None


needs_postgres = pytest.mark.skipif(
    binaries() is None and not IN_CI, reason="no PostgreSQL on this machine (make system installs it)"
)


class Cluster:
    """The server of this process. Its databases are dropped after each test."""

    def __init__(self) -> None:
        found = binaries()
        assert found is not None, "no PostgreSQL on this machine: make system installs it"
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "tests.postgres_supervisor", str(found)],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt at the terminal is for us alone
        )
        atexit.register(self.close)
        self.folder = Path(self._answer())
        self.databases: set[str] = set()
        self._make_template()

    def _answer(self) -> str:
        assert self._supervisor.stdout is not None
        line = self._supervisor.stdout.readline().strip()
        assert line, "the server's supervisor ended"
        return line

    def tell(self, command: str) -> None:
        """start, stop, kill, freeze, thaw or wipe: see `postgres_supervisor`."""
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.write(f"{command}\n")
        self._supervisor.stdin.flush()
        assert self._answer() == "done"

    def url(self, database: str, user: str = "sealgate") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """One statement as superuser."""
        with psycopg.connect(self.url(database, "postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _make_template(self) -> None:
        self.execute("CREATE ROLE sealgate LOGIN")
        self.execute(f"CREATE DATABASE {_TEMPLATE} OWNER sealgate")
        connection = connect(Server(self.url(_TEMPLATE)), read_only=False)
        migrate(connection, 0, postgres=True)
        connection.execute(f"COMMENT ON TABLE schema_version IS '{MARK}'")
        connection.close()

    def database(self, name: str, *, template: str = _TEMPLATE) -> Server:
        """The database of that name, made when it is not there."""
        if name not in self.databases:
            self.execute(f"CREATE DATABASE {name} OWNER sealgate TEMPLATE {template}")
            self.databases.add(name)
        return Server(self.url(name))

    def drop_databases(self) -> None:
        while self.databases:
            self.execute(f"DROP DATABASE IF EXISTS {self.databases.pop()} WITH (FORCE)")

    def close(self) -> None:
        if self._supervisor.stdin is not None:
            self._supervisor.stdin.close()
        self._supervisor.wait()


@functools.cache
def cluster() -> Cluster:
    return Cluster()


def cleared() -> None:
    """After each test."""
    if cluster.cache_info().currsize:
        cluster().drop_databases()


def server_of(folder: Path) -> Server:
    """The database that stands for a test's folder."""
    return cluster().database(f"t_{hashlib.sha256(str(folder).encode()).hexdigest()[:20]}")


class Opener(Protocol):
    def __call__(
        self,
        folder: Path,
        *,
        kind: StoreKind = StoreKind.DEVELOPMENT,
        clock: FakeClock | None = None,
        seed: str = "",
    ) -> AbstractContextManager[Store]:
        """Open the store of `folder`, creating it the first time."""
        ...


@contextmanager
def postgres_store(
    folder: Path,
    *,
    kind: StoreKind = StoreKind.DEVELOPMENT,
    clock: FakeClock | None = None,
    seed: str = "",
) -> Iterator[Store]:
    store = open_store(
        server_of(folder), create=kind, expect=None, clock=clock or FakeClock(), random=FakeRandom(seed)
    )
    try:
        yield store
    finally:
        store.close()


STORES: dict[str, Opener] = {"sqlite": sqlite_store, "postgres": postgres_store}
"""Every implementation behind the ports; what holds for one holds for the other."""
EVERY_STORE = [pytest.param("sqlite"), pytest.param("postgres", marks=needs_postgres)]
