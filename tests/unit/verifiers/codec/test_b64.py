"""One spelling for each value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.codec import b64
from verifiers.errors import EvidenceFormatError, Reason


@given(st.binary(max_size=200))
def test_round_trip(raw: bytes) -> None:
    assert b64.decode_url(b64.encode_url(raw), "x", limit=200) == raw


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
