"""One thing changed in a real report, certificate or table: the exact finding that must come back."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any

import pytest

from tests.support import load_manifest, needs_vectors, vector_bytes
from tests.vectors.snp_vectors import KIND, DictCache, Vector, b64url, vector
from verifiers.crypto import x509
from verifiers.crypto.ecdsa import P384_ORDER
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Outcome, Verdict, Verification, first_reason
from verifiers.sevsnp import abi, certtable, chain, product, roots
from verifiers.sevsnp.product import Product

pytestmark = needs_vectors(KIND)

FULL = os.environ.get("SEALGATE_FULL") == "1"
"""Every bit of more vectors; without it every bit of one report, and a sample of the rest."""


def milan() -> Vector:
    return vector("milan-v2-vcek-virtee")


def aws() -> Vector:
    return vector("milan-v3-vlek-aws")


def put(raw: bytes, offset: int, value: bytes) -> bytes:
    return raw[:offset] + value + raw[offset + len(value) :]


def xor(raw: bytes, offset: int, mask: int) -> bytes:
    return put(raw, offset, bytes((raw[offset] ^ mask,)))


def failed(found: Verification) -> dict[str, str | None]:
    """Every failed check and its code."""
    return {check.id: check.code for check in found.checks if check.outcome is Outcome.FAILED}


def test_amds_own_issuers_beside_a_leaf_make_no_new_entry() -> None:
    it, cache = milan(), DictCache()
    roots_file = vector_bytes(KIND, "milan-v2-vcek-debug/cert_chain.pem")
    ask, ark = x509.split_pem(roots_file, "roots", limit=2)
    for given in ((it.leaf,), (it.leaf, ask, ark), (ark, it.leaf), (ark, ask, it.leaf)):
        assert it.verify(certificates=given, cache=cache).verdict is Verdict.ACCEPTED
    assert (len(cache.entries), cache.hits) == (1, 3)


def test_the_manifest_lists_what_is_tested_here() -> None:
    """22 mutations; two of Azure's wrapper are the carriers', one is policy's."""
    assert len(load_manifest(KIND)["mutations"]) == 22


# --- the report ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "mask"),
    [
        pytest.param(0x050, 0x01, id="report-data"),
        pytest.param(0x2A0, 0x01, id="low-byte-of-R"),
        pytest.param(0x2E8, 0x01, id="low-byte-of-S"),
    ],
)
def test_changed_byte_breaks_the_signature_and_nothing_else(offset: int, mask: int) -> None:
    found = milan().verify(xor(milan().report, offset, mask))
    assert (found.signature_valid, found.chain_valid) == (False, True)
    assert failed(found) == {"snp.signature": "snp.signature"}


@pytest.mark.parametrize(
    "offset",
    [
        pytest.param(0x2A0 + 48, id="first-padding-byte-of-R"),
        pytest.param(0x2A0 + 71, id="last-padding-byte-of-R"),
        pytest.param(0x2E8 + 48, id="first-padding-byte-of-S"),
        pytest.param(0x2E8 + 71, id="last-padding-byte-of-S"),
    ],
)
def test_padding_of_r_and_s_is_zero(offset: int) -> None:
    found = milan().verify(put(milan().report, offset, b"\x01"))
    assert not found.signature_valid
    assert failed(found) == {"snp.signature": "snp.signature"}
    assert "not below the order" in next(c.found for c in found.checks if c.id == "snp.signature")


@pytest.mark.parametrize("offset", [0x2A0 + 144, 0x49F])
def test_unsigned_rest_of_the_signature_field_is_zero(offset: int) -> None:
    """The signature still holds; one report would have many encodings."""
    found = milan().verify(put(milan().report, offset, b"\x01"))
    assert found.signature_valid
    assert found.verdict is Verdict.REFUSED
    assert failed(found) == {"snp.reserved": "snp.reserved"}


def test_signatures_are_malleable_and_the_digest_is_not() -> None:
    report = milan().report
    s = int.from_bytes(report[0x2E8:0x330], "little")
    other = put(report, 0x2E8, (P384_ORDER - s).to_bytes(72, "little"))
    assert other != report
    found = milan().verify(other)
    assert found.verdict is Verdict.ACCEPTED
    assert found.evidence.digest == milan().verify().evidence.digest


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        pytest.param(0x2A0, 0, id="R-zero"),
        pytest.param(0x2E8, 0, id="S-zero"),
        pytest.param(0x2A0, P384_ORDER, id="R-is-the-order"),
        pytest.param(0x2E8, P384_ORDER, id="S-is-the-order"),
    ],
)
def test_r_and_s_are_in_range(offset: int, value: int) -> None:
    found = milan().verify(put(milan().report, offset, value.to_bytes(72, "little")))
    assert not found.signature_valid
    assert failed(found) == {"snp.signature": "snp.signature"}


def test_r_plus_the_order_is_not_r() -> None:
    """Congruent, also a valid signature for whoever reduces first, and not canonical."""
    r = int.from_bytes(milan().report[0x2A0:0x2E8], "little")
    found = milan().verify(put(milan().report, 0x2A0, (r + P384_ORDER).to_bytes(72, "little")))
    assert failed(found) == {"snp.signature": "snp.signature"}


def test_big_endian_signature_does_not_hold() -> None:
    report = milan().report
    r, s = report[0x2A0 : 0x2A0 + 48][::-1], report[0x2E8 : 0x2E8 + 48][::-1]
    found = milan().verify(put(put(report, 0x2A0, r), 0x2E8, s))
    assert failed(found) == {"snp.signature": "snp.signature"}


@pytest.mark.parametrize("size", [0, 672, 1183, 1185, 4000])
def test_only_1184_bytes_are_a_report(size: int) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        abi.parse((milan().report + bytes(4000))[:size])
    assert caught.value.reason == Reason.BAD_LENGTH
    assert (caught.value.expected, caught.value.found) == ("1184 bytes", f"{size} bytes")


@pytest.mark.parametrize("version", [0, 1, 4, 6, 0xFFFFFFFF])
def test_other_versions_are_refused(version: int) -> None:
    found = milan().verify(put(milan().report, 0, version.to_bytes(4, "little")))
    assert first_reason(found.checks) == "snp.signature"
    (asked,) = [check for check in found.checks if check.id == "snp.version"]
    assert asked.outcome is (Outcome.UNKNOWN if version == 4 else Outcome.FAILED)
    assert asked.reason == "snp.version"


@pytest.mark.parametrize("vmpl", [4, 0xFF, 0xFFFFFFFE, 0xFFFFFFFF])
def test_host_requested_and_impossible_vmpls_are_refused(vmpl: int) -> None:
    found = milan().verify(put(milan().report, 0x30, vmpl.to_bytes(4, "little")))
    assert failed(found) == {
        "snp.signature": "snp.signature",
        "snp.host-requested": "snp.host-requested",
    }


@pytest.mark.parametrize("algorithm", [0, 2, 0x01000001])
def test_other_signature_algorithms_are_refused(algorithm: int) -> None:
    found = milan().verify(put(milan().report, 0x34, algorithm.to_bytes(4, "little")))
    assert failed(found) == {"snp.signature": "snp.signature"}
    assert "SIGNATURE_ALGO" in next(c.found for c in found.checks if c.id == "snp.signature")


def test_vcek_of_another_chip() -> None:
    found = milan().verify(certificates=(vector("milan-v2-vcek-trustee").leaf,))
    assert (found.signature_valid, found.chain_valid) == (False, True)
    assert failed(found) == {"snp.signature": "snp.signature", "snp.chip-id": "snp.chip-id"}


# --- kind of key and chain -------------------------------------------------------------------------


def test_vlek_is_not_issued_by_the_ask() -> None:
    """Under the ASK alone there is no chain; an ASK that lies beside a VLEK changes nothing."""
    vlek = x509.parse(aws().leaf, "vlek")
    ask, asvk = roots.VENDOR[Product.MILAN, roots.Role.ASK], roots.VENDOR[Product.MILAN, roots.Role.ASVK]
    assert chain.issuer_of(vlek, [ask]) is None
    assert not x509.issued_by(vlek, ask.key)
    assert chain.issuer_of(vlek, [ask, asvk]) is asvk
    beside = (aws().leaf, *milan().certificates[1:])
    assert [x509.parse(c, "c").subject_cn for c in beside] == ["SEV-VLEK", "SEV-Milan", "ARK-Milan"]
    assert aws().verify(certificates=beside).used["asvk-key"] == asvk.spki_sha256


def test_vlek_shown_as_vcek() -> None:
    found = aws().verify(put(aws().report, 0x48, bytes(4)))
    assert not found.signature_valid
    assert failed(found) == {"snp.signature": "snp.signature", "snp.signing-key": "snp.signing-key"}


def test_vcek_shown_as_vlek() -> None:
    found = milan().verify(put(milan().report, 0x48, b"\x04\0\0\0"))
    assert failed(found)["snp.signing-key"] == "snp.signing-key"


@pytest.mark.parametrize(
    ("key_info", "said"),
    [
        pytest.param(0x02, "MASK_CHIP_KEY", id="masked"),
        pytest.param(0x1C, "SIGNING_KEY 7", id="none"),
        pytest.param(0x08, "SIGNING_KEY 2", id="reserved-2"),
        pytest.param(0x18, "SIGNING_KEY 6", id="reserved-6"),
    ],
)
def test_other_signing_keys_are_refused(key_info: int, said: str) -> None:
    found = milan().verify(put(milan().report, 0x48, bytes((key_info, 0, 0, 0))))
    assert failed(found)["snp.signing-key"] == "snp.signing-key"
    assert said in next(c.found for c in found.checks if c.id == "snp.signing-key")


def test_vlek_expires() -> None:
    end = x509.parse(aws().leaf, "vlek").not_after
    found = aws().verify(at=end)
    assert found.authentic
    assert failed(found) == {"snp.chain-dates": "snp.chain-dates"}


def test_leaf_is_not_valid_yet() -> None:
    start = x509.parse(milan().leaf, "vcek").not_before
    assert milan().verify(at=start).verdict is Verdict.ACCEPTED
    found = milan().verify(at=start - timedelta(seconds=1))
    assert failed(found) == {"snp.chain-dates": "snp.chain-dates"}


def test_turin_tcb_read_with_the_layout_of_milan() -> None:
    report = abi.parse(vector("turin-v5-vcek-azure-aci").report)
    right = product.decode_tcb(report.reported_tcb, Product.TURIN)
    wrong = product.decode_tcb(report.reported_tcb, Product.MILAN)
    assert right != wrong
    assert [i for i in product.reserved_tcb_bytes(Product.MILAN) if report.reported_tcb[i]]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param("turin-v5-vcek-azure-aci", Product.GENOA, id="turin-under-genoa"),
        pytest.param("oak-genoa-oc", Product.MILAN, id="genoa-under-milan"),
    ],
)
def test_roots_of_another_product_do_not_count(name: str, line: Product) -> None:
    leaf = x509.parse(vector(name).leaf, "leaf")
    others = [anchor for anchor in roots.VENDOR.values() if anchor.product is line]
    assert chain.issuer_of(leaf, others) is None
    assert not any(x509.issued_by(leaf, anchor.key) for anchor in others)
    assert chain.issuer_of(leaf, roots.VENDOR.values()) is not None


@pytest.mark.parametrize("name", ["milan-vcek-invalid-legacy", "milan-vcek-invalid-new"])
def test_doctored_vcek(name: str) -> None:
    found = milan().verify(certificates=(vector(name).leaf,))
    assert not found.chain_valid
    assert first_reason(found.checks) == "snp.chain"


# --- every bit -------------------------------------------------------------------------------------


def every_bit(first: int, last: int) -> list[tuple[int, int]]:
    return [(offset, 1 << bit) for offset in range(first, last) for bit in range(8)]


FLIPPED = ["milan-v2-vcek-virtee"]
if FULL:
    FLIPPED += ["milan-v3-vlek-aws", "genoa-v3-vcek-configfs-tsm", "turin-v5-vcek"]


@pytest.mark.parametrize("name", FLIPPED)
def test_every_bit_of_the_signed_region(name: str) -> None:
    """Fails at the signature, with everything else about the vector as it was."""
    it, cache = vector(name), DictCache()
    bad = []
    for offset, mask in every_bit(0, abi.SIGNED_SIZE):
        found = it.verify(xor(it.report, offset, mask), at=it.at, cache=cache)
        if found.signature_valid or failed(found).get("snp.signature") != "snp.signature":
            bad.append((hex(offset), mask))
    assert bad == []
    assert cache.hits == 8 * abi.SIGNED_SIZE - 1


@pytest.mark.parametrize("name", FLIPPED)
def test_every_bit_of_r_and_s(name: str) -> None:
    it, cache = vector(name), DictCache()
    bad = []
    for offset, mask in every_bit(abi.SIGNED_SIZE, abi.SIGNED_SIZE + 144):
        found = it.verify(xor(it.report, offset, mask), cache=cache)
        if found.signature_valid or failed(found) != {"snp.signature": "snp.signature"}:
            bad.append((hex(offset), mask))
    assert bad == []


def test_every_bit_behind_the_signature() -> None:
    it, cache = milan(), DictCache()
    step = 1 if FULL else 7
    bad = []
    for offset, mask in every_bit(abi.SIGNED_SIZE + 144, abi.SIZE)[::step]:
        if failed(it.verify(xor(it.report, offset, mask), cache=cache)) != {"snp.reserved": "snp.reserved"}:
            bad.append((hex(offset), mask))
    assert bad == []


def test_bits_of_the_leaf() -> None:
    """A changed certificate is never the one that was judged before: the cache is full of the good one.
    Every seventh bit, which visits every bit position; all of them with SEALGATE_FULL=1."""
    it, cache = milan(), DictCache()
    at = it.at
    assert it.verify(certificates=(it.leaf,), at=at, cache=cache).authentic
    bad = []
    for offset, mask in every_bit(0, len(it.leaf))[:: 1 if FULL else 7]:
        found = it.verify(certificates=(xor(it.leaf, offset, mask),), at=at, cache=cache)
        if found.chain_valid or found.verdict is Verdict.ACCEPTED:
            bad.append((hex(offset), mask))
    assert bad == []
    assert cache.hits == 0


# --- certificate table -----------------------------------------------------------------------------


def table() -> bytes:
    return b64url(json.loads(vector_bytes(KIND, "genoa-v3-vcek-configfs-tsm/tsm-report.json"))["auxblob"])


def entry(number: int, *, offset: int | None = None, length: int | None = None) -> bytes:
    """The real table with one entry's numbers replaced."""
    raw, at = table(), 24 * number
    if offset is not None:
        raw = put(raw, at + 16, offset.to_bytes(4, "little"))
    if length is not None:
        raw = put(raw, at + 20, length.to_bytes(4, "little"))
    return raw


TABLES: list[Any] = [
    pytest.param(
        lambda: entry(2, length=len(table()) - 4698 + 1), Reason.BAD_LENGTH, id="one-byte-past-the-end"
    ),
    pytest.param(lambda: entry(2, offset=0xFFFFFFFF), Reason.BAD_LENGTH, id="offset-far-outside"),
    pytest.param(
        lambda: entry(2, offset=0xFFFFFFFF, length=1 + 4698), Reason.BAD_LENGTH, id="sum-wraps-in-32-bits"
    ),
    pytest.param(lambda: entry(0, offset=95), Reason.BAD_VALUE, id="overlaps-the-terminator"),
    pytest.param(lambda: entry(0, offset=0), Reason.BAD_VALUE, id="overlaps-the-entries"),
    pytest.param(lambda: entry(1, offset=2372), Reason.BAD_VALUE, id="overlaps-another-body"),
    pytest.param(lambda: put(table(), 24, table()[:16]), Reason.DUPLICATE, id="guid-twice"),
    pytest.param(lambda: table()[:72], Reason.BAD_LENGTH, id="no-terminator"),
    pytest.param(lambda: table()[:95], Reason.BAD_LENGTH, id="terminator-one-byte-short"),
    pytest.param(lambda: put(table(), 72, b"\x01"), Reason.EVIDENCE_TOO_LARGE, id="terminator-is-an-entry"),
    pytest.param(lambda: b"", Reason.BAD_LENGTH, id="empty"),
]


@pytest.mark.parametrize(("raw", "reason"), TABLES)
def test_bad_tables(raw: Any, reason: Reason) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        certtable.parse(raw())
    assert caught.value.reason == reason


def test_body_may_end_exactly_at_the_end() -> None:
    exact = len(table()) - 4698
    assert len(dict(certtable.parse(entry(2, length=exact)))[certtable.VCEK]) == exact
