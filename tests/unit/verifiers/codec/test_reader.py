"""Layout tables and the reader that cannot run past its end."""

from __future__ import annotations

import pytest

from verifiers.codec.reader import Field, Reader, cut
from verifiers.errors import EvidenceFormatError, Reason

LAYOUT = (Field("A", 0, 2), Field("B", 2, 1))


@pytest.mark.parametrize("size", [0, 2, 4])
def test_cut_wants_the_exact_size(size: int) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        cut(bytes(size), LAYOUT, 3, "thing")
    assert (caught.value.reason, caught.value.expected, caught.value.found) == (
        Reason.BAD_LENGTH, "3 bytes", f"{size} bytes",
    )  # fmt: skip


def test_cut() -> None:
    assert cut(b"abc", LAYOUT, 3, "thing") == {"A": b"ab", "B": b"c"}


def test_reader_reads_little_endian_and_stops_at_the_end() -> None:
    reader = Reader(bytes.fromhex("0100020000000a"), "thing")
    assert (reader.u16("x"), reader.u32("y"), reader.offset, reader.left) == (1, 2, 6, 1)
    with pytest.raises(EvidenceFormatError) as caught:
        reader.take(2, "z")
    assert (caught.value.reason, caught.value.where) == (Reason.BAD_LENGTH, "thing.z")
    with pytest.raises(EvidenceFormatError) as caught:
        reader.end()
    assert caught.value.reason == Reason.TRAILING_DATA
    assert reader.rest() == b"\x0a"
    reader.end()
