"""Reference sets that come from elsewhere: rows of texts in, a checked `ReferenceSet` and its document out.

Whatever an importer read, it says it in the words of a document, with the place where it stood. The reader of
documents then decides, so that a foreign file is held to every rule that a document is held to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from policies import reference_document
from policies.errors import Place, Problems, Source
from policies.model import ReferenceSet
from policies.reading import Context
from policies.references import Entry
from policies.strictyaml import Map, Node, Scalar, Seq
from policies.values import Literal
from policies.vocabulary import Vocabulary
from verifiers.claimtypes import ClaimSpec, ClaimType

_ALGORITHMS = {32: "sha256", 48: "sha384", 64: "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a set says of itself."""

    name: str
    version: int
    owner: str
    valid_from: datetime
    valid_until: datetime
    provenance: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it was written, and where. at: None when the file has no lines."""

    text: str
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: keys of a document (id, note, claims) to values.
    at: of the entry."""

    cells: Mapping[str, Cell]
    at: Place | None = None


def source_of(raw: bytes, name: str) -> Source:
    """A foreign file for messages. Binary files have no lines to show."""
    try:
        lines = tuple(raw.decode("utf-8").replace("\r\n", "\n").split("\n"))
    except UnicodeDecodeError:
        lines = ()
    return Source(name, lines, "sha256:" + hashlib.sha256(raw).hexdigest())


def build(
    about: About, rows: Iterable[Row | Map], source: Source, claims: Mapping[str, ClaimSpec]
) -> ReferenceSet:
    """The set that these rows make. claims: the published claim table. Raises PolicyErrors, with the places
    of the foreign file."""
    top = Place(source, 1, 1)
    entries = Seq(tuple(row if isinstance(row, Map) else _entry(row, top) for row in rows), top)
    node = Map(
        (
            _pair("sealgate", reference_document.KIND, top),
            _pair("name", about.name, top),
            _pair("version", str(about.version), top),
            _pair("owner", about.owner, top),
            (
                _key("valid", top),
                Map(
                    (
                        _pair("from", written_time(about.valid_from), top),
                        _pair("until", written_time(about.valid_until), top),
                    ),
                    top,
                ),
            ),
            (_key("provenance", top), Map(tuple(_said(k, v, top) for k, v in about.provenance), top)),
            (_key("entries", top), entries),
        ),
        top,
    )
    problems = Problems()
    found = reference_document.read(node, Context(problems, Vocabulary.of(claims)))
    problems.check()
    if found is None:
        raise AssertionError("a set was refused without a reason")
    return found


def _entry(row: Row, top: Place) -> Map:
    at = row.at or top
    pairs: list[tuple[Scalar, Node]] = []
    for key, cell in row.cells.items():
        place = cell.at or at
        note = key in ("note", "from_file")
        pairs.append(
            (
                _key(key, place),
                Scalar(one_line(cell.text) if note else cell.text, note, place),
            )
        )
    return Map(tuple(pairs), at)


def _key(text: str, at: Place) -> Scalar:
    return Scalar(text, False, at)


def _pair(key: str, value: str, at: Place) -> tuple[Scalar, Node]:
    return _key(key, at), Scalar(value, False, at)


def _said(key: str, value: str, at: Place) -> tuple[Scalar, Node]:
    return _key(key, at), Scalar(one_line(value), True, at)


def standing(found: ReferenceSet) -> ReferenceSet:
    """Without the entries that are revoked, now or later: for formats that cannot say so, in which they would
    be approved again."""
    gone = {item.entry.partition("@")[0] for item in found.revoked if item.claims}
    values = [dict(item.claims) for item in found.revoked]
    kept = tuple(e for e in found.entries if e.id not in gone and dict(e.claims) not in values)
    return replace(found, entries=kept)


# --- writing ---------------------------------------------------------------------------------------


def document(found: ReferenceSet, claims: Mapping[str, ClaimSpec], comments: Sequence[str] = ()) -> bytes:
    """A set as a document that reads back as the same set. comments: lines above it."""
    specs = Vocabulary.of(claims).specs
    lines = [f"# {one_line(comment)}" for comment in comments]
    lines += [
        f"sealgate: {reference_document.KIND}",
        f"name: {found.name}",
        f"version: {found.version}",
        f"owner: {quoted(found.owner)}",
        f"valid: {{from: {written_time(found.valid_from)}, until: {written_time(found.valid_until)}}}",
    ]
    if found.provenance:
        lines += ["provenance:", *(f"  {quoted(key)}: {quoted(value)}" for key, value in found.provenance)]
    lines.append("entries:")
    for entry in found.entries:
        lines.append(f"  - id: {entry.id}")
        lines += [f"    {key}: {quoted(value)}" for key, value in entry.notes]
        lines += origin(entry)
        lines += _claims(entry.claims, specs)
    if found.revoked:
        lines.append("revoked:")
    current = {entry.id for entry in found.entries}
    for gone in found.revoked:
        lines += [
            f"  - entry: {gone.entry}",
            f"    since: {written_time(gone.since)}",
            f"    reason: {quoted(gone.reason)}",
        ]
        name, _, version = gone.entry.partition("@")
        if name not in current or version not in ("", str(found.version)):
            lines += _claims(gone.claims, specs)
    return ("\n".join(lines) + "\n").encode()


def origin(entry: Entry) -> list[str]:
    """`origin: seen`, of values that were taken from evidence."""
    return ["    origin: seen"] if entry.seen else []


def written(value: Literal, spec: ClaimSpec) -> str:
    """One value in the words of a document; reads back as the same. Bytes are hexadecimal, with the name of
    the hash in front when the claim is a digest."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        algorithm = _ALGORITHMS.get(len(value)) if spec.type is ClaimType.DIGEST else None
        return f"{algorithm or 'hex'}:{value.hex()}"
    if isinstance(value, int):
        return f"{value:#x}" if spec.type is ClaimType.MASK else str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    raise AssertionError(f"{spec.name}: an entry holds a {type(value).__name__}")


def _claims(stated: Mapping[str, Literal], specs: Mapping[str, ClaimSpec]) -> list[str]:
    out = []
    for name, value in stated.items():
        text = written(value, specs[name])
        out.append(f"    {name}: {quoted(text) if isinstance(value, str) else text}")
    return out


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def written_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
