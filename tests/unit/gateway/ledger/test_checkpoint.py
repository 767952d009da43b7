"""Checkpoints are read strictly; who signed and witnessed them is told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger import checkpoint, note
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.merkle import EMPTY_ROOT
from gateway.ledger.note import COSIGNATURE, Note, Signature
from tests.unit.gateway.ledger.keys import CHECKPOINT, LOG, ORIGIN, WITNESS, Signer, signed
from tests.unit.gateway.ledger.test_merkle import ROOTS

KNOWN = (
    "audit.example/release\n7\n3bib5AOAnjJXUNPSY814kpwpQreUKjS3fhIslZSnTIw=\n\n"
    "— audit.example/release yJKm2HmLZCODgqEDfAZqFfQNGYjx+JyFwwS9cuP9tw2zgt2DwM8+jMoVdGueo4VOFbLw+/LENUXJVU3t"
    "IHSj7g0vEw4=\n"
    "— witness.example/w1 IDJKvgAAAABqsTuAqibp+5pX/ouIK2zjjDkZMACnliZrxwDofdushnOOhmYTwt/Qnqvl1h8n9AGwUP7uJn"
    "p2L0xTBzqxNmeAd5zzCQ==\n"
)
OF_KNOWN = Checkpoint(ORIGIN, 7, bytes.fromhex(ROOTS[6]))


def reason(raw: bytes, *witnesses: note.VerifierKey) -> GatewayReason:
    with pytest.raises(GatewayError) as caught:
        checkpoint.read(raw, LOG.key, witnesses)
    return GatewayReason(caught.value.reason)


def test_a_known_checkpoint_has_these_bytes() -> None:
    assert signed(OF_KNOWN, at=1_790_000_000).encode() == KNOWN
    found = checkpoint.read(KNOWN.encode(), LOG.key, [WITNESS.key])
    assert (found.checkpoint, found.by) == (OF_KNOWN, (("witness.example/w1", 1_790_000_000),))
    assert note.cosigned(OF_KNOWN.text, 1_790_000_000) == (
        b"cosignature/v1\ntime 1790000000\naudit.example/release\n7\n"
        b"3bib5AOAnjJXUNPSY814kpwpQreUKjS3fhIslZSnTIw=\n"
    )


def test_a_witness_that_nobody_named_says_nothing() -> None:
    assert checkpoint.read(KNOWN.encode(), LOG.key).by == ()
    assert checkpoint.read(KNOWN.encode(), LOG.key, [Signer(9, "w2", COSIGNATURE).key]).by == ()


def test_a_witness_does_not_stand_for_the_log() -> None:
    alone = Note(CHECKPOINT.text, signed(at=5).signatures[1:])
    assert reason(alone.encode().encode(), WITNESS.key) is GatewayReason.LEDGER_SIGNATURE


def test_a_named_witness_whose_signature_does_not_hold_spoils_it() -> None:
    good = signed(at=5)
    later = replace(good.signatures[1], raw=(6).to_bytes(8, "big") + good.signatures[1].raw[8:])
    short = replace(good.signatures[1], raw=good.signatures[1].raw[:71])
    for cosignature in (later, short):
        raw = Note(good.text, (good.signatures[0], cosignature)).encode().encode()
        assert reason(raw, WITNESS.key) is GatewayReason.LEDGER_SIGNATURE
        assert checkpoint.read(raw, LOG.key).by == ()


def test_a_plain_signature_of_a_witness_is_no_cosignature() -> None:
    """Only a signature with a time says that consistency was looked at."""
    plain = Signer(0x20, "witness.example/w1")
    added = Signature(plain.key.name, plain.key.key_id, plain.sign(CHECKPOINT.text.encode()))
    raw = Note(CHECKPOINT.text, (*signed().signatures, added)).encode().encode()
    assert checkpoint.read(raw, LOG.key, [WITNESS.key, plain.key]).by == ()


def test_another_logs_checkpoint_is_refused() -> None:
    assert reason(signed(replace(CHECKPOINT, origin="other")).encode().encode()) is (
        GatewayReason.LEDGER_MALFORMED
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", f"{ORIGIN}\n7\n", f"{ORIGIN}\n7\nAAAA\n", f"{ORIGIN}\n07\n{note.standard(bytes(32))}\n",
        f"{ORIGIN}\n-7\n{note.standard(bytes(32))}\n", f"{ORIGIN}\n+7\n{note.standard(bytes(32))}\n",
        f"{ORIGIN}\n\u0667\n{note.standard(bytes(32))}\n", f"{ORIGIN}\n7 \n{note.standard(bytes(32))}\n",
        f"{ORIGIN}\n{2**63}\n{note.standard(bytes(32))}\n", f"{ORIGIN}\n0\n{note.standard(bytes(32))}\n",
        f"{ORIGIN}\n7\n{note.standard(bytes(31))}\n", f"{ORIGIN}\n7\n{note.standard(bytes(33))}\n",
        f"{ORIGIN}\n7\n{note.standard(bytes(32))}\nextension\n", f"\n7\n{note.standard(bytes(32))}\n",
    ],
)  # fmt: skip
def test_another_text_is_no_checkpoint(text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        checkpoint.parse_text(text)
    assert caught.value.reason is GatewayReason.LEDGER_MALFORMED


def test_a_tree_without_leaves_has_a_checkpoint() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert checkpoint.read(signed(empty).encode().encode(), LOG.key).checkpoint == empty


def test_what_a_witness_is_sent_has_these_bytes() -> None:
    own = Note(OF_KNOWN.text, signed(OF_KNOWN).signatures)
    path = [bytes.fromhex("837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e")]
    raw = checkpoint.add_checkpoint(4, path, own)
    assert raw.startswith(
        b"old 4\ng327FS6bB5AQcX6E6GXaTrwPoZioBtWdMb8VrM7yLQ4=\n\naudit.example/release\n7\n"
    )
    assert checkpoint.parse_add_checkpoint(raw) == (4, tuple(path), own)
    assert checkpoint.parse_add_checkpoint(checkpoint.add_checkpoint(0, (), own)) == (0, (), own)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"old 4", b"old 04"), (b"old 4", b"old -4"), (b"old 4", b"new 4"), (b"old 4\n", b""),
        (b"old 4\n", b"old 4\r\n"), (b"old 4", "old \u0664".encode()), (b"g327", b"!327"),
        (b"yLQ4=\n", b"yLQ4=\n" + b"g327FS6bB5AQcX6E6GXaTrwPoZioBtWdMb8VrM7yLQ4=\n" * 63),
    ],
)  # fmt: skip
def test_another_body_is_nothing_for_a_witness(before: bytes, after: bytes) -> None:
    path = [bytes.fromhex("837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e")]
    raw = checkpoint.add_checkpoint(4, path, signed())
    assert raw.count(before) == 1
    with pytest.raises(GatewayError) as caught:
        checkpoint.parse_add_checkpoint(raw.replace(before, after))
    assert caught.value.reason is GatewayReason.LEDGER_MALFORMED
