"""Administrators' tokens: shown once, kept as a digest, refused alike for every cause."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import admins
from gateway.admins import Administrator, Credential
from gateway.errors import GatewayError, GatewayReason
from gateway.store import Store
from tests.stores import FakeClock, FakeRandom, database_path, sqlite_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        yield opened


def create(store: Store, seed: str = "", tenant: str = "") -> Credential:
    return admins.create(
        tenant,
        store=store.administrators,
        clock=FakeClock(),
        random=FakeRandom(seed),
        by="setup",
    )


def refused(store: Store, token: str) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        admins.authenticate(token, store=store.administrators)
    return caught.value


def test_the_token_names_its_administrator(store: Store) -> None:
    credential = create(store, tenant="acme")
    assert re.fullmatch(r"sga_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", credential.token)
    found = admins.authenticate(credential.token, store=store.administrators)
    assert found == Administrator(credential.id, "acme", admins.OWNERS)
    assert credential.token not in repr(credential)


def test_only_a_digest_is_kept(tmp_path: Path, store: Store) -> None:
    credential = create(store)
    kept = store.administrators.get(credential.id)
    assert kept is not None
    assert kept.token_sha256 == hashlib.sha256(credential.token.encode()).digest()
    (entry,) = store.ledger.tail("", 5)
    assert (entry["kind"], entry["body"]) == (
        "admin.create",
        {"id": credential.id, "roles": ["owner"], "by": "setup"},
    )
    store.close()
    secret = credential.token.split("_", 2)[2].encode()
    for path in database_path(tmp_path).parent.iterdir():
        assert secret not in path.read_bytes()


def test_every_wrong_token_is_refused_alike(store: Store) -> None:
    good, other = create(store).token, create(store, "other").token
    crossed = good[:21] + other[21:]
    unknown = "sga_" + "0" * 16 + good[20:]
    last = "A" if good[-1] != "A" else "B"
    wrong = [
        "",
        "x",
        good + "x",
        good[:-1],
        good[:-1] + last,
        good.upper(),
        crossed,
        unknown,
        good + "\n",
        "\ud800",
    ]
    errors = {(str(e), e.detail, e.reason) for e in (refused(store, token) for token in wrong)}
    assert len(errors) == 1
    assert {reason for _, _, reason in errors} == {GatewayReason.UNAUTHENTICATED}


def revoke(store: Store, administrator_id: str, within: str = "") -> bool:
    return admins.revoke(
        administrator_id, store=store.administrators, clock=FakeClock(), by="a", within=within
    )


def test_a_revoked_token_counts_no_more(store: Store) -> None:
    credential = create(store, tenant="acme")
    for expected in (True, False):
        assert revoke(store, credential.id) is expected
    assert refused(store, credential.token).reason is GatewayReason.UNAUTHENTICATED
    assert [e["kind"] for e in store.ledger.tail("acme", 5)] == ["admin.create", "admin.revoke"]
    assert [a.revoked for a in admins.listed(store.administrators)] == [FakeClock().now()]


def test_a_tenant_sees_and_revokes_its_own_only(store: Store) -> None:
    ours, theirs, wide = create(store, "1", "acme"), create(store, "2", "other"), create(store, "3")
    assert [each.id for each in admins.listed(store.administrators, "acme")] == [ours.id]
    assert len(admins.listed(store.administrators)) == 3
    for foreign in (theirs, wide):
        assert revoke(store, foreign.id, within="acme") is False
        assert admins.authenticate(foreign.token, store=store.administrators).id == foreign.id
    assert revoke(store, ours.id, within="acme") is True


def test_a_credential_is_delivered_before_it_counts(store: Store) -> None:
    """Otherwise a delivery that fails would leave an administrator whom nobody can be."""

    def lost(credential: Credential) -> None:
        assert refused(store, credential.token).reason is GatewayReason.UNAUTHENTICATED
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        admins.create(
            "", store=store.administrators, clock=FakeClock(), random=FakeRandom(), by="x", deliver=lost
        )
    assert (store.administrators.list(), store.ledger.head()) == ((), None)
    found: list[Credential] = []
    made = admins.recover(
        store=store.administrators, clock=FakeClock(), random=FakeRandom(), deliver=found.append
    )
    assert found == [made]
    assert admins.authenticate(made.token, store=store.administrators) == Administrator(
        made.id, "", admins.OWNERS
    )
    (entry,) = store.ledger.tail("", 5)
    assert (entry["kind"], entry["body"]["by"]) == ("admin.recover", "local")


def test_an_id_is_never_taken_over(store: Store) -> None:
    create(store)
    with pytest.raises(GatewayError) as caught:
        create(store)
    assert caught.value.reason is GatewayReason.STORE_CONFLICT
