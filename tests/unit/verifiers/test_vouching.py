"""Which certificates a pinned key vouches for; what nobody vouches for is never parsed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.caches import LruChains
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.simulator.quotewrite import pem
from verifiers import vouching
from verifiers.crypto import x509
from verifiers.dcap import quote as quotes
from verifiers.dcap.quote import Quote
from verifiers.model import AnchorSet, Endorsements, NoCache
from verifiers.sevsnp import abi

SNP, TDX = SnpMachine(), TdxMachine()
BOTH, VENDOR = AnchorSet.VENDOR_AND_SIMULATED, AnchorSet.VENDOR
REPORT = abi.parse(SNP.report(bytes(64)))


def quote() -> Quote:
    return quotes.parse(TDX.quote(bytes(64)))


def forged(raw: bytes) -> bytes:
    """With a bit of its signature changed."""
    return raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every certificate that a parser is given."""
    seen: list[bytes] = []
    inner = x509.parse

    def parse(raw: bytes, where: str) -> Any:
        seen.append(raw)
        return inner(raw, where)

    monkeypatch.setattr(x509, "parse", parse)
    return seen


def test_a_leaf_that_amd_signed_is_vouched_for(parsed: list[bytes]) -> None:
    assert vouching.strangers(REPORT, [SNP.vcek()], BOTH, NoCache()) == frozenset()
    assert parsed == []


def test_of_simulated_roots_nothing_is_vouched_for_in_production(parsed: list[bytes]) -> None:
    vcek = SNP.vcek()
    assert vouching.strangers(REPORT, [vcek], VENDOR, NoCache()) == {vcek}
    own = Endorsements(anchors=VENDOR)
    assert not vouching.quote_vouched(quote(), own)
    assert parsed == []


@pytest.mark.parametrize(
    "raw", [b"", b"\x30\x00", b"-----BEGIN CERTIFICATE-----", forged(SNP.vcek()), bytes(9000)]
)
def test_what_nobody_signed_is_not_parsed(raw: bytes, parsed: list[bytes]) -> None:
    cache = LruChains(8)
    assert vouching.strangers(REPORT, [raw], BOTH, cache) == {raw}
    assert parsed == []
    assert len(cache) == 0  # strangers fill no cache


def test_what_is_vouched_for_is_remembered_under_its_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, vcek = LruChains(8), SNP.vcek()
    assert not vouching.strangers(REPORT, [vcek], BOTH, cache)
    monkeypatch.setattr(x509, "signed_by", lambda *_: False)
    assert not vouching.strangers(REPORT, [vcek], BOTH, cache)
    assert vouching.strangers(REPORT, [vcek], VENDOR, cache) == {vcek}
    assert vouching.strangers(REPORT, [forged(vcek)], BOTH, cache)


def test_certificates_beside_a_quote_are_strangers() -> None:
    vcek = SNP.vcek()
    assert vouching.strangers(quote(), [vcek], BOTH, NoCache()) == {vcek}


def test_the_chain_inside_a_quote() -> None:
    cache = LruChains(8)
    endorsements = Endorsements(anchors=BOTH, cache=cache)
    assert vouching.quote_vouched(quote(), endorsements)
    assert len(cache) == 1
    assert vouching.quote_vouched(quote(), endorsements)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_changed_certificate_inside_a_quote(which: int, parsed: list[bytes]) -> None:
    good = quote()
    chain = list(x509.split_pem(good.signature_data.certification_data, "chain", limit=3))
    chain[which] = forged(chain[which])
    data = replace(good.signature_data, certification_data=pem(chain))
    bad = replace(good, signature_data=data)
    assert not vouching.quote_vouched(bad, Endorsements(anchors=BOTH))
    assert chain[which] not in parsed


def test_a_chain_that_is_no_pem(parsed: list[bytes]) -> None:
    good = quote()
    bad = replace(good, signature_data=replace(good.signature_data, certification_data=b"\x30\x03abc"))
    assert not vouching.quote_vouched(bad, Endorsements(anchors=BOTH))
    assert parsed == []
