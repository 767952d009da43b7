"""Stores with a hash chain get the tree: from every schema that had one, with every entry at its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger import chain
from gateway.ledger.entry import draft, place
from gateway.store.migrations import MIGRATIONS, migrate
from tests.stores import START, FakeClock, database_path, sqlite_store

CHAINED = [step.number for step in MIGRATIONS[: [step.name for step in MIGRATIONS].index("merkle ledger")]]
COUNT = 300
"""More than a tile."""


def chained(folder: Path, version: int, count: int = COUNT) -> list[bytes]:
    """A store as an older version left it; its entries, and behind them the last head."""
    path = database_path(folder)
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute(f"PRAGMA application_id = {0x53474154}")
        migrate(old, 0, MIGRATIONS[:version])
        old.execute("INSERT INTO store VALUES (1, ?, 'development', 0)", ("ab" * 16,))
        head, out = chain.genesis("ab" * 16), []
        for index in range(count):
            raw = place(draft("acme" if index % 2 else "", "test.entry", {"n": index}), index, START)
            head = chain.extend(head, raw)
            row = (index, "acme" if index % 2 else "", "test.entry", raw, head)
            old.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?)", row)
            out.append(raw)
    return [*out, head]


@pytest.mark.parametrize("version", CHAINED)
def test_every_entry_becomes_a_leaf(tmp_path: Path, version: int) -> None:
    *entries, last = chained(tmp_path, version)
    with sqlite_store(tmp_path, clock=FakeClock(START)) as store:
        rows = list(store.ledger.rows())
        assert [row.entry for row in rows[:-1]] == entries
        assert len({row.salt for row in rows}) == COUNT + 1
        (rebuilt,) = store.ledger.tail("", 1)
        assert (rebuilt["index"], rebuilt["kind"]) == (COUNT, "ledger.rebuilt")
        assert rebuilt["body"] == {"entries": COUNT, "head": last.hex()}
        assert store.ledger.verify(None) == store.ledger.head()
        assert [e["body"]["n"] for e in store.ledger.tail("acme", 2)] == [COUNT - 3, COUNT - 1]
        seen = store.ledger.append("acme", "test.entry", {})
    with sqlite_store(tmp_path) as store:
        assert store.ledger.verify(seen) == seen, "it is done once"
        with pytest.raises(GatewayError):
            store.database.query("SELECT * FROM ledger")


@pytest.mark.parametrize("version", CHAINED)
def test_a_ledger_without_entries_stays_one(tmp_path: Path, version: int) -> None:
    chained(tmp_path, version, 0)
    with sqlite_store(tmp_path) as store:
        assert store.ledger.head() is None
        assert store.ledger.append("acme", "test.entry", {}).index == 0


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("UPDATE ledger SET entry = x'00' WHERE position = 4", 4),
        ("UPDATE ledger SET head = x'" + "00" * 32 + "' WHERE position = 299", 299),
        ("DELETE FROM ledger WHERE position = 7", 7),
        ("UPDATE store SET store_id = 'other'", 0),
    ],
    ids=["entry", "head", "dropped", "of-another-store"],
)
def test_a_chain_that_does_not_hold_is_not_made_good(tmp_path: Path, change: str, where: int) -> None:
    chained(tmp_path, CHAINED[-1])
    with closing(sqlite3.connect(database_path(tmp_path), isolation_level=None)) as old:
        for (trigger,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            old.execute(f"DROP TRIGGER {trigger}")
        old.execute(change)
        before = list(old.iterdump())
    with pytest.raises(GatewayError) as caught, sqlite_store(tmp_path):
        pass
    assert (caught.value.reason, caught.value.where) == (GatewayReason.LEDGER_BROKEN, f"ledger[{where}]")
    with closing(sqlite3.connect(database_path(tmp_path), isolation_level=None)) as old:
        assert list(old.iterdump()) == before
