"""The parts of a reply that are text for people (checks, needs, errors), as JSON, and read back strictly.

Every text is cut to a length, every code is one that we know, every object has exactly its members.
"""

from __future__ import annotations

import json as codec
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.containment.errors import ReplyError
from verifiers.codec import strictjson
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Check, Need, Outcome

MAX_TEXT = 4096
"""Characters of one text."""
_ID = re.compile(r"[a-z][a-z0-9.-]{0,63}", re.ASCII)
_KIND = re.compile(r"(amd|intel)\.[a-z-]{1,20}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_]{1,20}", re.ASCII)
_VALUE = re.compile(r"[0-9A-Za-z.-]{0,1024}", re.ASCII)
_MAX_PAIRS = 8
_DEPTH = 6
_REASONS = frozenset(map(str, Reason))
_CHECK = ("id", "outcome", "expected", "found", "source", "reason", "fix")


def compact(value: object) -> bytes:
    return codec.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def json(raw: bytes, limit: int) -> Any:
    """Raises ReplyError."""
    try:
        return strictjson.loads(raw, "reply", limit=limit, max_depth=_DEPTH)
    except EvidenceFormatError as error:
        raise ReplyError(error.where, error.expected, error.found) from None


def members(value: object, names: Sequence[str]) -> Mapping[str, Any]:
    """An object with exactly these members. Raises ReplyError."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise ReplyError("reply", f"an object with {', '.join(names)}", type(value).__name__)
    return value


def text(value: object, where: str, pattern: re.Pattern[str] | None = None) -> str:
    """Raises ReplyError."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ReplyError(where, f"text of at most {MAX_TEXT} characters", type(value).__name__)
    if pattern is not None and not pattern.fullmatch(value):
        raise ReplyError(where, f"text like {pattern.pattern}", repr(value[:32]))
    return value


def reason(value: object) -> str:
    """A code of `verifiers.errors`. Raises ReplyError."""
    if value not in _REASONS:
        raise ReplyError("reason", "a reason that we know", repr(value)[:40])
    return str(value)


def check(found: Check) -> dict[str, str | None]:
    said = {name: getattr(found, name) for name in _CHECK}
    return {name: None if value is None else str(value)[:MAX_TEXT] for name, value in said.items()}


def read_check(value: object) -> Check:
    """Raises ReplyError."""
    given = members(value, _CHECK)
    if given["outcome"] not in set(Outcome) or given["outcome"] == Outcome.WAIVED:
        raise ReplyError("outcome", "an outcome of a verifier", repr(given["outcome"])[:40])
    return Check(
        id=text(given["id"], "id", _ID),
        outcome=Outcome(given["outcome"]),
        expected=text(given["expected"], "expected"),
        found=text(given["found"], "found"),
        source=text(given["source"], "source"),
        reason=None if given["reason"] is None else reason(given["reason"]),
        fix=None if given["fix"] is None else text(given["fix"], "fix"),
    )


def need(wanted: Need) -> list[Any]:
    return [wanted.kind, [list(pair) for pair in wanted.key]]


def read_need(value: object) -> Need:
    """Raises ReplyError."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], list):
        raise ReplyError("need", "a kind and a key", type(value).__name__)
    pairs = value[1]
    if len(pairs) > _MAX_PAIRS or any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        raise ReplyError("need", f"at most {_MAX_PAIRS} pairs", type(pairs).__name__)
    key = tuple((text(name, "need", _NAME), text(said, "need", _VALUE)) for name, said in pairs)
    return Need(text(value[0], "need", _KIND), key)
