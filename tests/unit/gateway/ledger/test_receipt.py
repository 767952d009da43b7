"""A receipt proves its entry with the public key alone, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger import note, receipt
from gateway.ledger.entry import Entry, decode, encode
from gateway.ledger.merkle import inclusion_path, leaf_hash, root_of
from tests.unit.gateway.ledger.keys import (
    AT,
    CHECKPOINT,
    ENTRIES,
    LEAVES,
    LOG,
    ORIGIN,
    SALTS,
    WITNESS,
    Signer,
    signed,
)
from tests.unit.gateway.ledger.test_merkle import nodes


def made(index: int, *, at: int | None = None) -> str:
    path = inclusion_path(index, 7, nodes(LEAVES))
    return receipt.encode(SALTS[index], ENTRIES[index], index, path, signed(at=at).encode())


def reason(raw: str | bytes) -> GatewayReason:
    with pytest.raises(GatewayError) as caught:
        receipt.verify(raw if isinstance(raw, bytes) else raw.encode(), LOG.key)
    return GatewayReason(caught.value.reason)


def test_a_leaf_is_as_documented() -> None:
    salt = bytes(range(32))
    assert (
        receipt.leaf(salt, b"entry") == hashlib.sha256(b"sealgate/1 ledger leaf\0" + salt + b"entry").digest()
    )
    with pytest.raises(ValueError, match="32"):
        receipt.leaf(salt[:31], b"entry")


@pytest.mark.parametrize("index", range(7))
def test_a_receipt_proves_its_entry(index: int) -> None:
    found = receipt.verify(made(index, at=9).encode(), LOG.key, [WITNESS.key])
    assert found.entry == decode(ENTRIES[index])
    assert (found.witnessed.checkpoint, found.witnessed.by) == (CHECKPOINT, ((WITNESS.key.name, 9),))


def test_a_receipt_reads_like_this() -> None:
    lines = made(2).split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == "extra " + note.standard(SALTS[2] + ENTRIES[2])
    assert lines[2] == "index 2"
    assert lines[6:9] == ["", ORIGIN, "7"]


def test_another_key_proves_nothing() -> None:
    with pytest.raises(GatewayError) as caught:
        receipt.verify(made(2).encode(), Signer(9, ORIGIN).key)
    assert caught.value.reason is GatewayReason.LEDGER_SIGNATURE


def test_what_does_not_belong_together_proves_nothing() -> None:
    path = inclusion_path(2, 7, nodes(LEAVES))
    text = signed().encode()
    for salt, entry, index in (
        (SALTS[3], ENTRIES[2], 2),
        (SALTS[2], ENTRIES[3], 2),
        (SALTS[2], ENTRIES[2], 3),
        (SALTS[2], ENTRIES[2], 7),
        (SALTS[2], ENTRIES[2] + b" ", 2),
    ):
        assert reason(receipt.encode(salt, entry, index, path, text)) is GatewayReason.LEDGER_PROOF
    longer = receipt.encode(SALTS[2], ENTRIES[2], 2, (*path, bytes(32)), text)
    shorter = receipt.encode(SALTS[2], ENTRIES[2], 2, path[:-1], text)
    assert {reason(longer), reason(shorter)} == {GatewayReason.LEDGER_PROOF}


@pytest.mark.parametrize(
    "entry",
    [b"", b"{}", encode(Entry(index=1, at=AT, tenant="acme", kind="release.outcome", body={}))],
    ids=["nothing", "no-entry", "of-another-index"],
)
def test_what_a_log_signed_must_be_an_entry_of_that_index(entry: bytes) -> None:
    """Also a log that cheats cannot hand out a receipt about something else than an entry."""
    leaves = [*LEAVES[:6], leaf_hash(receipt.leaf(SALTS[6], entry))]
    at = replace(CHECKPOINT, root=root_of(leaves))
    path = inclusion_path(6, 7, nodes(leaves))
    assert reason(receipt.encode(SALTS[6], entry, 6, path, signed(at).encode())) is GatewayReason.LEDGER_PROOF


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("@v1", "@v2"), ("c2sp", "\nc2sp"), ("extra ", "Extra "), ("extra ", "extra  "),
        ("index 2", "index 02"), ("index 2", "index -2"), ("index 2\n", ""), ("\n\n", "\n"),
        ("index 2\n", "index 2\nAAAA\n"),
        ("index 2\n", "index 2\n" + (note.standard(bytes(32)) + "\n") * 64), ("index 2", "index \u0662"),
    ],
)  # fmt: skip
def test_another_form_is_no_receipt(before: str, after: str) -> None:
    raw = made(2)
    assert before in raw
    assert reason(raw.replace(before, after, 1)) is GatewayReason.LEDGER_MALFORMED


def test_a_receipt_is_bounded_and_has_a_salt() -> None:
    assert reason(made(2) + "x" * receipt.MAX_RECEIPT) is GatewayReason.LEDGER_MALFORMED
    extra = "extra " + note.standard(SALTS[2] + ENTRIES[2])
    assert (
        reason(made(2).replace(extra, "extra " + note.standard(bytes(31)))) is GatewayReason.LEDGER_MALFORMED
    )


@given(st.integers(0, 100_000), st.integers(1, 255))
def test_every_changed_byte_shows(at: int, flip: int) -> None:
    raw = bytearray(made(5).encode())
    raw[at % len(raw)] ^= flip
    with pytest.raises(GatewayError):
        receipt.verify(bytes(raw), LOG.key)
