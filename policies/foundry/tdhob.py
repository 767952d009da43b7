"""The TD HOB that QEMU hands to TDVF: it lists the guest's memory, and RTMR0 has its digest.

Checked against the log of a real launch (QEMU 9.2, 64 GiB): tests/vectors/test_foundry.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from policies.foundry.errors import FoundryError, FoundryReason, malformed
from policies.foundry.guidtable import PAGE
from policies.foundry.tdvf import Section, SectionType

MIN_MEMORY, MAX_MEMORY = 64 << 20, 1 << 46

_SPLIT_FROM, _LOW_MEMORY, _HIGH_START = 0xB0000000, 0x80000000, 1 << 32
_ACCEPTED, _UNACCEPTED, _ATTRIBUTES = 0, 7, 7
_HANDOFF, _END_SIZE = 56, 8


def below_4g(memory: int) -> int:
    """Bytes of guest memory below 4 GiB, of `memory` bytes. Raises FoundryError(MALFORMED)."""
    if memory % (1 << 20) or not MIN_MEMORY <= memory <= MAX_MEMORY:
        raise malformed(
            "memory", expected=f"{MIN_MEMORY >> 20} to {MAX_MEMORY >> 20} MiB", found=f"{memory} bytes"
        )
    return _LOW_MEMORY if memory >= _SPLIT_FROM else memory


def build(sections: Sequence[Section], memory: int) -> bytes:
    """The list, up to its end marker, as firmware measures it.

    memory: bytes of the guest. Raises FoundryError: MALFORMED; UNCERTAIN for sections of memory whose place
    in the list is not known.
    """
    low = below_4g(memory)
    bases = [section.gpa for section in sections if section.type is SectionType.TD_HOB]
    if len(bases) != 1:
        raise malformed("TDVF sections", expected="one TD HOB", found=len(bases))
    accepted = []
    for section in sorted(sections, key=lambda item: item.gpa):
        if section.type in (SectionType.TD_HOB, SectionType.TEMP_MEM):
            if section.gpa + section.memory_size > low:
                raise malformed("TDVF sections", expected=f"memory below {low:#x}", found=f"{section.gpa:#x}")
            accepted.append((section.gpa, section.memory_size))
        elif section.type not in (SectionType.BFV, SectionType.CFV):
            raise FoundryError(
                FoundryReason.UNCERTAIN,
                "TDVF sections",
                expected="BFV, CFV, TD HOB and temporary memory only",
                found=section.type.name,
            )
    rows, at = [], 0
    for start, size in accepted:
        if at < start:
            rows.append((_UNACCEPTED, at, start - at))
        if size:
            rows.append((_ACCEPTED, start, size))
        at = start + size
    if at < low:
        rows.append((_UNACCEPTED, at, low - at))
    if memory > low:
        rows.append((_UNACCEPTED, _HIGH_START, memory - low))
    body = b"".join(_resource(kind, start, size) for kind, start, size in rows)
    end = bases[0] + _HANDOFF + len(body) + _END_SIZE
    return _head(1, _HANDOFF) + (9).to_bytes(8, "little") + bytes(32) + end.to_bytes(8, "little") + body


def _head(kind: int, size: int) -> bytes:
    return kind.to_bytes(2, "little") + size.to_bytes(2, "little") + bytes(4)


def _resource(kind: int, start: int, size: int) -> bytes:
    owner = bytes(16)
    numbers = kind.to_bytes(4, "little") + _ATTRIBUTES.to_bytes(4, "little")
    return _head(3, 48) + owner + numbers + start.to_bytes(8, "little") + size.to_bytes(8, "little")


def empty_variable_store(volume: bytes) -> bool:
    """Whether this CFV is a firmware volume with a variable store that holds nothing (UEFI PI, FV header).

    Only then are the secure boot variables known to be absent.
    """
    length = int.from_bytes(volume[0x30:0x32], "little")
    first = length + 28  # behind VARIABLE_STORE_HEADER
    if volume[0x28:0x2C] != b"_FVH" or len(volume) % PAGE or first + 2 > len(volume):
        return False
    return volume[first : first + 2] == b"\xff\xff"
