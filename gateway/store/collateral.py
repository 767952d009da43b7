"""`CollateralStore` on SQLite. Collateral is public and the vendors', so it belongs to tenant ""."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.ports import StoredCollateral
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import COUNTER, increment, read_counter
from gateway.store.database import Database

_GENERATION = "collateral-generation"
_CURRENT = """
    SELECT id, sha256 FROM collateral
    WHERE tenant = '' AND kind = ? AND key = ? AND superseded IS NULL
"""
_INSERT = """
    INSERT INTO collateral (tenant, kind, key, sha256, source, imported) VALUES ('', ?, ?, ?, ?, ?)
"""
_ALL = """
    SELECT kind, key, sha256, source, imported FROM collateral
    WHERE superseded IS NULL ORDER BY kind, key
"""
_BY_DIGEST = "SELECT sha256, source FROM collateral WHERE sha256 = ? LIMIT 1"


def _collateral(row: tuple[Any, ...]) -> StoredCollateral:
    return StoredCollateral(
        kind=row[0], key=row[1], sha256=row[2], source=row[3], imported=from_micros(row[4])
    )


class SqliteCollateral:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, collateral: StoredCollateral) -> None:
        """Supersedes what is held under the same (kind, key). The same bytes again change nothing.

        Which of two objects is the newer one was decided before (the ratchet); here the last one counts.
        """
        imported = to_micros(collateral.imported)
        name = (collateral.kind, collateral.key)

        def replace(connection: Connection) -> None:
            current = connection.execute(_CURRENT, name).fetchone()
            if current is not None:
                if current[1] == collateral.sha256:
                    return
                connection.execute(
                    "UPDATE collateral SET superseded = ? WHERE id = ?", (imported, current[0])
                )
            connection.execute(_INSERT, (*name, collateral.sha256, collateral.source, imported))
            increment(connection, _GENERATION)

        self._database.write(replace)

    def all(self) -> tuple[int, Sequence[StoredCollateral]]:
        def read(connection: Connection) -> tuple[int, Sequence[StoredCollateral]]:
            rows = connection.execute(_ALL).fetchall()
            return read_counter(connection, _GENERATION) or 0, tuple(map(_collateral, rows))

        return self._database.read(read)

    def generation(self) -> int:
        """Cheap: to see whether what `all` gave is still everything."""
        rows = self._database.query(COUNTER, (_GENERATION,))
        return int(rows[0][0]) if rows else 0

    def by_digests(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for digest in dict.fromkeys(digests):
            found |= dict(self._database.query(_BY_DIGEST, (digest,)))
        return found
