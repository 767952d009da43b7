"""Challenges: ours, for one tenant, once, for five minutes, and void after a full stop."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway import nonces
from gateway.errors import GatewayError, GatewayReason
from gateway.keys import FileKeys
from gateway.ports import NONCE_LIFETIME
from gateway.store import Store
from tests.stores import START, FakeClock, FakeRandom, database_path, file_keys, sqlite_store
from verifiers.codec import b64


@dataclass
class Memory:
    """A `NonceStore` that remembers what it was asked."""

    number: int = 7
    used: dict[tuple[str, bytes], datetime] = field(default_factory=dict)

    def consume(self, tenant: str, nonce_id: bytes, expires: datetime, *, epoch: int | None = None) -> bool:
        if (tenant, nonce_id) in self.used:
            return False
        self.used[tenant, nonce_id] = expires
        return True

    def prune(self, now: datetime) -> int:
        raise NotImplementedError

    def epoch(self) -> int:
        return self.number


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[FileKeys]:
    with sqlite_store(tmp_path) as store:
        yield file_keys(tmp_path, store)


@pytest.fixture
def memory() -> Memory:
    return Memory()


def issue(keys: FileKeys, memory: Memory, tenant: str = "acme", at: datetime = START) -> str:
    return nonces.issue(tenant, clock=FakeClock(at), random=FakeRandom(), keys=keys, store=memory)


def refused(keys: FileKeys, memory: Memory, nonce: str, now: datetime = START, tenant: str = "acme") -> str:
    with pytest.raises(GatewayError) as caught:
        nonces.take(nonce, tenant, now, keys=keys, store=memory)
    assert nonce not in f"{caught.value} {caught.value.detail}"
    return caught.value.reason


def test_a_challenge_is_good_once(keys: FileKeys, memory: Memory) -> None:
    nonce = issue(keys, memory)
    assert len(nonce) == 82
    assert memory.used == {}
    assert nonces.take(nonce, "acme", START, keys=keys, store=memory) == START
    assert list(memory.used.values()) == [START + NONCE_LIFETIME]
    assert refused(keys, memory, nonce) == "session.nonce-used"


def test_the_layout_is_as_documented(keys: FileKeys, memory: Memory) -> None:
    raw = b64.decode_url(issue(keys, memory), "", limit=100)
    assert (len(raw), raw[0]) == (61, 1)
    assert raw[1:9] == int(START.timestamp()).to_bytes(8, "big")
    assert raw[25:29] == (7).to_bytes(4, "big")
    tenant = b"\0\0\0\4acme"
    message = b"sealgate/1 native nonce\0\2" + tenant + b"\0\0\0\x1d" + raw[:29]
    assert raw[29:] == keys.nonce_mac(message)


def test_two_challenges_differ(keys: FileKeys, memory: Memory) -> None:
    random = FakeRandom()
    made = {
        nonces.issue("acme", clock=FakeClock(), random=random, keys=keys, store=memory) for _ in range(50)
    }
    assert len(made) == 50


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        pytest.param(-31, "session.nonce-future", id="31-s-ahead"),
        pytest.param(-30, None, id="30-s-ahead"),
        pytest.param(-29, None, id="29-s-ahead"),
        pytest.param(0, None, id="at-once"),
        pytest.param(299, None, id="a-second-before-the-end"),
        pytest.param(300, "session.nonce-expired", id="at-the-end"),
        pytest.param(301, "session.nonce-expired", id="after-the-end"),
    ],
)
def test_a_challenge_has_its_time(keys: FileKeys, memory: Memory, seconds: int, reason: str | None) -> None:
    nonce, now = issue(keys, memory), START + timedelta(seconds=seconds)
    if reason is None:
        assert nonces.take(nonce, "acme", now, keys=keys, store=memory) == START
    else:
        assert refused(keys, memory, nonce, now) == reason


def test_an_expired_challenge_is_not_stored(keys: FileKeys, memory: Memory) -> None:
    assert refused(keys, memory, issue(keys, memory), START + NONCE_LIFETIME) == "session.nonce-expired"
    assert memory.used == {}


def test_a_challenge_from_the_future_is_used_up(keys: FileKeys, memory: Memory) -> None:
    nonce = issue(keys, memory, at=START + timedelta(minutes=1))
    assert refused(keys, memory, nonce) == "session.nonce-future"
    assert refused(keys, memory, nonce, START + timedelta(minutes=1)) == "session.nonce-used"


def test_a_challenge_is_for_one_tenant(keys: FileKeys, memory: Memory) -> None:
    nonce = issue(keys, memory)
    for tenant in ("acm", "acmee", "", "Acme", "default"):
        assert refused(keys, memory, nonce, tenant=tenant) == "session.nonce-forged"
    assert memory.used == {}
    assert nonces.take(nonce, "acme", START, keys=keys, store=memory) == START


def test_a_challenge_of_another_gateway_is_forged(tmp_path: Path, keys: FileKeys, memory: Memory) -> None:
    with sqlite_store(tmp_path / "other", seed="other") as store:
        other = file_keys(tmp_path / "other", store, "other keys")
        assert refused(keys, memory, issue(other, memory)) == "session.nonce-forged"
    assert memory.used == {}


@pytest.mark.parametrize("position", range(61))
def test_every_byte_counts(keys: FileKeys, memory: Memory, position: int) -> None:
    raw = bytearray(b64.decode_url(issue(keys, memory), "", limit=100))
    raw[position] ^= 1
    wanted = "session.nonce-malformed" if position == 0 else "session.nonce-forged"
    assert refused(keys, memory, b64.encode_url(bytes(raw))) == wanted
    assert memory.used == {}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(b64.encode_url(b"\1" + bytes(59)), id="a-byte-short"),
        pytest.param(b64.encode_url(b"\1" + bytes(61)), id="a-byte-long"),
        pytest.param("A" * 10_000, id="huge"),
        pytest.param(base64.b64encode(b"\1" + b"\xff" * 60).decode(), id="standard-alphabet"),
        pytest.param("é" * 82, id="not-ascii"),
    ],
)
def test_what_is_no_challenge_is_malformed(keys: FileKeys, memory: Memory, text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        nonces.take(text, "acme", START, keys=keys, store=memory)
    assert caught.value.reason is GatewayReason.NONCE_MALFORMED


def test_a_second_spelling_is_malformed(keys: FileKeys, memory: Memory) -> None:
    """Spare bits, padding and white space would each make a used challenge look new."""
    nonce = issue(keys, memory)
    nonces.take(nonce, "acme", START, keys=keys, store=memory)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = nonce[:-1] + last[last.index(nonce[-1]) + 1]
    for text in (spare, nonce + "==", nonce + "\n", " " + nonce):
        assert refused(keys, memory, text) == "session.nonce-malformed"


def test_an_absurd_time_is_no_crash(keys: FileKeys, memory: Memory) -> None:
    unsigned = b"\1" + b"\xff" * 8 + bytes(16) + (7).to_bytes(4, "big")
    nonce = b64.encode_url(unsigned + nonces._mac(keys, "acme", unsigned))
    assert refused(keys, memory, nonce) == "session.nonce-future"


def test_a_challenge_of_another_epoch_is_void(keys: FileKeys, memory: Memory) -> None:
    nonce = issue(keys, memory)
    memory.number = 8
    assert refused(keys, memory, nonce) == "session.nonce-expired"
    assert memory.used == {}


def take(store: Store, keys: FileKeys, nonce: str) -> datetime:
    return nonces.take(nonce, "acme", START, keys=keys, store=store.nonces)


def test_a_restored_backup_brings_no_challenge_back(tmp_path: Path) -> None:
    folder, backup = database_path(tmp_path).parent, tmp_path / "backup"
    with sqlite_store(tmp_path) as store:
        keys = file_keys(tmp_path, store)
    shutil.copytree(folder, backup)
    with sqlite_store(tmp_path, seed="second start") as store:
        nonce = nonces.issue("acme", clock=FakeClock(), random=FakeRandom(), keys=keys, store=store.nonces)
        take(store, keys, nonce)
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    with sqlite_store(tmp_path, seed="third start") as store, pytest.raises(GatewayError) as caught:
        take(store, keys, nonce)
    assert caught.value.reason is GatewayReason.NONCE_EXPIRED
