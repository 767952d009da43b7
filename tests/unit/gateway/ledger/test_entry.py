"""Entries have one form."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import record
from gateway.ledger.chain import extend, genesis
from gateway.ledger.entry import MAX_BODY, MAX_DEPTH, Entry, canonical, decode, encode
from verifiers.model import Verdict

AT = datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC)
ENTRY = Entry(index=0, at=AT, tenant="acme", kind="release.intent", body={"path": "a/b", "n": 1})
STORE = "00" * 16


def test_an_entry_has_these_bytes() -> None:
    assert encode(ENTRY) == (
        b'{"at":"2026-07-01T12:00:00.000005Z","body":{"n":1,"path":"a/b"},"index":0,'
        b'"kind":"release.intent","tenant":"acme","v":1}'
    )


def test_a_time_is_written_in_utc() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=2)))
    assert encode(replace(ENTRY, at=elsewhere)) == encode(ENTRY)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_what_was_written_is_read_back(body: dict[str, Any]) -> None:
    entry = replace(ENTRY, body=body)
    assert decode(encode(entry)) == entry


def plainly(value: object) -> bytes:
    """The canonical form as the module's docstring says it, by the standard library."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_the_form_is_the_standard_librarys_and_another_order_is_as_long(body: dict[str, Any]) -> None:
    assert canonical(body) == plainly(body)
    assert len(record.encode(body)) == len(canonical(body))


def test_no_character_is_written_in_another_way() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(characters), 4096):
        body = {character: character for character in reversed(characters[start : start + 4096])}
        assert canonical(body) == plainly(body)
    far_apart = dict.fromkeys("\U0010ffff\uffff\ue000ࠀ\x7f\x80A", 0)
    assert canonical(far_apart) == plainly(far_apart)


def test_enums_and_tuples_are_written_as_what_they_stand_for() -> None:
    assert canonical({"verdict": Verdict.REFUSED, "list": (1, 2)}) == b'{"list":[1,2],"verdict":"refused"}'


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"at": AT.replace(tzinfo=None)}, id="naive-time"),
        pytest.param({"kind": "release"}, id="kind-of-one-word"),
        pytest.param({"kind": "Release.intent"}, id="kind-in-capitals"),
        pytest.param({"kind": "a." + "b" * 63}, id="kind-of-65"),
        pytest.param({"tenant": "a b"}, id="tenant-with-space"),
        pytest.param({"tenant": "a" * 65}, id="tenant-of-65"),
        pytest.param({"index": -1}, id="index-below-0"),
        pytest.param({"body": {"x": 1.5}}, id="float"),
        pytest.param({"body": {"x": b"raw"}}, id="bytes"),
        pytest.param({"body": {1: "x"}}, id="key-is-a-number"),
        pytest.param({"body": {"x": 2**53}}, id="integer-too-large"),
        pytest.param({"body": {"x": "\ud800"}}, id="lone-surrogate"),
        pytest.param({"body": ["x"]}, id="body-is-a-list"),
    ],
)
def test_what_an_entry_cannot_hold_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode(replace(ENTRY, **change))


@pytest.mark.parametrize(("size", "good"), [(MAX_BODY - 1, True), (MAX_BODY, True), (MAX_BODY + 1, False)])
def test_a_body_has_at_most_16_kib(size: int, good: bool) -> None:
    body = {"x": "a" * (size - len('{"x":""}'))}
    if good:
        assert decode(encode(replace(ENTRY, body=body))).body == body
    else:
        with pytest.raises(ValueError, match="16384"):
            encode(replace(ENTRY, body=body))


@pytest.mark.parametrize(
    ("depth", "good"), [(MAX_DEPTH - 1, True), (MAX_DEPTH, True), (MAX_DEPTH + 1, False)]
)
def test_a_body_has_at_most_12_levels(depth: int, good: bool) -> None:
    body: Any = "x"
    for _ in range(depth):
        body = {"x": body}
    if good:
        assert decode(encode(replace(ENTRY, body=body))).body == body
    else:
        with pytest.raises(ValueError, match="levels"):
            encode(replace(ENTRY, body=body))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b'{"at"', b'{ "at"', id="space"),
        pytest.param(b'"index":0', b'"index":00', id="number-form"),
        pytest.param(b'"v":1', b'"v":true', id="true-for-one"),
        pytest.param(b'"v":1', b'"v":2', id="version"),
        pytest.param(b'"v":1', b'"v":1,"w":1', id="member-more"),
        pytest.param(b',"v":1', b"", id="member-less"),
        pytest.param(b'"a/b"', b'"a\\/b"', id="needless-escape"),
        pytest.param(b".000005Z", b".5Z", id="short-fraction"),
        pytest.param(b".000005Z", b".000005+00:00", id="offset"),
        pytest.param(b'{"n":1,"path":"a/b"}', b'{"path":"a/b","n":1}', id="unsorted"),
        pytest.param(b'"n":1', b'"n":1,"n":1', id="duplicate"),
        pytest.param(b'"n":1', b'"n":1.0', id="float"),
        pytest.param(b'"index":0', b'"index":"0"', id="index-as-text"),
    ],
)
def test_another_form_is_no_entry(before: bytes, after: bytes) -> None:
    raw = encode(ENTRY)
    assert raw.count(before) == 1
    with pytest.raises(ValueError, match=r"entry|does not match"):
        decode(raw.replace(before, after))


def test_the_chain_is_as_documented() -> None:
    first = hashlib.sha256(b"sealgate/1 ledger genesis\0" + STORE.encode()).digest()
    raw = encode(ENTRY)
    assert genesis(STORE) == first
    assert extend(first, raw) == hashlib.sha256(b"sealgate/1 ledger entry\0" + first + raw).digest()
    with pytest.raises(ValueError, match="32"):
        extend(first[:31], raw)
