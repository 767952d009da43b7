"""Different names never give the same authenticated bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.encoding import fields, u64
from gateway.keys import bound
from gateway.secrets import associated_data

# Few letters and short texts, so that generated pairs nearly collide; a zero byte among them.
parts = st.lists(st.text("a\0", max_size=4).map(str.encode), max_size=4)
labels = st.text("ab", min_size=1, max_size=3).map(str.encode)
names = st.text("a/.\0", max_size=4)
places = st.tuples(names, names, st.integers(0, 3), names)


@given(labels, parts, labels, parts)
def test_fields_is_injective(a: bytes, one: list[bytes], b: bytes, other: list[bytes]) -> None:
    assert (fields(a, *one) == fields(b, *other)) == ((a, one) == (b, other))


@given(places, places)
def test_no_two_places_of_a_secret_share_their_bytes(
    one: tuple[str, str, int, str], other: tuple[str, str, int, str]
) -> None:
    first = bound(one[3], associated_data(one[0], one[1], one[2]))
    second = bound(other[3], associated_data(other[0], other[1], other[2]))
    assert (first == second) == (one == other)


def test_the_layout_is_as_documented() -> None:
    assert fields(b"l", b"ab", b"") == b"l\x00\x02\x00\x00\x00\x02ab\x00\x00\x00\x00"
    assert u64(258) == b"\0\0\0\0\0\0\1\2"


@pytest.mark.parametrize("label", [b"", b"a\0b"])
def test_a_label_that_could_be_read_two_ways_is_refused(label: bytes) -> None:
    with pytest.raises(ValueError, match="label"):
        fields(label)


def test_there_are_at_most_255_parts() -> None:
    assert len(fields(b"l", *[b""] * 255)) == 2 + 1 + 4 * 255
    with pytest.raises(ValueError, match="255"):
        fields(b"l", *[b""] * 256)
