"""Packed rows answer as the dictionary does from which they were made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.packed import PACK_FROM, PackedRows, pack
from policies.references import build_index
from policies.vocabulary import Role
from tests.unit.policies.support import documents
from verifiers.model import TeeKind

ROWS = st.dictionaries(
    st.tuples(st.binary(min_size=2, max_size=2), st.binary(min_size=1, max_size=1)), st.text(min_size=1)
)


@given(ROWS, st.tuples(st.binary(max_size=3), st.binary(max_size=2)))
def test_the_same_answers(rows: dict[tuple[bytes, bytes], str], other: tuple[bytes, bytes]) -> None:
    packed = PackedRows((2, 1), ((b"".join(key), name) for key, name in rows.items()))
    assert dict(packed) == rows and len(packed) == len(rows)
    assert packed.get(other) == rows.get(other)


@pytest.mark.parametrize(
    "key", [None, (), (b"ab",), (b"ab", None), (b"ab", "c"), (b"abc",), (b"a", b"bc"), ("ab", b"c")]
)
def test_what_is_no_row_finds_nothing(key: object) -> None:
    assert PackedRows((2, 1), [(b"abc", "x")]).get(key) is None


def test_the_first_of_equal_rows_counts_and_widths_are_checked() -> None:
    assert PackedRows((1,), [(b"a", "x"), (b"a", "y")])[(b"a",)] == "x"
    with pytest.raises(ValueError, match="a row has 1 bytes, not 2"):
        PackedRows((1,), [(b"ab", "x")])


def test_few_and_mixed_rows_stay_as_they_are() -> None:
    few = {(bytes([n]),): "x" for n in range(9)}
    assert pack(few) is few
    mixed: dict[tuple[object, ...], str] = {(n.to_bytes(2, "big"),): "x" for n in range(PACK_FROM)} | {
        (1,): "y"
    }
    assert pack(mixed) is mixed
    wide: dict[tuple[object, ...], str] = {(n.to_bytes(2, "big"),): "x" for n in range(PACK_FROM)} | {
        (b"abc",): "y"
    }
    assert pack(wide) is wide


def test_a_large_set_is_packed() -> None:
    lines = "".join(f'  - id: e{n}\n    snp.measurement: "{n:096x}"\n' for n in range(PACK_FROM))
    text = (
        "sealgate: reference-values/1\nname: big\nversion: 1\nowner: x\n"
        "valid: {from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z}\nentries:\n" + lines
    )
    (found,) = documents(text)
    (shape,) = found.index.entries[Role.GUEST, TeeKind.SEV_SNP]  # type: ignore[union-attr]
    assert isinstance(shape.rows, PackedRows)
    assert shape.rows.get(((7).to_bytes(48, "big"),)) == "e7"
    assert build_index(found.entries, ()).entries.keys() == found.index.entries.keys()  # type: ignore[union-attr]
