"""What is PostgreSQL's own: settings, presence, restarts, schema, and who may see what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import LedgerReceipt, LedgerUnavailable
from gateway.store import Server, Store, StoreKind, open_store
from gateway.store.migrations import MIGRATIONS, migrate
from gateway.store.postgres import connect, translated
from gateway.store.postgres_schema import spoken
from tests.integration.test_store import ENTRY, LATER, activate, appraisal, document, secret
from tests.integration.test_store_collateral import first_crl, put
from tests.postgres import cluster, needs_postgres, postgres_store, server_of
from tests.stores import FakeClock, FakeRandom, heads

pytestmark = needs_postgres


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with postgres_store(tmp_path) as opened:
        yield opened


def database_of(folder: Path) -> str:
    return server_of(folder).url.split("/")[3].partition("?")[0]


def refused(place: Server, *, create: StoreKind | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        open_store(place, create=create, expect=None, clock=FakeClock(), random=FakeRandom())
    return caught.value


# --- settings ---


@pytest.mark.parametrize("found", ["off", "local", "remote_write"])
def test_a_server_that_acknowledges_too_early_is_refused(tmp_path: Path, found: str) -> None:
    server = server_of(tmp_path)
    cluster().execute(f"ALTER DATABASE {database_of(tmp_path)} SET synchronous_commit = {found}")
    error = refused(server, create=StoreKind.PRODUCTION)
    assert (error.reason, error.where, error.found) == (
        GatewayReason.STORE_SETTINGS,
        "PostgreSQL, synchronous_commit",
        found,
    )


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_loses_its_footing_later_is_refused_too(store: Store, name: str) -> None:
    store.ledger.append("acme", "test.entry", {})
    try:
        cluster().execute(f"ALTER SYSTEM SET {name} = off")
        cluster().execute("SELECT pg_reload_conf()")
        with pytest.raises(LedgerUnavailable):
            for _ in range(1000):  # until the server has read it
                store.ledger.append("acme", "test.entry", {})
    finally:
        cluster().execute(f"ALTER SYSTEM RESET {name}")
        cluster().execute("SELECT pg_reload_conf()")
        cluster().tell("stop")
        cluster().tell("start")
    assert store.ledger.append("acme", "test.after", {}).index > 0


def test_a_session_keeps_waiting_for_the_disk_whatever_the_server_is_told(store: Store) -> None:
    setting = "SELECT current_setting('synchronous_commit')"
    store.ledger.append("acme", "test.before", {})
    try:
        cluster().execute("ALTER SYSTEM SET synchronous_commit = off")
        cluster().execute("SELECT pg_reload_conf()")
        store.ledger.append("acme", "test.entry", {})
        assert store.database.write(lambda c: c.execute(setting).fetchone()) == ("on",)
    finally:
        cluster().execute("ALTER SYSTEM RESET synchronous_commit")
        cluster().execute("SELECT pg_reload_conf()")


def test_a_reader_changes_nothing(store: Store) -> None:
    for read in (store.database.read, lambda f: store.database.query("DELETE FROM nonce")):
        with pytest.raises(GatewayError) as caught:
            read(lambda c: c.execute("DELETE FROM nonce"))
        assert caught.value.reason is GatewayReason.STORE_UNAVAILABLE


# --- what is and what is not a store ---


def test_no_store_is_made_unless_asked(tmp_path: Path) -> None:
    cluster().database("empty", template="template0")
    server = Server(cluster().url("empty"))
    assert refused(server).reason is GatewayReason.STORE_ABSENT
    error = refused(Server(cluster().url("nowhere")), create=StoreKind.PRODUCTION)
    assert error.reason is GatewayReason.STORE_UNAVAILABLE and '"nowhere" does not exist' in error.found
    assert cluster().execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "empty") == [(0,)]


@pytest.mark.parametrize("create", [None, StoreKind.PRODUCTION])
def test_another_programs_database_is_left_alone(create: StoreKind | None) -> None:
    cluster().database("theirs", template="template0")
    cluster().execute("CREATE TABLE public.schema_version (x text)", "theirs")
    assert refused(Server(cluster().url("theirs")), create=create).reason is GatewayReason.STORE_FOREIGN
    assert cluster().execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "theirs") == [(1,)]


def test_a_store_stays_of_its_kind(tmp_path: Path) -> None:
    with postgres_store(tmp_path, kind=StoreKind.PRODUCTION):
        pass
    error = refused(server_of(tmp_path), create=StoreKind.DEVELOPMENT)
    assert (error.reason, error.found) == (GatewayReason.STORE_KIND, "a production store")


@pytest.mark.parametrize("released", range(1, len(MIGRATIONS)))
def test_every_released_schema_is_brought_up_to_date(tmp_path: Path, released: int) -> None:
    """And ends as the one that is made at once."""
    shape = """
        SELECT table_name, column_name, data_type, is_nullable, collation_name FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY 1, 2
    """
    cluster().database("older", template="template0")
    connection = connect(Server(cluster().url("older", "postgres")), read_only=False)
    try:
        migrate(connection, 0, MIGRATIONS[:released], postgres=True)
        assert migrate(connection, 0, postgres=True) == len(MIGRATIONS) - released
        assert migrate(connection, 0, postgres=True) == 0
    finally:
        connection.close()
    server_of(tmp_path)
    assert cluster().execute(shape, "older") == cluster().execute(shape, database_of(tmp_path))


def test_a_form_without_a_counterpart_is_refused() -> None:
    with pytest.raises(ValueError, match="counterpart"):
        list(spoken("CREATE VIEW x AS SELECT 1"))
    assert translated("a LIKE '%crl' AND b = ?") == b"a LIKE '%%crl' AND b = %s"


# --- what SQL itself cannot change ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE store SET kind = 'production'",
        "DELETE FROM store",
        "TRUNCATE store",
        "INSERT INTO store VALUES (1, 'x', 'production', 0)",
        "UPDATE ledger_entry SET entry = '\\x00'",
        "DELETE FROM ledger_entry WHERE position = 1",
        "TRUNCATE ledger_entry",
        "INSERT INTO ledger_entry SELECT 3, tenant, kind, leaf, salt, entry FROM ledger_entry"
        " WHERE position = 1",
        "INSERT INTO ledger_entry SELECT -1, tenant, kind, leaf, salt, entry FROM ledger_entry"
        " WHERE position = 1",
        "UPDATE ledger_head SET size = size - 1",
        "INSERT INTO ledger_head VALUES ('', 0, '')",
        "DELETE FROM ledger_head",
        "TRUNCATE ledger_head",
        "UPDATE document SET source = '\\x00'",
        "DELETE FROM document",
        "UPDATE secret SET sealed = '\\x00'",
        "UPDATE secret_path SET last_version = 0",
        "DELETE FROM secret_path",
        "UPDATE collateral_object SET source = '\\x00'",
        "DELETE FROM collateral_object",
        "UPDATE collateral_slot SET number = NULL",
        "DELETE FROM collateral_slot",
        "UPDATE appraisal SET releasable = 1",
        "DELETE FROM appraisal",
    ],
)
def test_history_is_fixed(tmp_path: Path, store: Store, statement: str) -> None:
    for number in range(2):
        store.ledger.append("acme", "test.entry", {"n": number})
    assert activate(store, document())
    assert store.secrets.put(secret(), ENTRY)
    store.journal.commit((), appraisal())
    put(store, first_crl())
    with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.FeatureNotSupported)):
        cluster().execute(statement, database_of(tmp_path))


# --- transactions ---


def test_a_failure_in_a_shared_transaction_is_the_callers_own(store: Store) -> None:
    inside, leave, results = threading.Event(), threading.Event(), dict[str, object]()

    def wait(_: object) -> None:
        inside.set()
        assert leave.wait(10)

    def run(name: str, work: Callable[[], object]) -> None:
        try:
            results[name] = work()
        except Exception as error:
            results[name] = error

    def fail(connection: psycopg.Connection[object]) -> None:
        connection.execute("INSERT INTO nonce VALUES ('acme', '\\xff', 0)")
        raise ZeroDivisionError

    works: dict[str, Callable[[], object]] = {
        "first": lambda: store.ledger.append("acme", "test.entry", {"n": 1}).index,
        "own fault": lambda: store.database.write(fail),  # type: ignore[arg-type]
        "a trigger": lambda: store.database.write(lambda c: c.execute("DELETE FROM store")),
        "a typing error": lambda: store.database.write(lambda c: c.execute("SELECT * FROM nowhere")),
        "last": lambda: store.ledger.append("acme", "test.entry", {"n": 2}).index,
    }
    threads = [threading.Thread(target=store.database.write, args=(wait,))]
    threads[0].start()
    assert inside.wait(10)
    for name, work in works.items():
        threads.append(threading.Thread(target=run, args=(name, work)))
        threads[-1].start()
        state = store.database._state
        assert state is not None
        while len(state.queue) < len(threads) - 1:
            threads[-1].join(0.001)
    leave.set()
    for thread in threads:
        thread.join()
    assert (results["first"], results["last"]) == (0, 1)
    assert isinstance(results["own fault"], ZeroDivisionError)
    assert isinstance(results["a trigger"], GatewayError)
    assert isinstance(results["a typing error"], GatewayError)
    assert store.nonces.consume("acme", b"\xff", LATER) is True


def test_a_transaction_that_the_server_undid_is_not_acknowledged(store: Store) -> None:
    def swallow(connection: object) -> str:
        connection.execute("INSERT INTO nonce VALUES ('acme', '\\x01', 0)")  # type: ignore[attr-defined]
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT * FROM nowhere")  # type: ignore[attr-defined]
        return "done"

    with pytest.raises(GatewayError, match="undid"):
        store.database.write(swallow)
    assert store.nonces.consume("acme", b"\x01", LATER) is True


def test_a_writer_that_is_kept_waiting_is_told_that_the_store_is_busy(tmp_path: Path) -> None:
    with postgres_store(tmp_path) as store, postgres_store(tmp_path) as other:
        inside, leave = threading.Event(), threading.Event()

        def wait(connection: object) -> None:
            inside.set()
            assert leave.wait(30)

        thread = threading.Thread(target=other.database.write, args=(wait,))
        thread.start()
        assert inside.wait(10)
        writer = connect(server_of(tmp_path), read_only=False)
        with pytest.raises(GatewayError) as caught:
            store.nonces.consume("acme", b"n", LATER)
        writer.close()
        leave.set()
        thread.join()
        assert caught.value.reason is GatewayReason.STORE_BUSY
        assert store.nonces.consume("acme", b"n", LATER) is True


# --- restarts and epochs ---


def test_a_restarted_server_begins_a_new_epoch_once_for_all(tmp_path: Path) -> None:
    with postgres_store(tmp_path, seed="a") as one, postgres_store(tmp_path, seed="b") as two:
        before = one.nonces.epoch()
        assert two.nonces.epoch() == before
        cluster().tell("stop")
        with pytest.raises(GatewayError) as caught:
            one.nonces.epoch()
        assert caught.value.reason is GatewayReason.STORE_UNAVAILABLE
        with pytest.raises(LedgerUnavailable):
            two.ledger.append("acme", "test.entry", {})
        cluster().tell("start")
        assert one.nonces.consume("acme", b"n", LATER, epoch=before) is False
        after = two.nonces.epoch()
        assert after != before
        assert one.nonces.epoch() == after
        assert one.nonces.consume("acme", b"n", LATER, epoch=after) is True


def test_a_database_restored_under_a_running_gateway_is_noticed(tmp_path: Path) -> None:
    """Another store under the same name is none of ours; nothing is acknowledged that went there."""
    name = database_of(tmp_path)
    with postgres_store(tmp_path) as store:
        store.ledger.append("acme", "test.entry", {})
        cluster().execute(f"DROP DATABASE {name} WITH (FORCE)")
        cluster().databases.discard(name)
        with pytest.raises(LedgerUnavailable):
            store.ledger.append("acme", "test.entry", {})
        with (
            postgres_store(tmp_path, seed="another"),
            pytest.raises(LedgerUnavailable, match="another store"),
        ):
            store.ledger.append("acme", "test.entry", {})


@pytest.mark.parametrize("acknowledged", [1, 60])
def test_a_killed_server_loses_nothing_that_was_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    receipts: list[LedgerReceipt] = []
    enough, failed = threading.Event(), list[Exception]()
    with postgres_store(tmp_path) as store:

        def work() -> None:
            try:
                while True:
                    receipts.append(store.ledger.append("acme", "test.entry", {}))
                    if len(receipts) >= acknowledged:
                        enough.set()
            except LedgerUnavailable as error:
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        cluster().tell("kill")
        for thread in threads:
            thread.join()
        assert len(failed) == 4
        cluster().tell("start")
        held = heads(store)
        assert all(held[receipt.index] == receipt.head for receipt in receipts)
        assert store.ledger.verify(receipts[-1]) == store.ledger.head()
        assert store.ledger.append("acme", "test.after", {}).index == len(held)


# --- what is shown ---


def test_a_password_comes_from_its_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    cluster().execute("DROP DATABASE IF EXISTS with_password")
    cluster().database("with_password")
    cluster().execute("ALTER ROLE sealgate PASSWORD 'correct horse'")
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("wrong pony\n")
    server = Server(cluster().url("with_password"), file)
    error = refused(server, create=StoreKind.PRODUCTION)
    assert error.reason is GatewayReason.STORE_UNAVAILABLE
    assert "pony" not in f"{error} {error.found} {server!r} {server.name}"
    file.write_text("correct horse\n")
    with open_store(
        server, create=StoreKind.PRODUCTION, expect=None, clock=FakeClock(), random=FakeRandom()
    ) as store:
        assert "horse" not in f"{store!r} {store.database!r} {store.database.name}"
    file.chmod(0o644)
    assert refused(server).reason is GatewayReason.STORE_PERMISSIONS


def test_no_value_is_in_an_error(store: Store) -> None:
    with pytest.raises(GatewayError) as caught:
        for _ in range(2):
            store.database.write(
                lambda c: c.execute("INSERT INTO administrator VALUES ('mallory', '', '', '', 0, NULL)")
            )
    assert "mallory" not in f"{caught.value} {caught.value.found}"


# --- keys ---


def test_a_replica_with_another_key_folder_is_found_out(store: Store) -> None:
    ours = {"signing": ("s1",), "kek": ("k1",), "nonce": ("n1",)}
    now = FakeClock().now()
    store.key_ids.agree(ours, now)
    store.key_ids.agree({**ours, "kek": ("k1", "k2"), "signing": ("s1", "s2")}, now)
    store.key_ids.agree({**ours, "kek": ("k1", "k2"), "signing": ("s2",)}, now)
    for theirs in (
        {**ours, "kek": ("k1",)},
        {**ours, "kek": ("k1", "k3")},
        {**ours, "kek": ("k1", "k2"), "nonce": ("n2",)},
        {**ours, "kek": ("k1", "k2"), "signing": ("s3",)},
    ):
        with pytest.raises(GatewayError) as caught:
            store.key_ids.agree(theirs, now)
        assert caught.value.reason is GatewayReason.KEYS_FOREIGN


def test_no_process_of_the_server_outlives_its_supervisor(tmp_path: Path) -> None:
    """Also when nobody takes leave."""
    from tests.postgres import Cluster

    another = Cluster()
    assert another.folder.exists()
    pid = int((another.folder / "data" / "postmaster.pid").read_text().split()[0])
    another._supervisor.stdin.close()  # type: ignore[union-attr]
    another._supervisor.wait()
    assert not another.folder.exists()
    assert not Path(f"/proc/{pid}").exists()
