"""The TCG crypto-agile log: a Spec ID header in the old SHA-1 form, then entries that name their digests.

Integers are little-endian. Lengths are compared with what is left before anything is cut, so entries follow
each other without gap or overlap, and `write` gives back the bytes that `parse` used. The memory behind a
CCEL table is larger than its log: what follows the last entry must be padding, 0xff or zeros.

Sources: TCG PC Client Platform Firmware Profile 1.05, 10.2.1 and 10.4.5.1; UEFI 2.11, 38.4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType

from verifiers.codec.reader import Reader
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.eventlog.log import (
    MAX_DATA,
    MAX_EVENTS,
    MAX_LOG,
    NO_ACTION,
    REGISTERS,
    SHA384,
    Event,
    EventLog,
    Format,
    Header,
)

SIGNATURE = b"Spec ID Event03\0"
DIGEST_SIZES: Mapping[int, int] = MappingProxyType({0x4: 20, 0xB: 32, SHA384: 48, 0xD: 64, 0x12: 32})
"""TCG Algorithm Registry: SHA-1, SHA-256, SHA-384, SHA-512, SM3."""
_MAX_ALGORITHMS = 8
_MAX_DIGEST = 64
_END = 0xFFFFFFFF
_ENTRY = Struct("<III")
"""Register index, event type, number of digests."""
_USUAL = Struct("<IIIH48sI")
"""The same with one digest, SHA-384, and the size of the data."""
_START = Struct("<II")
_U16, _U32 = Struct("<H"), Struct("<I")


def recognised(raw: bytes) -> bool:
    """Whether these bytes begin as such a log does, well formed or not."""
    return raw[32:48] == SIGNATURE


def parse(raw: bytes) -> EventLog:
    """Read a log and check what follows it.

    Raises EvidenceFormatError: EVIDENCE_EMPTY, EVIDENCE_TOO_LARGE (log, entries, data of an entry),
    BAD_LENGTH (an entry runs past the end), BAD_VALUE (header, register above 4, no SHA-384),
    DUPLICATE (an algorithm), UNSUPPORTED_VERSION, TRAILING_DATA (not padding).
    """
    if not raw:
        raise EvidenceFormatError(Reason.EVIDENCE_EMPTY, "event log", expected="a TCG log", found="nothing")
    if len(raw) > MAX_LOG:
        raise _too_large("event log", MAX_LOG, len(raw), "bytes")
    header, at = _header(raw)
    sizes = dict(header.algorithms)
    events: list[Event] = []
    while not _ends(raw, at):
        if len(events) == MAX_EVENTS:
            raise _too_large("event log", MAX_EVENTS, MAX_EVENTS + 1, "events")
        event, at = _event(raw, at, len(events), sizes)
        events.append(event)
    return EventLog(format=Format.TCG2, events=tuple(events), used=at, header=header)


def write(log: EventLog) -> bytes:
    """The bytes that `log` was parsed from, without padding. ValueError for a log of another format."""
    if log.header is None:
        raise ValueError(f"a log of format {log.format} has no TCG header")
    head = log.header
    algorithms = b"".join(_U16.pack(name) + _U16.pack(size) for name, size in head.algorithms)
    body = (
        SIGNATURE
        + _U32.pack(head.platform_class)
        + head.version
        + _U32.pack(len(head.algorithms))
        + algorithms
        + bytes([len(head.vendor)])
        + head.vendor
    )
    out = [_U32.pack(head.index), _U32.pack(NO_ACTION), bytes(20), _U32.pack(len(body)), body]
    for event in log.events:
        out.append(_ENTRY.pack(event.index, event.type, len(event.digests)))
        out += (_U16.pack(name) + value for name, value in event.digests)
        out += (_U32.pack(len(event.data)), event.data)
    return b"".join(out)


def _header(raw: bytes) -> tuple[Header, int]:
    """The first entry (TCG_PCClientPCREvent), and where the next begins."""
    where = "event log.header"
    outer = Reader(raw, where)
    index, kind = outer.u32("register"), outer.u32("type")
    if index > REGISTERS or kind != NO_ACTION or any(outer.take(20, "digest")):
        raise _bad(where, f"register 0..{REGISTERS}, EV_NO_ACTION, a digest of zeros", "something else")
    size = outer.u32("size")
    body = Reader(outer.take(size, "data"), where)
    signature = body.take(16, "signature")
    if signature != SIGNATURE:
        raise _bad(f"{where}.signature", "Spec ID Event03", signature.hex())
    platform_class, version = body.u32("platform class"), body.take(4, "version")
    if version[:2] != b"\x00\x02":
        raise EvidenceFormatError(
            Reason.UNSUPPORTED_VERSION, where, expected="version 2.0", found=f"{version[1]}.{version[0]}"
        )
    count = body.u32("algorithm count")
    if not 1 <= count <= _MAX_ALGORITHMS:
        raise _bad(where, f"1 to {_MAX_ALGORITHMS} algorithms", str(count))
    algorithms = tuple((body.u16("algorithm"), body.u16("digest size")) for _ in range(count))
    _check_algorithms(algorithms, where)
    vendor = body.take(body.take(1, "vendor size")[0], "vendor")
    body.end()
    head = Header(
        index=index, platform_class=platform_class, version=version, algorithms=algorithms, vendor=vendor
    )
    return head, outer.offset


def _check_algorithms(algorithms: tuple[tuple[int, int], ...], where: str) -> None:
    names = [name for name, _ in algorithms]
    if len(set(names)) != len(names):
        raise EvidenceFormatError(
            Reason.DUPLICATE, where, expected="each algorithm once", found=", ".join(map(hex, names))
        )
    for name, size in algorithms:
        right = DIGEST_SIZES.get(name)
        if not 1 <= size <= _MAX_DIGEST or right not in (None, size):
            raise _bad(
                where, f"{right or f'1 to {_MAX_DIGEST}'} bytes for algorithm {name:#x}", f"{size} bytes"
            )
    if SHA384 not in names:
        raise _bad(where, "SHA-384 among the algorithms", ", ".join(map(hex, names)))


def _ends(raw: bytes, at: int) -> bool:
    """Whether the log ends at `at`: at the end of the bytes, or where padding begins."""
    left = len(raw) - at
    if left == 0:
        return True
    if left >= 8:
        index, kind = _START.unpack_from(raw, at)
        if index != _END and (index or kind):
            return False
    tail = raw[at:]
    if not tail.lstrip(b"\xff").lstrip(b"\0"):
        return True
    reason = Reason.TRAILING_DATA if left >= 8 else Reason.BAD_LENGTH
    raise EvidenceFormatError(
        reason,
        f"event log, at {at}",
        expected="an entry, or padding (0xff, then zeros) to the end",
        found=f"{left} bytes that begin {tail[:8].hex()}",
    )


def _event(raw: bytes, at: int, number: int, sizes: Mapping[int, int]) -> tuple[Event, int]:
    """The entry (TCG_PCR_EVENT2) at `at`, and where the next begins.

    The usual one has a digest, SHA-384, and is read at once; whatever else it may be is told step by step.
    """
    start = at + _USUAL.size
    if start <= len(raw):
        index, kind, count, name, digest, size = _USUAL.unpack_from(raw, at)
        end = start + size
        usual = count == 1 and name == SHA384
        if usual and index <= REGISTERS and size <= MAX_DATA and end <= len(raw):
            return Event(index, kind, ((SHA384, digest),), raw[start:end]), end
    return _unusual_event(raw, at, f"event log.event {number}", sizes)


def _unusual_event(raw: bytes, at: int, where: str, sizes: Mapping[int, int]) -> tuple[Event, int]:
    at = _room(raw, at, _ENTRY.size, where, "head")
    index, kind, count = _ENTRY.unpack_from(raw, at - _ENTRY.size)
    if index > REGISTERS:
        raise _bad(f"{where}.register", f"0..{REGISTERS}", str(index))
    if not 1 <= count <= len(sizes):
        raise _bad(f"{where}.digests", f"1 to {len(sizes)}, as many as were declared", str(count))
    digests: dict[int, bytes] = {}
    for _ in range(count):
        at = _room(raw, at, 2, where, "algorithm")
        (name,) = _U16.unpack_from(raw, at - 2)
        size = sizes.get(name)
        if size is None:
            raise _bad(f"{where}.digests", "algorithms that the header declares", f"{name:#x}")
        if name in digests:
            raise EvidenceFormatError(
                Reason.DUPLICATE, f"{where}.digests", expected="each algorithm once", found=f"{name:#x} twice"
            )
        start, at = at, _room(raw, at, size, where, "digest")
        digests[name] = raw[start:at]
    if SHA384 not in digests:
        raise _bad(f"{where}.digests", "SHA-384, which RTMRs are extended with", ", ".join(map(hex, digests)))
    at = _room(raw, at, 4, where, "size")
    (size,) = _U32.unpack_from(raw, at - 4)
    if size > MAX_DATA:
        raise _too_large(f"{where}.data", MAX_DATA, size, "bytes")
    start, at = at, _room(raw, at, size, where, "data")
    return Event(index, kind, tuple(digests.items()), raw[start:at]), at


def _room(raw: bytes, at: int, size: int, where: str, part: str) -> int:
    """Where `size` bytes at `at` end. Raises EvidenceFormatError(BAD_LENGTH) beyond the end of the log."""
    if at + size > len(raw):
        raise EvidenceFormatError(
            Reason.BAD_LENGTH,
            f"{where}.{part}",
            expected=f"{size} bytes at offset {at}",
            found=f"{len(raw) - at} bytes left",
        )
    return at + size


def _bad(where: str, expected: str, found: str) -> EvidenceFormatError:
    return EvidenceFormatError(Reason.BAD_VALUE, where, expected=expected, found=found)


def _too_large(where: str, limit: int, found: int, unit: str) -> EvidenceFormatError:
    return EvidenceFormatError(
        Reason.EVIDENCE_TOO_LARGE, where, expected=f"at most {limit} {unit}", found=f"{found} {unit}"
    )
