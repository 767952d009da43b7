"""Intel's signed JSON documents: the envelope, exact bytes, and strict typed reading.

A PCS response is {"<member>": {…}, "signature": "<128 hex>"}; the signature, r ‖ s, covers the raw bytes of
the inner object exactly as served. Values are read from that same slice, never from a second serialisation.

Source: Intel PCS API v4, "Get TDX TCB Info", "Get TD QE Identity".
"""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from verifiers.codec import strictjson
from verifiers.errors import AttestationError, EndorsementFormatError, Reason

MAX_DOCUMENT = 256 * 1024
"""Bytes. Real ones are under 20 thousand."""
MAX_LEVELS = 128
MAX_ADVISORIES = 256

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]*\Z")


class Status(enum.StrEnum):
    """TCB status words. The last three are conclusions, never written in a document."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"
    NOT_SUPPORTED = "NotSupported"


PLATFORM_STATUSES = frozenset(
    {
        Status.UP_TO_DATE,
        Status.SW_HARDENING_NEEDED,
        Status.CONFIGURATION_NEEDED,
        Status.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        Status.OUT_OF_DATE,
        Status.OUT_OF_DATE_CONFIGURATION_NEEDED,
        Status.REVOKED,
    }
)
ENCLAVE_STATUSES = frozenset({Status.UP_TO_DATE, Status.OUT_OF_DATE, Status.REVOKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class SvnLevel:
    """One level of a quoting enclave or TDX module: reached from ISVSVN `isv_svn` on."""

    isv_svn: int
    status: Status
    date: datetime
    advisory_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """issued <= now < next_update. Exclusive at the end, like CRLs and certificates here."""

    issued: datetime
    next_update: datetime

    def contains(self, now: datetime) -> bool:
        return self.issued <= now < self.next_update


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """An envelope: `body` is what (r, s) signs; sha256 is over the whole document, hex."""

    body: bytes
    r: int
    s: int
    sha256: str


def open_signed(raw: bytes, member: str, where: str) -> Signed:
    """Split a PCS response into the signed bytes of `member` and the signature.

    Raises EndorsementFormatError(COLLATERAL_MALFORMED): not strict JSON, members other than these two, or a
    signature that is not 128 hex digits.
    """
    try:
        envelope = strictjson.loads(raw, where, limit=MAX_DOCUMENT)
        if not isinstance(envelope, dict) or envelope.keys() != {member, "signature"}:
            raise bad(where, f'exactly "{member}" and "signature"', _names(envelope))
        body = strictjson.member_bytes(raw, member, where)
    except EndorsementFormatError:
        raise
    except AttestationError as error:
        raise bad(error.where, error.expected, error.found) from None
    signature = Fields(envelope, where).hexadecimal("signature", 64)
    return Signed(
        body=body,
        r=int.from_bytes(signature[:32], "big"),
        s=int.from_bytes(signature[32:], "big"),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def load_body(body: bytes, where: str) -> Fields:
    """Parse the signed bytes. Raises EndorsementFormatError(COLLATERAL_MALFORMED)."""
    try:
        return Fields(strictjson.loads(body, where, limit=MAX_DOCUMENT), where)
    except EndorsementFormatError:
        raise
    except AttestationError as error:
        raise bad(error.where, error.expected, error.found) from None


class Fields:
    """Typed access to one JSON object; every method raises COLLATERAL_MALFORMED naming the member.

    Members that nobody asks for are left alone: the documents are versioned and signed, and Intel has added
    members within a version. What takes part in a decision is required, or its absence has a meaning.
    """

    __slots__ = ("_values", "where")

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise bad(where, "an object", type(values).__name__)
        self._values: dict[str, Any] = values
        self.where = where

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, *, limit: int = 128) -> str:
        value = self._get(name)
        if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isprintable():
            raise bad(f"{self.where}.{name}", f"a printable string of 1 to {limit}", _show(value))
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        value = self._get(name)
        if type(value) is not int or not low <= value <= high:
            raise bad(f"{self.where}.{name}", f"an integer, {low} to {high}", _show(value))
        return value

    def hexadecimal(self, name: str, size: int) -> bytes:
        value = self._get(name)
        if not isinstance(value, str) or len(value) != 2 * size or not _HEX.match(value):
            raise bad(f"{self.where}.{name}", f"{2 * size} hex digits", _show(value))
        return bytes.fromhex(value)

    def time(self, name: str) -> datetime:
        value = self._get(name)
        if isinstance(value, str) and _TIME.match(value):
            try:
                return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            except ValueError:
                pass
        raise bad(f"{self.where}.{name}", "a time, YYYY-MM-DDThh:mm:ssZ", _show(value))

    def fields(self, name: str) -> Fields:
        return Fields(self._get(name), f"{self.where}.{name}")

    def objects(self, name: str, *, low: int, high: int) -> tuple[Fields, ...]:
        """An array of low to high objects."""
        value, where = self._get(name), f"{self.where}.{name}"
        if not isinstance(value, list) or not low <= len(value) <= high:
            found = f"{len(value)} elements" if isinstance(value, list) else _show(value)
            raise bad(where, f"an array of {low} to {high}" if low != high else f"an array of {low}", found)
        return tuple(Fields(element, f"{where}[{index}]") for index, element in enumerate(value))

    def status(self, allowed: frozenset[Status]) -> Status:
        """`tcbStatus`, which must be a word that we know for this kind of level."""
        value = self.text("tcbStatus")
        if value not in allowed:
            raise bad(f"{self.where}.tcbStatus", "a known status", _show(value))
        return Status(value)

    def advisories(self) -> tuple[str, ...]:
        """`advisoryIDs`: absent means none."""
        if "advisoryIDs" not in self:
            return ()
        value, where = self._get("advisoryIDs"), f"{self.where}.advisoryIDs"
        if not isinstance(value, list) or len(value) > MAX_ADVISORIES:
            raise bad(where, f"an array of at most {MAX_ADVISORIES}", _show(value))
        if not all(isinstance(name, str) and 0 < len(name) <= 64 and name.isprintable() for name in value):
            raise bad(where, "advisory identifiers", "something else")
        return tuple(dict.fromkeys(value))

    def window(self) -> Window:
        issued, next_update = self.time("issueDate"), self.time("nextUpdate")
        if issued >= next_update:
            raise bad(f"{self.where}.nextUpdate", "a time after issueDate", next_update.isoformat())
        return Window(issued=issued, next_update=next_update)

    def svn_levels(self, *, low: int) -> tuple[SvnLevel, ...]:
        """`tcbLevels` of an enclave or module, highest ISVSVN first, whatever the order in the document."""
        levels = tuple(
            SvnLevel(
                isv_svn=level.fields("tcb").integer("isvsvn", 0, 0xFFFF),
                status=level.status(ENCLAVE_STATUSES),
                date=level.time("tcbDate"),
                advisory_ids=level.advisories(),
            )
            for level in self.objects("tcbLevels", low=low, high=MAX_LEVELS)
        )
        return tuple(sorted(levels, key=lambda level: level.isv_svn, reverse=True))

    def _get(self, name: str) -> Any:
        if name not in self._values:
            raise bad(f"{self.where}.{name}", "a value", "no such member")
        return self._values[name]


def bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.COLLATERAL_MALFORMED, where, expected=expected, found=found)


def _show(value: object) -> str:
    text = (
        repr(value) if isinstance(value, str | int | float | bool) or value is None else type(value).__name__
    )
    return text if len(text) <= 40 else text[:40] + "…"


def _names(value: object) -> str:
    return ", ".join(map(repr, sorted(value)))[:80] if isinstance(value, dict) else type(value).__name__
