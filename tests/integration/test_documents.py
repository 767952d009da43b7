"""Documents of several tenants over a real store: what is compiled, when, for whom, and what it holds up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import administration, bundles, policybook
from gateway.administration import Office
from gateway.approving import Desk
from gateway.errors import GatewayError, GatewayReason
from gateway.policybook import Compiled, PolicyBook, Sources
from gateway.store import Store
from policies.errors import PolicyErrors
from tests.e2e.support import PATH, documents
from tests.stores import FakeClock, sqlite_store

WAIT = 30.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def office(store: Store) -> Office:
    clock = FakeClock()
    made = Office(
        documents=store.documents,
        ledger=store.ledger,
        clock=clock,
        desk=Desk(store=store.approvals, store_id=store.store_id, development=True, clock=clock),
        proposals=store.proposals,
        shadows=store.shadows,
    )
    assert administration.activate_shipped(made, by="setup") > 0
    return made


def give(office: Office, tenant: str, version: int = 1) -> None:
    raw = documents(tenant=tenant, version=version)
    administration.apply(office, tenant, raw, "docs.yaml", by="a", baselines=False)


def amd(version: int, *, without_floors: bool = False) -> bytes:
    raw = dict(bundles.baselines())["amd-sev-snp.yaml"].decode()
    head, *rules = raw.replace("version: 1\n", f"version: {version}\n", 1).split("\n  - id: ")
    kept = [rule for rule in rules if not (without_floors and rule.startswith("snp.tcb-floor."))]
    return "\n  - id: ".join([head, *kept]).encode()


def entries(store: Store, tenant: str) -> list[tuple[str, str]]:
    return [(e["kind"], e["body"]["name"]) for e in store.ledger.tail(tenant, 99)]


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """Every call of a function of the policy book, by its first argument."""
    original, calls = getattr(policybook, name), []

    def call(first: Any, *rest: Any) -> Any:
        calls.append(first)
        return original(first, *rest)

    monkeypatch.setattr(policybook, name, call)
    return calls


# --- baselines and tenants ---


def test_a_baseline_that_breaks_another_tenant_is_not_activated(store: Store, office: Office) -> None:
    give(office, "acme")
    before = (store.documents.everything(), store.ledger.head())
    with pytest.raises(PolicyErrors) as caught:
        administration.apply(
            office, "default", amd(2, without_floors=True), "amd.yaml", by="a", baselines=True
        )
    assert [error.reason for error in caught.value.errors] == ["policy.breaks-tenant"]
    said = str(caught.value)
    assert "tenant acme" in said and "open-finding, payments-db:" in said and "amd.yaml:1" in said
    for word in (PATH.split("/")[0] + "/", "sha384", "measurement", "security@acme.example"):
        assert word not in said, "another tenant's words"
    assert (store.documents.everything(), store.ledger.head()) == before
    administration.apply(office, "default", amd(2), "amd.yaml", by="a", baselines=True)
    assert entries(store, "")[-1] == ("policy.activate", "amd-sev-snp")


def test_a_baseline_that_another_tenant_uses_is_not_retired(store: Store, office: Office) -> None:
    give(office, "acme")
    with pytest.raises(PolicyErrors) as caught:
        administration.retire(office, "default", "baseline", "amd-sev-snp", by="a")
    assert [error.reason for error in caught.value.errors] == ["policy.breaks-tenant"]
    assert "tenant acme" in str(caught.value) and "not-active" in str(caught.value)
    administration.retire(office, "acme", "release", "payments-db", by="a")
    administration.retire(office, "default", "baseline", "amd-sev-snp", by="a")
    assert entries(store, "")[-1] == ("policy.retire", "amd-sev-snp")


def test_a_tenant_that_is_broken_already_holds_up_no_baseline(
    store: Store, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(office, "acme")
    with monkeypatch.context() as patch:
        patch.setattr(administration, "_require_others_sound", lambda *_: None)
        administration.retire(office, "default", "baseline", "intel-tdx", by="a")
    administration.apply(office, "default", amd(2, without_floors=True), "amd.yaml", by="a", baselines=True)


# --- changes at the same time ---


class Hurried:
    """A `DocumentStore` in which somebody else is faster: `first` is done just before the next change."""

    def __init__(self, inner: Any, *first: Any) -> None:
        self._inner, self._first = inner, list(first)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def change(self, *given: Any, **more: Any) -> bool:
        if self._first:
            self._first.pop(0)()
        done: bool = self._inner.change(*given, **more)
        return done


def test_two_changes_at_once_cannot_both_own_a_path(store: Store, office: Office) -> None:
    rival = documents(tenant="acme").replace(b"name: payments-db", b"name: rival")

    def theirs() -> None:
        administration.apply(office, "acme", rival, "rival.yaml", by="b", baselines=False)

    slow = replace(office, documents=Hurried(store.documents, theirs))
    # Of the same names, only the release policy differs: what remains to collide is the path.
    ours = b"---" + documents(tenant="acme").split(b"\n---")[2]
    give(office, "acme")
    administration.retire(office, "acme", "release", "payments-db", by="a")
    ours = ours.replace(b"name: payments-db", b"name: ours", 1)
    rival = b"---" + rival.split(b"\n---")[2]
    with pytest.raises(PolicyErrors) as caught:
        administration.apply(slow, "acme", ours, "ours.yaml", by="a", baselines=False)
    assert caught.value.reason == "policy.path-overlap"
    assert [row.name for row in store.documents.active("acme")[1] if row.kind == "release"] == ["rival"]
    assert ("policy.activate", "ours") not in entries(store, "acme")


def test_a_tenant_that_came_meanwhile_is_asked_too(store: Store, office: Office) -> None:
    slow = replace(office, documents=Hurried(store.documents, lambda: give(office, "acme")))
    with pytest.raises(PolicyErrors) as caught:
        administration.apply(slow, "default", amd(2, without_floors=True), "amd.yaml", by="a", baselines=True)
    assert caught.value.reason == "policy.breaks-tenant"


def test_endless_changes_by_others_end_in_busy(store: Store, office: Office) -> None:
    others = [lambda version=version: give(office, "other", version) for version in range(1, 20)]
    slow = replace(office, documents=Hurried(store.documents, *others))
    with pytest.raises(GatewayError) as caught:
        give(slow, "acme")
    assert caught.value.reason is GatewayReason.STORE_BUSY
    assert entries(store, "acme") == []


def test_a_version_that_was_active_is_not_entered_again(store: Store, office: Office) -> None:
    give(office, "acme", 2)
    head = store.ledger.head()
    for version in (1, 2):
        with pytest.raises(GatewayError) as caught:
            give(office, "acme", version)
        assert caught.value.reason is GatewayReason.STORE_CONFLICT
    assert store.ledger.head() == head


# --- the book ---


def test_each_file_is_parsed_once_for_all_rows_and_tenants(
    store: Store, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(office, "acme")
    give(office, "other")
    parsed = counted(monkeypatch, "read")
    book = PolicyBook(store.documents)
    for tenant in ("acme", "other", "nobody"):
        book.of(tenant)
    assert len(parsed) == len(set(parsed)) == len(bundles.baselines()) + 2
    administration.apply(office, "default", amd(2), "amd.yaml", by="a", baselines=True)
    parsed.clear()
    for tenant in ("acme", "other", "nobody"):
        book.of(tenant)
    assert parsed == [amd(2)]


def test_what_is_remembered_of_files_is_bounded_and_right(store: Store, office: Office) -> None:
    give(office, "acme")
    _, rows = store.documents.active("acme")
    small, large = Sources(most=1), Sources()
    for _ in range(2):
        assert [d.name for d in small.documents(rows)] == [row.name for row in rows]
        assert small.documents(rows) == large.documents(rows)
    assert small._held == 0
    assert large._held == sum({row.digest: len(row.source) for row in rows}.values())


def test_a_row_whose_document_is_not_in_its_file_is_refused(store: Store, office: Office) -> None:
    give(office, "acme")
    _, rows = store.documents.active("acme")
    with pytest.raises(GatewayError) as caught:
        Sources().documents([replace(rows[0], name="another")])
    assert caught.value.reason is GatewayReason.STORE_FOREIGN


def test_names_without_documents_share_one_compilation_and_push_nobody_out(
    store: Store, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(office, "acme")
    book = PolicyBook(store.documents, most=2)
    ours, platform = book.of("acme"), book.of("nobody")
    compiled = counted(monkeypatch, "compile_all")
    for number in range(2000):
        assert book.of(f"made-up-{number}") is platform
    assert book.of("acme") is ours
    assert (compiled, list(book._tenants)) == ([], ["acme"])
    assert (platform.releases, list(ours.releases)) == ({}, ["payments-db"])


def test_the_last_used_tenants_are_remembered(store: Store, office: Office) -> None:
    for tenant in ("a", "b", "c"):
        give(office, tenant)
    book = PolicyBook(store.documents, most=2)
    first = book.of("a")
    for tenant in ("b", "a", "c"):
        book.of(tenant)
    assert (list(book._tenants), book.of("a") is first) == (["a", "c"], True)


def test_one_tenants_compilation_holds_up_nobody_else(
    store: Store, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in ("slow", "quick"):
        give(office, tenant)
    book, original = PolicyBook(store.documents), policybook.compile_all
    inside, go_on, times = threading.Event(), threading.Event(), []

    def compile_all(found: Any) -> Compiled:
        if any(getattr(document, "tenant", "") == "slow" for document in found):
            times.append(1)
            inside.set()
            assert go_on.wait(WAIT)
        return original(found)

    monkeypatch.setattr(policybook, "compile_all", compile_all)
    results: list[Compiled] = []
    waiting = [threading.Thread(target=lambda: results.append(book.of("slow"))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    assert inside.wait(WAIT)
    assert list(book.of("quick").releases) == ["payments-db"]
    assert dict(book.of("nobody").releases) == {}
    assert results == []
    go_on.set()
    for thread in waiting:
        thread.join(WAIT)
    assert (len(results), len({id(found) for found in results}), len(times)) == (3, 1, 1)


def test_no_policy_is_older_than_the_epoch_that_was_read(store: Store, office: Office) -> None:
    book = PolicyBook(store.documents)
    assert dict(book.of("acme").releases) == {}
    give(office, "acme")
    assert list(book.of("acme").releases) == ["payments-db"]
    give(office, "acme", 2)
    release = book.of("acme").releases["payments-db"].release
    assert release is not None and release.version == 2
    administration.apply(office, "default", amd(2), "amd.yaml", by="a", baselines=True)
    for tenant in ("acme", "nobody"):
        versions = {b.name: b.version for b in book.of(tenant).platform.baselines}
        assert versions["amd-sev-snp"] == 2
    administration.retire(office, "acme", "release", "payments-db", by="a")
    assert dict(book.of("acme").releases) == {}


def test_a_change_during_a_compilation_is_not_missed(
    store: Store, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents are read at one epoch and others are active when the work is done: the next question sees."""
    give(office, "acme")
    book, original = PolicyBook(store.documents), policybook.compile_all

    def compile_all(found: Any) -> Compiled:
        monkeypatch.setattr(policybook, "compile_all", original)
        give(office, "acme", 2)
        return original(found)

    monkeypatch.setattr(policybook, "compile_all", compile_all)
    versions = [book.of("acme").releases["payments-db"].release for _ in range(2)]
    assert [release.version for release in versions if release is not None] == [1, 2]


def test_what_others_change_compiles_nobody_elses_documents_again(
    store: Store, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in ("acme", "other"):
        give(office, tenant)
    book = PolicyBook(store.documents)
    ours, platform = book.of("acme"), book.of("nobody")
    give(office, "other", 2)
    compiled = counted(monkeypatch, "compile_all")
    assert (book.of("acme") is ours, book.of("nobody") is platform, compiled) == (True, True, [])
    give(office, "acme", 2)
    release = book.of("acme").releases["payments-db"].release
    assert release is not None and release.version == 2
    administration.apply(office, "default", amd(2), "amd.yaml", by="a", baselines=True)
    assert book.of("nobody") is not platform


def test_what_does_not_compile_is_compiled_once_and_refused_every_time(
    store: Store, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(office, "acme")
    with monkeypatch.context() as patch:
        patch.setattr(administration, "_require_others_sound", lambda *_: None)
        administration.retire(office, "default", "baseline", "intel-tdx", by="a")
    book, compiled = PolicyBook(store.documents), counted(monkeypatch, "compile_all")
    caught = []
    for _ in range(3):
        with pytest.raises(PolicyErrors) as found:
            book.of("acme")
        caught.append(found.value)
    assert len(compiled) == 1
    assert len({id(error) for error in caught}) == 3
    assert {error.reason for error in caught} == {"policy.not-active"}
