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
from gateway.ports import LedgerUnavailable
from gateway.store import Store
from tests.stores import FakeClock, FakeRandom, database_path, sqlite_store
from tests.unit.gateway.test_secrets import NoLedger


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        yield opened


def create(store: Store, seed: str = "", tenant: str = "") -> Credential:
    return admins.create(
        tenant,
        store=store.administrators,
        ledger=store.ledger,
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
    assert found == Administrator(credential.id, "acme", "owner")
    assert credential.token not in repr(credential)


def test_only_a_digest_is_kept(tmp_path: Path, store: Store) -> None:
    credential = create(store)
    kept = store.administrators.get(credential.id)
    assert kept is not None
    assert kept.token_sha256 == hashlib.sha256(credential.token.encode()).digest()
    (entry,) = store.ledger.tail("", 5)
    assert (entry["kind"], entry["body"]) == (
        "admin.create",
        {"id": credential.id, "role": "owner", "by": "setup"},
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


def test_a_revoked_token_counts_no_more(store: Store) -> None:
    credential, clock = create(store), FakeClock()
    for expected in (True, False):
        done = admins.revoke(
            credential.id, store=store.administrators, ledger=store.ledger, clock=clock, by="a"
        )
        assert done is expected
    assert refused(store, credential.token).reason is GatewayReason.UNAUTHENTICATED
    assert [e["kind"] for e in store.ledger.tail("", 5)] == ["admin.create", "admin.revoke"]
    assert [a.revoked for a in admins.listed(store.administrators)] == [clock.now()]


def test_without_the_ledger_nobody_is_made(store: Store) -> None:
    with pytest.raises(LedgerUnavailable):
        admins.create(
            "", store=store.administrators, ledger=NoLedger(), clock=FakeClock(), random=FakeRandom(), by="x"
        )
    assert store.administrators.list() == ()


def test_an_id_is_never_taken_over(store: Store) -> None:
    create(store)
    with pytest.raises(GatewayError) as caught:
        create(store)
    assert caught.value.reason is GatewayReason.STORE_CONFLICT
