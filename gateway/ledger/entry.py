"""One ledger entry, and the only bytes it can be written as.

Canonical JSON: UTF-8, keys sorted by code point, no white space, no floats, integers within ±(2**53 - 1),
nothing escaped that need not be. An entry read back must give the same bytes, or it is not an entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

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


def encode(entry: Entry) -> bytes:
    """The canonical bytes. Raises ValueError for what an entry cannot hold: a naive time, a float, a key
    that is no string, a body of more than 16 KiB, a kind or tenant of another shape."""
    if entry.at.tzinfo is None:
        raise ValueError("an entry's time has a zone")
    if not _KIND.match(entry.kind) or len(entry.kind) > 64:
        raise ValueError("an entry's kind is words joined by dots")
    if not _TENANT.match(entry.tenant):
        raise ValueError("an entry's tenant is at most 64 letters, digits, '.', '_' and '-'")
    if not 0 <= entry.index <= _SAFE_INTEGER:
        raise ValueError("an entry's index is a count")
    if not isinstance(entry.body, Mapping):
        raise ValueError("an entry's body is an object")
    if len(canonical(entry.body)) > MAX_BODY:
        raise ValueError(f"an entry's body is at most {MAX_BODY} bytes")
    at = entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return canonical(
        {
            "v": VERSION,
            "index": entry.index,
            "at": at,
            "tenant": entry.tenant,
            "kind": entry.kind,
            "body": entry.body,
        },
        MAX_DEPTH + 1,
    )


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
    at = datetime.strptime(value["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    entry = Entry(index=value["index"], at=at, tenant=value["tenant"], kind=value["kind"], body=value["body"])
    if encode(entry) != raw:
        raise ValueError("not an entry in its canonical form")
    return entry


def canonical(value: Any, levels: int = MAX_DEPTH) -> bytes:
    """Canonical JSON of `value`, which has at most `levels` objects and arrays inside each other.

    Raises ValueError for what has no canonical form.
    """
    _check(value, levels)
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


def _check(value: Any, levels: int) -> None:
    if isinstance(value, (Mapping, list, tuple)):
        if levels == 0:
            raise ValueError(f"at most {MAX_DEPTH} levels")
        if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
            raise ValueError("keys are strings")
        for member in value.values() if isinstance(value, Mapping) else value:
            _check(member, levels - 1)
    elif isinstance(value, int):  # bool too
        if abs(value) > _SAFE_INTEGER:
            raise ValueError("integers fit into 53 bits")
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"an entry holds no {type(value).__name__}")


def _plain(value: Any) -> Any:
    """Mappings and tuples as what the JSON writer knows; strings of subclasses (enums) as plain strings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, str) else value
