"""The log of dstack guests: a JSON array of {imr, event_type, digest, event, event_payload}.

`imr` 0 to 3 is RTMR0 to RTMR3. Events of type 0x08000001 are the guest's own; their digest is defined over
type, name and payload, and newer guests leave it out. It is always computed here, never taken from the log
and never skipped: a log that states another one contradicts itself.

Source: Dstack-TEE/dstack, cc-eventlog; the rule holds for every runtime event of the recorded logs.
"""

from __future__ import annotations

import hashlib
import re

from verifiers.codec import strictjson
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.eventlog.log import (
    DSTACK_RUNTIME,
    MAX_DATA,
    MAX_EVENTS,
    MAX_LOG,
    REGISTERS,
    SHA384,
    Event,
    EventLog,
    Format,
    register_name,
)

_MEMBERS = frozenset({"imr", "event_type", "digest", "event", "event_payload"})
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*\Z", re.ASCII)
_START = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*[{\]]")
_MAX_NAME = 256
_DIGEST_SIZE = 48


def recognised(raw: bytes) -> bool:
    """Whether these bytes begin as a JSON array of objects does, or are an empty one."""
    return _START.match(raw) is not None


def parse(raw: bytes) -> EventLog:
    """Read a log.

    Raises EvidenceFormatError: what `strictjson.loads` finds, EVIDENCE_TOO_LARGE (events, payload),
    BAD_VALUE, BAD_ENCODING (hexadecimal), BAD_LENGTH (digest).
    """
    entries = strictjson.loads(raw, "event log", limit=MAX_LOG, max_depth=2)
    if not isinstance(entries, list):
        raise _bad("event log", "an array of events", type(entries).__name__)
    if len(entries) > MAX_EVENTS:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE,
            "event log",
            expected=f"at most {MAX_EVENTS} events",
            found=f"{len(entries)} events",
        )
    events = tuple(_event(entry, f"event log.event {number}") for number, entry in enumerate(entries))
    return EventLog(format=Format.DSTACK, events=events, used=len(raw))


def runtime_digest(kind: int, name: str, payload: bytes) -> bytes:
    """SHA-384(type as u32le || ":" || name || ":" || payload): what a runtime event extends RTMR3 with."""
    return hashlib.sha384(kind.to_bytes(4, "little") + b":" + name.encode() + b":" + payload).digest()


def _event(entry: object, where: str) -> Event:
    if not isinstance(entry, dict) or entry.keys() != _MEMBERS:
        raise _bad(where, f"an object with {', '.join(sorted(_MEMBERS))}", "something else")
    index = _integer(entry["imr"], f"{where}.imr", REGISTERS - 1) + 1
    kind = _integer(entry["event_type"], f"{where}.event_type", 0xFFFFFFFF)
    name = entry["event"]
    if not isinstance(name, str) or len(name) > _MAX_NAME:
        raise _bad(f"{where}.event", f"text of at most {_MAX_NAME} characters", type(name).__name__)
    payload = _octets(entry["event_payload"], f"{where}.event_payload", MAX_DATA)
    digest = _octets(entry["digest"], f"{where}.digest", _DIGEST_SIZE)
    if kind == DSTACK_RUNTIME:
        computed = runtime_digest(kind, name, payload)
        if digest not in (b"", computed):
            raise _bad(
                f"{where}.digest ({register_name(index)})",
                f"{computed.hex()}, which is that of its type, name and payload, or none",
                digest.hex(),
            )
        digest = computed
    if len(digest) != _DIGEST_SIZE:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH, f"{where}.digest", expected="48 bytes", found=f"{len(digest)} bytes"
        )
    return Event(index, kind, ((SHA384, digest),), payload, name)


def _integer(value: object, where: str, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
        raise _bad(where, f"an integer 0..{high}", type(value).__name__)
    return value


def _octets(value: object, where: str, limit: int) -> bytes:
    if not isinstance(value, str) or not _HEX.match(value):
        raise EvidenceFormatError(
            Reason.BAD_ENCODING, where, expected="hexadecimal digits, two a byte", found=type(value).__name__
        )
    if len(value) > 2 * limit:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE,
            where,
            expected=f"at most {limit} bytes",
            found=f"{len(value) // 2} bytes",
        )
    return bytes.fromhex(value)


def _bad(where: str, expected: str, found: str) -> EvidenceFormatError:
    return EvidenceFormatError(Reason.BAD_VALUE, where, expected=expected, found=found)
