"""JSON with one reading only."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.codec import strictjson
from verifiers.errors import AttestationError, EvidenceFormatError, Reason

LIMIT = 10_000


def load(raw: bytes, **kw: int) -> object:
    return strictjson.loads(raw, "doc", limit=kw.pop("limit", LIMIT), **kw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"", Reason.EVIDENCE_EMPTY, id="empty"),
        pytest.param(b" \n\t", Reason.EVIDENCE_EMPTY, id="white-space"),
        pytest.param(b'{"a":1,"a":1}', Reason.DUPLICATE, id="duplicate-key"),
        pytest.param(b'{"x":{"a":1,"\\u0061":2}}', Reason.DUPLICATE, id="duplicate-key-escaped"),
        pytest.param(b"NaN", Reason.BAD_VALUE, id="nan"),
        pytest.param(b"[-Infinity]", Reason.BAD_VALUE, id="infinity"),
        pytest.param(b"1e999", Reason.BAD_VALUE, id="overflowing-float"),
        pytest.param(b"9" * 41, Reason.BAD_VALUE, id="absurd-integer"),
        pytest.param(b"{} {}", Reason.BAD_VALUE, id="trailing-data"),
        pytest.param(b'{"a":1,}', Reason.BAD_VALUE, id="trailing-comma"),
        pytest.param(b'{"a":', Reason.BAD_VALUE, id="truncated"),
        pytest.param(b"\xff\xfe{}", Reason.BAD_ENCODING, id="utf-16"),
        pytest.param(b'"\\ud800"', Reason.BAD_ENCODING, id="lone-surrogate"),
        pytest.param(b'{"\\udfff":1}', Reason.BAD_ENCODING, id="lone-surrogate-key"),
        pytest.param(b"'a'", Reason.BAD_VALUE, id="single-quotes"),
    ],
)
def test_refused(raw: bytes, reason: Reason) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        load(raw)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("depth", "fine"), [(31, True), (32, True), (33, False), (100_000, False)])
def test_depth_is_bounded_before_parsing(depth: int, fine: bool) -> None:
    raw = b"[" * depth + b"]" * depth
    if fine:
        assert load(raw) is not None
        return
    with pytest.raises(EvidenceFormatError) as caught:
        strictjson.loads(raw, "doc", limit=1_000_000)
    assert caught.value.reason == Reason.TOO_DEEP


def test_brackets_inside_strings_are_not_depth() -> None:
    assert load(b'["' + b"[" * 100 + b'\\""]') == ["[" * 100 + '"']


@pytest.mark.parametrize(("size", "fine"), [(99, True), (100, True), (101, False)])
def test_size_limit(size: int, fine: bool) -> None:
    raw = b'"' + b"a" * (size - 2) + b'"'
    if fine:
        assert load(raw, limit=100) == "a" * (size - 2)
        return
    with pytest.raises(EvidenceFormatError) as caught:
        load(raw, limit=100)
    assert caught.value.reason == Reason.EVIDENCE_TOO_LARGE


@pytest.mark.parametrize("piece", [b'"', b'"\\', b'["', b'"a\\"', b"\\", b'{"":'])
def test_a_megabyte_of_open_strings_is_refused_in_one_pass(piece: bytes) -> None:
    """A scan that starts over at every quote would take hours here."""
    with pytest.raises(EvidenceFormatError):
        strictjson.loads(piece * (1_000_000 // len(piece)), "doc", limit=2_000_000)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_agrees_with_the_standard_parser_on_what_it_accepts(value: object) -> None:
    raw = json.dumps(value).encode()
    try:
        assert load(raw) == value
    except EvidenceFormatError as error:
        assert error.reason == Reason.BAD_ENCODING  # lone surrogates


@given(st.binary(max_size=200))
def test_never_anything_but_our_error(raw: bytes) -> None:
    try:
        load(raw)
    except AttestationError as error:
        assert error.reason


@given(st.dictionaries(st.sampled_from(["a", "b", "tcbInfo", "signature"]), values, min_size=1), st.data())
def test_member_bytes_are_the_bytes_of_that_member(document: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(document)))
    indent = data.draw(st.sampled_from([None, 1]))
    raw = json.dumps(document, indent=indent).encode()
    piece = strictjson.member_bytes(raw, name, "doc")
    assert piece in raw
    assert json.loads(piece) == document[name]


def test_member_bytes_sees_the_top_level_only() -> None:
    with pytest.raises(EvidenceFormatError):
        strictjson.member_bytes(b'{"x":{"tcbInfo":1}}', "tcbInfo", "doc")
