"""What is SQLite's own: files, schema, triggers, transactions, full disks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.merkle import Frontier
from gateway.locks import TurnLock, open_lock_file, try_lock
from gateway.ports import LedgerUnavailable, NewEntry
from gateway.store import Store, StoreKind, connection, database, open_store
from gateway.store.columns import from_micros, to_micros
from gateway.store.database import MAX_BATCH
from gateway.store.migrations import MIGRATIONS, Migration, migrate
from tests.integration.test_store import ENTRY, LATER, activate, appraisal, document, secret
from tests.integration.test_store_collateral import first_crl, put
from tests.stores import START, FakeClock, FakeRandom, database_path, sqlite_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        yield opened


def raw(tmp_path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(database_path(tmp_path), isolation_level=None))


def refused(
    folder: Path, *, create: StoreKind | None = None, expect: StoreKind | None = None
) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        open_store(
            database_path(folder), create=create, expect=expect, clock=FakeClock(), random=FakeRandom()
        )
    return caught.value


# --- files ---


def test_folder_and_files_are_private(tmp_path: Path, store: Store) -> None:
    store.ledger.append("acme", "test.entry", {})
    folder = database_path(tmp_path).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()} == dict.fromkeys(
        [f"gateway.db{end}" for end in ("", "-shm", "-wal", ".running", ".turn", ".writer")], 0o600
    )


def test_a_commit_waits_for_the_disk(store: Store) -> None:
    def read(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "trusted_schema")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert store.database.write(read) == ["wal", 2, 1, 1, 0]
    assert store.database.read(read) == ["wal", 2, 1, 1, 0]


def test_a_reader_changes_nothing(store: Store) -> None:
    with pytest.raises(GatewayError) as caught:
        store.database.read(lambda c: c.execute("DELETE FROM nonce"))
    assert caught.value.reason is GatewayReason.STORE_UNAVAILABLE


def test_no_store_is_made_unless_asked(tmp_path: Path) -> None:
    assert refused(tmp_path).reason is GatewayReason.STORE_ABSENT
    assert not database_path(tmp_path).parent.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_database_that_others_can_use_is_refused(tmp_path: Path, store: Store, mode: int) -> None:
    store.close()
    database_path(tmp_path).chmod(mode)
    error = refused(tmp_path)
    assert (error.reason, error.found) == (GatewayReason.STORE_PERMISSIONS, f"mode {mode:04o}")


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o711])
def test_a_folder_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    folder = database_path(tmp_path).parent
    folder.mkdir()
    folder.chmod(mode)
    error = refused(tmp_path, create=StoreKind.PRODUCTION)
    assert (error.reason, error.found) == (GatewayReason.STORE_PERMISSIONS, f"mode {mode:04o}")
    assert list(folder.iterdir()) == []


def test_a_link_in_the_place_of_the_database_is_refused(tmp_path: Path, store: Store) -> None:
    store.close()
    path = database_path(tmp_path)
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    assert refused(tmp_path).reason is GatewayReason.STORE_PERMISSIONS


def test_a_relative_path_survives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sqlite_store(Path(".")) as store:
        monkeypatch.chdir("/")
        assert store.ledger.append("acme", "test.entry", {}).index == 0
    assert database_path(tmp_path).is_file()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", GatewayReason.STORE_ABSENT, id="empty"),
        pytest.param(b"no database " * 100, GatewayReason.STORE_FOREIGN, id="text"),
    ],
)
def test_another_file_is_no_store(tmp_path: Path, content: bytes, reason: GatewayReason) -> None:
    path = database_path(tmp_path)
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(content)
    assert refused(tmp_path).reason is reason
    assert path.read_bytes() == content


@pytest.mark.parametrize("create", [None, StoreKind.PRODUCTION])
def test_another_programs_database_is_left_alone(tmp_path: Path, create: StoreKind | None) -> None:
    path = database_path(tmp_path)
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    with raw(tmp_path) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    assert refused(tmp_path, create=create).reason is GatewayReason.STORE_FOREIGN
    assert path.read_bytes() == before


# --- kinds ---


@pytest.mark.parametrize("kind", StoreKind)
def test_a_store_stays_of_its_kind(tmp_path: Path, kind: StoreKind) -> None:
    (other,) = set(StoreKind) - {kind}
    with sqlite_store(tmp_path, kind=kind) as store:
        assert store.development is (kind is StoreKind.DEVELOPMENT)
    for create, expect in ((other, None), (None, other), (other, other)):
        error = refused(tmp_path, create=create, expect=expect)
        assert (error.reason, error.expected, error.found) == (
            GatewayReason.STORE_KIND,
            f"a {other} store",
            f"a {kind} store",
        )
    for create, expect in ((kind, None), (None, kind), (kind, kind), (None, None)):
        with open_store(
            database_path(tmp_path), create=create, expect=expect, clock=FakeClock(), random=FakeRandom()
        ) as store:
            assert store.identity.kind is kind


def test_contradicting_wishes_are_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="contradict"):
        open_store(
            database_path(tmp_path),
            create=StoreKind.PRODUCTION,
            expect=StoreKind.DEVELOPMENT,
            clock=FakeClock(),
            random=FakeRandom(),
        )


# --- what SQL itself cannot change ---


def fill(store: Store) -> None:
    store.ledger.append("acme", "test.entry", {"n": 0})
    store.ledger.append("acme", "test.entry", {"n": 1})
    assert activate(store, document())
    assert store.secrets.put(secret(), ENTRY)
    store.journal.commit((), appraisal())


_REST = "tenant, kind, leaf, salt, entry"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE store SET kind = 'production'",
        "UPDATE store SET created = created",
        "DELETE FROM store",
        "INSERT INTO store VALUES (1, 'x', 'production', 0)",
        "INSERT OR REPLACE INTO store VALUES (1, 'x', 'production', 0)",
        "INSERT OR IGNORE INTO store VALUES (2, 'x', 'production', 0)",
        "UPDATE ledger_entry SET entry = x'00'",
        "UPDATE OR REPLACE ledger_entry SET position = 0 WHERE position = 1",
        "DELETE FROM ledger_entry",
        "DELETE FROM ledger_entry WHERE position = 1",
        f"INSERT INTO ledger_entry SELECT 3, {_REST} FROM ledger_entry WHERE position = 1",
        f"INSERT INTO ledger_entry SELECT -1, {_REST} FROM ledger_entry WHERE position = 1",
        f"INSERT OR REPLACE INTO ledger_entry SELECT 1, {_REST} FROM ledger_entry WHERE position = 1",
        "REPLACE INTO ledger_entry SELECT * FROM ledger_entry WHERE position = 0",
        "UPDATE ledger_head SET size = size - 1",
        "DELETE FROM ledger_head",
        "INSERT INTO ledger_head VALUES ('x', 0, x'')",
        "INSERT OR REPLACE INTO ledger_head VALUES ('', 0, x'')",
        "UPDATE document SET source = x'00'",
        "DELETE FROM document",
        "INSERT OR REPLACE INTO document SELECT * FROM document",
        "UPDATE secret SET sealed = x'00'",
        "UPDATE secret_path SET last_version = 0",
        "UPDATE secret_path SET last_version = 9, path = 'b'",
        "DELETE FROM secret_path",
        "UPDATE collateral_object SET source = x'00'",
        "UPDATE collateral_object SET sha256 = 'x'",
        "DELETE FROM collateral_object",
        "UPDATE collateral_slot SET issued = issued - 1",
        "UPDATE collateral_slot SET number = number - 1",
        "UPDATE collateral_slot SET number = NULL",
        "UPDATE collateral_slot SET key = 'x'",
        "UPDATE collateral_slot SET simulated = 0",
        "DELETE FROM collateral_slot",
        "UPDATE appraisal SET releasable = 1",
        "DELETE FROM appraisal",
    ],
)
def test_history_is_fixed(tmp_path: Path, store: Store, statement: str) -> None:
    fill(store)
    put(store, first_crl())
    with raw(tmp_path) as other:
        before = list(other.iterdump())
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(statement)
        assert list(other.iterdump()) == before


def test_a_store_from_before_retention_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "__defaults__", (MIGRATIONS[:1],))
        with sqlite_store(tmp_path) as store, raw(tmp_path) as other:
            for jti in ("j0", "j1"):
                row = (jti, to_micros(appraisal().created))
                other.execute(
                    "INSERT INTO appraisal VALUES (?, 'acme', ?, 0, 1, 'accepted', x'00', x'', x'7b7d')",
                    row,
                )
            other.execute("DELETE FROM appraisal WHERE jti = 'j0'")
    with sqlite_store(tmp_path) as store:
        with raw(tmp_path) as other, pytest.raises(sqlite3.IntegrityError):
            other.execute("DELETE FROM appraisal")
        old = store.appraisals.get("acme", "j1")
        assert old is not None and (old.submission, old.collateral) == (None, None)
        assert store.appraisals.prune(appraisal().created + timedelta(seconds=1)) == 1


def test_every_row_has_a_tenant(tmp_path: Path, store: Store) -> None:
    with raw(tmp_path) as other:
        tables = {
            name
            for (name,) in other.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        }
        without = set()
        for table in tables:
            columns = {row[1]: row for row in other.execute(f"PRAGMA table_info({table})")}
            if "tenant" not in columns or not columns["tenant"][3]:
                without.add(table)
    assert len(tables) >= 12
    assert without == {"store", "schema_version"}


# --- schema ---


def test_a_newer_schema_is_refused(tmp_path: Path, store: Store) -> None:
    store.close()
    with raw(tmp_path) as other:
        other.execute("INSERT INTO schema_version VALUES (99, 'later', 'x', 0)")
    error = refused(tmp_path, create=StoreKind.DEVELOPMENT)
    assert (error.reason, error.expected, error.found) == (
        GatewayReason.STORE_SCHEMA_NEWER,
        f"at most {len(MIGRATIONS)}",
        "99",
    )


def test_another_builds_schema_is_refused(tmp_path: Path, store: Store) -> None:
    store.close()
    with raw(tmp_path) as other:
        other.execute("UPDATE schema_version SET digest = 'x' WHERE number = 1")
    error = refused(tmp_path)
    assert (error.reason, error.where) == (GatewayReason.STORE_SCHEMA_CHANGED, "schema_version 1")


def test_migrations_go_forward_once() -> None:
    more = (
        *MIGRATIONS,
        Migration(len(MIGRATIONS) + 1, "next", ("CREATE TABLE next (tenant TEXT NOT NULL)",)),
    )
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        assert [migrate(memory, 0), migrate(memory, 0)] == [len(MIGRATIONS), 0]
        assert [migrate(memory, 0, more), migrate(memory, 0, more)] == [1, 0]
        with pytest.raises(GatewayError) as caught:
            migrate(memory, 0)
    assert caught.value.reason is GatewayReason.STORE_SCHEMA_NEWER


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [m.number for m in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (Migration(1, "broken", (*MIGRATIONS[0].statements, "CREATE TABLE nonce (x)")),)
    monkeypatch.setattr(migrate, "__defaults__", (broken,))
    assert refused(tmp_path, create=StoreKind.PRODUCTION).reason is GatewayReason.STORE_UNAVAILABLE
    monkeypatch.undo()
    assert refused(tmp_path).reason is GatewayReason.STORE_ABSENT
    with sqlite_store(tmp_path) as store:
        assert store.ledger.append("acme", "test.entry", {}).index == 0


# --- transactions ---


class Gate:
    """Holds the writer inside a transaction until `open` is called."""

    def __init__(self, store: Store) -> None:
        self._inside, self._leave = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=store.database.write, args=(self._wait,))
        self._thread.start()
        assert self._inside.wait(10)

    def _wait(self, _: sqlite3.Connection) -> None:
        self._inside.set()
        assert self._leave.wait(10)

    def open(self) -> None:
        self._leave.set()
        self._thread.join()


def queued(store: Store, works: list[Callable[[], object]]) -> list[object]:
    """Run `works` in threads that all wait for the writer, then let them; their results or exceptions."""
    gate, results = Gate(store), dict[int, object]()

    def run(number: int) -> None:
        try:
            results[number] = works[number]()
        except Exception as error:
            results[number] = error

    threads = []
    for number in range(len(works)):
        thread = threading.Thread(target=run, args=(number,))
        thread.start()
        threads.append(thread)
        state = store.database._state
        assert state is not None
        while len(state.queue) <= number:
            thread.join(0.001)
    gate.open()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(len(works))]


def test_a_failure_in_a_shared_transaction_is_the_callers_own(store: Store) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO nonce VALUES ('acme', x'ff', 0)")
        raise ZeroDivisionError

    results = queued(
        store,
        [
            lambda: store.ledger.append("acme", "test.entry", {"n": 1}).index,
            lambda: store.database.write(fail),
            lambda: store.database.write(lambda c: c.execute("DELETE FROM ledger_entry")),
            lambda: store.journal.commit((), appraisal()),
            lambda: store.journal.commit((), appraisal()),
            lambda: store.ledger.append("acme", "test.entry", {"n": 2}).index,
        ],
    )
    assert (results[0], results[5], results[3]) == (0, 1, ())
    assert isinstance(results[1], ZeroDivisionError)
    assert isinstance(results[2], GatewayError)
    assert isinstance(results[4], GatewayError)
    assert [results[2].reason, results[4].reason] == ["store.unavailable", "store.conflict"]
    assert store.ledger.verify(None) == store.ledger.head()
    assert store.nonces.consume("acme", b"\xff", LATER) is True


def test_transaction_and_checkpoint_happen_under_the_lock_of_all_processes(
    tmp_path: Path, store: Store
) -> None:
    """See `database.py` on the WAL-reset bug: no other process may write or checkpoint meanwhile."""
    path = database_path(tmp_path)
    descriptor = open_lock_file(path.with_name(path.name + ".writer"))
    try:
        assert store.database.write(lambda _: try_lock(descriptor)) is False
        assert try_lock(descriptor) is True
    finally:
        os.close(descriptor)


def test_more_callers_than_one_transaction_holds(store: Store) -> None:
    count = 2 * MAX_BATCH + 3
    results = queued(store, [lambda: store.ledger.append("acme", "test.entry", {}).index] * count)
    assert sorted(results) == list(range(count))  # type: ignore[type-var]


def test_a_spoiled_transaction_acknowledges_nothing(store: Store) -> None:
    def spoil(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT * FROM nowhere")

    results = queued(
        store, [lambda: store.ledger.append("acme", "test.entry", {}), lambda: store.database.write(spoil)]
    )
    assert isinstance(results[0], LedgerUnavailable)
    assert isinstance(results[1], GatewayError)
    assert store.ledger.head() is None
    assert store.ledger.append("acme", "test.entry", {}).index == 0


def test_an_interrupted_leader_leaves_the_others_working(store: Store) -> None:
    def interrupt(_: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.database.write(interrupt)
    assert store.ledger.append("acme", "test.entry", {}).index == 0


def test_a_write_inside_a_write_is_a_bug_and_no_deadlock(store: Store) -> None:
    with pytest.raises(RuntimeError, match="inside"):
        store.database.write(lambda _: store.ledger.append("acme", "test.entry", {}))


def test_a_reader_sees_one_state(store: Store) -> None:
    def twice(connection: sqlite3.Connection) -> list[int]:
        count = "SELECT count(*) FROM ledger_entry"
        first = connection.execute(count).fetchone()[0]
        store.ledger.append("acme", "test.entry", {})
        return [first, connection.execute(count).fetchone()[0]]

    assert store.database.read(twice) == [0, 0]
    assert store.ledger.head() is not None


# --- when it cannot ---


def test_a_full_disk_stops_the_ledger_and_loses_nothing(store: Store) -> None:
    for number in range(3):
        store.ledger.append("acme", "test.entry", {"n": number})
    store.database.write(
        lambda c: c.execute(f"PRAGMA max_page_count = {c.execute('PRAGMA page_count').fetchone()[0] + 2}")
    )
    with pytest.raises(LedgerUnavailable, match="full"):
        for number in range(3, 100):
            last = store.ledger.append("acme", "test.entry", {"n": number, "fill": "x" * 1000})
    assert store.ledger.head() == store.ledger.verify(last) == last
    assert store.ledger.append("acme", "test.entry", {}).index == last.index + 1  # there is room again


def test_a_disk_that_fills_up_in_the_middle_of_a_commit_leaves_nothing_of_it(store: Store) -> None:
    """The appraisal fits, the entries after it do not."""
    store.ledger.append("acme", "test.entry", {})
    head = store.ledger.head()
    store.database.write(
        lambda c: c.execute(f"PRAGMA max_page_count = {c.execute('PRAGMA page_count').fetchone()[0] + 3}")
    )
    large = [NewEntry("acme", "test.entry", {"fill": "x" * 15_000})] * 3
    with pytest.raises(LedgerUnavailable, match="full"):
        store.journal.commit(large, appraisal())
    assert store.ledger.head() == store.ledger.verify(None) == head
    assert store.appraisals.get("acme", "j1") is None
    store.journal.commit([NewEntry("acme", "test.entry", {})], appraisal())
    assert store.appraisals.get("acme", "j1") == appraisal()


def test_a_full_disk_spends_no_nonce_it_did_not_record(store: Store) -> None:
    store.database.write(
        lambda c: c.execute(f"PRAGMA max_page_count = {c.execute('PRAGMA page_count').fetchone()[0]}")
    )
    with pytest.raises(GatewayError) as caught:
        for number in range(10_000):
            last = number
            store.nonces.consume("acme", number.to_bytes(500, "big"), LATER)
    assert caught.value.reason is GatewayReason.STORE_UNAVAILABLE
    assert store.nonces.consume("acme", last.to_bytes(500, "big"), LATER) is True
    assert store.nonces.consume("acme", (last - 1).to_bytes(500, "big"), LATER) is False


def test_a_store_held_by_another_program_is_busy(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    with raw(tmp_path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GatewayError) as caught:
            store.nonces.consume("acme", b"n", LATER)
        assert caught.value.reason is GatewayReason.STORE_BUSY
        with pytest.raises(LedgerUnavailable):
            store.ledger.append("acme", "test.entry", {})
        assert store.ledger.head() is None  # reading goes on
        other.execute("ROLLBACK")
    assert store.nonces.consume("acme", b"n", LATER) is True


def test_a_write_lock_held_elsewhere_is_busy(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    lock = TurnLock(database_path(tmp_path))
    with closing(lock), lock.held(1), pytest.raises(LedgerUnavailable):
        store.ledger.append("acme", "test.entry", {})
    assert store.ledger.append("acme", "test.entry", {}).index == 0


def test_a_database_that_vanished_is_unavailable(tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:
        database_path(tmp_path).unlink()
        with pytest.raises(GatewayError) as caught:
            store.documents.epoch()
        assert caught.value.reason is GatewayReason.STORE_UNAVAILABLE
        with pytest.raises(LedgerUnavailable):
            store.ledger.append("acme", "test.entry", {})


def test_a_backup_moved_under_a_running_gateway_is_noticed(tmp_path: Path) -> None:
    folder, backup = database_path(tmp_path).parent, tmp_path / "backup"
    with sqlite_store(tmp_path) as store:
        store.ledger.append("acme", "test.entry", {})
    shutil.copytree(folder, backup)
    with sqlite_store(tmp_path, seed="second") as store:
        store.ledger.append("acme", "test.lost", {})
        before = store.nonces.epoch()
        for path in folder.glob("gateway.db-*"):
            path.unlink()
        (backup / "gateway.db").rename(database_path(tmp_path))
        with pytest.raises(LedgerUnavailable, match="another database file"):
            store.ledger.append("acme", "test.entry", {})
        with pytest.raises(GatewayError, match="restart"):
            store.nonces.epoch()
        with sqlite_store(tmp_path, seed="third") as restarted:  # while the first one still hangs about
            assert restarted.nonces.epoch() != before
            assert restarted.ledger.append("acme", "test.entry", {}).index == 1
            with sqlite_store(tmp_path, seed="fourth") as another:
                assert another.nonces.epoch() == restarted.nonces.epoch()


def test_a_ledger_changed_on_disk_does_not_verify(tmp_path: Path, store: Store) -> None:
    seen = [store.ledger.append("acme", "test.entry", {"n": number}) for number in range(3)][1]
    with raw(tmp_path) as other:
        other.execute("DROP TRIGGER ledger_entry_no_update")
        other.execute("UPDATE ledger_entry SET entry = CAST(replace(entry, '\"n\":1', '\"n\":7') AS BLOB)")
    with pytest.raises(GatewayError) as caught:
        store.ledger.verify(seen)
    assert (caught.value.reason, caught.value.where) == (GatewayReason.LEDGER_BROKEN, "ledger[1]")


def test_a_cut_ledger_does_not_verify_against_a_receipt(tmp_path: Path, store: Store) -> None:
    seen = [store.ledger.append("acme", "test.entry", {}) for _ in range(3)][2]
    with raw(tmp_path) as other:
        other.execute("DROP TRIGGER ledger_entry_no_delete")
        other.execute("DELETE FROM ledger_entry WHERE position = 2")
        other.execute("DROP TRIGGER ledger_head_grows")
        two = Frontier()
        for (leaf,) in other.execute("SELECT leaf FROM ledger_entry ORDER BY position"):
            two = two.append(leaf)
        other.execute("UPDATE ledger_head SET size = 2, frontier = ?", (two.encode(),))
    assert store.ledger.verify(None) == store.ledger.head()
    with pytest.raises(GatewayError) as caught:
        store.ledger.verify(seen)
    assert caught.value.reason is GatewayReason.LEDGER_BROKEN


def test_a_cut_that_left_the_head_shows_without_a_receipt(tmp_path: Path, store: Store) -> None:
    for _ in range(3):
        store.ledger.append("acme", "test.entry", {})
    with raw(tmp_path) as other:
        other.execute("DROP TRIGGER ledger_entry_no_delete")
        other.execute("DELETE FROM ledger_entry WHERE position = 2")
    with pytest.raises(GatewayError) as caught:
        store.ledger.verify(None)
    assert (caught.value.reason, caught.value.where) == (GatewayReason.LEDGER_BROKEN, "ledger[2]")


def test_a_tile_changed_on_disk_does_not_verify(tmp_path: Path, store: Store) -> None:
    store.journal.commit([NewEntry("acme", "test.entry", {"n": number}) for number in range(300)])
    assert store.ledger.verify(None) == store.ledger.head()
    with raw(tmp_path) as other:
        other.execute("DROP TRIGGER ledger_tile_no_update")
        other.execute("UPDATE ledger_tile SET hashes = zeroblob(8192)")
    with pytest.raises(GatewayError) as caught:
        store.ledger.verify(None)
    assert caught.value.reason is GatewayReason.LEDGER_BROKEN


def test_a_long_ledger_is_read_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.ledger._PAGE", 3)
    for _ in range(6):
        store.ledger.append("acme", "test.entry", {})
    assert len(list(store.ledger.rows())) == 6
    store.ledger.append("acme", "test.entry", {})
    assert (len(list(store.ledger.rows())), len(list(store.ledger.rows(5)))) == (7, 2)


def test_times_are_exact_and_have_a_zone(store: Store) -> None:
    odd = START.replace(microsecond=123457)
    assert from_micros(to_micros(odd)) == odd
    assert from_micros(-1) == from_micros(0) - timedelta(microseconds=1)
    with pytest.raises(ValueError, match="zone"):
        store.nonces.consume("acme", b"n", START.replace(tzinfo=None))


def test_a_frontier_changed_on_disk_does_not_verify(tmp_path: Path, store: Store) -> None:
    """What the next entry would be appended to is part of the tree."""
    for _ in range(3):
        store.ledger.append("acme", "test.entry", {})
    with raw(tmp_path) as other:
        (frontier,) = other.execute("SELECT frontier FROM ledger_head").fetchone()
        other.execute("UPDATE ledger_head SET frontier = ?", (bytes(len(frontier)),))
    with pytest.raises(GatewayError) as caught:
        store.ledger.verify(None)
    assert (caught.value.reason, caught.value.where) == (GatewayReason.LEDGER_BROKEN, "ledger[3]")


@pytest.mark.parametrize(("column", "value"), [("tenant", "mallory"), ("kind", "test.other")])
def test_an_entry_hidden_from_its_tenant_does_not_verify(
    tmp_path: Path, store: Store, column: str, value: str
) -> None:
    for _ in range(3):
        store.ledger.append("acme", "test.entry", {})
    with raw(tmp_path) as other:
        other.execute("DROP TRIGGER ledger_entry_no_update")
        other.execute(f"UPDATE ledger_entry SET {column} = ? WHERE position = 1", (value,))
    with pytest.raises(GatewayError) as caught:
        store.ledger.verify(None)
    assert (caught.value.reason, caught.value.where) == (GatewayReason.LEDGER_BROKEN, "ledger[1]")
