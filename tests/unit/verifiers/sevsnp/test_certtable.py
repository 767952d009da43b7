"""Certificate tables that are made up; real and mutated ones are in the vector and mutation suites."""

from __future__ import annotations

import pytest

from gateway.simulator.amd import SnpMachine
from verifiers.crypto import x509
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.sevsnp import certtable

UNKNOWN = "00000000-0000-0000-0000-0000000000{:02x}"


def test_what_the_simulator_writes_is_read() -> None:
    machine = SnpMachine(product="Milan")
    items = certtable.parse(machine.certificate_table())
    assert [certtable.NAMES[guid] for guid, _ in items] == ["ARK", "ASK", "VCEK"]
    assert certtable.certificates(items) == (machine.ark(), machine.ask(), machine.leaf)


def test_unknown_guids_are_left_out_and_still_bounded() -> None:
    known = (certtable.VCEK, b"leaf")
    assert certtable.parse(certtable.build([(UNKNOWN.format(1), b"x"), known])) == (known,)
    bad = bytearray(certtable.build([(UNKNOWN.format(1), b"x"), known]))
    bad[20:24] = b"\xff\xff\xff\xff"
    with pytest.raises(EvidenceFormatError) as caught:
        certtable.parse(bytes(bad))
    assert caught.value.reason == Reason.BAD_LENGTH


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        pytest.param(0, Reason.BAD_VALUE, id="guid: a body at offset 0 overlaps the entries"),
        pytest.param(16, None, id="offset: an unknown entry"),
        pytest.param(20, Reason.BAD_VALUE, id="length: a body at offset 0 overlaps the entries"),
    ],
)
def test_only_an_entry_that_is_all_zero_ends_the_table(at: int, reason: Reason | None) -> None:
    entry = bytes(at) + b"\x30" + bytes(23 - at)
    if reason is None:
        assert certtable.parse(entry + bytes(24)) == ()
        entry, reason = entry + bytes(23), Reason.BAD_LENGTH
    else:
        entry += bytes(24 + 48)
    with pytest.raises(EvidenceFormatError) as caught:
        certtable.parse(entry)
    assert caught.value.reason == reason


def test_an_empty_table_is_its_terminator() -> None:
    assert certtable.parse(bytes(24)) == ()
    assert certtable.parse(bytes(25)) == ()


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (certtable.MAX_ENTRIES - 1, None),
        (certtable.MAX_ENTRIES, None),
        (certtable.MAX_ENTRIES + 1, Reason.EVIDENCE_TOO_LARGE),
    ],
)
def test_number_of_entries(count: int, reason: Reason | None) -> None:
    raw = certtable.build([(UNKNOWN.format(n + 1), b"") for n in range(count)])
    if reason is None:
        assert certtable.parse(raw) == ()
    else:
        with pytest.raises(EvidenceFormatError) as caught:
            certtable.parse(raw)
        assert caught.value.reason == reason


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_size(extra: int) -> None:
    raw = bytes(certtable.MAX_SIZE + extra)
    if extra <= 0:
        assert certtable.parse(raw) == ()
    else:
        with pytest.raises(EvidenceFormatError) as caught:
            certtable.parse(raw)
        assert caught.value.reason == Reason.EVIDENCE_TOO_LARGE


def test_guids_are_in_textual_byte_order() -> None:
    raw = certtable.build([(certtable.VCEK, b"leaf")])
    assert raw[:16].hex() == certtable.VCEK.replace("-", "")
    mixed = raw[:4][::-1] + raw[4:6][::-1] + raw[6:8][::-1] + raw[8:]
    assert certtable.parse(mixed) == ()


def test_bad_pem_is_handed_over_for_verify_to_name() -> None:
    body = b"-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n"
    assert certtable.certificates([(certtable.VCEK, body), (certtable.CRL, b"crl")]) == (body,)
    with pytest.raises(Exception, match="PEM"):
        x509.parse(body, "certificates[0]")
