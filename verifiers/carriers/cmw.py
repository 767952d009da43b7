"""Conceptual Message Wrappers (draft-ietf-rats-msg-wrap): a record, a collection or a tag around evidence.

JSON: `[type, value, ind?]`, value in base64url; CBOR: the same array, or a tag whose number says the type.
A collection maps labels to wrappers. Packaging, not protection: the content is opened and judged as if it
had come alone. One piece of evidence is taken; two are composite evidence and refused as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from verifiers.carriers import binary, looks, tsm
from verifiers.carriers.envelope import composite
from verifiers.carriers.members import bad, type_name
from verifiers.carriers.opened import MAX_EVIDENCE, Opened
from verifiers.codec import b64, cbor, strictjson
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Check, Outcome

MAX_DEPTH = 4
"""Collections inside collections."""
MAX_ENTRIES = 32
"""Entries of one collection."""
MAX_RECORDS = 64
"""Records in all."""
CBOR_TAGS = range(1668546817, 1668546817 + 255 * 256 + 255)
"""RFC 9277: TN(cf) = 1668546817 + (cf div 255) * 256 + cf mod 255, for content formats 0..64999."""
FIRST_BYTES = frozenset({0x82, 0x83, 0xDA, *range(0xA0, 0xB9)})
"""First byte of a CBOR record, tag and collection of at most 255 entries; all lengths definite."""

_TYPE_MEMBER = "__cmwc_t"
_MAX_TYPE = 256
"""Characters: a URI or an object identifier, which nothing here depends on."""
_EVIDENCE = 4
_MAX_IND = 31
_TSM = "application/vnd.veraison.tsm-report"


@dataclass(frozen=True, slots=True)
class _Record:
    """One leaf: media type (lower case, without parameters) or content format, content, and label path."""

    type: str | int
    value: bytes
    indicator: int | None
    where: str


def open_json(obj: object) -> Opened:
    """A JSON record or collection, already parsed."""
    records: list[_Record] = []
    _collect(obj, "cmw", 0, records, json=True)
    return _choose(records)


def open_cbor(raw: bytes) -> Opened:
    """A CBOR record, collection or tag."""
    records: list[_Record] = []
    _collect(cbor.loads(raw, "cmw", limit=MAX_EVIDENCE, tags=CBOR_TAGS), "cmw", 0, records, json=False)
    return _choose(records)


def open_decoded(obj: object) -> Opened:
    """What `cbor.loads` made of a CBOR wrapper."""
    records: list[_Record] = []
    _collect(obj, "cmw", 0, records, json=False)
    return _choose(records)


def _collect(obj: object, where: str, depth: int, out: list[_Record], *, json: bool) -> None:
    """Flatten a wrapper into records. Depth is bounded here, size by the decoder before."""
    if isinstance(obj, list):
        out.append(_record(obj, where, json=json))
    elif isinstance(obj, Mapping):
        if depth == MAX_DEPTH:
            raise EvidenceFormatError(
                Reason.TOO_DEEP, where, expected=f"at most {MAX_DEPTH} collections deep", found="more"
            )
        named = obj.get(_TYPE_MEMBER, "")
        if not isinstance(named, str) or len(named) > _MAX_TYPE:
            raise bad(
                f"{where}.{_TYPE_MEMBER}", f"a text of at most {_MAX_TYPE} characters", type_name(named)
            )
        entries = [(label, item) for label, item in obj.items() if label != _TYPE_MEMBER]
        if not 1 <= len(entries) <= MAX_ENTRIES:
            raise bad(where, f"a collection of 1 to {MAX_ENTRIES} entries", f"{len(entries)}")
        for label, item in entries:
            _collect(item, f"{where}.{_label(label)}", depth + 1, out, json=json)
    elif not json and isinstance(obj, cbor.Tag):
        out.append(_tagged(obj, where))
    else:
        raise bad(where, "a CMW record, collection or tag", type_name(obj))
    if len(out) > MAX_RECORDS:
        raise bad(where, f"at most {MAX_RECORDS} records", "more")


def _record(obj: list[object], where: str, *, json: bool) -> _Record:
    if len(obj) not in (2, 3):
        raise bad(where, "[type, value] or [type, value, ind]", f"an array of {len(obj)}")
    kind, value = obj[0], obj[1]
    indicator = obj[2] if len(obj) == 3 else None
    if indicator is not None and (type(indicator) is not int or not 1 <= indicator <= _MAX_IND):
        raise bad(f"{where}.ind", f"1..{_MAX_IND}", type_name(indicator))
    if isinstance(kind, str):
        kind = _media_type(kind, where)
    elif json or type(kind) is not int or not 0 <= kind <= 0xFFFF:
        raise bad(
            f"{where}.type", "a media type" if json else "a media type or content format", type_name(kind)
        )
    if json:
        content = b64.decode_url(value, f"{where}.value", limit=MAX_EVIDENCE)
    elif isinstance(value, bytes):
        content = value
    else:
        raise bad(f"{where}.value", "a byte string", type_name(value))
    return _Record(kind, content, indicator, where)


def _tagged(tag: cbor.Tag, where: str) -> _Record:
    high, low = divmod(tag.tag - CBOR_TAGS.start, 256)
    if low == 255 or not isinstance(tag.value, bytes):
        raise bad(
            where, "an RFC 9277 tag around a byte string", f"tag {tag.tag} around {type_name(tag.value)}"
        )
    return _Record(high * 255 + low, tag.value, None, where)


def _choose(records: list[_Record]) -> Opened:
    """The one record that is evidence; what is marked as something else is left aside and said so."""
    evidence = [record for record in records if record.indicator is None or record.indicator & _EVIDENCE]
    if not evidence:
        raise EvidenceFormatError(
            Reason.EVIDENCE_UNRECOGNISED,
            "cmw",
            expected="a record with evidence in it",
            found="only other messages",
        )
    if len(evidence) > 1:
        raise composite(f"a CMW collection with {len(evidence)} pieces: {', '.join(_names(evidence))}")
    opened = _open(evidence[0])
    aside = tuple(_note(record) for record in records if record is not evidence[0])
    return replace(opened, carrier="cmw", notes=(*opened.notes, *aside))


def _open(record: _Record) -> Opened:
    if record.type == f"{_TSM}+json":
        return tsm.open_json(strictjson.loads(record.value, record.where, limit=MAX_EVIDENCE, max_depth=4))
    if record.type == f"{_TSM}+cbor":
        return tsm.open_cbor(record.value)
    # Other types: nobody has registered any for the hardware's own bytes, so those are known by content.
    kind = binary.recognise(record.value)
    if kind is None:
        raise EvidenceFormatError(
            Reason.EVIDENCE_UNRECOGNISED,
            record.where,
            expected=f"{_TSM}+json, {_TSM}+cbor, or the bytes of a report or quote",
            found=f"{record.type} with {looks.describe(record.value)}",
        )
    return binary.open_as(kind, record.value)


def _note(record: _Record) -> Check:
    return Check(
        id="evidence.ignored",
        outcome=Outcome.NOT_CHECKED,
        expected="evidence",
        found=f"{record.where} ({record.type}) is marked as something else, and not used",
        source="draft-ietf-rats-msg-wrap, ind",
    )


def _media_type(value: str, where: str) -> str:
    """type/subtype in lower case. Parameters are dropped: none of those we take has one that matters."""
    kind = value.split(";", 1)[0].strip().lower()
    if len(value) > 256 or kind.count("/") != 1 or not kind.isascii() or not kind.isprintable():
        raise bad(f"{where}.type", "a media type", type_name(value))
    return kind


def _label(label: object) -> str:
    shown = str(label)[:24]
    return "".join(c if c.isprintable() else "?" for c in shown)


def _names(records: list[_Record]) -> list[str]:
    return [record.where.removeprefix("cmw.") for record in records[:6]]
