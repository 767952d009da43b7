"""What the repositories ask of a database, and its failures in our words.

The texts are SQL that SQLite and PostgreSQL both understand, with `?` for values; `sqlite.py` and
`postgres.py` are the two that answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from gateway.errors import GatewayError, GatewayReason

BUSY_SECONDS = 5.0


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Without a transaction every statement stands for itself. For one thread at a time."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Cursor: ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Any: ...

    @property
    def in_transaction(self) -> bool: ...

    def close(self) -> None: ...


class Turn(Protocol):
    """Whose turn to write it is, between processes; threads settle it among themselves before."""

    def held(self, timeout: float) -> AbstractContextManager[None]:
        """Raises TimeoutError when it is not ours within `timeout` seconds."""
        ...

    def close(self) -> None: ...


class Backend(Protocol):
    """One database as `Database` needs it. name: for people, without a password. errors: what its driver
    raises. begin_reading: the statement that begins a transaction which sees one state."""

    name: str
    errors: type[Exception]
    begin_reading: str

    def turn(self) -> Turn: ...

    def require_same(self) -> None:
        """Raises GatewayError(STORE_UNAVAILABLE) when this is not the database that was opened."""
        ...

    def connect(self, *, read_only: bool) -> Connection:
        """read_only: nothing can be changed through it. Raises one of `errors`, or GatewayError."""
        ...

    def begin_writing(self, connection: Connection) -> None:
        """From here to the end of the transaction nobody else writes, in whatever process. Raises as
        `connect`."""
        ...

    def commit(self, connection: Connection) -> None:
        """Everything since `begin_writing` is durable when it returns. Raises as `connect`, and then nobody
        knows yet whether it is."""
        ...

    def gone(self, connection: Connection) -> bool:
        """True when the server ended the connection."""
        ...

    def translate(self, error: Exception) -> GatewayError:
        """What an operator may be shown: no values."""
        ...

    def isolated(self, error: Exception) -> bool:
        """True when `error` concerns one operation only and the transaction around it is sound."""
        ...


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
