"""CSV and JSON of reference values: one reading, errors with line and column, and back again as they were."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import tables
from policies.drafts import About
from policies.errors import PolicyError
from verifiers.claims import BY_NAME
from verifiers.errors import AttestationError

ABOUT = About(
    name="guests",
    version=1,
    owner="platform@acme.example",
    valid_from=datetime(2026, 6, 1, tzinfo=UTC),
    valid_until=datetime(2027, 6, 1, tzinfo=UTC),
)
M = "ab" * 48
GOOD = f'id,snp.measurement,note\na,{M},"said ""so"", once"\nb,base64:{"q" * 64},\n'


def test_csv_takes_what_a_document_takes() -> None:
    found = tables.from_csv(GOOD.encode(), "x.csv", ABOUT, BY_NAME)
    first, second = found.entries
    assert first.claims == {"snp.measurement": bytes.fromhex(M)}
    assert first.notes == (("note", 'said "so", once'),)
    assert len(second.claims["snp.measurement"]) == 48 and second.notes == ()  # type: ignore[arg-type]


BAD = {
    "nothing": ("", 1, 1, "empty"),
    "a header alone": ("id,snp.measurement\n", 1, 1, "empty"),
    "a claim nobody has": (f"id,snp.measurment\na,{M}\n", 1, 4, "claim-unknown"),
    "a column twice": (f"id,id\na,{M}\n", 1, 4, "key"),
    "a short row": (f"id,snp.measurement\na,{M}\nb\n", 3, 1, "csv"),
    "a short digest": ("id,snp.measurement\na,abcd\n", 2, 3, "digest-length"),
    "no digest": (f"id,snp.measurement\na,{'x' * 96}\n", 2, 3, "digest"),
    "an open quote": (f'id,snp.measurement\n"a,{M}\n', 2, 1, "csv"),
    "a quote inside": (f'id,snp.measurement\na"b,{M}\n', 2, 1, "csv"),
    "behind a quote": (f'id,snp.measurement\n"a"b,{M}\n', 2, 4, "csv"),
    "a control character": (f"id,snp.measurement\na\x07,{M}\n", 2, 2, "character"),
    "an id twice": (f"id,snp.measurement\na,{M}\na,{'cd' * 48}\n", 3, 1, "duplicate-id"),
    "values twice": (f"id,snp.measurement\na,{M}\nb,{M}\n", 3, 1, "duplicate-entry"),
    "no id": (f"snp.measurement\n{M}\n", 2, 1, "missing-key"),
    "an entry that identifies nothing": ("id,snp.guest_svn\na,1\n", 2, 1, "entry-empty"),
}


@pytest.mark.parametrize("text, line, column, code", BAD.values(), ids=list(BAD))
def test_csv_errors_say_where(text: str, line: int, column: int, code: str) -> None:
    with pytest.raises(PolicyError) as error:
        tables.from_csv(text.encode(), "x.csv", ABOUT, BY_NAME)
    assert (error.value.line, error.value.column) == (line, column)
    assert error.value.reason == f"policy.{code}"


def test_json_errors_say_where() -> None:
    raw = b'[\n {"id": "a",\n  "snp.measurement": "abcd"}\n]'
    with pytest.raises(PolicyError) as error:
        tables.from_json(raw, "x.json", ABOUT, BY_NAME)
    assert (error.value.line, error.value.reason) == (3, "policy.digest-length")


@pytest.mark.parametrize(
    "raw", [b"", b"[", b"3", b"[3]", b"[]", b'[{"id": "a", "id": "b"}]', b"a: b", b'{"sealgate": "x/1"}']
)
def test_json_that_is_no_set_is_refused(raw: bytes) -> None:
    with pytest.raises(AttestationError):
        tables.from_json(raw, "x.json", ABOUT, BY_NAME)


digest = st.binary(min_size=48, max_size=48)
rows = st.fixed_dictionaries(
    {"snp.measurement": digest.map(lambda raw: raw.hex())},
    optional={
        "note": st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=40),
        "snp.policy": st.integers(0, 2**64 - 1).map(hex),
        "snp.policy.debug": st.sampled_from(["true", "false"]),
        "snp.policy.abi": st.just("1.55"),
        "init_data.digest": digest.map(lambda raw: f"sha384:{raw.hex()}"),
    },
)


@given(st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row["snp.measurement"]))
def test_a_set_comes_back_as_it_was(values: list[dict[str, str]]) -> None:
    names = list(dict.fromkeys(key for row in values for key in row))
    lines = [["id", *names], *([f"e-{n}", *(row.get(k, "") for k in names)] for n, row in enumerate(values))]
    raw = "".join(",".join(f'"{c.replace(chr(34), chr(34) * 2)}"' for c in line) + "\n" for line in lines)
    found = tables.from_csv(raw.encode(), "x.csv", ABOUT, BY_NAME)
    text, _ = tables.to_csv(found, BY_NAME)
    assert tables.from_csv(text, "y.csv", ABOUT, BY_NAME).entries == found.entries
    again = tables.from_json(tables.to_json(found, BY_NAME), "z.json", None, BY_NAME)
    assert again.entries == found.entries and tables.about_of(again) == ABOUT
