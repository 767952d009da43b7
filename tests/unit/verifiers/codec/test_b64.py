"""One spelling for each value."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.codec import b64
from verifiers.errors import EvidenceFormatError, Reason


@given(st.binary(max_size=200))
def test_round_trip(raw: bytes) -> None:
    assert b64.decode_url(b64.encode_url(raw), "x", limit=200) == raw


@given(st.text(alphabet="AQgwz09-_+/= \n\0é", max_size=12))
def test_accepted_is_what_encodes_to_the_same_text(text: str) -> None:
    """Against the standard library's lenient reading."""

    def accepted(decode: Any) -> bytes | None:
        try:
            return bytes(decode(text, "x", limit=16))
        except EvidenceFormatError:
            return None

    ascii_text = text.encode("ascii", "replace").decode()
    for decode, lenient in (
        (b64.decode_url, lambda t: base64.urlsafe_b64decode(t + "===")),
        (b64.decode_standard, base64.b64decode),
    ):
        try:
            raw = lenient(ascii_text)
        except ValueError:
            assert accepted(decode) is None
            continue
        spelled = base64.b64encode(raw).decode()
        if decode is b64.decode_url:
            spelled = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        assert accepted(decode) == (raw if spelled == text else None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("AA==", Reason.BAD_ENCODING, id="padding"),
        pytest.param("+/+/", Reason.BAD_ENCODING, id="standard-alphabet"),
        pytest.param("AB", Reason.BAD_ENCODING, id="spare-bits"),
        pytest.param("A", Reason.BAD_ENCODING, id="impossible-length"),
        pytest.param("AA\n", Reason.BAD_ENCODING, id="newline"),
        pytest.param(" AAAA", Reason.BAD_ENCODING, id="space"),
        pytest.param("ÄÄ", Reason.BAD_ENCODING, id="not-ascii"),
        pytest.param(7, Reason.BAD_VALUE, id="number"),
        pytest.param(None, Reason.BAD_VALUE, id="null"),
        pytest.param("A" * 200, Reason.EVIDENCE_TOO_LARGE, id="too-long"),
    ],
)
def test_refused(text: object, reason: Reason) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        b64.decode_url(text, "x", limit=16)
    assert caught.value.reason == reason


@pytest.mark.parametrize("text", ["AA", "AB==", "AA=", "A A=", "-_-_"])
def test_standard_alphabet_is_as_strict(text: str) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        b64.decode_standard(text, "x", limit=16)
    assert caught.value.reason == Reason.BAD_ENCODING


def test_standard_alphabet() -> None:
    assert b64.decode_standard("+/8=", "x", limit=16) == b"\xfb\xff"
