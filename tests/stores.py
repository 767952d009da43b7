"""Stores, clocks and random generators for tests of the gateway's state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.keys import FileKeys
from gateway.ledger.merkle import Frontier
from gateway.store import Store, StoreKind, open_store

START = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class FakeRandom:
    """The same bytes for the same seed, never the same twice in one run."""

    def __init__(self, seed: str = "") -> None:
        self._seed, self._count = seed, 0

    def bytes(self, count: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._seed} {self._count}".encode()).digest(count)


def database_path(folder: Path) -> Path:
    return folder / "db" / "gateway.db"


@contextmanager
def sqlite_store(
    folder: Path,
    *,
    kind: StoreKind = StoreKind.DEVELOPMENT,
    clock: FakeClock | None = None,
    seed: str = "",
) -> Iterator[Store]:
    store = open_store(
        database_path(folder), create=kind, expect=None, clock=clock or FakeClock(), random=FakeRandom(seed)
    )
    try:
        yield store
    finally:
        store.close()


def heads(store: Store) -> list[str]:
    """The head after each entry, made anew from the leaves."""
    frontier, out = Frontier(), []
    for row in store.ledger.rows():
        frontier = frontier.append(row.leaf)
        out.append(frontier.root().hex())
    return out


def file_keys(folder: Path, store: Store, seed: str = "keys") -> FileKeys:
    return FileKeys.create(folder / "keys", store.identity, FakeRandom(seed))
