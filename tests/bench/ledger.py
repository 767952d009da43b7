"""Appending to the ledger: what one durable entry costs, in small trees and in large ones."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.ledger.entry import draft, place
from gateway.ledger.merkle import Frontier, leaf_hash
from gateway.store import Store, tree
from gateway.store.connection import Connection
from tests.bench.clock import Timing, each, summary
from tests.stores import START, sqlite_store

_BULK = 4096
_WHOLE = 256 * 256
_BUILT = 1_000_000
"""Larger trees are planted: their frontier is there, and nothing to the left of it is ever read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """apart: one writer, each entry with its own wait for the disk. together: the same of 8 writers at once,
    who share transactions. cpu: of one entry inside a transaction, without the wait."""

    apart: Timing
    together: Timing
    cpu: Timing


def growth(sizes: tuple[int, ...], calls: int) -> dict[int, Growth]:
    """By number of leaves that are there already."""
    return {size: _measured(size, calls) for size in sizes}


def _measured(size: int, calls: int) -> Growth:
    with TemporaryDirectory(prefix="sealgate-bench-") as folder, sqlite_store(Path(folder)) as store:
        store.database.write(lambda connection: _fill(connection, size))
        assert store.ledger.append("acme", "test.entry", {}).index == size
        apart = each(lambda n: store.ledger.append("acme", "test.entry", {"n": n}), range(calls))
        return Growth(apart=apart, together=_together(store, calls), cpu=_inside(store, calls))


def _together(store: Store, calls: int) -> Timing:
    found: list[float] = []
    lock = threading.Lock()

    def work() -> None:
        own = []
        for number in range(calls // 8):
            started = time.perf_counter()
            store.ledger.append("acme", "test.entry", {"n": number})
            own.append((time.perf_counter() - started) * 1e6)
        with lock:
            found.extend(own)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return summary(found)


def _inside(store: Store, calls: int) -> Timing:
    drafted = (draft("acme", "test.entry", {"n": 1}),)

    def run(connection: Connection) -> Timing:
        return each(lambda _: store.ledger.add(connection, drafted), range(calls))

    return store.database.write(run)


def _fill(connection: Connection, size: int) -> None:
    planted = max(0, size - _BUILT) // _WHOLE * _WHOLE
    if planted:
        _plant(connection, planted)
    for first in range(planted, size, _BULK):
        many = range(first, min(first + _BULK, size))
        new = [tree.NewLeaf("acme", "test.entry", n.to_bytes(32, "big"), _entry(n)) for n in many]
        tree.append(connection, tree.take(connection, len(new)), new, proving=False)


def _plant(connection: Connection, size: int) -> None:
    """The frontier of so many leaves, full tiles only, and the last entry, so that the next one has a
    place."""
    frontier = Frontier(size, tuple(leaf_hash(bytes([n])) for n in range(size.bit_count())))
    last = ("acme", "test.entry", bytes(32), bytes(32), _entry(size - 1))
    connection.execute("DROP TRIGGER ledger_entry_insert")
    connection.execute("INSERT INTO ledger_entry VALUES (?, ?, ?, ?, ?, ?)", (size - 1, *last))
    connection.execute(
        "UPDATE ledger_head SET size = ?, frontier = ? WHERE tenant = ''", (size, frontier.encode())
    )


def _entry(index: int) -> bytes:
    return place(draft("acme", "test.entry", {"n": index}), index, START)
