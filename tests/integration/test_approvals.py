"""Who must approve a change: k of a tenant's keys, over exactly this change, and never twice."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway import administration, admins, approval, approving, policybook
from gateway.administration import Office
from gateway.approval import Action, PrivateKey, Statement, Subject
from gateway.approving import Desk
from gateway.changeports import ApprovalState
from gateway.errors import GatewayError
from gateway.ports import NewEntry, StoredAdministrator
from gateway.store import Store, StoreKind
from policies.errors import PolicyErrors
from tests.e2e.support import documents
from tests.integration.test_documents import Hurried, amd
from tests.stores import START, FakeClock, FakeRandom, database_path, sqlite_store
from tests.support import ROOT

ALICE: PrivateKey = ec.generate_private_key(ec.SECP256R1())
BOB: PrivateKey = ed25519.Ed25519PrivateKey.generate()
CAROL: PrivateKey = ed25519.Ed25519PrivateKey.generate()


def kid(key: PrivateKey) -> str:
    return approval.of_public(key.public_key()).thumbprint


@dataclass
class World:
    store: Store
    office: Office

    @property
    def desk(self) -> Desk:
        return self.office.desk

    def register(
        self,
        key: PrivateKey,
        tenant: str = "acme",
        administrator: str | None = None,
        role: str = "approver",
    ) -> None:
        """For an administrator of the whole gateway with this role; without a name one of its own."""
        found = approval.of_public(key.public_key())
        administrator = kid(key)[:16] if administrator is None else administrator
        if administrator:
            row = StoredAdministrator(
                id=administrator, tenant="", role=role, token_sha256=bytes(32), created=START, revoked=None
            )
            self.store.administrators.add(row, NewEntry("", "admin.create", {"id": administrator}))
        approving.register(self.desk, tenant, found, administrator, by="root", wide=True)

    def sign(self, key: PrivateKey, raw: bytes, **changes: Any) -> str:
        """Over the file as the next change, except for `changes`."""
        found = [
            Subject(policybook.kind_of(d), d.name, d.version, d.digest) for d in policybook.read(raw, "f")
        ]
        tenant = "" if all(each.kind == "baseline" for each in found) else "acme"
        statement = Statement(
            store=self.store.store_id,
            tenant=tenant,
            action=Action.ACTIVATE,
            sequence=self.store.approvals.state(tenant).last + 1,
            documents=tuple(found),
        )
        return approval.sign(key, replace(statement, **changes))

    def apply(self, raw: bytes, *signatures: str, by: str = "admin", tenant: str = "acme") -> Any:
        return administration.apply(
            self.office, tenant, raw, "f.yaml", by=by, baselines=True, signatures=signatures
        )

    def refused(self, raw: bytes, *signatures: str, by: str = "admin", tenant: str = "acme") -> GatewayError:
        """The refusal, after which nothing at all is different."""
        before = (self.store.documents.everything(), self.store.ledger.head())
        with pytest.raises(GatewayError) as caught:
            self.apply(raw, *signatures, by=by, tenant=tenant)
        assert (self.store.documents.everything(), self.store.ledger.head()) == before
        return caught.value

    def entries(self, tenant: str = "acme") -> list[tuple[str, dict[str, Any]]]:
        return [(e["kind"], e["body"]) for e in self.store.ledger.tail(tenant, 99)]


def world(store: Store, *, development: bool) -> World:
    clock = FakeClock()
    desk = Desk(store=store.approvals, store_id=store.store_id, development=development, clock=clock)
    office = Office(
        documents=store.documents, ledger=store.ledger, clock=clock, desk=desk,
        proposals=store.proposals, shadows=store.shadows,
    )  # fmt: skip
    assert administration.activate_shipped(office, by="setup") > 0
    return World(store, office)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    """A production store, where two must approve; Alice's and Bob's keys count for acme."""
    with sqlite_store(tmp_path, kind=StoreKind.PRODUCTION) as store:
        made = world(store, development=False)
        made.register(ALICE)
        made.register(BOB)
        yield made


@pytest.fixture
def one(tmp_path: Path) -> Iterator[World]:
    with sqlite_store(tmp_path) as store:
        yield world(store, development=True)


DOCS = documents(tenant="acme")


def test_two_keys_approve_and_the_ledger_names_them(two: World) -> None:
    two.apply(DOCS, two.sign(ALICE, DOCS), two.sign(BOB, DOCS))
    made = [body for kind, body in two.entries() if kind == "policy.activate"]
    assert len(made) == 3
    for body in made:
        assert body["approvers"] == sorted([kid(ALICE), kid(BOB)])
        assert (body["sequence"], body["approval"], body["by"]) == (1, "2 of 2", "admin")
    (change,) = approving.history(two.desk, "acme", 9)
    assert (change["sequence"], change["action"], len(change["documents"])) == (1, "activate", 3)


def test_with_one_approval_an_administrator_is_enough_and_the_ledger_says_so(one: World) -> None:
    one.apply(DOCS)
    body = one.entries()[-1][1]
    assert (body["sequence"], body["approval"], body["approvers"]) == (1, "self-approved", [])
    one.register(ALICE)
    newer = documents(tenant="acme", version=2)
    one.apply(newer, one.sign(ALICE, newer))
    body = one.entries()[-1][1]
    assert (body["sequence"], body["approval"], body["approvers"]) == (2, "1 of 1", [kid(ALICE)])


def test_too_few_approvals(two: World) -> None:
    alice, bob = two.sign(ALICE, DOCS), two.sign(BOB, DOCS)
    assert two.refused(DOCS).reason == "approval.missing"
    assert two.refused(DOCS, alice).reason == "approval.missing"
    twice = two.refused(DOCS, alice, alice, two.sign(ALICE, DOCS))
    assert twice.reason == "approval.missing" and "one key counts once" in twice.detail
    assert "needs 2 approvals, found 1" in twice.detail
    stranger = two.refused(DOCS, alice, two.sign(CAROL, DOCS))
    assert stranger.reason == "approval.unknown-key"
    assert two.refused(DOCS, *[alice] * 17).reason == "approval.malformed"
    two.apply(DOCS, alice, bob)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "other"},
        {"tenant": ""},
        {"store": "ff" * 16},
        {"action": Action.ROLLBACK},
        {"sequence": 2},
        {"sequence": 99},
    ],
    ids=str,
)
def test_a_signature_for_something_else(two: World, change: dict[str, Any]) -> None:
    error = two.refused(DOCS, two.sign(ALICE, DOCS), two.sign(BOB, DOCS, **change))
    assert error.reason == "approval.signature"
    if change == {"sequence": 2}:
        assert "as change 2; the next change is 1" in error.detail


def test_a_changed_file(two: World) -> None:
    alice, bob = two.sign(ALICE, DOCS), two.sign(BOB, DOCS)
    for tampered in (DOCS + b"\n", DOCS.replace(b"lasts: 12h", b"lasts: 18h")):
        assert two.refused(tampered, alice, bob).reason == "approval.signature"


def test_a_signature_is_never_good_again(two: World) -> None:
    """Also not after what it approved was retired."""
    alice, bob = two.sign(ALICE, DOCS), two.sign(BOB, DOCS)
    two.apply(DOCS, alice, bob)
    assert two.refused(DOCS, alice, bob).reason == "approval.signature"
    administration.retire(two.office, "acme", "release", "payments-db", by="admin")
    again = two.refused(DOCS, alice, bob)
    assert again.reason == "approval.signature" and "as change 1; the next change is 3" in again.detail


def test_a_stop_makes_outstanding_approvals_void(two: World) -> None:
    two.apply(DOCS, two.sign(ALICE, DOCS), two.sign(BOB, DOCS))
    newer = documents(tenant="acme", version=2)
    alice, bob = two.sign(ALICE, newer), two.sign(BOB, newer)
    administration.retire(two.office, "acme", "release", "payments-db", by="admin")
    assert two.entries()[-1][1]["approval"] == "none needed to stop"
    assert two.refused(newer, alice, bob).reason == "approval.signature"
    two.apply(newer, two.sign(ALICE, newer), two.sign(BOB, newer))


def test_a_revoked_key_counts_no_more_and_does_not_come_back(two: World) -> None:
    alice, bob = two.sign(ALICE, DOCS), two.sign(BOB, DOCS)
    approving.revoke(two.desk, "acme", kid(BOB), by="admin")
    assert two.refused(DOCS, alice, bob).reason == "approval.unknown-key"
    with pytest.raises(GatewayError) as caught:
        two.register(BOB)
    assert caught.value.reason == "store.conflict"
    with pytest.raises(GatewayError):
        approving.revoke(two.desk, "acme", kid(BOB), by="admin")
    assert [k for k, _ in two.entries()] == ["approval.key-add"] * 2 + ["approval.key-revoke"]


def test_a_key_revoked_between_judgement_and_change_does_not_count(two: World) -> None:
    alice, bob = two.sign(ALICE, DOCS), two.sign(BOB, DOCS)
    late = Hurried(two.store.documents, lambda: approving.revoke(two.desk, "acme", kid(BOB), by="another"))
    with pytest.raises(GatewayError) as caught:
        administration.apply(
            replace(two.office, documents=late), "acme", DOCS, "f", by="a", baselines=False,
            signatures=[alice, bob],
        )  # fmt: skip
    assert caught.value.reason == "approval.unknown-key"
    assert [k for k, _ in two.entries()][-1] == "approval.key-revoke"


def employ(world: World, key: PrivateKey) -> tuple[str, Callable[[], bool]]:
    """An administrator to whom the key belongs, and how to revoke that administrator."""
    held: Any = {"store": world.store.administrators, "clock": world.desk.clock}
    made = admins.create("acme", **held, random=FakeRandom("carol"), by="root").id
    world.register(key, administrator=made)
    return made, lambda: admins.revoke(made, **held, by="root")


def test_a_key_ends_with_its_administrator(two: World) -> None:
    administrator, dismiss = employ(two, CAROL)
    alice, carol = two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)
    assert dismiss()
    assert two.refused(DOCS, alice, carol).reason == "approval.unknown-key"
    told = {each["administrator"]: each["revoked"] for each in approving.shown(two.desk, "acme")["keys"]}
    assert told[administrator] is not None and told[kid(ALICE)[:16]] is None
    two.apply(DOCS, alice, two.sign(BOB, DOCS))


def test_an_administrator_revoked_between_judgement_and_change_does_not_approve(two: World) -> None:
    _, dismiss = employ(two, CAROL)
    signatures = [two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)]
    late = Hurried(two.store.documents, dismiss)
    with pytest.raises(GatewayError) as caught:
        administration.apply(
            replace(two.office, documents=late), "acme", DOCS, "f", by="a", baselines=False,
            signatures=signatures,
        )  # fmt: skip
    assert caught.value.reason == "approval.unknown-key"


def test_more_approvals_asked_for_in_between_count(one: World) -> None:
    late = Hurried(
        one.store.documents, lambda: approving.require(one.desk, "acme", 2, by="another", wide=False)
    )
    with pytest.raises(GatewayError) as caught:
        administration.apply(replace(one.office, documents=late), "acme", DOCS, "f", by="a", baselines=False)
    assert caught.value.reason == "approval.missing"


def test_who_hands_in_does_not_approve(two: World) -> None:
    two.register(CAROL, administrator="carol")
    alice, carol = two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)
    error = two.refused(DOCS, alice, carol, by="carol")
    assert error.reason == "approval.missing" and "who wrote or hands a change in" in error.detail
    two.apply(DOCS, alice, carol, by="another")


def test_one_person_with_two_keys_counts_once(two: World) -> None:
    two.register(CAROL, administrator=kid(ALICE)[:16])
    alice, carol = two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)
    error = two.refused(DOCS, alice, carol)
    assert error.reason == "approval.missing" and "needs 2 approvals, found 1" in error.detail
    assert "those of one administrator once" in error.detail
    two.apply(DOCS, alice, carol, two.sign(BOB, DOCS))
    (change,) = approving.history(two.desk, "acme", 9)
    assert change["approvers"] == sorted([min(kid(ALICE), kid(CAROL)), kid(BOB)])


def test_two_signatures_of_one_key_count_once_however_they_are_made(two: World) -> None:
    """ES256 signs the same words differently each time."""
    first, second = two.sign(ALICE, DOCS), two.sign(ALICE, DOCS)
    assert first != second
    assert two.refused(DOCS, first, second).reason == "approval.missing"


def test_where_two_must_approve_a_key_of_nobody_does_not_count(two: World) -> None:
    two.register(CAROL, administrator="")
    alice, carol = two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)
    error = two.refused(DOCS, alice, carol)
    assert error.reason == "approval.missing" and "belongs to no administrator" in error.detail
    approving.require(two.desk, "acme", 1, by="root", wide=True)
    two.apply(DOCS, carol)
    assert two.entries()[-1][1]["approval"] == "1 of 1"


@pytest.mark.parametrize(
    ("role", "counts"),
    [("approver", True), ("owner", True), ("approver auditor", True), ("policy-author", False),
     ("auditor operator secret-owner", False), ("", False), ("a-role-of-a-later-version", False)],
)  # fmt: skip
def test_a_key_counts_while_its_administrator_may_approve(two: World, role: str, counts: bool) -> None:
    two.register(CAROL, administrator="carol", role=role)
    alice, carol = two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)
    if counts:
        two.apply(DOCS, alice, carol)
    else:
        assert two.refused(DOCS, alice, carol).reason == "approval.unknown-key"
        told = {each["key"]: each["counts"] for each in approving.shown(two.desk, "acme")["keys"]}
        assert told == {kid(ALICE): True, kid(BOB): True, kid(CAROL): False}


@pytest.mark.parametrize("whose", ["globex", None], ids=["of-another-tenant", "unknown"])
def test_a_key_of_somebody_elses_administrator_does_not_count(two: World, whose: str | None) -> None:
    if whose:
        row = StoredAdministrator(
            id="carol", tenant=whose, role="approver", token_sha256=bytes(32), created=START, revoked=None
        )
        two.store.administrators.add(row, NewEntry(whose, "admin.create", {}))
    found = approval.of_public(CAROL.public_key())
    approving.register(two.desk, "acme", found, "carol", by="root", wide=True)
    error = two.refused(DOCS, two.sign(ALICE, DOCS), two.sign(CAROL, DOCS))
    assert error.reason == "approval.unknown-key"


def test_an_owner_does_not_approve_what_they_hand_in_either(two: World) -> None:
    two.register(CAROL, administrator="carol", role="owner")
    alice, carol = two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)
    assert two.refused(DOCS, alice, carol, by="carol").reason == "approval.missing"


def test_with_one_approval_ones_own_key_is_self_approval(one: World) -> None:
    one.register(CAROL, administrator="carol")
    one.apply(DOCS, one.sign(CAROL, DOCS), by="carol")
    assert one.entries()[-1][1]["approval"] == "self-approved"


def test_baselines_need_the_approvals_of_the_whole_gateway(two: World) -> None:
    raw = amd(2)
    assert two.refused(raw).reason == "approval.missing"
    theirs = [two.sign(key, raw, tenant="acme", sequence=1) for key in (ALICE, BOB)]
    assert two.refused(raw, *theirs).reason == "approval.unknown-key"
    two.register(ALICE, tenant="")
    two.register(CAROL, tenant="")
    assert two.refused(raw, *theirs).reason == "approval.signature"
    mixed = two.refused(raw + b"\n---" + DOCS, two.sign(ALICE, raw), two.sign(CAROL, raw))
    assert mixed.reason == "approval.mixed"
    two.apply(raw, two.sign(ALICE, raw), two.sign(CAROL, raw))
    assert two.entries("")[-1][0] == "policy.activate"


def test_retiring_a_baseline_needs_them_too(two: World) -> None:
    with pytest.raises(GatewayError) as caught:
        administration.retire(two.office, "acme", "baseline", "intel-tdx", by="admin")
    assert caught.value.reason == "approval.missing"
    two.register(ALICE, tenant="")
    two.register(CAROL, tenant="")
    (row,) = [r for r in two.store.documents.active("")[1] if r.name == "intel-tdx"]
    statement = Statement(
        store=two.store.store_id,
        tenant="",
        action=Action.RETIRE,
        sequence=1,
        documents=(Subject("baseline", row.name, row.version, row.digest),),
    )
    signatures = [approval.sign(key, statement) for key in (ALICE, CAROL)]
    administration.retire(two.office, "acme", "baseline", "intel-tdx", by="admin", signatures=signatures)


def test_one_of_a_tenant_adds_no_keys_and_lowers_nothing(two: World) -> None:
    carol = approval.of_public(CAROL.public_key())
    for attempt in (
        lambda: approving.register(two.desk, "acme", carol, "", by="a", wide=False),
        lambda: approving.require(two.desk, "acme", 1, by="a", wide=False),
    ):
        with pytest.raises(GatewayError) as caught:
            attempt()
        assert caught.value.reason == "request.forbidden"
    approving.require(two.desk, "acme", 3, by="a", wide=False)
    assert two.refused(DOCS, two.sign(ALICE, DOCS), two.sign(BOB, DOCS)).reason == "approval.missing"
    approving.require(two.desk, "acme", 1, by="root", wide=True)
    two.apply(DOCS)
    told = [body for kind, body in two.entries() if kind == "approval.set"]
    assert [(body["before"], body["approvals"]) for body in told] == [(2, 3), (3, 1)]
    for number in (0, 17):
        with pytest.raises(GatewayError):
            approving.require(two.desk, "acme", number, by="root", wide=True)


def meanwhile(world: World, patch: pytest.MonkeyPatch, rival: Callable[[], None], turns: int = 1) -> None:
    """The rival comes between the next `turns` reads of who must approve and what is made of them."""
    real, left = world.store.approvals.state, [rival] * turns

    def state(tenant: str) -> ApprovalState:
        found = real(tenant)
        if left:
            turn = left.pop()
            with patch.context() as undone:
                undone.setattr(world.store.approvals, "state", real)
                turn()
        return found

    patch.setattr(world.store.approvals, "state", state)


@pytest.mark.parametrize("said", [None, 3], ids=["default", "said"])
def test_one_of_a_tenant_cannot_lower_what_is_raised_meanwhile(
    two: World, said: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if said is not None:
        approving.require(two.desk, "acme", said, by="root", wide=True)
    meanwhile(two, monkeypatch, lambda: approving.require(two.desk, "acme", 5, by="root", wide=True))
    with pytest.raises(GatewayError) as caught:
        approving.require(two.desk, "acme", 4, by="a", wide=False)
    assert caught.value.reason == "request.forbidden"
    assert two.store.approvals.state("acme").needed == 5


def test_the_ledger_says_what_the_number_was_when_it_changed(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(two, monkeypatch, lambda: approving.require(two.desk, "acme", 3, by="root", wide=True))
    approving.require(two.desk, "acme", 4, by="a", wide=False)
    told = [body for kind, body in two.entries() if kind == "approval.set"]
    assert [(body["before"], body["approvals"]) for body in told] == [(2, 3), (3, 4)]


def test_a_number_that_never_stays_is_not_replaced(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.cycle((3, 4))
    meanwhile(
        two, monkeypatch, lambda: approving.require(two.desk, "acme", next(numbers), by="root", wide=True), 99
    )
    with pytest.raises(GatewayError) as caught:
        approving.require(two.desk, "acme", 5, by="a", wide=False)
    assert caught.value.reason == "store.busy"


def test_saying_the_same_number_again_changes_nothing(two: World) -> None:
    approving.require(two.desk, "acme", 3, by="a", wide=False)
    before = (two.store.documents.epoch(), two.store.ledger.head())
    approving.require(two.desk, "acme", 3, by="a", wide=False)
    assert (two.store.documents.epoch(), two.store.ledger.head()) == before


# --- back to older content ---


def back(made: World, name: str, to: str, *signatures: str, by: str = "admin") -> Any:
    return administration.rollback(
        made.office, "acme", [(name, to)], by=by, baselines=True, signatures=signatures
    )


def test_a_rollback_is_a_change_of_its_own(two: World) -> None:
    two.apply(DOCS, two.sign(ALICE, DOCS), two.sign(BOB, DOCS))
    newer = documents(tenant="acme", version=2)
    two.apply(newer, two.sign(ALICE, newer), two.sign(BOB, newer))
    older = next(r for r in two.store.documents.ever("acme", "payments-db") if r.version == 1)
    one_of_three = Subject("release", "payments-db", 1, older.digest)
    with pytest.raises(GatewayError) as caught:
        back(two, "payments-db", "1")
    assert caught.value.reason == "approval.missing"
    activations = [two.sign(k, DOCS, documents=(one_of_three,)) for k in (ALICE, BOB)]
    with pytest.raises(GatewayError) as wrong:
        back(two, "payments-db", "1", *activations)
    assert wrong.value.reason == "approval.signature"
    signatures = [two.sign(k, DOCS, action=Action.ROLLBACK, documents=(one_of_three,)) for k in (ALICE, BOB)]
    made = back(two, "payments-db", older.digest, *signatures)
    assert [(row["name"], row["version"], row["sequence"]) for row in made] == [("payments-db", 1, 3)]
    active = {row.name: row.version for row in two.store.documents.active("acme")[1] if row.kind == "release"}
    assert active == {"payments-db": 1}
    assert two.entries()[-1][0] == "policy.rollback"
    with pytest.raises(GatewayError) as again:
        back(two, "payments-db", "1", *signatures)
    assert again.value.reason == "store.conflict"
    third = documents(tenant="acme", version=2)
    error = two.refused(third, two.sign(ALICE, third), two.sign(BOB, third))
    assert error.reason == "store.conflict", "content that is new still needs a new version"


def test_a_rollback_that_does_not_fit_changes_nothing(one: World) -> None:
    one.apply(DOCS)
    one.apply(documents(tenant="acme", version=2))
    head = one.store.ledger.head()
    with pytest.raises(PolicyErrors) as caught:
        back(one, "guests", "1")
    assert caught.value.reason == "policy.not-active" or "version" in caught.value.reason
    for name, to in (("payments-db", "3"), ("nobody", "1"), ("payments-db", "sha256:00")):
        with pytest.raises(GatewayError) as absent:
            back(one, name, to)
        assert absent.value.reason == "request.not-found"
    assert one.store.ledger.head() == head
    made = administration.rollback(
        one.office, "acme", [("payments-db", "1"), ("guests", "1")], by="a", baselines=False
    )
    assert [row["version"] for row in made] == [1, 1]


def test_one_of_a_tenant_rolls_back_no_baseline(one: World) -> None:
    one.apply(amd(2))
    with pytest.raises(GatewayError) as caught:
        administration.rollback(one.office, "acme", [("amd-sev-snp", "1")], by="a", baselines=False)
    assert caught.value.reason == "request.forbidden"
    administration.rollback(one.office, "acme", [("amd-sev-snp", "1")], by="a", baselines=True)


# --- two processes ---

RACER = """
import sys
from pathlib import Path
from gateway import administration
from gateway.adapters import OsRandom, SystemClock
from gateway.administration import Office
from gateway.approving import Desk
from gateway.errors import GatewayError
from gateway.store import open_store

path, file, *signatures = sys.argv[1:]
clock = SystemClock()
store = open_store(Path(path), create=None, expect=None, clock=clock, random=OsRandom())
desk = Desk(store=store.approvals, store_id=store.store_id, development=False, clock=clock)
held = {"documents": store.documents, "ledger": store.ledger}
office = Office(**held, clock=clock, desk=desk, proposals=store.proposals, shadows=store.shadows)
raw = Path(file).read_bytes()
print("ready", flush=True)
sys.stdin.readline()
try:
    administration.apply(office, "acme", raw, file, by=file, baselines=False, signatures=signatures)
    print("won")
except GatewayError as error:
    print(error.reason)
store.close()
"""


def test_two_processes_with_the_same_sequence_have_one_winner(two: World, tmp_path: Path) -> None:
    rivals = []
    for number, lease in enumerate(("11h", "10h")):
        raw = documents(tenant="acme", lease=lease)
        file = tmp_path / f"{number}.yaml"
        file.write_bytes(raw)
        signatures = [two.sign(key, raw) for key in (ALICE, BOB)]
        command = [sys.executable, "-c", RACER, str(database_path(tmp_path)), str(file), *signatures]
        rivals.append(
            subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
    try:
        for rival in rivals:
            assert rival.stdout is not None and rival.stdout.readline() == "ready\n"
        for rival in rivals:
            assert rival.stdin is not None
            rival.stdin.write("\n")
            rival.stdin.flush()
        said = sorted(rival.communicate(timeout=60)[0].strip() for rival in rivals)
    finally:
        for rival in rivals:
            rival.kill()
            rival.communicate()
    assert said == ["approval.signature", "won"]
    assert [change["sequence"] for change in approving.history(two.desk, "acme", 9)] == [1]
    assert len([1 for kind, _ in two.entries() if kind == "policy.activate"]) == 3
