"""Reference values as people keep them: CSV with claim names as its header, or JSON.

CSV is RFC 4180 with one reading: UTF-8, commas, every row as long as the header, an empty field says nothing.
JSON is a list of entries, or a whole document; it is read as the YAML that it also is, so that a message can
say line and column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from policies import drafts, scalars, strictyaml
from policies.drafts import About, Cell, Row
from policies.errors import Place, PolicyError, PolicyErrors, Problems, Source, quote
from policies.load import load
from policies.model import ReferenceSet
from policies.reference_document import KIND
from policies.strictyaml import MAX_BYTES, Map, Scalar, Seq
from policies.vocabulary import Vocabulary
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.codec import strictjson

NOTES = ("note", "from_file")
_MAX_FIELD = 4096


def from_csv(raw: bytes, name: str, about: About, claims: Mapping[str, ClaimSpec]) -> ReferenceSet:
    """Raises PolicyErrors with the line and column of the CSV."""
    source, text = _decoded(raw, name)
    records = _records(text, source)
    if not records:
        raise _problem("empty", Place(source, 1, 1), "expected a header with claim names, found nothing")
    header, *rest = records
    names = [cell.text for cell in header]
    for index, cell in enumerate(header):
        if not cell.text or cell.text in names[:index]:
            raise _problem("key", _place(cell), f"a column's name stands once; this is {quote(cell.text)}")
    _known(header, claims)
    rows: list[Row] = []
    for record in rest:
        if len(record) != len(header):
            message = f"a row has {len(header)} fields, as the header; this one has {len(record)}"
            raise _problem("csv", _place(record[0]), message)
        cells = {key: cell for key, cell in zip(names, record, strict=True) if cell.text}
        rows.append(Row(cells, _place(record[0])))
    if not rows:
        raise _problem("empty", Place(source, 1, 1), "expected rows below the header, found none")
    return drafts.build(about, rows, source, claims)


def _known(header: list[Cell], claims: Mapping[str, ClaimSpec]) -> None:
    """Columns that no entry can have, said once and not in every row."""
    words = Vocabulary.of(claims)
    problems = Problems()
    for cell in header:
        if cell.text not in words.specs and cell.text not in ("id", "origin", *NOTES):
            message = f"there is no claim {quote(cell.text)}"
            problems.add("claim-unknown", _place(cell), message, hint=words.suggest(cell.text))
    problems.check()


def to_csv(found: ReferenceSet, claims: Mapping[str, ClaimSpec]) -> tuple[bytes, list[str]]:
    """The entries as CSV, and what of the set it does not carry."""
    specs = Vocabulary.of(claims).specs
    notes = [key for key in NOTES if any(key in dict(entry.notes) for entry in found.entries)]
    if any(drafts.origin(entry) for entry in found.entries):
        notes.append("origin")
    names = list(dict.fromkeys(name for entry in found.entries for name in entry.claims))
    lines = [("id", *notes, *names)]
    for entry in found.entries:
        said = {**dict(entry.notes), **({"origin": "seen"} if drafts.origin(entry) else {})}
        said |= {name: drafts.written(value, specs[name]) for name, value in entry.claims.items()}
        lines.append((entry.id, *(said.get(key, "") for key in (*notes, *names))))
    lost = ["owner, version, validity", *(f"provenance {key}" for key, _ in found.provenance)]
    lost += [f"revocation of {gone.entry}" for gone in found.revoked]
    return "".join(",".join(map(_field, line)) + "\n" for line in lines).encode(), lost


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text


def from_json(raw: bytes, name: str, about: About | None, claims: Mapping[str, ClaimSpec]) -> ReferenceSet:
    """A list of entries, for which `about` says the rest; or a whole document, which says it itself. Raises
    EvidenceFormatError (no JSON, a key twice) and PolicyErrors with line and column."""
    strictjson.loads(raw, name, limit=MAX_BYTES)
    (node, *_) = strictyaml.parse(raw, name)
    if isinstance(node, Map):
        (document, *_) = load(raw, name, claims=claims)
        if not isinstance(document, ReferenceSet):
            raise _problem("document", node.at, f"expected {KIND}, found another document")
        return document
    if not isinstance(node, Seq) or about is None:
        raise _problem("document", node.at, f"expected a list of entries, or {KIND}")
    masks = {
        spec.name: spec
        for spec in Vocabulary.of(claims).specs.values()
        if spec.type in (ClaimType.MASK, ClaimType.VERSION)
    }
    entries = []
    for item in node.items:
        if not isinstance(item, Map):
            raise _problem("type-mismatch", item.at, f"an entry is a mapping, not {scalars.kind_of(item)}")
        # JSON has no other way to write 0x30000 than as text.
        pairs = tuple(
            (key, replace(value, quoted=False) if isinstance(value, Scalar) and key.text in masks else value)
            for key, value in item.pairs
        )
        entries.append(Map(pairs, item.at))
    return drafts.build(about, entries, node.at.source, claims)


def to_json(found: ReferenceSet, claims: Mapping[str, ClaimSpec]) -> bytes:
    """The whole document as JSON: every set fits."""
    (node,) = strictyaml.parse(drafts.document(found, claims), found.name)
    specs = Vocabulary.of(claims).specs
    return (json.dumps(_plain(node, "", specs), indent=1, ensure_ascii=False) + "\n").encode()


def _plain(node: strictyaml.Node, key: str, specs: Mapping[str, ClaimSpec]) -> object:
    if isinstance(node, Map):
        return {name.text: _plain(value, name.text, specs) for name, value in node.pairs}
    if isinstance(node, Seq):
        return [_plain(item, key, specs) for item in node.items]
    kind = specs[key].type if key in specs else None
    if kind in (ClaimType.INTEGER, ClaimType.MASK) or key == "version":
        return int(node.text, 0)
    return node.text == "true" if kind is ClaimType.FLAG else node.text


# --- CSV -------------------------------------------------------------------------------------------


def _decoded(raw: bytes, name: str) -> tuple[Source, str]:
    source = drafts.source_of(raw, name)
    if len(raw) > MAX_BYTES:
        message = f"{len(raw)} bytes; a file of values has at most {MAX_BYTES}"
        raise _problem("too-large", Place(source, 1, 1), message)
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _problem("encoding", Place(source, line, 1), f"byte {error.start} is not UTF-8") from None
    for number, line_text in enumerate(text.split("\n"), 1):
        bad = next((n for n, char in enumerate(line_text) if not char.isprintable()), None)
        if bad is not None:
            message = f"the character U+{ord(line_text[bad]):04X} may not occur in a file of values"
            raise _problem("character", Place(source, number, bad + 1), message)
    return source, text


def _records(text: str, source: Source) -> list[list[Cell]]:
    out: list[list[Cell]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line:
            out.append(_line(line, number, source))
    return out


def _line(line: str, number: int, source: Source) -> list[Cell]:
    """The fields of one line; no field holds a line break."""
    out: list[Cell] = []
    at = 0
    while True:
        place = Place(source, number, at + 1)
        if line.startswith('"', at):
            value, at = _quoted(line, at + 1, place)
        else:
            end = line.find(",", at)
            value, at = (line[at:], len(line)) if end < 0 else (line[at:end], end)
            if '"' in value:
                raise _problem("csv", place, "a quote inside a field that does not begin with one")
        if len(value) > _MAX_FIELD:
            raise _problem("csv", place, f"a field has at most {_MAX_FIELD} characters")
        out.append(Cell(value, place))
        if at == len(line):
            return out
        if line[at] != ",":
            raise _problem("csv", Place(source, number, at + 1), "expected a comma behind the closing quote")
        at += 1


def _quoted(line: str, at: int, place: Place) -> tuple[str, int]:
    parts = []
    while True:
        end = line.find('"', at)
        if end < 0:
            raise _problem("csv", place, "this quote is not closed in its line")
        parts.append(line[at:end])
        if not line.startswith('""', end):
            return '"'.join(parts), end + 1
        at = end + 2


def _place(cell: Cell) -> Place:
    assert cell.at is not None
    return cell.at


def _problem(code: str, place: Place, message: str) -> PolicyErrors:
    return PolicyErrors([PolicyError(f"policy.{code}", place, message)])


def about_of(found: ReferenceSet) -> About:
    """What a set says of itself, to import its entries again."""
    return About(
        name=found.name,
        version=found.version,
        owner=found.owner,
        valid_from=found.valid_from,
        valid_until=found.valid_until,
        provenance=found.provenance,
    )
