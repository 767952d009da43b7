"""Numbers that belong to the whole store: epochs and generations. Callers hold the transaction."""

from __future__ import annotations

from gateway.store.connection import Connection

COUNTER = "SELECT value FROM counter WHERE tenant = '' AND name = ?"


def read_counter(connection: Connection, name: str) -> int | None:
    """None when it was never set."""
    row = connection.execute(COUNTER, (name,)).fetchone()
    return None if row is None else int(row[0])


def set_counter(connection: Connection, name: str, value: int) -> None:
    connection.execute(
        "INSERT INTO counter VALUES ('', ?, ?)"
        " ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def increment(connection: Connection, name: str) -> None:
    connection.execute(
        "INSERT INTO counter VALUES ('', ?, 1)"
        " ON CONFLICT (tenant, name) DO UPDATE SET value = counter.value + 1",
        (name,),
    )
