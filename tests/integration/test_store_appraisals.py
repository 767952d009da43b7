"""How appraisals lie in SQLite: once each thing, and no more than there is room for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.appraisals import CollateralSet, StoredAppraisal
from gateway.ports import NewEntry
from gateway.store import Store
from gateway.store.columns import to_micros
from tests.integration.test_store import appraisal
from tests.postgres import EVERY_STORE, STORES
from tests.stores import START


@pytest.fixture(params=EVERY_STORE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


def test_what_is_the_same_is_kept_once(store: Store) -> None:
    """A later attempt on the same submission names the row that has it, and reads it from there."""
    first = appraisal()
    assert first.submission is not None
    again = replace(appraisal("j2"), submission=replace(first.submission, sealed=b"", key_id=""))
    for row in (first, again):
        store.journal.commit((), row)
    assert store.appraisals.get("acme", "j2") == replace(again, submission=first.submission)
    kept = store.database.query("SELECT length(evidence) FROM appraisal ORDER BY jti")
    assert [row[0] for row in kept] == [7, 0]
    assert store.database.query("SELECT count(*) FROM collateral_set") == [(1,)]


@pytest.mark.parametrize("change", [{"digest": "5e"}, {"held_by": "j9"}])
def test_a_row_cannot_borrow_what_it_does_not_name(store: Store, change: dict[str, str]) -> None:
    """Nor from another tenant: then there is no evidence, and nothing to replay or release on."""
    first = appraisal()
    assert first.submission is not None
    borrowed = replace(first.submission, sealed=b"", key_id="")
    store.journal.commit((), first)
    store.journal.commit((), replace(appraisal("j2"), submission=replace(borrowed, **change)))
    store.journal.commit((), replace(appraisal("j3", "other"), submission=borrowed))
    for tenant, jti in (("acme", "j2"), ("other", "j3")):
        found = store.appraisals.get(tenant, jti)
        assert found is not None and found.submission is not None
        assert found.submission.sealed == b""


def test_a_collateral_set_is_written_down_once_an_hour_while_it_is_in_use(store: Store) -> None:
    def noted() -> list[int]:
        rows = store.database.query("SELECT noted FROM collateral_set")
        return [(row[0] - to_micros(START)) // 60_000_000 for row in rows]

    seen = []
    for number, minutes in enumerate((0, 59, 60, 61, 0)):
        store.journal.commit((), appraisal(f"j{number}", minutes=minutes))
        seen += noted()
    assert seen == [0, 0, 60, 60, 60]


def test_collateral_sets_that_nobody_names_any_more_are_forgotten(store: Store) -> None:
    for number, minutes in enumerate((0, 300)):
        listed = CollateralSet(digest=f"c{number}", listing=b"")
        store.journal.commit((), replace(appraisal(f"j{number}", minutes=minutes), collateral=listed))
    for minutes, left in ((0, ["c0", "c1"]), (1, ["c0", "c1"]), (121, ["c1"]), (301, ["c1"]), (421, [])):
        store.appraisals.prune(START + timedelta(minutes=minutes))
        kept = store.database.query("SELECT digest FROM collateral_set ORDER BY digest")
        assert [row[0] for row in kept] == left, minutes
        assert (store.appraisals.get("acme", "j1") is None) is (minutes > 300)


def sized(jti: str, size: int, minutes: int = 0, tenant: str = "acme") -> StoredAppraisal:
    return replace(appraisal(jti, tenant, minutes), record=b"r" * size, submission=None)


def left(store: Store) -> list[str]:
    return [row[0] for row in store.database.query("SELECT jti FROM appraisal ORDER BY rowid")]


@pytest.mark.parametrize(("most", "kept"), [(60, "abc"), (59, "bc"), (50, "bc"), (49, "c"), (29, "")])
def test_appraisals_are_forgotten_by_size_the_oldest_first(store: Store, most: int, kept: str) -> None:
    for jti, size, tenant in (("a", 10, "acme"), ("b", 20, "other"), ("c", 30, "acme")):
        store.journal.commit([NewEntry(tenant, "test.entry", {})], sized(jti, size, tenant=tenant))
    head = store.ledger.head()
    assert store.appraisals.shrink(most) == 3 - len(kept)
    assert left(store) == list(kept)
    assert store.appraisals.shrink(most) == 0
    assert store.ledger.head() == head == store.ledger.verify(None)


def test_size_is_known_whatever_comes_and_goes_between(store: Store) -> None:
    """Measured a little at a time: what was pruned, and rows that are numbered from 1 again, count right."""
    for number in range(6):
        store.journal.commit((), sized(f"a{number}", 10, minutes=number))
    assert (store.appraisals.shrink(60), left(store)[:1]) == (0, ["a0"])
    store.appraisals.prune(START + timedelta(minutes=2))
    store.journal.commit((), sized("b", 25, minutes=9))
    assert (store.appraisals.shrink(60), left(store)[0]) == (1, "a3")
    store.appraisals.prune(START + timedelta(minutes=99))
    assert left(store) == []
    for number in range(4):
        store.journal.commit((), sized(f"c{number}", 10, minutes=100))
    assert (store.appraisals.shrink(30), left(store)) == (1, ["c1", "c2", "c3"])


def test_what_was_pruned_before_it_was_measured_is_not_taken_off(store: Store) -> None:
    store.journal.commit((), sized("a", 10))
    assert store.appraisals.shrink(10) == 0
    for number, (jti, size) in enumerate((("b", 50), ("c", 10)), 1):
        store.journal.commit((), sized(jti, size, minutes=number))
    store.appraisals.prune(START + timedelta(minutes=2))
    assert left(store) == ["c"]
    assert (store.appraisals.shrink(10), store.appraisals.shrink(9)) == (0, 1)


def test_more_than_one_batch_is_forgotten_by_size(store: Store) -> None:
    for number in range(450):
        store.journal.commit((), sized(f"{number:03}", 10))
    assert (store.appraisals.shrink(100), len(left(store))) == (440, 10)
    assert type(store.appraisals)(store.database).shrink(50) == 5, "by who has measured nothing yet"
