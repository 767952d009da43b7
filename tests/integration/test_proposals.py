"""Proposals: content under its own name, what its owners report of it, and how it becomes active."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import administration, approving, proposals
from gateway.approval import Action
from gateway.errors import GatewayError
from gateway.store import StoreKind
from policies.errors import PolicyErrors
from tests.e2e.support import documents
from tests.integration.test_approvals import ALICE, BOB, CAROL, DOCS, World, kid, world
from tests.integration.test_documents import amd
from tests.stores import database_path, sqlite_store

DIGEST = "sha256:" + "ab" * 32
COUNTS = {"passed": 12, "failed": 0}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    with sqlite_store(tmp_path, kind=StoreKind.PRODUCTION) as store:
        made = world(store, development=False)
        made.register(ALICE)
        made.register(BOB)
        yield made


def propose(made: World, raw: bytes = DOCS, by: str = "writer") -> str:
    found = proposals.propose(made.office, "acme", [("f.yaml", raw)], by=by, baselines=False)
    return str(found["proposal"])


def shown(made: World, name: str) -> dict[str, Any]:
    return proposals.shown(made.office, proposals.found(made.office, "acme", name))


def activate(made: World, name: str, *signatures: str, by: str = "admin") -> Any:
    return proposals.activate(made.office, "acme", name, by=by, baselines=False, signatures=signatures)


def test_from_draft_to_active_to_retired(two: World) -> None:
    name = propose(two)
    assert shown(two, name)["state"] == "draft"
    assert proposals.report(two.office, "acme", name, "tested", DIGEST, COUNTS, by="ci")["state"] == "tested"
    found = proposals.report(two.office, "acme", name[:8], "backtested", DIGEST, COUNTS, by="ci")
    assert (found["state"], found["approvals"]) == ("backtested", [])
    assert two.store.documents.active("acme")[1] == two.store.documents.active("")[1], "nothing counts yet"
    for key in (ALICE, BOB):
        found = proposals.add_approval(two.office, "acme", name, two.sign(key, DOCS), by="x")
    assert found["approvals"] == sorted([kid(ALICE), kid(BOB)])
    assert "signature" not in str(found)
    rows = activate(two, name)
    assert {row["approval"] for row in rows} == {"2 of 2"}
    assert (shown(two, name)["state"], shown(two, name)["changes"]) == ("active", [1])
    body = two.entries()[-1][1]
    assert (body["proposal"], body["states"]) == (name, ["draft", "tested", "backtested"])
    (change,) = approving.history(two.desk, "acme", 9)
    assert (change["proposal"], change["states"]) == (name, ["draft", "tested", "backtested"])
    for kind in ("release", "reference", "reference"):
        (row, *_) = [r for r in two.store.documents.active("acme")[1] if r.kind == kind]
        administration.retire(two.office, "acme", kind, row.name, by="admin")
    assert shown(two, name)["state"] == "retired"
    kinds = [kind for kind, _ in two.entries()]
    assert kinds[2:7] == [
        "policy.propose",
        "policy.report",
        "policy.report",
        "policy.approve",
        "policy.approve",
    ]


def test_it_is_activated_from_any_state_and_the_ledger_says_from_which(two: World) -> None:
    name = propose(two)
    activate(two, name, two.sign(ALICE, DOCS), two.sign(BOB, DOCS))
    assert two.entries()[-1][1]["states"] == ["draft"]


def test_who_proposed_is_not_among_the_approvers(two: World) -> None:
    two.register(CAROL, administrator="writer")
    name = propose(two, by="writer")
    with pytest.raises(GatewayError) as caught:
        activate(two, name, two.sign(ALICE, DOCS), two.sign(CAROL, DOCS))
    assert caught.value.reason == "approval.missing"
    activate(two, name, two.sign(ALICE, DOCS), two.sign(BOB, DOCS))


def test_who_proposed_does_not_approve_the_same_files_handed_in_by_another(two: World) -> None:
    two.register(CAROL, administrator="writer")
    propose(two, by="writer")
    alice, carol = two.sign(ALICE, DOCS), two.sign(CAROL, DOCS)
    assert two.refused(DOCS, alice, carol, by="another").reason == "approval.missing"
    two.apply(DOCS, alice, two.sign(BOB, DOCS), by="another")


def as_two_files(raw: bytes) -> tuple[bytes, bytes]:
    """The same documents: reference sets in one file, the policy in another."""
    first, _, last = raw.partition(b"---\nsealgate: release-policy/1")
    return first, b"sealgate: release-policy/1" + last


def test_who_proposed_does_not_approve_a_part_of_it_or_other_bytes_of_it(two: World) -> None:
    """Otherwise a comment would make somebody else the writer."""
    two.register(CAROL, administrator="writer")
    propose(two, by="writer")
    for raw in (DOCS + b"# a word more\n", DOCS.replace(b"lasts: 12h", b"lasts: 18h"), as_two_files(DOCS)[0]):
        error = two.refused(raw, two.sign(ALICE, raw), two.sign(CAROL, raw), by="another")
        assert error.reason == "approval.missing"
    first = as_two_files(DOCS)[0]
    two.apply(first, two.sign(ALICE, first), two.sign(BOB, first), by="another")


def test_whoever_proposes_what_another_proposed_wrote_it_too(two: World) -> None:
    two.register(CAROL, administrator="carol")
    propose(two, by="writer")
    propose(two, by="carol")
    error = two.refused(DOCS, two.sign(ALICE, DOCS), two.sign(CAROL, DOCS), by="another")
    assert error.reason == "approval.missing"


def test_who_proposed_a_baseline_under_one_tenant_does_not_approve_it_under_another(two: World) -> None:
    for key, name in ((ALICE, "alice"), (CAROL, "writer"), (BOB, "bob")):
        two.register(key, tenant="", administrator=name)
    raw = amd(2)
    proposals.propose(two.office, "acme", [("b.yaml", raw)], by="writer", baselines=True)
    alice, carol = two.sign(ALICE, raw), two.sign(CAROL, raw)
    assert two.refused(raw, alice, carol, by="another", tenant="globex").reason == "approval.missing"
    two.apply(raw, alice, two.sign(BOB, raw), by="another", tenant="globex")


def test_the_same_name_in_another_tenant_has_other_writers(two: World) -> None:
    theirs = documents(tenant="globex")
    two.register(CAROL, administrator="writer")
    proposals.propose(two.office, "globex", [("f.yaml", theirs)], by="writer", baselines=False)
    two.apply(DOCS, two.sign(ALICE, DOCS), two.sign(CAROL, DOCS), by="another")


@pytest.mark.parametrize("proposed", [True, False], ids=["proposed", "handed-in"])
def test_who_wrote_older_content_does_not_approve_its_return(two: World, proposed: bool) -> None:
    two.register(CAROL, administrator="writer")
    if proposed:
        propose(two, by="writer")
    two.apply(DOCS, two.sign(ALICE, DOCS), two.sign(BOB, DOCS), by="x" if proposed else "writer")
    newer = documents(tenant="acme", version=2)
    two.apply(newer, two.sign(ALICE, newer), two.sign(BOB, newer), by="x")
    alice, bob, carol = (two.sign(k, DOCS, action=Action.ROLLBACK) for k in (ALICE, BOB, CAROL))
    wanted = [(name, "1") for name in ("guests", "pods", "payments-db")]

    def back(*signatures: str) -> Any:
        return administration.rollback(
            two.office, "acme", wanted, by="x", baselines=False, signatures=signatures
        )

    with pytest.raises(GatewayError) as caught:
        back(alice, carol)
    assert caught.value.reason == "approval.missing"
    assert len(back(alice, bob)) == 3


def test_kept_approvals_end_with_the_next_change_and_with_their_key(two: World) -> None:
    name = propose(two)
    for key in (ALICE, BOB):
        proposals.add_approval(two.office, "acme", name, two.sign(key, DOCS), by="x")
    other = documents(tenant="acme").replace(b"name: payments-db", b"name: other").replace(b"/db/", b"/ot/")
    two.apply(other, two.sign(ALICE, other), two.sign(BOB, other))
    assert shown(two, name)["approvals"] == []
    with pytest.raises(GatewayError) as caught:
        activate(two, name)
    assert caught.value.reason in ("approval.missing", "store.conflict")
    newer = propose(two, documents(tenant="acme", version=2).replace(b"/db/", b"/new/"))
    raw = proposals.files_of(proposals.found(two.office, "acme", newer))[0][1]
    for key in (ALICE, BOB):
        proposals.add_approval(two.office, "acme", newer, two.sign(key, raw), by="x")
    approving.revoke(two.desk, "acme", kid(BOB), by="x")
    with pytest.raises(GatewayError) as missing:
        activate(two, newer)
    assert missing.value.reason == "approval.missing"


@pytest.mark.parametrize(
    "change", [{"sequence": 2}, {"tenant": "other"}, {"action": Action.ROLLBACK}], ids=str
)
def test_an_approval_of_something_else_is_not_kept(two: World, change: dict[str, Any]) -> None:
    name, head = propose(two), two.store.ledger.head()
    with pytest.raises(GatewayError) as caught:
        proposals.add_approval(two.office, "acme", name, two.sign(ALICE, DOCS, **change), by="x")
    assert caught.value.reason == "approval.signature"
    with pytest.raises(GatewayError) as stranger:
        proposals.add_approval(two.office, "acme", name, two.sign(CAROL, DOCS), by="x")
    assert stranger.value.reason == "approval.unknown-key"
    assert two.store.ledger.head() == head


def test_the_same_content_is_the_same_proposal(two: World) -> None:
    name = propose(two)
    head = two.store.ledger.head()
    assert propose(two) == name
    assert two.store.ledger.head() == head
    assert propose(two, by="another") == name and shown(two, name)["by"] == "writer"
    assert [body["by"] for kind, body in two.entries() if kind == "policy.propose"] == ["writer", "another"]
    assert propose(two, DOCS + b"# other\n") != name
    assert [each["proposal"] for each in proposals.listed(two.office, "acme", 9)].count(name) == 1


def test_what_is_no_proposal(two: World) -> None:
    name, head = propose(two), two.store.ledger.head()
    with pytest.raises(PolicyErrors):
        propose(two, DOCS.replace(b"require:", b"demand:"))
    with pytest.raises(GatewayError) as foreign:
        propose(two, documents(tenant="other"))
    assert foreign.value.reason == "request.forbidden"
    for wrong in ("", name[:7], "%" * 8, "0" * 32, name.upper()):
        with pytest.raises(GatewayError) as absent:
            proposals.found(two.office, "acme", wrong)
        assert absent.value.reason == "request.not-found"
    with pytest.raises(GatewayError):
        proposals.found(two.office, "other", name)
    for state, digest, counts in (
        ("active", DIGEST, COUNTS),
        ("shadow", DIGEST, COUNTS),
        ("tested", "sha256:ab", COUNTS),
        ("tested", DIGEST, {"passed": -1}),
        ("tested", DIGEST, {"passed": True}),
        ("tested", DIGEST, {"passed": "1"}),
    ):
        with pytest.raises(GatewayError) as bad:
            proposals.report(two.office, "acme", name, state, digest, counts, by="x")  # type: ignore[arg-type]
        assert bad.value.reason == "request.malformed"
    assert two.store.ledger.head() == head


def test_rows_of_proposals_keys_and_changes_do_not_change(two: World, tmp_path: Path) -> None:
    name = propose(two)
    proposals.add_approval(two.office, "acme", name, two.sign(ALICE, DOCS), by="x")
    two.apply(DOCS, two.sign(ALICE, DOCS), two.sign(BOB, DOCS))
    approving.revoke(two.desk, "acme", kid(BOB), by="x")
    with sqlite3.connect(database_path(tmp_path)) as other:
        for statement in (
            "UPDATE proposal SET by = 'x'",
            "DELETE FROM proposal",
            "UPDATE proposal_step SET by = 'x'",
            "DELETE FROM proposal_step",
            "UPDATE policy_change SET record = '{}'",
            "DELETE FROM policy_change",
            "INSERT INTO policy_change VALUES ('acme', 1, 'activate', 0, '{}')",
            "INSERT INTO policy_change VALUES ('acme', 3, 'activate', 0, '{}')",
            "DELETE FROM approval_key",
            "UPDATE approval_key SET revoked = NULL",
            "UPDATE approval_key SET jwk = '{}'",
            "REPLACE INTO proposal VALUES ('acme', '', 0, '', x'')",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                other.execute(statement)
