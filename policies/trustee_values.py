"""Trustee's reference values (RVPS) as entries of a set.

Trustee keeps a flat list per name and compares each by itself; its rules ask TDX for MRTD, RTMR1 and RTMR2 at
once, so every combination of the listed ones is what it accepts. Anything but launch measurements is listed.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product

from policies.drafts import Cell, Row
from verifiers.codec import b64, strictjson
from verifiers.errors import EvidenceFormatError, Reason

MAX_BYTES = 1 << 20
MAX_COMBINATIONS = 256
_SIZE = 48

SNP = "snp_launch_measurement"
TDX = {"mr_td": "tdx.mr_td", "rtmr_1": "tdx.rtmr1", "rtmr_2": "tdx.rtmr2"}
_RULES = "belongs into a rule: give this file to sealgate policy import --trustee as --values"
OTHERS: Mapping[str, str] = {
    **dict.fromkeys(
        ("snp_bootloader", "snp_microcode", "snp_snp_svn", "snp_tee_svn"),
        "a list of exact TCB components; state a floor: snp.reported_tcb: {at_least: …}",
    ),
    **dict.fromkeys(("snp_smt_enabled", "snp_tsme_enabled", "snp_guest_abi_major"), _RULES),
    **dict.fromkeys(("snp_guest_abi_minor", "snp_single_socket", "snp_smt_allowed", "xfam"), _RULES),
    **dict.fromkeys(
        ("tdvfkernel", "tdvfkernelparams"), "digests of single events; RTMR1 and RTMR2 cover them"
    ),
}


@dataclass(slots=True)
class Values:
    """What the files hold. ends: the first expiry of a value that was taken over."""

    by_name: dict[str, list[object]] = field(default_factory=dict)
    ends: dict[str, datetime] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def read(files: Iterable[tuple[str, bytes]]) -> Values:
    """`{name: values}`, stored records, messages of type `sample`. Raises EvidenceFormatError."""
    found = Values()
    for name, raw in files:
        value = strictjson.loads(raw, name, limit=MAX_BYTES)
        for item in value if isinstance(value, list) else [value]:
            _item(item, name, found)
    return found


def _item(item: object, where: str, found: Values) -> None:
    if not isinstance(item, dict):
        raise _bad(where, "an object with reference values", type(item).__name__)
    if "payload" in item and "type" in item:
        if item["type"] != "sample":
            raise _bad(where, "a message of type sample", repr(item["type"])[:40])
        inner = b64.decode_standard(item["payload"], f"{where}: payload", limit=MAX_BYTES)
        _item(strictjson.loads(inner, f"{where}: payload", limit=MAX_BYTES), where, found)
        return
    if {"name", "value"} <= set(item) <= {"name", "value", "version", "expiration"}:
        name = item["name"]
        if not isinstance(name, str):
            raise _bad(where, "a name as text", type(name).__name__)
        if "expiration" in item:
            found.ends[name] = _moment(item["expiration"], f"{where}: {name}: expiration")
        _keep(name, item["value"], where, found)
        return
    for name, value in item.items():
        _keep(name, value, where, found)


def _keep(name: str, value: object, where: str, found: Values) -> None:
    if name in found.by_name:
        raise _bad(f"{where}: {name}", "each name once", f"also in {found.places[name]}")
    found.by_name[name] = value if isinstance(value, list) else [value]
    found.places[name] = where


def rows(found: Values) -> tuple[list[Row], list[str], datetime | None]:
    """Entries, what was not taken over, and the first expiry of what was."""
    out: list[Row] = []
    lost: list[str] = []
    used: list[str] = []
    digests: dict[str, list[str]] = {}
    for name, values in found.by_name.items():
        if name != SNP and name not in TDX:
            lost.append(f"{name}: {OTHERS.get(name, 'no counterpart is known')}")
            continue
        good = []
        for number, value in enumerate(values):
            text = _digest(value)
            if text is None:
                lost.append(f"{name}[{number}]: neither 96 hexadecimal digits nor base64 of 48 bytes")
            elif text not in good:
                good.append(text)
        digests[name] = good
    for number, text in enumerate(digests.get(SNP, ())):
        out.append(Row({"id": Cell(f"snp-{number + 1}"), "snp.measurement": Cell(text)}))
    used += [SNP] if out else []
    names = [name for name in TDX if digests.get(name)]
    missing = [name for name in TDX if name not in names]
    count = 1
    for name in names:
        count *= len(digests[name])
    if names and missing:
        lost += [f"{name}: {', '.join(missing)} missing, without which no TD passes there" for name in names]
    elif names and count > MAX_COMBINATIONS:
        lost += [f"{name}: {count} combinations, of at most {MAX_COMBINATIONS}" for name in names]
    elif names:
        used += names
        for number, chosen in enumerate(product(*(digests[name] for name in names))):
            cells = {TDX[name]: Cell(text) for name, text in zip(names, chosen, strict=True)}
            out.append(Row({"id": Cell(f"tdx-{number + 1}"), **cells}))
        lost.append("tdx: RTMR0 (firmware configuration) is not pinned there, and so not in these entries")
    return out, lost, min((found.ends[name] for name in used if name in found.ends), default=None)


def _digest(value: object) -> str | None:
    """96 hex digits, or base64 that is not hexadecimal too: 64 hex digits would be another hash."""
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"[0-9a-fA-F]+", value):
        return f"sha384:{value.lower()}" if len(value) == 2 * _SIZE else None
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return f"sha384:{raw.hex()}" if len(raw) == _SIZE else None


def _moment(value: object, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise _bad(where, "an RFC 3339 time with its zone", repr(value)[:40])
    try:
        return found.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise _bad(where, "a time of our era", repr(value)[:40]) from None


def _bad(where: str, expected: str, found: str) -> EvidenceFormatError:
    return EvidenceFormatError(Reason.BAD_VALUE, where, expected=expected, found=found)
