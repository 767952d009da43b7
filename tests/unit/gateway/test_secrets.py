"""Sealed secrets: bound to their place, known to the ledger before they change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import secrets
from gateway.errors import GatewayError, GatewayReason
from gateway.keys import FileKeys
from gateway.ports import NewEntry, SealedSecret
from gateway.secrets import MAX_SECRET, Plaintext, Vault
from gateway.store import Store
from gateway.store.connection import unavailable
from tests.stores import FakeClock, file_keys, sqlite_store

PATH = "payments/db/password"
SECRET = b"correct horse battery staple"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def keys(tmp_path: Path, store: Store) -> FileKeys:
    return file_keys(tmp_path, store)


@pytest.fixture
def vault(store: Store, keys: FileKeys) -> Vault:
    return Vault(store=store.secrets, keys=keys, clock=FakeClock())


def put(vault: Vault, secret: bytes = SECRET, path: str = PATH, tenant: str = "acme") -> int:
    return secrets.put(vault, tenant, path, secret, by="admin-1")


def reason_of(error: pytest.ExceptionInfo[GatewayError]) -> GatewayReason:
    return error.value.reason


def test_a_secret_is_kept_and_replaced(vault: Vault) -> None:
    assert put(vault) == 1
    assert secrets.get(vault, "acme", PATH) == Plaintext(SECRET, 1)
    assert secrets.rotate(vault, "acme", PATH, b"new", by="admin-1") == 2
    assert secrets.get(vault, "acme", PATH) == Plaintext(b"new", 2)
    assert [(s.path, s.version) for s in secrets.held(vault, "acme")] == [(PATH, 2)]


def test_what_is_not_there_is_said_to_be_absent(vault: Vault) -> None:
    put(vault, tenant="other")
    for call in (
        lambda: secrets.get(vault, "acme", PATH),
        lambda: secrets.rotate(vault, "acme", PATH, b"x", by="a"),
        lambda: secrets.reseal(vault, "acme", PATH, by="a"),
        lambda: secrets.remove(vault, "acme", PATH, by="a"),
    ):
        with pytest.raises(GatewayError) as caught:
            call()
        assert reason_of(caught) is GatewayReason.SECRET_ABSENT


def test_a_removed_secret_is_gone_and_its_versions_stay_used(vault: Vault) -> None:
    put(vault)
    put(vault)
    secrets.remove(vault, "acme", PATH, by="admin-1")
    with pytest.raises(GatewayError) as caught:
        secrets.get(vault, "acme", PATH)
    assert reason_of(caught) is GatewayReason.SECRET_ABSENT
    assert put(vault) == 3


def test_resealing_moves_a_secret_to_the_current_key(vault: Vault, keys: FileKeys) -> None:
    put(vault)
    fresh = keys.rotate_kek()
    assert vault.store.list("acme")[0].key_id != fresh
    assert secrets.reseal(vault, "acme", PATH, by="admin-1") == 2
    assert vault.store.list("acme")[0].key_id == fresh
    assert secrets.get(vault, "acme", PATH) == Plaintext(SECRET, 2)


def test_the_ledger_names_every_change_and_holds_no_secret(vault: Vault, store: Store) -> None:
    put(vault)
    secrets.remove(vault, "acme", PATH, by="admin-2")
    entries = store.ledger.tail("acme", 10)
    key_id = store.ledger.tail("acme", 10)[0]["body"]["key_id"]
    assert [(e["kind"], e["body"]) for e in entries] == [
        ("secret.put", {"path": PATH, "version": 1, "key_id": key_id, "by": "admin-1"}),
        ("secret.remove", {"path": PATH, "version": 1, "by": "admin-2"}),
    ]
    text = json.dumps(list(entries))
    for form in (SECRET.decode(), SECRET.hex()):
        assert form not in text


@pytest.mark.parametrize(
    ("size", "good"), [(0, False), (1, True), (MAX_SECRET, True), (MAX_SECRET + 1, False)]
)
def test_a_secret_has_1_byte_to_64_kib(vault: Vault, store: Store, size: int, good: bool) -> None:
    if good:
        assert put(vault, bytes(size)) == 1
        assert secrets.get(vault, "acme", PATH).value == bytes(size)
        return
    with pytest.raises(GatewayError) as caught:
        put(vault, bytes(size))
    assert reason_of(caught) is GatewayReason.SECRET_SIZE
    assert store.ledger.head() is None


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "..", "a/../b", "a b", "a/*", "a" * 65, "/".join("a" * 9)]
)
def test_a_path_has_one_spelling(vault: Vault, store: Store, path: str) -> None:
    for call in (
        lambda: put(vault, path=path),
        lambda: secrets.get(vault, "acme", path),
        lambda: secrets.remove(vault, "acme", path, by="a"),
    ):
        with pytest.raises(GatewayError) as caught:
            call()
        assert reason_of(caught) is GatewayReason.SECRET_PATH
    assert store.ledger.head() is None


@pytest.mark.parametrize("path", ["a", "a/b.c-d_E9", "a" * 64, "/".join("a" * 8)])
def test_good_paths_are_accepted(vault: Vault, path: str) -> None:
    assert put(vault, path=path) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"tenant": "acm"}, GatewayReason.SEAL_BROKEN, id="tenant"),
        pytest.param({"path": "payments/db/passwor"}, GatewayReason.SEAL_BROKEN, id="path"),
        pytest.param({"tenant": "acmep", "path": PATH[1:]}, GatewayReason.SEAL_BROKEN, id="border-moved"),
        pytest.param({"version": 2}, GatewayReason.SEAL_BROKEN, id="version"),
        pytest.param({"version": -1}, GatewayReason.SEAL_BROKEN, id="version-negative"),
        pytest.param({"key_id": "new"}, GatewayReason.SEAL_BROKEN, id="key-id-of-another-key"),
        pytest.param({"key_id": "kek-x"}, GatewayReason.KEYS_UNKNOWN, id="key-id-unknown"),
        pytest.param({"sealed": b""}, GatewayReason.SEAL_BROKEN, id="empty"),
        pytest.param({"sealed": bytes(60)}, GatewayReason.SEAL_BROKEN, id="zeros"),
    ],
)
def test_no_row_stands_in_for_another(
    vault: Vault, keys: FileKeys, change: dict[str, Any], reason: GatewayReason
) -> None:
    put(vault)
    if change.get("key_id") == "new":
        change = {"key_id": keys.rotate_kek()}
    good = vault.store.latest("acme", PATH)
    assert good is not None
    assert secrets.open_sealed(keys, good).value == SECRET
    with pytest.raises(GatewayError) as caught:
        secrets.open_sealed(keys, replace(good, **change))
    assert reason_of(caught) is reason


class NoDisk:
    """A `SecretStore` that can be read and not written."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault.store, name)

    def put(self, secret: SealedSecret, entry: NewEntry) -> bool:
        raise unavailable("disk full")

    def remove(self, tenant: str, path: str, version: int, entry: NewEntry) -> bool:
        raise unavailable("disk full")


def test_what_cannot_be_written_is_not_said_to_be_done(vault: Vault, store: Store) -> None:
    put(vault)
    head = store.ledger.head()
    stuck = replace(vault, store=NoDisk(vault))
    for call in (
        lambda: secrets.put(stuck, "acme", PATH, b"new", by="a"),
        lambda: secrets.remove(stuck, "acme", PATH, by="a"),
    ):
        with pytest.raises(GatewayError) as caught:
            call()
        assert reason_of(caught) is GatewayReason.STORE_UNAVAILABLE
    assert secrets.get(vault, "acme", PATH) == Plaintext(SECRET, 1)
    assert store.ledger.head() == head


class Raced:
    """A `SecretStore` in which somebody else is faster, `times` times."""

    def __init__(self, vault: Vault, times: int) -> None:
        self._vault, self._times = vault, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault.store, name)

    def put(self, secret: SealedSecret, entry: NewEntry) -> bool:
        self._hurry()
        return self._vault.store.put(secret, entry)

    def remove(self, tenant: str, path: str, version: int, entry: NewEntry) -> bool:
        self._hurry()
        return self._vault.store.remove(tenant, path, version, entry)

    def _hurry(self) -> None:
        if self._times:
            self._times -= 1
            put(self._vault, b"theirs")


def test_a_lost_race_takes_the_next_version_and_the_ledger_has_what_happened(
    vault: Vault, store: Store
) -> None:
    assert put(replace(vault, store=Raced(vault, 2))) == 3
    assert secrets.get(vault, "acme", PATH) == Plaintext(SECRET, 3)
    kinds = [(e["kind"], e["body"]["version"]) for e in store.ledger.tail("acme", 10)]
    assert kinds == [("secret.put", 1), ("secret.put", 2), ("secret.put", 3)]


def test_a_removal_names_the_version_that_was_the_last(vault: Vault, store: Store) -> None:
    put(vault)
    secrets.remove(replace(vault, store=Raced(vault, 2)), "acme", PATH, by="a")
    kinds = [(e["kind"], e["body"]["version"]) for e in store.ledger.tail("acme", 10)]
    assert kinds == [("secret.put", 1), ("secret.put", 2), ("secret.put", 3), ("secret.remove", 3)]


def test_an_endless_race_ends(vault: Vault) -> None:
    put(vault)
    raced = replace(vault, store=Raced(vault, 1000))
    for call in (lambda: put(raced), lambda: secrets.remove(raced, "acme", PATH, by="a")):
        with pytest.raises(GatewayError) as caught:
            call()
        assert reason_of(caught) is GatewayReason.STORE_BUSY


def test_a_repr_shows_no_secret(vault: Vault) -> None:
    put(vault)
    assert repr(secrets.get(vault, "acme", PATH)) == "Plaintext(28 bytes, version 1)"
