"""Values that several commands take, read strictly: times, report data, requirement lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.cli.errors import InputError, one_line
from policies.model import Requirement

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]*\Z", re.ASCII)


def moment(value: str, option: str) -> datetime:
    """An RFC 3339 time with its zone, as aware UTC. Raises InputError."""
    wanted = f"{option}: expected a time with its zone, like 2026-06-30T12:00:00Z"
    if not _RFC3339.match(value):
        raise InputError(f"{wanted}, found {_shown(value)}")
    try:
        return datetime.fromisoformat(value.upper().replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(f"{wanted}, found {_shown(value)}") from None


def report_data(value: str, option: str) -> bytes:
    """The 64 bytes that REPORT_DATA must equal, as 128 hexadecimal digits: nothing is padded for you."""
    wanted = f"{option}: expected 128 hexadecimal digits (64 bytes)"
    if not _HEX.match(value):
        raise InputError(f"{wanted}, found {_shown(value)}")
    if len(value) < 128:
        raise InputError(
            f"{wanted}, found {len(value)}: pad a shorter value with zeros on the right; "
            "the padding is part of what is compared"
        )
    if len(value) > 128:
        raise InputError(f"{wanted}, found {len(value)}")
    return bytes.fromhex(value)


def requirements(value: str, option: str) -> frozenset[Requirement]:
    """A comma-separated list of requirement names. Raises InputError."""
    known = {requirement.value for requirement in Requirement}
    words = [word.strip() for word in value.split(",")] if value.strip() else []
    for word in words:
        if word not in known:
            raise InputError(f"{option}: expected some of {','.join(sorted(known))}, found {_shown(word)}")
    return frozenset(map(Requirement, words))


def _shown(value: str) -> str:
    return repr(one_line(value[:40]))
