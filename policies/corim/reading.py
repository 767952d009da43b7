"""A CoRIM as rows of a reference set, and a list of everything in it that could not be said in our words.

A reference triple holds as a whole: if any part of it means something that an entry cannot say, the triple is
left out and listed. Only minimums may be taken apart from it, when the caller asks: then they are returned as
conditions that a policy has to state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from policies.corim import profiles as p
from policies.drafts import Cell, Row
from verifiers.codec import cbor
from verifiers.crypto import cose
from verifiers.errors import EndorsementFormatError, Reason

MAX_BYTES = 4 << 20
MAX_ITEMS = 200_000
MEDIA_TYPES = ("application/rim+cbor", "application/corim-unsigned+cbor")

_OLD_PREFIX = bytes.fromhex("d901f4d901f6")
_TAGS = frozenset({1, 32, 37, 111, 501, 505, 506, 508, 550, 552, 553, *range(554, 567), 60010, 60020})
_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_TRIPLES = {
    1: "endorsed values",
    2: "device identities",
    3: "attestation keys",
    4: "dependencies",
    5: "memberships",
    6: "CoSWID triples",
    8: "conditional endorsement series",
    10: "conditional endorsements",
}


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Something that was not taken over: where it stands, and why."""

    where: str
    why: str


@dataclass(slots=True)
class Read:
    """What a CoRIM says. conditions: minimums by entry id, for a policy to state. starts, ends: None when it
    says nothing."""

    id: str
    profile: str | None
    starts: datetime | None
    ends: datetime | None
    signer: str | None = None
    rows: list[Row] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)


class _NotOurs(Exception):
    """This triple says what an entry cannot say."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def read_signed(
    raw: bytes, keys: Sequence[EllipticCurvePublicKey], where: str, now: datetime, *, minimums: bool
) -> tuple[Read, cose.Signed]:
    """Verify, then read. Raises EvidenceFormatError and EndorsementFormatError."""
    signed = cose.verify_sign1(raw.removeprefix(_OLD_PREFIX), keys, where, limit=MAX_BYTES)
    kind = signed.protected.get(cose.CTY)
    if kind not in MEDIA_TYPES:
        raise _bad(f"{where}: header", f"content type {MEDIA_TYPES[0]}", repr(kind)[:60])
    signer, starts, ends = _meta(signed.protected, f"{where}: header")
    _in_time(starts, ends, now, f"{where}: signature")
    found = read_unsigned(signed.payload, where, now, minimums=minimums)
    found.signer = signer
    found.starts = max(filter(None, (starts, found.starts)), default=None)
    found.ends = min(filter(None, (ends, found.ends)), default=None)
    return found, signed


def read_unsigned(raw: bytes, where: str, now: datetime, *, minimums: bool) -> Read:
    """Read a CoRIM that nobody vouches for, or whose signature verified. Raises as `read_signed`."""
    item = cbor.loads(raw, where, limit=MAX_BYTES, tags=_TAGS, max_items=MAX_ITEMS)
    if not isinstance(item, cbor.Tag) or item.tag != p.UNSIGNED or not isinstance(item.value, Mapping):
        raise _bad(where, "a CoRIM (tag 501 with a map)", "another item")
    body = item.value
    unknown = set(body) - set(range(6))
    if unknown or 0 not in body or 1 not in body:
        raise _bad(where, "corim-map with id (0), tags (1) and known keys", f"keys {sorted(map(str, body))}")
    starts, ends = _validity(body.get(4), f"{where}: validity")
    _in_time(starts, ends, now, f"{where}: validity")
    found = Read(_text_id(body[0], f"{where}: id"), _profile(body.get(3), where), starts, ends)
    if 2 in body:
        found.unmapped.append(Unmapped("dependent-rims", "other manifests are not fetched"))
    tags = body[1]
    if not isinstance(tags, list | tuple) or not tags:
        raise _bad(f"{where}: tags", "a list with a tag", "another")
    for number, tag in enumerate(tags):
        place = f"tag {number}"
        if not isinstance(tag, cbor.Tag) or not isinstance(tag.value, bytes):
            raise _bad(f"{where}: {place}", "a tagged byte string", "another item")
        if tag.tag != p.COMID:
            what = {p.COSWID: "a CoSWID", p.COTL: "a CoTL"}.get(tag.tag, f"CBOR tag {tag.tag}")
            found.unmapped.append(Unmapped(place, f"{what}, not a CoMID"))
            continue
        _comid(tag.value, f"{where}: {place}", place, found, minimums)
    _join_classes(found)
    return found


def _comid(raw: bytes, where: str, place: str, found: Read, minimums: bool) -> None:
    comid = cbor.loads(raw, where, limit=MAX_BYTES, tags=_TAGS, max_items=MAX_ITEMS)
    if not isinstance(comid, Mapping) or not isinstance(comid.get(1), Mapping):
        raise _bad(where, "a CoMID with an identity (1)", "another item")
    name = _text_id(comid[1].get(0), f"{where}: identity")
    triples = comid.get(4)
    if not isinstance(triples, Mapping) or not triples:
        raise _bad(where, "triples (4), at least one kind", "none")
    for key in comid:
        if key == 3:
            found.unmapped.append(Unmapped(f"{place} {name}", "linked tags are not followed"))
        elif key not in (0, 1, 2, 4):
            raise _bad(where, "known keys", f"key {key!r}"[:40])
    for kind, items in triples.items():
        if kind == 0:
            continue
        what = _TRIPLES.get(kind, f"triples of kind {kind!r}"[:40])
        count = len(items) if isinstance(items, list | tuple) else 1
        found.unmapped.append(Unmapped(f"{place} {name}", f"{count} of {what}: no reference values"))
    items = triples.get(0, ())
    if not isinstance(items, list | tuple):
        raise _bad(where, "reference triples as a list", "another item")
    for number, triple in enumerate(items):
        spot = f"{place} {name}, triple {number}"
        limits: list[str] = []
        try:
            stated = _triple(triple, found.profile, limits)
            if limits and not minimums:
                raise _NotOurs(f"{'; '.join(limits)}: an entry states exact values only")
        except _NotOurs as error:
            found.unmapped.append(Unmapped(spot, error.why))
            continue
        _add(found, name, number, len(items), stated, limits)


def _add(
    found: Read, name: str, number: int, count: int, stated: dict[str, str], limits: Sequence[str]
) -> None:
    entry = name if count == 1 else f"{name[:58]}-{number + 1}"
    notes = [f"only with {limit}" for limit in limits]
    if _ID.fullmatch(entry) is None:
        notes.append(f"tag-id {name}")
        entry = f"triple-{len(found.rows) + 1}"
    note = {"note": Cell("; ".join(notes)[:900])} if notes else {}
    cells = {"id": Cell(entry), **note, **{claim: Cell(text) for claim, text in stated.items()}}
    found.rows.append(Row(cells))
    found.conditions += [f"{entry}: {limit}" for limit in limits]


def _triple(triple: object, profile: str | None, limits: list[str]) -> dict[str, str]:
    if not isinstance(triple, list | tuple) or len(triple) != 2 or not isinstance(triple[0], Mapping):
        raise _NotOurs("not [environment, measurements]")
    environment, measurements = triple
    if not isinstance(measurements, list | tuple) or not measurements:
        raise _NotOurs("no measurements")
    stated: dict[str, str] = {}
    read = _environment(environment, profile, stated)
    seen: set[object] = set()
    for measurement in measurements:
        if not isinstance(measurement, Mapping) or not isinstance(measurement.get(1), Mapping):
            raise _NotOurs("a measurement without values")
        if 2 in measurement:
            raise _NotOurs("authorised-by limits who may assert it")
        if set(measurement) - {0, 1} or 0 not in measurement:
            raise _NotOurs("a measurement without a key, or with unknown parts")
        key = measurement[0]
        if not isinstance(key, int | str) or isinstance(key, bool):
            raise _NotOurs("a measurement key that is neither a number nor text")
        if key in seen:
            raise _NotOurs(f"measurement key {key!r} twice; all would have to hold"[:90])
        seen.add(key)
        if not measurement[1]:
            raise _NotOurs("a measurement without values")
        read(key, measurement[1], stated, limits)
    return stated


_Reader = Callable[[Any, Mapping[Any, Any], dict[str, str], list[str]], None]


def _environment(environment: Mapping[Any, Any], profile: str | None, stated: dict[str, str]) -> _Reader:
    """Whose measurements these are: how to read them, and what the environment itself states."""
    klass = environment.get(0)
    if not isinstance(klass, Mapping) or not klass:
        raise _NotOurs("an environment without a class")
    if set(environment) - {0, 1}:
        raise _NotOurs("an environment with a group, or unknown parts")
    if profile == p.OWN_PROFILE:
        if klass != {1: p.OWN_VENDOR} or 1 in environment:
            raise _NotOurs("an environment that this profile does not have")
        return _own
    if profile is not None and profile not in p.SNP_PROFILES:
        raise _NotOurs(f"the profile {profile[:80]} is not supported")
    ident = klass.get(0)
    if set(klass) != {0} or not isinstance(ident, UUID) or ident not in p.CLASSES:
        raise _NotOurs("an environment of another class than SEV-SNP by class-id alone")
    stated[p.SIGNING_KEY] = p.CLASSES[ident]
    if 1 in environment:
        instance = environment[1]
        value = instance.value if isinstance(instance, cbor.Tag) and instance.tag == p.BYTES else None
        if ident != p.SNP_CHIP or not isinstance(value, bytes) or len(value) != 64:
            raise _NotOurs("an instance that is no CHIP_ID")
        stated[p.CHIP_ID] = f"hex:{value.hex()}"
    return _snp


def _state(stated: dict[str, str], claim: str, text: str) -> None:
    if stated.setdefault(claim, text) != text:
        raise _NotOurs(f"{claim} has two values")


def _snp(key: Any, values: Mapping[Any, Any], stated: dict[str, str], limits: list[str]) -> None:
    for field_key, value in values.items():
        if field_key == p.DIGESTS and key in p.DIGEST_KEYS:
            _state(stated, p.DIGEST_KEYS[key], _digest(value))
        elif field_key == p.RAW and key in p.RAW_KEYS:
            _state(stated, p.RAW_KEYS[key], _raw(value))
        elif field_key == p.FLAGS and key in p.FLAG_KEYS:
            _flags(value, p.FLAG_KEYS[key], stated)
        elif field_key == p.SVN and key == p.GUEST:
            exact, number = _svn(value)
            if exact:
                _state(stated, p.GUEST_SVN, str(number))
            else:
                limits.append(f"{p.GUEST_SVN}: {{at_least: {number}}}")
        elif field_key == p.VERSION and key == p.GUEST:
            _state(stated, p.IMAGE_ID, f"hex:{_version(value)}")
        else:
            raise _NotOurs(f"measurement key {key!r}, value {field_key!r} has no certain meaning here"[:120])


def _own(key: Any, values: Mapping[Any, Any], stated: dict[str, str], _: list[str]) -> None:
    if not isinstance(key, str) or len(values) != 1 or key in ("id", "note", "from_file", "origin"):
        raise _NotOurs("a measurement that is not one claim")
    (field_key, value), *_rest = values.items()
    if field_key == p.DIGESTS:
        text = _digest(value)
    elif field_key == p.RAW:
        text = _raw(value)
    elif field_key == p.NAME and isinstance(value, str):
        text = value
    else:
        raise _NotOurs(f"{key}: value {field_key!r} is not in this profile"[:120])
    _state(stated, key, text)


def _digest(value: object) -> str:
    if not isinstance(value, list | tuple) or len(value) != 1:
        raise _NotOurs("several digests of one thing")
    pair = value[0]
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[1], bytes):
        raise _NotOurs("a digest that is not [algorithm, bytes]")
    algorithm, raw = pair
    if type(algorithm) is not int or p.DIGEST_SIZES.get(algorithm) != len(raw):
        raise _NotOurs(f"a digest of {len(raw)} bytes by algorithm {algorithm!r}"[:90])
    return f"sha{8 * len(raw)}:{raw.hex()}"


def _raw(value: object) -> str:
    if not isinstance(value, cbor.Tag) or value.tag != p.BYTES or not isinstance(value.value, bytes):
        raise _NotOurs("a raw value that is not plain bytes (masks cannot be said)")
    return f"hex:{value.value.hex()}"


def _svn(value: object) -> tuple[bool, int]:
    exact = True
    if isinstance(value, cbor.Tag) and value.tag in (p.SVN_EQUAL, p.SVN_MIN):
        exact, value = value.tag == p.SVN_EQUAL, value.value
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise _NotOurs("an svn that is no GUEST_SVN")
    return exact, value


def _version(value: object) -> str:
    text = value.get(0) if isinstance(value, Mapping) and set(value) <= {0, 1} else None
    if not isinstance(text, str) or re.fullmatch(r"[0-9a-fA-F]{32}", text) is None:
        raise _NotOurs("a version that is no IMAGE_ID (32 hexadecimal digits)")
    return text.lower()


def _flags(value: object, names: Mapping[int, str], stated: dict[str, str]) -> None:
    if not isinstance(value, Mapping) or not value:
        raise _NotOurs("flags that are no map")
    for key, flag in value.items():
        name = names.get(key) if type(key) is int else None
        if name is None or not isinstance(flag, bool):
            raise _NotOurs(f"flag {key!r} has no certain meaning here"[:90])
        _state(stated, name, "true" if flag else "false")


def _join_classes(found: Read) -> None:
    """The same values for both signing keys are values for any: one entry that does not ask for the key."""
    by_rest: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in found.rows:
        rest = tuple(
            (key, cell.text) for key, cell in row.cells.items() if key not in ("id", "note", p.SIGNING_KEY)
        )
        by_rest.setdefault(rest, []).append(row)
    limited = {condition.partition(":")[0] for condition in found.conditions}
    out = []
    for rows in by_rest.values():
        keys = sorted(row.cells[p.SIGNING_KEY].text for row in rows if p.SIGNING_KEY in row.cells)
        if keys == ["VCEK", "VLEK"] and not any(row.cells["id"].text in limited for row in rows):
            first = dict(rows[0].cells)
            del first[p.SIGNING_KEY]
            first["id"] = Cell(re.sub(r"-1$", "", first["id"].text))
            out.append(Row(first))
        else:
            out += rows
    found.rows = out


# --- envelope --------------------------------------------------------------------------------------


def _meta(header: Mapping[Any, Any], where: str) -> tuple[str | None, datetime | None, datetime | None]:
    """Signer's name, and when the signature counts, from corim-meta (8) and CWT claims (15)."""
    signer, starts, ends = None, [], []
    if cose.META in header:
        raw = header[cose.META]
        meta = cbor.loads(raw, where, limit=16_384, tags={1, 32}) if isinstance(raw, bytes) else None
        if not isinstance(meta, Mapping) or not isinstance(meta.get(0), Mapping):
            raise _bad(where, "corim-meta with a signer", "another item")
        signer = meta[0].get(0)
        start, end = _validity(meta.get(1), where)
        starts.append(start)
        ends.append(end)
    if cose.CWT in header:
        claims = header[cose.CWT]
        if not isinstance(claims, Mapping):
            raise _bad(where, "CWT claims as a map", "another item")
        signer = signer or claims.get(1)
        starts.append(_seconds(claims.get(5), where))
        ends.append(_seconds(claims.get(4), where))
    if signer is None:
        raise _bad(where, "corim-meta (8) or CWT claims (15) that name the signer", "neither")
    if not isinstance(signer, str):
        raise _bad(where, "the signer's name as text", "another item")
    return signer, max(filter(None, starts), default=None), min(filter(None, ends), default=None)


def _seconds(value: object, where: str) -> datetime | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 1 << 36:
        raise _bad(where, "a time in seconds", repr(value)[:40])
    return datetime.fromtimestamp(value, UTC)


def _validity(value: object, where: str) -> tuple[datetime | None, datetime | None]:
    if value is None:
        return None, None
    if not isinstance(value, Mapping) or set(value) - {0, 1} or 1 not in value:
        raise _bad(where, "{0: not-before, 1: not-after}", "another item")
    for moment in value.values():
        if not isinstance(moment, datetime):
            raise _bad(where, "times (tag 1)", "another item")
    return value.get(0), value[1]


def _in_time(starts: datetime | None, ends: datetime | None, now: datetime, where: str) -> None:
    if ends is not None and now >= ends:
        raise EndorsementFormatError(
            Reason.COLLATERAL_EXPIRED, where, expected=f"valid at {_utc(now)}", found=f"ended {_utc(ends)}"
        )
    if starts is not None and now < starts:
        raise EndorsementFormatError(
            Reason.COLLATERAL_NOT_YET_VALID,
            where,
            expected=f"valid at {_utc(now)}",
            found=f"begins {_utc(starts)}",
        )


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _text_id(value: object, where: str) -> str:
    if isinstance(value, bytes) and len(value) == 16:
        value = UUID(bytes=value)  # some tools leave the tag out
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str) or not value or len(value) > 512:
        raise _bad(where, "text or a UUID", "another item")
    return value


def _profile(value: object, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, cbor.Tag) and value.tag == p.URI and isinstance(value.value, str):
        return value.value
    if isinstance(value, cbor.Tag) and value.tag == p.OID and isinstance(value.value, bytes):
        return f"OID {value.value.hex()}"
    raise _bad(f"{where}: profile", "a URI (tag 32) or an OID (tag 111)", "another item")


def _bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.COLLATERAL_MALFORMED, where, expected=expected, found=found)
