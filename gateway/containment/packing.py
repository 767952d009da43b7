"""What a reader opened, as parts of a frame and back; and how the gateway takes it: strictly.

    "opened" │ "snp" or "quote" │ raw │ carrier │ notes │ log │ certificate │ …
    "needs" │ needs

What must stay true of `unpack`: its input is whatever code has captured a reader sends. The raw report or
quote is cut anew from its bytes; everything else is bounded, of a known shape, and worth no more than if the
peer had sent it. Notes cannot be named like a check that a policy or the profile asks for.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.containment import texts
from gateway.containment.errors import ReplyError
from verifiers.carriers import CARRIERS, Opened
from verifiers.carriers.members import MAX_CERTIFICATES
from verifiers.crypto.x509 import MAX_CERTIFICATE
from verifiers.dcap import quote as quotes
from verifiers.errors import EvidenceFormatError
from verifiers.eventlog import reading
from verifiers.eventlog.log import (
    MAX_DATA,
    MAX_EVENTS,
    MAX_LOG,
    SHA384,
    Event,
    EventLog,
    Format,
    SentLog,
    Unreadable,
)
from verifiers.model import Check, Need, TeeKind
from verifiers.sevsnp import abi
from verifiers.sevsnp.abi import SnpReport

OPENED, NEEDED, REFUSED, FOUND, EXHAUSTED = b"opened", b"needs", b"refused", b"found", b"exhausted"
NOTES = frozenset({"evidence.ignored", "evidence.runtime-claims", "evidence.vtpm-quote"})
"""Ids of the checks that carriers make; a test holds it to them."""
MAX_NOTES, MAX_NEEDS, MAX_TEXT = 64, 8, 64 * 1024

_FIXED = 6
_EVENT = struct.Struct(">BI48sHI")
_NAME_SIZE = 1024
_NO_LOG, _LOG, _UNREADABLE = b"-", b"L", b"U"
_FORMATS: Mapping[int, Format] = {0: Format.TCG2, 1: Format.DSTACK}


def pack(opened: Opened) -> tuple[bytes, ...]:
    """What a reader sends."""
    snp = isinstance(opened.evidence, SnpReport)
    return (
        OPENED,
        b"snp" if snp else b"quote",
        opened.evidence.raw,
        opened.carrier.encode(),
        texts.compact([texts.check(note) for note in opened.notes]),
        _pack_log(opened.event_log),
        *opened.certificates,
    )


def unpack(parts: Sequence[bytes]) -> Opened:
    """What a reader claims to have opened.

    Raises ReplyError, and EvidenceFormatError for a report or quote that cannot be cut, as for the peer's.
    """
    if len(parts) < _FIXED or parts[0] != OPENED:
        raise ReplyError("reply", "evidence", repr(b"".join(parts[:1])[:16]))
    certificates = tuple(parts[_FIXED:])
    if len(certificates) > MAX_CERTIFICATES or any(len(raw) > MAX_CERTIFICATE for raw in certificates):
        raise ReplyError("certificates", f"at most {MAX_CERTIFICATES}", f"{len(certificates)}, or long ones")
    carrier = parts[3].decode("ascii", "replace")
    if carrier not in CARRIERS:
        raise ReplyError("carrier", "a carrier's name", repr(carrier[:32]))
    evidence = _evidence(parts[1], parts[2])
    log = _unpack_log(parts[5])
    if log is not None and (isinstance(evidence, SnpReport) or evidence.kind is not TeeKind.TDX):
        raise ReplyError("event log", "none with this evidence", "one")
    return Opened(
        evidence=evidence,
        certificates=certificates,
        carrier=carrier,
        event_log=log,
        notes=tuple(_note(each) for each in _listed(parts[4], "notes", MAX_NOTES)),
    )


def pack_needs(needs: Sequence[Need]) -> tuple[bytes, ...]:
    return NEEDED, texts.compact([texts.need(each) for each in needs])


def unpack_needs(parts: Sequence[bytes]) -> tuple[Need, ...]:
    """Raises ReplyError."""
    if len(parts) != 2 or parts[0] != NEEDED:
        raise ReplyError("reply", "needs", f"{len(parts)} parts")
    return tuple(texts.read_need(each) for each in _listed(parts[1], "needs", MAX_NEEDS))


def pack_refusal(error: EvidenceFormatError) -> tuple[bytes, ...]:
    said = {"reason": error.reason, "where": error.where, "expected": error.expected, "found": error.found}
    return REFUSED, texts.compact({name: text[: texts.MAX_TEXT] for name, text in said.items()})


def unpack_refusal(parts: Sequence[bytes]) -> EvidenceFormatError:
    """Why a reader says that the peer's bytes are no evidence. Raises ReplyError."""
    if len(parts) != 2:
        raise ReplyError("refusal", "2 parts", f"{len(parts)}")
    said = texts.members(texts.json(parts[1], MAX_TEXT), ("reason", "where", "expected", "found"))
    values = {name: texts.text(value, name) for name, value in said.items()}
    return EvidenceFormatError(
        texts.reason(values["reason"]), values["where"], expected=values["expected"], found=values["found"]
    )


def _evidence(kind: bytes, raw: bytes) -> SnpReport | quotes.Quote:
    if kind == b"snp":
        return abi.parse(raw)
    if kind == b"quote":
        return quotes.parse(raw)
    raise ReplyError("kind", "snp or quote", repr(kind[:16]))


def _note(value: Any) -> Check:
    note = texts.read_check(value)
    if note.id not in NOTES:
        raise ReplyError("note", "a carrier's", note.id)
    return note


def _listed(raw: bytes, where: str, most: int) -> list[Any]:
    value = texts.json(raw, MAX_TEXT)
    if not isinstance(value, list) or len(value) > most:
        raise ReplyError(where, f"a list of at most {most}", type(value).__name__)
    return value


# --- event logs ----------------------------------------------------------------------------------------


def _pack_log(log: SentLog | None) -> bytes:
    """Only what is replayed: register, type, SHA-384, name and data of each event."""
    if log is None:
        return _NO_LOG
    if isinstance(log, bytes):
        try:
            log = reading.parse(log)
        except EvidenceFormatError as error:
            log = Unreadable(error.where, error.expected, error.found)
    if isinstance(log, Unreadable):
        said = {"where": log.where, "expected": log.expected, "found": log.found}
        return _UNREADABLE + texts.compact({name: text[: texts.MAX_TEXT] for name, text in said.items()})
    out = [_LOG, bytes([list(_FORMATS.values()).index(log.format)])]
    for event in log.events:
        name = event.name.encode()
        out += [
            _EVENT.pack(event.index, event.type, event.digest, len(name), len(event.data)),
            name,
            event.data,
        ]
    return b"".join(out)


def _unpack_log(raw: bytes) -> SentLog | None:
    kind, body = raw[:1], raw[1:]
    if kind == _NO_LOG and not body:
        return None
    if kind == _UNREADABLE:
        said = texts.members(texts.json(body, MAX_TEXT), ("where", "expected", "found"))
        return Unreadable(*(texts.text(said[name], name) for name in ("where", "expected", "found")))
    if kind != _LOG or len(body) < 1 or body[0] not in _FORMATS:
        raise ReplyError("event log", "a log of a known format", repr(raw[:4]))
    events: list[Event] = []
    total, at = 0, 1
    while at < len(body):
        event, at = _event(body, at)
        total += len(event.data)
        if len(events) == MAX_EVENTS or total > MAX_LOG:
            raise ReplyError("event log", f"at most {MAX_EVENTS} events, {MAX_LOG} bytes", "more")
        events.append(event)
    return EventLog(format=_FORMATS[body[0]], events=tuple(events), used=len(body))


def _event(body: bytes, at: int) -> tuple[Event, int]:
    start = at + _EVENT.size
    if start > len(body):
        raise ReplyError("event", f"{_EVENT.size} bytes", f"{len(body) - at}")
    index, kind, digest, name_size, data_size = _EVENT.unpack_from(body, at)
    middle = start + name_size
    end = middle + data_size
    if index > 4 or name_size > _NAME_SIZE or data_size > MAX_DATA or end > len(body):
        raise ReplyError("event", "a register, and a name and data inside the log", f"register {index}")
    try:
        name = body[start:middle].decode()
    except UnicodeDecodeError:
        raise ReplyError("event", "a name in UTF-8", repr(body[start:middle][:16])) from None
    return Event(index, kind, ((SHA384, digest),), body[middle:end], name), end
