"""What the registers hold after the events of a log: new = SHA-384(old || digest), from 48 zero bytes on.

Equality with quoted registers proves which digests they were extended with, in which order. It proves nothing
about the data beside the digests, nor about entries that extend nothing (EV_NO_ACTION, register 0).

Source: Intel TDX Module 1.5 ABI, TDG.MR.RTMR.EXTEND.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha384

from verifiers.eventlog.log import REGISTERS, Event


def replay(events: Iterable[Event]) -> tuple[bytes, ...]:
    """RTMR0 to RTMR3, 48 bytes each."""
    registers = [bytes(48)] * (REGISTERS + 1)
    for event in events:
        if event.extends:
            registers[event.index] = sha384(registers[event.index] + event.digest).digest()
    return tuple(registers[1:])


def first_difference(replayed: Sequence[bytes], quoted: Sequence[bytes]) -> int | None:
    """Number of the first RTMR in which the two differ, or None."""
    pairs = enumerate(zip(replayed, quoted, strict=True))
    return next((number for number, (ours, theirs) in pairs if ours != theirs), None)


def counts(events: Iterable[Event]) -> tuple[int, ...]:
    """How many events extend RTMR0 to RTMR3."""
    found = Counter(event.index for event in events if event.extends)
    return tuple(found[index] for index in range(1, REGISTERS + 1))
