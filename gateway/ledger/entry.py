"""One ledger entry, and the only bytes it can be written as.

Canonical JSON: UTF-8, keys sorted by code point, no white space, no floats, integers within ±(2**53 - 1),
nothing escaped that need not be. An entry read back must give the same bytes, or it is not an entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from verifiers.codec import strictjson
from verifiers.errors import EvidenceFormatError

VERSION = 1
MAX_BODY = 16 * 1024
MAX_ENTRY = MAX_BODY + 1024
MAX_DEPTH = 12
_SAFE_INTEGER = 2**53 - 1
_KIND = re.compile(r"[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)+\Z")
_TENANT = re.compile(r"[A-Za-z0-9._-]{0,64}\Z")
_MEMBERS = frozenset({"v", "index", "at", "tenant", "kind", "body"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """index: from 0, without gaps. tenant: "" is the gateway itself. kind: "release.intent" and the like."""

    index: int
    at: datetime
    tenant: str
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry but for its place, which is known only when it is written. body: canonical."""

    tenant: str
    kind: str
    body: bytes


def draft(tenant: str, kind: str, body: Mapping[str, Any]) -> Draft:
    """Raises ValueError for what an entry cannot hold: a float, a key that is no string, a body of more than
    16 KiB, a kind or tenant of another shape."""
    if not _KIND.match(kind) or len(kind) > 64:
        raise ValueError("an entry's kind is words joined by dots")
    if not _TENANT.match(tenant):
        raise ValueError("an entry's tenant is at most 64 letters, digits, '.', '_' and '-'")
    if not isinstance(body, Mapping):
        raise ValueError("an entry's body is an object")
    written = canonical(body)
    if len(written) > MAX_BODY:
        raise ValueError(f"an entry's body is at most {MAX_BODY} bytes")
    return Draft(tenant, kind, written)


def place(drafted: Draft, index: int, at: datetime) -> bytes:
    """The canonical bytes of a draft at its place. Raises ValueError for a naive time or a negative index.

    Written out by hand, for speed: the members are in order, and neither kind nor tenant can hold a character
    that JSON escapes.
    """
    if at.tzinfo is None:
        raise ValueError("an entry's time has a zone")
    if not 0 <= index <= _SAFE_INTEGER:
        raise ValueError("an entry's index is a count")
    moment = at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    rest = f',"index":{index:d},"kind":"{drafted.kind}","tenant":"{drafted.tenant}","v":{VERSION}}}'
    return f'{{"at":"{moment}Z","body":'.encode() + drafted.body + rest.encode()


def encode(entry: Entry) -> bytes:
    """The canonical bytes. Raises ValueError as `draft` and `place`."""
    return place(draft(entry.tenant, entry.kind, entry.body), entry.index, entry.at)


def decode(raw: bytes) -> Entry:
    """Raises ValueError unless `raw` is exactly what `encode` makes of some entry."""
    try:
        value = strictjson.loads(raw, "ledger entry", limit=MAX_ENTRY, max_depth=MAX_DEPTH + 1)
    except EvidenceFormatError as error:
        raise ValueError(f"not an entry: {error.expected} expected") from None
    if not isinstance(value, dict) or value.keys() != _MEMBERS or value["v"] != VERSION:
        raise ValueError("not an entry of version 1")
    if type(value["index"]) is not int or not all(
        isinstance(value[k], str) for k in ("at", "tenant", "kind")
    ):
        raise ValueError("not an entry: a member has another type")
    if not value["at"].endswith("Z"):
        raise ValueError("not an entry: its time is not in UTC")
    at = datetime.fromisoformat(value["at"])
    entry = Entry(index=value["index"], at=at, tenant=value["tenant"], kind=value["kind"], body=value["body"])
    if encode(entry) != raw:
        raise ValueError("not an entry in its canonical form")
    return entry


def canonical(value: Any, levels: int = MAX_DEPTH) -> bytes:
    """Canonical JSON of `value`, which has at most `levels` objects and arrays inside each other.

    Raises ValueError for what has no canonical form.
    """
    return msgspec.json.encode(_plain(value, levels), order="sorted")


def _plain(value: Any, levels: int) -> Any:
    """The value in the types that the JSON writer knows: mappings and tuples as dicts and lists, strings of
    subclasses (enums) as plain strings. Raises ValueError for everything else."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is int:
        if not -_SAFE_INTEGER <= value <= _SAFE_INTEGER:
            raise ValueError("integers fit into 53 bits")
        return value
    if kind is dict or kind is list or kind is tuple or isinstance(value, (Mapping, list, tuple)):
        if levels == 0:
            raise ValueError(f"at most {MAX_DEPTH} levels")
        if kind is dict or isinstance(value, Mapping):
            return {_key(key): _plain(member, levels - 1) for key, member in value.items()}
        return [_plain(member, levels - 1) for member in value]
    if isinstance(value, str):
        return str(value)
    raise ValueError(f"an entry holds no {kind.__name__}")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError("keys are strings")
    return str(key)
