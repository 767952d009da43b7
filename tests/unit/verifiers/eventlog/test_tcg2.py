"""The TCG log: what is read, written back, and refused with which code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.simulator import logwrite
from gateway.simulator.logwrite import LogEntry
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.eventlog import tcg2
from verifiers.eventlog.log import MAX_DATA, MAX_EVENTS, MAX_LOG, SHA384

RAW = logwrite.write(logwrite.BOOT)
HEADER = 32 + 33
"""Bytes of the simulator's header: 32 of the entry, 33 of Spec ID Event03."""


def refused(raw: bytes) -> EvidenceFormatError:
    with pytest.raises(EvidenceFormatError) as caught:
        tcg2.parse(raw)
    return caught.value


def put(at: int, value: bytes) -> bytes:
    return RAW[:at] + value + RAW[at + len(value) :]


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def entry(index: int = 1, kind: int = 4, digests: bytes | None = None, data: bytes = b"") -> bytes:
    given = u32(1) + b"\x0c\0" + bytes(48) if digests is None else digests
    return u32(index) + u32(kind) + given + u32(len(data)) + data


def test_every_entry_is_read_as_it_was_written() -> None:
    log = tcg2.parse(RAW)
    assert log.header is not None
    assert (log.header.algorithms, log.header.platform_class) == (((SHA384, 48),), 0)
    told = [(event.index, event.type, event.data, event.digest) for event in log.events]
    assert told == [(e.register + 1, e.type, e.data, e.extended_with) for e in logwrite.BOOT]
    assert (tcg2.write(log), log.used) == (RAW, len(RAW))


@pytest.mark.parametrize(
    "padding",
    [
        b"",
        b"\xff" * 8,
        b"\xff" * 5000,
        bytes(8),
        bytes(5000),
        b"\xff" * 8 + bytes(100),
        b"\xff" * 3,
        bytes(7),
    ],
    ids=["none", "eight-ff", "ff", "eight-00", "00", "ff-then-00", "three-ff", "seven-00"],
)
def test_padding_is_no_part_of_the_log(padding: bytes) -> None:
    log = tcg2.parse(RAW + padding)
    assert (log.used, tcg2.write(log)) == (len(RAW), RAW)
    assert log.events == tcg2.parse(RAW).events


def test_a_log_without_entries_is_one() -> None:
    assert tcg2.parse(RAW[:HEADER]).events == ()


def test_unknown_types_have_a_number_for_a_name() -> None:
    log = tcg2.parse(RAW[:HEADER] + entry(kind=0xABCD))
    assert (log.events[0].type_name, log.events[0].register) == ("0x0000abcd", "RTMR0")


def test_several_algorithms_as_declared() -> None:
    raw = put(56, u32(2))[:60] + b"\x0c\0\x30\0\x0b\0\x20\0" + b"\0"
    raw = raw[:28] + u32(37) + raw[32:]
    both = u32(2) + b"\x0b\0" + b"s" * 32 + b"\x0c\0" + b"d" * 48
    log = tcg2.parse(raw + entry(digests=both))
    assert (log.events[0].digest, tcg2.write(log)) == (b"d" * 48, raw + entry(digests=both))
    only_sha256 = u32(1) + b"\x0b\0" + b"s" * 32
    assert refused(raw + entry(digests=only_sha256)).reason == Reason.BAD_VALUE
    twice = u32(2) + (b"\x0c\0" + b"d" * 48) * 2
    assert refused(raw + entry(digests=twice)).reason == Reason.DUPLICATE


WRONG: list[tuple[str, Callable[[], bytes], Reason, str]] = [
    ("empty", lambda: b"", Reason.EVIDENCE_EMPTY, "event log"),
    ("too large", lambda: RAW + b"\xff" * MAX_LOG, Reason.EVIDENCE_TOO_LARGE, "event log"),
    ("header cut", lambda: RAW[: HEADER - 1], Reason.BAD_LENGTH, "event log.header"),
    ("header register", lambda: put(0, u32(5)), Reason.BAD_VALUE, "event log.header"),
    ("header type", lambda: put(4, u32(4)), Reason.BAD_VALUE, "event log.header"),
    ("header digest", lambda: put(8, b"\1"), Reason.BAD_VALUE, "event log.header"),
    ("header size", lambda: put(28, u32(34)), Reason.TRAILING_DATA, "event log.header"),
    ("header size huge", lambda: put(28, u32(0xFFFFFFFF)), Reason.BAD_LENGTH, "event log.header"),
    ("signature", lambda: put(32, b"Spec ID Event02\0"), Reason.BAD_VALUE, "event log.header.signature"),
    ("version", lambda: put(53, b"\1"), Reason.UNSUPPORTED_VERSION, "event log.header"),
    ("no algorithm", lambda: put(56, u32(0)), Reason.BAD_VALUE, "event log.header"),
    ("algorithms", lambda: put(56, u32(0xFFFFFFFF)), Reason.BAD_VALUE, "event log.header"),
    ("only sha-256", lambda: put(60, b"\x0b\0\x20\0"), Reason.BAD_VALUE, "event log.header"),
    ("digest size", lambda: put(62, b"\x2f\0"), Reason.BAD_VALUE, "event log.header"),
    ("register 5", lambda: put(HEADER, u32(5)), Reason.BAD_VALUE, "event log.event 0.register"),
    ("no digest", lambda: put(HEADER + 8, u32(0)), Reason.BAD_VALUE, "event log.event 0.digests"),
    ("digests", lambda: put(HEADER + 8, u32(2)), Reason.BAD_VALUE, "event log.event 0.digests"),
    ("undeclared", lambda: put(HEADER + 12, b"\x0b"), Reason.BAD_VALUE, "event log.event 0.digests"),
    (
        "data size",
        lambda: put(HEADER + 62, u32(MAX_DATA + 1)),
        Reason.EVIDENCE_TOO_LARGE,
        "event log.event 0.data",
    ),
    ("data beyond", lambda: put(HEADER + 62, u32(60000)), Reason.BAD_LENGTH, "event log.event 0.data"),
    ("entry cut", lambda: RAW[:-1], Reason.BAD_LENGTH, "event log.event 16.data"),
    ("half a head", lambda: RAW + u32(1) + b"\4", Reason.BAD_LENGTH, f"event log, at {len(RAW)}"),
    ("after the end", lambda: RAW + b"\xff" * 8 + b"x", Reason.TRAILING_DATA, f"event log, at {len(RAW)}"),
    ("entry after 00", lambda: RAW + bytes(8) + entry(), Reason.TRAILING_DATA, f"event log, at {len(RAW)}"),
    ("too many", lambda: RAW[:HEADER] + entry() * (MAX_EVENTS + 1), Reason.EVIDENCE_TOO_LARGE, "event log"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "make", "reason", "where"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong_has_a_code_and_a_place(
    what: str, make: Callable[[], bytes], reason: Reason, where: str
) -> None:
    error = refused(make())
    assert (error.reason, error.where[: len(where)]) == (reason, where)
    assert error.expected and error.found


def test_as_many_entries_as_are_allowed() -> None:
    assert len(tcg2.parse(RAW[:HEADER] + entry() * MAX_EVENTS).events) == MAX_EVENTS


def test_the_largest_data_that_is_allowed() -> None:
    raw = logwrite.write([LogEntry(register=0, type=1, data=bytes(MAX_DATA))])
    assert len(tcg2.parse(raw).events[0].data) == MAX_DATA
    error = refused(logwrite.write([LogEntry(register=0, type=1, data=bytes(MAX_DATA + 1))]))
    assert (error.reason, error.where) == (Reason.EVIDENCE_TOO_LARGE, "event log.event 0.data")


def test_cut_anywhere_it_is_shorter_or_refused() -> None:
    """Never read past the end, never taken for the whole."""
    whole = tcg2.parse(RAW).events
    for size in range(len(RAW)):
        try:
            log = tcg2.parse(RAW[:size])
        except EvidenceFormatError:
            continue
        assert log.events == whole[: len(log.events)] and len(log.events) < len(whole)
        assert log.used == size
