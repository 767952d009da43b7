"""What every store must do, whatever is behind the ports; run against each implementation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.appraisals import CollateralSet, SealedSubmission, StoredAppraisal
from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.merkle import leaf_hash
from gateway.ledger.receipt import leaf
from gateway.ports import NewEntry, SealedSecret, StoredAdministrator, StoredDocument
from gateway.store import Store
from tests.postgres import EVERY_STORE, STORES, Opener
from tests.stores import START, FakeClock, heads

T = TypeVar("T")
LATER = START + timedelta(minutes=5)
ENTRY = NewEntry("acme", "test.change", {"by": "test"})


@pytest.fixture(params=EVERY_STORE)
def opener(request: pytest.FixtureRequest) -> Opener:
    return STORES[request.param]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(opener: Opener, tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with opener(tmp_path, clock=clock) as opened:
        yield opened


# --- nonces ---


def test_a_nonce_is_consumed_once_per_tenant(store: Store) -> None:
    assert store.nonces.consume("acme", b"n", LATER) is True
    assert store.nonces.consume("acme", b"n", LATER) is False
    assert store.nonces.consume("acme", b"n", LATER + timedelta(days=1)) is False
    assert store.nonces.consume("other", b"n", LATER) is True
    assert store.nonces.consume("acme", b"m", LATER) is True


def test_a_used_nonce_stays_used_in_a_reopened_store(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path) as store:
        assert store.nonces.consume("acme", b"n", LATER)
    with opener(tmp_path) as store:
        assert store.nonces.consume("acme", b"n", LATER) is False


def test_pruning_forgets_what_has_expired_and_nothing_else(store: Store) -> None:
    second = timedelta(seconds=1)
    for name, expires in ((b"a", LATER - second), (b"b", LATER), (b"c", LATER + second)):
        store.nonces.consume("acme", name, expires)
    assert store.nonces.prune(LATER) == 2
    assert store.nonces.prune(LATER) == 0
    assert store.nonces.consume("acme", b"c", LATER + second) is False


def test_a_clock_set_back_brings_no_pruned_nonce_to_life(store: Store) -> None:
    store.nonces.consume("acme", b"n", LATER)
    store.nonces.prune(LATER)
    store.nonces.prune(START)  # the clock was set back
    assert store.nonces.consume("acme", b"n", LATER) is False
    assert store.nonces.consume("acme", b"m", LATER + timedelta(microseconds=1)) is True


def test_the_epoch_lasts_while_anybody_has_the_store_open(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path) as first:
        epoch = first.nonces.epoch()
        with opener(tmp_path) as second:
            assert second.nonces.epoch() == epoch
        with opener(tmp_path) as third:
            assert (first.nonces.epoch(), third.nonces.epoch()) == (epoch, epoch)
    assert 0 <= epoch < 2**32
    with opener(tmp_path) as store:
        assert store.nonces.epoch() != epoch


def test_eight_threads_race_for_one_nonce(store: Store) -> None:
    for number in range(20):
        barrier, won = threading.Barrier(8), []

        def run(barrier: threading.Barrier = barrier, won: list[bool] = won, number: int = number) -> None:
            barrier.wait()
            won.append(store.nonces.consume("acme", bytes([number]), LATER))

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [False] * 7 + [True]


# --- secrets ---


def secret(version: int = 1, path: str = "a/b", tenant: str = "acme", sealed: bytes = b"x") -> SealedSecret:
    return SealedSecret(tenant=tenant, path=path, version=version, key_id="kek", sealed=sealed, created=START)


def test_versions_follow_each_other_without_a_gap(store: Store) -> None:
    assert store.secrets.next_version("acme", "a/b") == 1
    assert store.secrets.put(secret(2), ENTRY) is False
    assert store.secrets.put(secret(0), ENTRY) is False
    assert store.secrets.put(secret(1), ENTRY) is True
    assert store.secrets.put(secret(1, sealed=b"y"), ENTRY) is False
    assert store.secrets.next_version("acme", "a/b") == 2
    assert store.secrets.put(secret(2), ENTRY) is True
    assert store.secrets.latest("acme", "a/b") == secret(2)
    assert store.secrets.next_version("other", "a/b") == 1


def test_versions_are_not_reused_after_removal(store: Store) -> None:
    store.secrets.put(secret(1), ENTRY)
    store.secrets.put(secret(2), ENTRY)
    assert store.secrets.remove("acme", "a/b", 2, ENTRY) is True
    assert store.secrets.remove("acme", "a/b", 2, ENTRY) is False
    assert store.secrets.latest("acme", "a/b") is None
    assert store.secrets.list("acme") == ()
    assert store.secrets.next_version("acme", "a/b") == 3
    assert [store.secrets.put(secret(version), ENTRY) for version in (1, 2, 3)] == [False, False, True]


def test_secrets_are_listed_by_path_newest_version_only(store: Store) -> None:
    rows = [secret(1, "b"), secret(1, "a"), secret(2, "a"), secret(1, "c", tenant="other")]
    assert [store.secrets.put(row, ENTRY) for row in rows] == [True] * 4
    assert store.secrets.list("acme") == (secret(2, "a"), secret(1, "b"))
    assert store.secrets.remove("other", "a", 2, ENTRY) is False
    assert store.secrets.latest("other", "a") is None


def test_eight_threads_put_one_version(store: Store) -> None:
    results = in_threads(8, lambda n: store.secrets.put(secret(1, sealed=bytes([n])), ENTRY))
    assert sorted(results) == [False] * 7 + [True]
    held = store.secrets.latest("acme", "a/b")
    assert held is not None
    assert results[held.sealed[0]] is True


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    results: dict[int, T] = {}
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(count)]


# --- documents ---


def document(
    version: int = 1, kind: str = "release", name: str = "db", tenant: str = "acme"
) -> StoredDocument:
    return StoredDocument(
        tenant=tenant,
        kind=kind,
        name=name,
        version=version,
        digest=f"sha256:{version}",
        source=f"version: {version}".encode(),
        activated=START,
    )


BASELINE = document(kind="baseline", name="intel-tdx", tenant="")


def activate(store: Store, *documents: StoredDocument) -> bool:
    """False when a version is not high enough."""
    return changed(store, lambda epoch: store.documents.change(epoch, [ENTRY], activate=documents))


def retire(store: Store) -> bool:
    gone = [("acme", "release", "db")]
    return changed(store, lambda epoch: store.documents.change(epoch, [ENTRY], retire=gone))


def changed(store: Store, change: Callable[[int], bool]) -> bool:
    """What changes nothing leaves epoch and ledger alone; what changes something is in both."""
    epoch, head = store.documents.epoch(), store.ledger.head()
    try:
        assert change(epoch) is True
    except GatewayError as error:
        assert error.reason is GatewayReason.STORE_CONFLICT
        assert (store.documents.epoch(), store.ledger.head()) == (epoch, head)
        return False
    assert (store.documents.epoch(), store.ledger.head()) != (epoch, head)
    return True


def test_a_document_replaces_lower_versions_only(store: Store) -> None:
    assert store.documents.active("acme") == (0, ())
    assert activate(store, document(3)) is True
    for version in (1, 2, 3):
        assert activate(store, document(version)) is False
    assert store.documents.active("acme") == (1, (document(3),))
    assert activate(store, document(4)) is True
    assert store.documents.active("acme") == (2, (document(4),))


def test_a_retired_version_does_not_come_back(store: Store) -> None:
    activate(store, document(3))
    assert retire(store) is True
    assert retire(store) is False
    assert store.documents.active("acme") == (2, ())
    assert activate(store, document(3)) is False
    assert activate(store, document(4)) is True
    assert store.documents.active("acme") == (3, (document(4),))


def test_baselines_count_for_everybody_and_the_rest_for_its_tenant(store: Store) -> None:
    theirs = document(tenant="other")
    for each in (document(), BASELINE, theirs, document(kind="reference")):
        assert activate(store, each)
    assert store.documents.active("acme") == (4, (BASELINE, document(kind="reference"), document()))
    assert store.documents.active("other") == (4, (BASELINE, theirs))
    assert store.documents.active("nobody") == (4, (BASELINE,))
    assert store.documents.epoch() == 4


@pytest.mark.parametrize("wrong", [replace(BASELINE, tenant="acme"), document(tenant="")])
def test_a_document_belongs_where_its_kind_says(store: Store, wrong: StoredDocument) -> None:
    with pytest.raises(ValueError, match="belongs to"):
        activate(store, wrong)
    assert store.documents.epoch() == 0


# --- appraisals ---


def appraisal(jti: str = "j1", tenant: str = "acme", minutes: int = 0) -> StoredAppraisal:
    return StoredAppraisal(
        tenant=tenant,
        jti=jti,
        created=START + timedelta(minutes=minutes),
        expires=LATER,
        releasable=True,
        verdict="accepted",
        record=b"{}",
        submission=SealedSubmission(digest="5d", key_id="k", sealed=b"\0sealed", held_by=jti),
        collateral=CollateralSet(digest="c5", listing=b"crl 00\n"),
    )


def test_an_appraisal_is_found_by_its_tenant_only(store: Store) -> None:
    store.journal.commit((), appraisal())
    store.journal.commit((), replace(appraisal("j2"), releasable=False))
    assert store.appraisals.get("acme", "j1") == appraisal()
    assert store.appraisals.get("acme", "j2") == replace(appraisal("j2"), releasable=False)
    assert store.appraisals.get("other", "j1") is None
    assert store.appraisals.get("acme", "j3") is None


@pytest.mark.parametrize("tenant", ["acme", "other"])
def test_a_jti_exists_once(store: Store, tenant: str) -> None:
    store.journal.commit((), appraisal())
    with pytest.raises(GatewayError) as caught:
        store.journal.commit((), replace(appraisal(tenant=tenant), releasable=False))
    assert caught.value.reason is GatewayReason.STORE_CONFLICT
    assert store.appraisals.get("acme", "j1") == appraisal()
    assert store.appraisals.get("other", "j1") is None


def test_recent_appraisals_come_newest_first(store: Store) -> None:
    for row in (
        appraisal("a"),
        appraisal("b", minutes=2),
        appraisal("c", minutes=1),
        appraisal("d", "other"),
    ):
        store.journal.commit((), row)
    assert [a.jti for a in store.appraisals.recent("acme", 10)] == ["b", "c", "a"]
    assert [a.jti for a in store.appraisals.recent("acme", 2)] == ["b", "c"]
    assert [len(store.appraisals.recent("acme", limit)) for limit in (0, -1)] == [0, 0]


@pytest.mark.parametrize(("minutes", "forgotten"), [(4, 0), (5, 0), (6, 1)])
def test_appraisals_are_forgotten_by_age_and_the_ledger_keeps_what_it_says(
    store: Store, minutes: int, forgotten: int
) -> None:
    told = [NewEntry("acme", "attest.accepted", {"attempt": "old"})]
    store.journal.commit(told, appraisal("old", minutes=5))
    store.journal.commit((), appraisal("new", minutes=7))
    head = store.ledger.head()
    assert store.appraisals.prune(START + timedelta(minutes=minutes)) == forgotten
    assert (store.appraisals.get("acme", "old") is None) is (forgotten == 1)
    assert store.appraisals.get("acme", "new") is not None
    assert store.ledger.head() == head == store.ledger.verify(None)


def test_appraisals_of_every_tenant_are_forgotten_however_many(store: Store) -> None:
    for tenant in ("a", "b", "zz"):
        for number in range(2):
            store.journal.commit((), appraisal(f"{tenant}{number}", tenant, minutes=number))
    for number in range(450):
        store.journal.commit((), appraisal(f"m{number}", "many"))
    assert store.appraisals.prune(START + timedelta(minutes=1)) == 453
    left = [row.jti for name in ("a", "b", "many", "zz") for row in store.appraisals.recent(name, 999)]
    assert left == ["a1", "b1", "zz1"]
    assert store.appraisals.prune(START + timedelta(minutes=1)) == 0


def test_a_clock_set_back_forgets_nothing_more(store: Store) -> None:
    store.appraisals.prune(START)
    store.journal.commit((), appraisal(minutes=-1))
    assert store.appraisals.prune(START - timedelta(days=1)) == 0
    assert store.appraisals.get("acme", "j1") is not None


# --- ledger ---


def test_entries_are_numbered_and_timed(store: Store, clock: FakeClock) -> None:
    assert store.ledger.head() is None
    first = store.ledger.append("acme", "secret.put", {"path": "a"})
    clock.move(seconds=1)
    second = store.ledger.append("", "admin.create", {"id": "x"})
    assert (first.index, second.index) == (0, 1)
    assert store.ledger.head() == second
    row, _ = store.ledger.rows()
    assert row.leaf == leaf_hash(leaf(row.salt, row.entry))
    assert store.ledger.tail("acme", 5) == (
        {
            "index": 0,
            "at": "2026-07-01T12:00:00Z",
            "tenant": "acme",
            "kind": "secret.put",
            "body": {"path": "a"},
            "salt": row.salt.hex(),
            "leaf": row.leaf.hex(),
        },
    )
    assert [entry["at"] for entry in store.ledger.tail("", 5)] == ["2026-07-01T12:00:01Z"]


def test_the_tail_is_the_end_oldest_first(store: Store) -> None:
    for number in range(5):
        store.ledger.append("acme", "test.entry", {"n": number})
    assert [e["body"]["n"] for e in store.ledger.tail("acme", 2)] == [3, 4]
    assert [len(store.ledger.tail("acme", limit)) for limit in (0, -1)] == [0, 0]


def test_the_tree_grows_on_in_a_reopened_store(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path) as store:
        seen = store.ledger.append("acme", "test.entry", {})
    with opener(tmp_path) as store:
        assert store.ledger.head() == seen
        last = store.ledger.append("acme", "test.entry", {})
        assert last.index == 1
        assert store.ledger.verify(seen) == last


def test_what_an_entry_cannot_hold_leaves_the_ledger_as_it_was(store: Store) -> None:
    store.ledger.append("acme", "test.entry", {})
    with pytest.raises(ValueError, match="float"):
        store.ledger.append("acme", "test.entry", {"x": 0.5})
    assert store.ledger.append("acme", "test.entry", {}).index == 1


def test_threads_append_to_one_tree(store: Store) -> None:
    receipts = in_threads(
        8, lambda n: [store.ledger.append("acme", "test.entry", {"n": n}) for _ in range(20)]
    )
    assert sorted(r.index for several in receipts for r in several) == list(range(160))
    for several in receipts:
        assert [r.index for r in several] == sorted(r.index for r in several)
    assert store.ledger.verify(receipts[3][10]) == store.ledger.head()


# --- the journal ---


def entries(*numbers: object) -> list[NewEntry]:
    return [NewEntry("acme", "test.entry", {"n": number}) for number in numbers]


def test_a_commit_writes_the_appraisal_and_its_entries_in_order(store: Store) -> None:
    before = store.ledger.append("acme", "test.entry", {"n": 0})
    receipts = store.journal.commit(entries(1, 2, 3), appraisal())
    assert [receipt.index for receipt in receipts] == [1, 2, 3]
    assert [e["body"]["n"] for e in store.ledger.tail("acme", 9)] == [0, 1, 2, 3]
    assert heads(store) == [r.head for r in (before, *receipts)]
    assert store.ledger.verify(before) == store.ledger.head() == receipts[-1]
    assert store.appraisals.get("acme", "j1") == appraisal()


def test_a_commit_of_nothing_writes_nothing(store: Store) -> None:
    assert store.journal.commit(()) == ()
    assert store.ledger.head() is None


def test_a_commit_that_fails_leaves_nothing(store: Store) -> None:
    store.journal.commit(entries(0), appraisal())
    head = store.ledger.head()
    with pytest.raises(GatewayError) as caught:
        store.journal.commit(entries(1), replace(appraisal(), verdict="refused"))
    assert caught.value.reason is GatewayReason.STORE_CONFLICT
    with pytest.raises(ValueError, match="float"):
        store.journal.commit(entries(1, 0.5), appraisal("j2"))
    assert store.ledger.head() == head
    assert [row.jti for row in store.appraisals.recent("acme", 9)] == ["j1"]
    assert store.journal.commit(entries(1))[0].index == 1


def test_threads_commit_to_one_tree_without_mixing(store: Store) -> None:
    results = in_threads(
        8, lambda n: [store.journal.commit(entries(n, n), appraisal(f"{n} {i}")) for i in range(10)]
    )
    for several in results:
        assert all(second.index == first.index + 1 for first, second in several)
    assert store.ledger.verify(None) == store.ledger.head()
    numbers = [entry["body"]["n"] for entry in store.ledger.tail("acme", 999)]
    assert numbers[::2] == numbers[1::2]
    assert len(store.appraisals.recent("acme", 999)) == 80


# --- changes and what the ledger says of them ---


def test_documents_change_together_or_not_at_all(store: Store) -> None:
    assert activate(store, document(3))
    assert activate(store, document(1, name="new"), document(3)) is False
    assert store.documents.active("acme") == (1, (document(3),))
    assert activate(store, document(1, name="new"), document(4))
    assert store.documents.active("acme") == (2, (document(4), document(1, name="new")))


def test_what_was_judged_at_another_epoch_is_not_changed(store: Store) -> None:
    assert activate(store, document(1))
    head = store.ledger.head()
    for epoch in (0, 2):
        assert store.documents.change(epoch, [ENTRY], activate=[document(2)]) is False
        assert store.documents.change(epoch, [ENTRY], retire=[("acme", "release", "db")]) is False
    assert store.documents.active("acme") == (1, (document(1),))
    assert store.ledger.head() == head


def test_eight_threads_judge_one_epoch_and_one_of_them_changes_it(store: Store) -> None:
    results = in_threads(
        8, lambda n: store.documents.change(0, [ENTRY], activate=[document(1, name=f"db-{n}")])
    )
    assert sorted(results) == [False] * 7 + [True]
    assert len(store.documents.active("acme")[1]) == store.documents.epoch() == 1


def test_tenants_with_documents_and_all_documents_can_be_had(store: Store) -> None:
    theirs = document(tenant="other")
    assert activate(store, BASELINE, theirs, document())
    assert store.documents.everything() == (1, (BASELINE, document(), theirs))
    assert store.documents.tenants() == (1, frozenset({"acme", "other"}))
    assert retire(store)
    assert store.documents.tenants() == (2, frozenset({"other"}))


CHANGES: dict[str, Callable[[Store], object]] = {
    "a secret put": lambda store: store.secrets.put(secret(2), ENTRY),
    "a secret removed": lambda store: store.secrets.remove("acme", "a/b", 1, ENTRY),
    "a document activated": lambda store: store.documents.change(1, [ENTRY], activate=[document(2)]),
    "a document retired": lambda store: store.documents.change(
        1, [ENTRY], retire=[("acme", "release", "db")]
    ),
    "an administrator added": lambda store: store.administrators.add(administrator("a2"), ENTRY),
    "an administrator revoked": lambda store: store.administrators.revoke("a1", LATER, ENTRY),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_in_the_ledger_or_is_not_made(
    store: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.secrets.put(secret(1), ENTRY)
    assert activate(store, document())
    for one in ("a0", "a1"):
        assert store.administrators.add(administrator(one), ENTRY)

    def state() -> object:
        return (
            store.secrets.list("acme"), store.secrets.next_version("acme", "a/b"),
            store.documents.everything(), store.administrators.list(), store.ledger.head(),
        )  # fmt: skip

    before = state()
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise store.database._backend.errors("database or disk is full")

        patch.setattr(store.ledger, "add", full)
        with pytest.raises(GatewayError) as caught:
            CHANGES[name](store)
    assert caught.value.reason is GatewayReason.STORE_UNAVAILABLE
    assert state() == before
    assert CHANGES[name](store) is True
    assert store.ledger.tail("acme", 1)[0]["kind"] == "test.change"
    assert state() != before


def test_a_secret_that_was_replaced_meanwhile_is_not_removed(store: Store) -> None:
    for version in (1, 2):
        assert store.secrets.put(secret(version), ENTRY)
    head = store.ledger.head()
    assert store.secrets.remove("acme", "a/b", 1, ENTRY) is False
    assert (store.secrets.latest("acme", "a/b"), store.ledger.head()) == (secret(2), head)


# --- administrators ---


def administrator(name: str, tenant: str = "") -> StoredAdministrator:
    return StoredAdministrator(
        id=name, tenant=tenant, role="owner", token_sha256=bytes(32), created=START, revoked=None
    )


def test_the_last_administrator_of_the_whole_gateway_stays(store: Store) -> None:
    for row in (administrator("a1"), administrator("a2"), administrator("t1", "acme")):
        assert store.administrators.add(row, ENTRY)
    assert store.administrators.revoke("a1", LATER, ENTRY) is True
    head = store.ledger.head()
    with pytest.raises(GatewayError) as caught:
        store.administrators.revoke("a2", LATER, ENTRY)
    assert caught.value.reason is GatewayReason.STORE_CONFLICT
    assert store.ledger.head() == head
    assert store.administrators.revoke("t1", LATER, ENTRY) is True


def test_of_two_last_administrators_who_revoke_each_other_one_stays(store: Store) -> None:
    for each in ("a0", "a1"):
        assert store.administrators.add(administrator(each), ENTRY)

    def revoke(number: int) -> bool:
        try:
            return store.administrators.revoke(f"a{number}", LATER, ENTRY)
        except GatewayError:
            return False

    assert sorted(in_threads(2, revoke)) == [False, True]


def test_administrators_are_added_and_revoked_once(store: Store) -> None:
    row = administrator("a1", "acme")
    assert store.administrators.add(row, ENTRY) is True
    assert store.administrators.add(replace(row, token_sha256=b"\1" * 32), ENTRY) is False
    assert (store.administrators.get("a1"), store.administrators.get("a2")) == (row, None)
    assert store.administrators.revoke("a1", LATER, ENTRY) is True
    assert store.administrators.revoke("a1", LATER, ENTRY) is False
    assert store.administrators.revoke("a2", LATER, ENTRY) is False
    assert store.administrators.list() == (replace(row, revoked=LATER),)


def test_a_key_is_somebodys_once(store: Store) -> None:
    row = replace(administrator("k1", "acme"), login="key", key="thumb", jwk="{}")
    assert store.administrators.add(row, ENTRY) is True
    head = store.ledger.head()
    assert store.administrators.add(replace(row, id="k2"), ENTRY) is False
    assert store.ledger.head() == head
    assert (store.administrators.by_key("thumb"), store.administrators.by_key("")) == (row, None)
    assert store.administrators.revoke("k1", LATER, ENTRY) is True
    assert store.administrators.add(replace(row, id="k2"), ENTRY) is False, "not after it was revoked either"
    for each in ("t1", "t2"):
        assert store.administrators.add(administrator(each, "acme"), ENTRY), "nobody's key is no key"


def test_who_comes_from_a_provider_is_assigned_anew_while_they_count(store: Store) -> None:
    for row in (administrator("t1"), replace(administrator("p1", "acme"), login="oidc")):
        assert store.administrators.add(row, ENTRY)
    epoch = store.documents.epoch()
    assert store.administrators.assign("p1", "globex", "auditor", [ENTRY, ENTRY]) is True
    found = store.administrators.get("p1")
    assert found is not None and (found.tenant, found.role) == ("globex", "auditor")
    assert store.documents.epoch() > epoch
    head = store.ledger.head()
    assert store.administrators.assign("t1", "globex", "auditor", [ENTRY]) is False
    assert store.administrators.assign("nobody", "globex", "auditor", [ENTRY]) is False
    assert store.ledger.head() == head
    assert store.administrators.revoke("p1", LATER, ENTRY) is True
    assert store.administrators.assign("p1", "acme", "owner", [ENTRY]) is False


def test_who_comes_from_a_provider_or_is_no_owner_is_no_successor(store: Store) -> None:
    for row in (
        administrator("a1"),
        replace(administrator("p1"), login="oidc"),
        replace(administrator("o1"), role="operator"),
    ):
        assert store.administrators.add(row, ENTRY)
    with pytest.raises(GatewayError) as caught:
        store.administrators.revoke("a1", LATER, ENTRY)
    assert caught.value.reason is GatewayReason.STORE_CONFLICT
    assert store.administrators.revoke("o1", LATER, ENTRY) and store.administrators.revoke("p1", LATER, ENTRY)


# --- the store ---


def test_its_identity_never_changes(opener: Opener, tmp_path: Path, clock: FakeClock) -> None:
    with opener(tmp_path, clock=clock) as store:
        first = store.identity
    clock.move(days=1)
    with opener(tmp_path, clock=clock) as store:
        assert (store.identity, store.development, store.created) == (first, True, START)


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    for call in (store.documents.epoch, lambda: store.nonces.consume("a", b"n", LATER)):
        with pytest.raises(GatewayError) as caught:
            call()
        assert caught.value.reason is GatewayReason.STORE_UNAVAILABLE
