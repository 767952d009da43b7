"""Framing of quotes: every declared size consumes its container exactly, and nothing hides behind."""

from __future__ import annotations

import pytest

from gateway.simulator.intel import SgxMachine, Signing, TdxMachine
from verifiers.dcap import quote, report
from verifiers.dcap.quote import BodyType, TeeType
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import TeeKind

DATA = bytes(range(64))
V4 = TdxMachine().quote(DATA)
V5 = TdxMachine(version=5).quote(DATA)
V5EX = TdxMachine(version=5, body="1.5ex").quote(DATA)
SGX = SgxMachine().quote(DATA)
ALL = {"v4": V4, "v5": V5, "v5ex": V5EX, "sgx": SGX}


def reason(raw: bytes) -> str:
    with pytest.raises(EvidenceFormatError) as caught:
        quote.parse(raw)
    return caught.value.reason


def put(raw: bytes, offset: int, value: int, size: int) -> bytes:
    return raw[:offset] + value.to_bytes(size, "little") + raw[offset + size :]


@pytest.mark.parametrize(
    ("raw", "kind", "version", "tee", "body", "signed"),
    [
        pytest.param(V4, TeeKind.TDX, 4, TeeType.TDX, BodyType.TD_REPORT_1_0, 632, id="v4"),
        pytest.param(V5, TeeKind.TDX, 5, TeeType.TDX, BodyType.TD_REPORT_1_5, 702, id="v5"),
        pytest.param(V5EX, TeeKind.TDX, 5, TeeType.TDX, BodyType.TD_REPORT_1_5_EXTENDED, 939, id="v5ex"),
        pytest.param(SGX, TeeKind.SGX, 3, TeeType.SGX, BodyType.SGX_ENCLAVE, 432, id="sgx"),
    ],
)
def test_good(raw: bytes, kind: TeeKind, version: int, tee: TeeType, body: BodyType, signed: int) -> None:
    found = quote.parse(raw)
    assert (found.kind, found.header.version, found.header.tee_type, found.body_type) == (
        kind,
        version,
        tee,
        body,
    )
    assert found.signed == raw[:signed]
    assert found.raw == raw == quote.write(found)
    assert found.padding == 0
    assert found.signature_data.certification_type == 5


@pytest.mark.parametrize("raw", ALL.values(), ids=ALL)
def test_every_truncation_is_refused(raw: bytes) -> None:
    assert reason(b"") == Reason.EVIDENCE_EMPTY
    assert {reason(raw[:size]) for size in (*range(1, 1400), *range(len(raw) - 70, len(raw)))} == {
        Reason.BAD_LENGTH
    }


@pytest.mark.parametrize("raw", ALL.values(), ids=ALL)
@pytest.mark.parametrize("size", [1, 70, quote.MAX_PADDED])
def test_zero_padding_is_dropped(raw: bytes, size: int) -> None:
    size = min(size, quote.MAX_PADDED - len(raw))
    found = quote.parse(raw + bytes(size))
    assert found.raw == raw
    assert found.padding == size


@pytest.mark.parametrize("raw", ALL.values(), ids=ALL)
def test_padding_has_a_bound(raw: bytes) -> None:
    room = quote.MAX_PADDED - len(raw)
    assert quote.parse(raw + bytes(room)).padding == room
    assert reason(raw + bytes(room + 1)) == Reason.TRAILING_DATA


@pytest.mark.parametrize("tail", [b"\1", bytes(10) + b"\1", b"\1" + bytes(10)])
def test_a_tail_that_is_not_zero(tail: bytes) -> None:
    assert reason(V4 + tail) == Reason.TRAILING_DATA


def test_size_limit() -> None:
    assert reason(V4 + bytes(quote.MAX_INPUT - len(V4))) == Reason.TRAILING_DATA
    assert reason(V4 + bytes(quote.MAX_INPUT - len(V4) + 1)) == Reason.EVIDENCE_TOO_LARGE


@pytest.mark.parametrize("version", [0, 1, 2, 6, 9, 0xFFFF])
def test_version(version: int) -> None:
    assert reason(put(V4, 0, version, 2)) == Reason.UNSUPPORTED_VERSION


@pytest.mark.parametrize("key_type", [0, 1, 3, 5, 0xFFFF])
def test_attestation_key_type(key_type: int) -> None:
    assert reason(put(V4, 2, key_type, 2)) == Reason.UNSUPPORTED_KEY_TYPE


@pytest.mark.parametrize(
    ("raw", "tee"), [(V4, 0), (V4, 0x82), (V5, 0), (SGX, 0x81), (SGX, 0x100), (V4, 0x10081)]
)
def test_tee_type_must_fit_the_version(raw: bytes, tee: int) -> None:
    assert reason(put(raw, 4, tee, 4)) == Reason.UNSUPPORTED_TEE


@pytest.mark.parametrize("body_type", [0, 1, 5, 0xFFFF])
def test_unknown_body_type(body_type: int) -> None:
    assert reason(put(V5, 48, body_type, 2)) == Reason.BAD_VALUE


@pytest.mark.parametrize(
    ("body_type", "size"), [(2, 648), (3, 584), (3, 647), (3, 649), (4, 648), (3, 2**31)]
)
def test_body_type_and_size_must_agree(body_type: int, size: int) -> None:
    assert reason(put(put(V5, 48, body_type, 2), 50, size, 4)) == Reason.BAD_LENGTH


@pytest.mark.parametrize("outer", [0, 1, 5, 7])
def test_outer_certification_type(outer: int) -> None:
    assert reason(TdxMachine().quote(DATA, signing=Signing(outer_type=outer))) == Reason.BAD_VALUE


@pytest.mark.parametrize("inner", [0, 6, 8, 0xFFFF])
def test_inner_certification_type(inner: int) -> None:
    assert reason(TdxMachine().quote(DATA, signing=Signing(certification_type=inner))) == Reason.BAD_VALUE


@pytest.mark.parametrize("inner", [1, 2, 3, 4, 7])
def test_other_certification_data_is_kept(inner: int) -> None:
    raw = TdxMachine().quote(DATA, signing=Signing(certification_type=inner, certification=b"x" * 9))
    found = quote.parse(raw)
    assert found.signature_data.certification_data == b"x" * 9
    assert quote.write(found) == raw


@pytest.mark.parametrize(
    ("raw", "offset", "size", "wrong"),
    [
        pytest.param(V4, 632, 4, {-1: Reason.BAD_LENGTH, 1: Reason.BAD_LENGTH}, id="signature-data"),
        pytest.param(V4, 632 + 4 + 130, 4, {-1: Reason.TRAILING_DATA, 1: Reason.BAD_LENGTH}, id="outer"),
        pytest.param(SGX, 432, 4, {-1: Reason.BAD_LENGTH, 1: Reason.BAD_LENGTH}, id="sgx-signature-data"),
    ],
)
def test_sizes_off_by_one(raw: bytes, offset: int, size: int, wrong: dict[int, Reason]) -> None:
    declared = int.from_bytes(raw[offset : offset + size], "little")
    for change, expected in wrong.items():
        assert reason(put(raw, offset, declared + change, size)) == expected


def test_inner_size_leaves_nothing_over() -> None:
    offset = V4.index(b"-----BEGIN") - 4
    declared = int.from_bytes(V4[offset : offset + 4], "little")
    assert reason(put(V4, offset, declared - 1, 4)) == Reason.TRAILING_DATA
    assert reason(put(V4, offset, declared + 1, 4)) == Reason.BAD_LENGTH
    assert reason(put(V4, offset, 0xFFFFFFFF, 4)) == Reason.BAD_LENGTH


def test_the_layouts_have_no_overlap_and_end_at_their_size() -> None:
    for layout, size in ((quote.HEADER, quote.HEADER_SIZE), (report.LAYOUT, report.SIZE)):
        end = 0
        for field in layout:
            assert field.offset == end, field.name
            end += field.size
        assert end == size
