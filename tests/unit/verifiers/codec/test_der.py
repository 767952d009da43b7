"""The strict DER reader: X.690 section 10 and nothing more lenient."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.codec import der
from verifiers.errors import EndorsementFormatError, Reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("02", id="no-length"),
        pytest.param("0201", id="no-content"),
        pytest.param("02810105", id="long-form-where-short-does"),
        pytest.param("0282000105", id="leading-zero-length"),
        pytest.param("0280050000", id="indefinite-length"),
        pytest.param("0285000000000105", id="five-length-octets"),
        pytest.param("1f8101", id="high-tag-number"),
        pytest.param("02010500", id="trailing"),
        pytest.param("04010500", id="other-tag"),
    ],
)
def test_only_refuses(text: str) -> None:
    with pytest.raises(EndorsementFormatError) as caught:
        der.only(bytes.fromhex(text), der.INTEGER, "x")
    assert caught.value.reason == Reason.CERTIFICATE_MALFORMED


@pytest.mark.parametrize(
    ("text", "value"),
    [("020100", 0), ("02017f", 127), ("02020080", 128), ("020200d1", 209), ("020200ff", 255)],
)
def test_integer(text: str, value: int) -> None:
    assert der.integer(der.only(bytes.fromhex(text), der.INTEGER, "x"), "x", low=0, high=255) == value


@pytest.mark.parametrize(
    "text",
    ["0200", "02020001", "0202007f", "0202ff80", "0201ff", "02020100"],
)
def test_integer_refuses(text: str) -> None:
    with pytest.raises(EndorsementFormatError):
        der.integer(der.only(bytes.fromhex(text), der.INTEGER, "x"), "x", low=0, high=255)


@pytest.mark.parametrize(
    ("text", "dotted"),
    [
        ("060a2b060104019c78010301", "1.3.6.1.4.1.3704.1.3.1"),
        ("060a2a864886f84d010d0102", "1.2.840.113741.1.13.1.2"),
        ("0603550403", "2.5.4.3"),
        ("06028837", "2.999"),
    ],
)
def test_oid(text: str, dotted: str) -> None:
    assert der.oid(der.only(bytes.fromhex(text), der.OID, "x"), "x") == dotted


@pytest.mark.parametrize("text", ["0600", "060180", "06022b80", "06032b8001"])
def test_oid_refuses(text: str) -> None:
    with pytest.raises(EndorsementFormatError):
        der.oid(der.only(bytes.fromhex(text), der.OID, "x"), "x")


@pytest.mark.parametrize(("text", "value"), [("0101ff", True), ("010100", False)])
def test_boolean(text: str, value: bool) -> None:
    assert der.boolean(der.only(bytes.fromhex(text), der.BOOLEAN, "x"), "x") is value


def test_boolean_refuses_other_octets() -> None:
    with pytest.raises(EndorsementFormatError):
        der.boolean(der.only(bytes.fromhex("010101"), der.BOOLEAN, "x"), "x")


def test_children_are_counted() -> None:
    three = bytes.fromhex("020101020102020103")
    assert [child.value for child in der.children(three, "x", limit=3)] == [b"\1", b"\2", b"\3"]
    with pytest.raises(EndorsementFormatError):
        der.children(three, "x", limit=2)


@given(st.binary(max_size=64))
def test_what_is_read_is_what_was_there(raw: bytes) -> None:
    try:
        tlv, end = der.read(raw, "x")
    except EndorsementFormatError:
        return
    assert raw[:end] == tlv.raw
    assert tlv.raw.endswith(tlv.value)
