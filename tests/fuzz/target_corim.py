"""Any bytes are a CoRIM, signed or not, or refused by one of our errors; unsigned is never signed."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli import signers
from policies import drafts
from policies.corim import reading, writing
from policies.drafts import About, Cell, Row
from tests.fuzz.common import only_our_errors
from verifiers.claims import BY_NAME
from verifiers.crypto import cose

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEY = ec.derive_private_key(7, ec.SECP256R1())
NOBODY = ec.derive_private_key(9, ec.SECP256R1()).public_key()
ABOUT = About(name="a", version=1, owner="a@b.example", valid_from=NOW, valid_until=NOW.replace(year=2027))


def seeds() -> list[bytes]:
    cells = {"id": Cell("a"), "snp.measurement": Cell("ab" * 48), "snp.policy.debug": Cell("false")}
    found = drafts.build(ABOUT, [Row(cells)], drafts.source_of(b"", "seed"), BY_NAME)
    payload, _ = writing.payload(found, BY_NAME)
    return [payload, signers.sign(KEY, writing.header(found, cose.ES256, b"k"), payload)]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: reading.read_unsigned(raw, "fuzz", NOW, minimums=True), data)
    signed = only_our_errors(lambda raw: reading.read_signed(raw, [NOBODY], "fuzz", NOW, minimums=True), data)
    assert signed is None
