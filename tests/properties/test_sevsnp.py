"""What holds for any bytes: parsers raise our errors or nothing, and what they read can be written again."""

from __future__ import annotations

import functools
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.simulator.amd import SnpMachine
from verifiers.claims import json_claims
from verifiers.errors import AttestationError, EndorsementFormatError
from verifiers.model import AnchorSet, Endorsements, TcbVersion, Unbound, Verdict
from verifiers.sevsnp import abi, certificates, certtable, needs, product
from verifiers.sevsnp.product import Product
from verifiers.sevsnp.verify import verify

REPORT = st.binary(min_size=abi.SIZE, max_size=abi.SIZE)
BYTE = st.integers(0, 255)


@functools.cache
def machine() -> SnpMachine:
    return SnpMachine(product="Turin")


@given(REPORT)
def test_reports_survive_the_round_trip(raw: bytes) -> None:
    assert abi.write(abi.parse(raw)) == raw


@given(st.binary(max_size=2 * abi.SIZE))
def test_only_the_length_decides_what_parses(raw: bytes) -> None:
    try:
        abi.parse(raw)
    except AttestationError:
        assert len(raw) != abi.SIZE
    else:
        assert len(raw) == abi.SIZE


@settings(max_examples=200, deadline=None)
@given(REPORT, st.sampled_from([2, 3, 4, 5]), st.booleans())
def test_random_reports_get_a_verdict_and_never_a_yes(raw: bytes, version: int, with_leaf: bool) -> None:
    raw = version.to_bytes(4, "little") + raw[4:]
    given_leaf = (machine().leaf,) if with_leaf else ()
    endorsements = Endorsements(anchors=AnchorSet.VENDOR_AND_SIMULATED, certificates=given_leaf)
    report = abi.parse(raw)
    found = verify(report, endorsements, Unbound("random"), machine().at)
    assert not found.signature_valid
    assert found.verdict is Verdict.REFUSED
    assert len(found.checks) == len({check.id for check in found.checks})
    json_claims(found)
    needs.needs(report)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=3000), st.binary(max_size=500))
def test_random_certificates_and_crls_never_raise(cert: bytes, crl: bytes) -> None:
    report = abi.parse(machine().report(bytes(64)))
    given_too = Endorsements(
        anchors=AnchorSet.VENDOR_AND_SIMULATED, certificates=(cert, machine().leaf), crls=(crl,)
    )
    found = verify(report, given_too, Unbound("random"), machine().at)
    assert found.authentic
    alone = Endorsements(anchors=AnchorSet.VENDOR_AND_SIMULATED, certificates=(cert,))
    assert not verify(report, alone, Unbound("random"), machine().at).chain_valid


@given(st.integers(-(10**6), 10**6))
def test_the_verdict_depends_on_time_only_through_the_windows(seconds: int) -> None:
    """Same arguments, same result; and an expired leaf never comes back."""
    at = machine().at + timedelta(seconds=seconds * 400)
    report = abi.parse(machine().report(bytes(64)))
    first, again = (verify(report, machine().endorsements(), Unbound("time"), at) for _ in range(2))
    assert first == again
    assert first.authentic
    if first.verdict is Verdict.ACCEPTED:
        assert first.expires is not None
        assert at < first.expires


@given(st.builds(TcbVersion, fmc=BYTE, bootloader=BYTE, tee=BYTE, snp=BYTE, microcode=BYTE))
def test_turin_tcbs_survive_the_round_trip(tcb: TcbVersion) -> None:
    assert product.decode_tcb(product.encode_tcb(tcb, Product.TURIN), Product.TURIN) == tcb


@given(
    st.sampled_from([Product.MILAN, Product.GENOA]),
    st.builds(TcbVersion, bootloader=BYTE, tee=BYTE, snp=BYTE, microcode=BYTE),
)
def test_earlier_tcbs_survive_the_round_trip(line: Product, tcb: TcbVersion) -> None:
    assert product.decode_tcb(product.encode_tcb(tcb, line), line) == tcb


@given(
    st.builds(TcbVersion, bootloader=BYTE, tee=BYTE, snp=BYTE, microcode=BYTE),
    st.builds(TcbVersion, bootloader=BYTE, tee=BYTE, snp=BYTE, microcode=BYTE),
)
def test_tcbs_are_compared_component_by_component(low: TcbVersion, high: TcbVersion) -> None:
    parts = ("bootloader", "tee", "snp", "microcode")
    expected = tuple(part for part in parts if getattr(low, part) > getattr(high, part))
    assert product.shortfalls(low, high) == expected


@given(st.binary(max_size=600))
def test_any_bytes_are_a_table_or_refused(raw: bytes) -> None:
    try:
        items = certtable.parse(raw)
    except AttestationError:
        return
    assert sum(len(body) for _, body in items) <= len(raw)


@given(st.lists(st.binary(max_size=40), max_size=len(certtable.NAMES)))
def test_tables_survive_the_round_trip(bodies: list[bytes]) -> None:
    items = tuple(zip(certtable.NAMES, bodies, strict=False))
    assert certtable.parse(certtable.build(items)) == items


@given(
    st.dictionaries(st.sampled_from(["1", "2", "3.1", "3.4", "3.9", "4", "5", "6"]), st.binary(max_size=70))
)
def test_any_extensions_are_read_or_refused(values: dict[str, bytes]) -> None:
    given_oids = {f"{certificates.ARC}.{key}": (False, value) for key, value in values.items()}
    try:
        certificates.parse(given_oids, "leaf")
    except EndorsementFormatError:
        return
    raise AssertionError("SPLs are missing: this cannot be a leaf")
