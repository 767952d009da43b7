"""Bounded CBOR: one spelling for each value, and limits before allocation."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.codec import cbor
from verifiers.errors import EvidenceFormatError, Reason

TAG = 1668612070


def loads(raw: bytes, **options: int) -> object:
    return cbor.loads(raw, "x", limit=1024, tags=frozenset({TAG}), **options)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("00", 0),
        ("1817", None),
        ("1818", 24),
        ("1a00010000", 65536),
        ("20", -1),
        ("40", b""),
        ("4161", b"a"),
        ("6161", "a"),
        ("80", []),
        ("a0", {}),
        ("a2016161026162", {1: "a", 2: "b"}),
        ("83f4f5f6", [False, True, None]),
    ],
)
def test_reads_what_a_strict_encoder_writes(raw: str, value: object) -> None:
    if value is None:
        with pytest.raises(EvidenceFormatError) as caught:
            loads(bytes.fromhex(raw))
        assert caught.value.reason == Reason.BAD_ENCODING
    else:
        assert loads(bytes.fromhex(raw)) == value


def test_a_tag_is_read_where_it_was_allowed() -> None:
    assert loads(cbor2.dumps(cbor2.CBORTag(TAG, b"x"))) == cbor.Tag(TAG, b"x")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param("", Reason.EVIDENCE_EMPTY, id="empty"),
        pytest.param("0000", Reason.TRAILING_DATA, id="trailing"),
        pytest.param("18", Reason.BAD_LENGTH, id="head-cut"),
        pytest.param("4261", Reason.BAD_LENGTH, id="string-cut"),
        pytest.param("8200", Reason.BAD_LENGTH, id="array-cut"),
        pytest.param("9bffffffffffffffff", Reason.BAD_LENGTH, id="array-of-2^64"),
        pytest.param("5bffffffffffffffff", Reason.BAD_LENGTH, id="string-of-2^64"),
        pytest.param("bbffffffffffffffff", Reason.BAD_LENGTH, id="map-of-2^64"),
        pytest.param("9fff", Reason.BAD_ENCODING, id="indefinite-array"),
        pytest.param("bfff", Reason.BAD_ENCODING, id="indefinite-map"),
        pytest.param("5f4161ff", Reason.BAD_ENCODING, id="indefinite-bytes"),
        pytest.param("ff", Reason.BAD_ENCODING, id="break-alone"),
        pytest.param("1c", Reason.BAD_ENCODING, id="reserved-head"),
        pytest.param("1800", Reason.BAD_ENCODING, id="long-head-1"),
        pytest.param("1900ff", Reason.BAD_ENCODING, id="long-head-2"),
        pytest.param("1a0000ffff", Reason.BAD_ENCODING, id="long-head-4"),
        pytest.param("1b00000000ffffffff", Reason.BAD_ENCODING, id="long-head-8"),
        pytest.param("580161", Reason.BAD_ENCODING, id="long-string-head"),
        pytest.param("61ff", Reason.BAD_ENCODING, id="not-utf-8"),
        pytest.param("a2616100616101", Reason.DUPLICATE, id="text-key-twice"),
        pytest.param("a201000101", Reason.DUPLICATE, id="integer-key-twice"),
        pytest.param("a1f500", Reason.BAD_VALUE, id="true-as-key"),
        pytest.param("a1416100", Reason.BAD_VALUE, id="bytes-as-key"),
        pytest.param("a1800000", Reason.BAD_VALUE, id="array-as-key"),
        pytest.param("f7", Reason.BAD_VALUE, id="undefined"),
        pytest.param("f0", Reason.BAD_VALUE, id="simple-16"),
        pytest.param("f820", Reason.BAD_VALUE, id="simple-32"),
        pytest.param("f90014", Reason.BAD_VALUE, id="half-float-that-looks-like-false"),
        pytest.param("fb7ff8000000000000", Reason.BAD_VALUE, id="nan"),
        pytest.param("c000", Reason.BAD_VALUE, id="other-tag"),
        pytest.param("d81c80", Reason.BAD_VALUE, id="shared-reference-tag"),
        pytest.param("c24100", Reason.BAD_VALUE, id="bignum"),
    ],
)
def test_everything_else_is_refused(raw: str, reason: Reason) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        loads(bytes.fromhex(raw))
    assert caught.value.reason == reason


@pytest.mark.parametrize(("depth", "fine"), [(3, True), (4, True), (5, False)])
def test_depth_is_counted_before_decoding(depth: int, fine: bool) -> None:
    raw = b"\x81" * depth + b"\x00"
    if fine:
        assert loads(raw, max_depth=4) is not None
    else:
        with pytest.raises(EvidenceFormatError) as caught:
            loads(raw, max_depth=4)
        assert caught.value.reason == Reason.TOO_DEEP


@pytest.mark.parametrize(("items", "fine"), [(8, True), (9, True), (10, False)])
def test_items_are_counted_before_decoding(items: int, fine: bool) -> None:
    raw = bytes([0x80 | items]) + bytes(items)
    if fine:
        assert loads(raw, max_items=10) == [0] * items
    else:
        with pytest.raises(EvidenceFormatError) as caught:
            loads(raw, max_items=10)
        assert caught.value.reason == Reason.EVIDENCE_TOO_LARGE


def test_size_is_checked_first() -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        cbor.loads(bytes(11), "x", limit=10)
    assert caught.value.reason == Reason.EVIDENCE_TOO_LARGE


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.text(max_size=6) | st.integers(0, 999), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_a_strict_encoder_is_always_understood(value: object) -> None:
    raw = cbor2.dumps(value)
    assert cbor.loads(raw, "x", limit=len(raw)) == value


@given(st.binary(max_size=200))
def test_bytes_give_a_value_or_our_own_error(raw: bytes) -> None:
    try:
        cbor.loads(raw, "x", limit=100, tags=range(2**64))
    except EvidenceFormatError as error:
        assert error.where.startswith("x")
