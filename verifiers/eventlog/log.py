"""What an event log is, in whichever format: events in order, each extending one measurement register.

Nothing here is trusted. A log is an attacker's text until its digests replay to registers that a quote has
signed (`replay.py`), and then only the digests are known to be true: whether an event's *data* says what was
measured is a question for each event (`binding.py`).

Sources: TCG PC Client Platform Firmware Profile, 10 (event types); UEFI 2.11, 38.4.1 (registers of TDX).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MAX_LOG = 1024 * 1024
"""Bytes of a log with its padding. Real ones: 2 to 256 KiB."""
MAX_EVENTS = 4096
MAX_DATA = 64 * 1024
"""Bytes of one event's data. Real ones: up to 12 KiB (the variable dbx)."""
REGISTERS = 4
"""RTMR0 to RTMR3, which logs call measurement register 1 to 4. 0 is MRTD, which nothing can extend."""
SHA384 = 0x000C
"""TCG Algorithm Registry; the only digest that RTMRs take."""

NO_ACTION = 0x3
SEPARATOR = 0x4
EVENT_TAG = 0x6
IPL = 0xD
VARIABLE_DRIVER_CONFIG = 0x80000001
VARIABLE_BOOT = 0x80000002
EFI_ACTION = 0x80000007
VARIABLE_BOOT2 = 0x8000000C
VARIABLE_AUTHORITY = 0x800000E0
DSTACK_RUNTIME = 0x08000001
"""What dstack calls the events that its guest adds."""

TYPE_NAMES: Mapping[int, str] = MappingProxyType(
    {
        0x0: "EV_PREBOOT_CERT",
        0x1: "EV_POST_CODE",
        NO_ACTION: "EV_NO_ACTION",
        SEPARATOR: "EV_SEPARATOR",
        0x5: "EV_ACTION",
        EVENT_TAG: "EV_EVENT_TAG",
        0x7: "EV_S_CRTM_CONTENTS",
        0x8: "EV_S_CRTM_VERSION",
        0x9: "EV_CPU_MICROCODE",
        0xA: "EV_PLATFORM_CONFIG_FLAGS",
        0xB: "EV_TABLE_OF_DEVICES",
        0xC: "EV_COMPACT_HASH",
        IPL: "EV_IPL",
        0xE: "EV_IPL_PARTITION_DATA",
        0xF: "EV_NONHOST_CODE",
        0x10: "EV_NONHOST_CONFIG",
        0x11: "EV_NONHOST_INFO",
        0x12: "EV_OMIT_BOOT_DEVICE_EVENTS",
        VARIABLE_DRIVER_CONFIG: "EV_EFI_VARIABLE_DRIVER_CONFIG",
        VARIABLE_BOOT: "EV_EFI_VARIABLE_BOOT",
        0x80000003: "EV_EFI_BOOT_SERVICES_APPLICATION",
        0x80000004: "EV_EFI_BOOT_SERVICES_DRIVER",
        0x80000005: "EV_EFI_RUNTIME_SERVICES_DRIVER",
        0x80000006: "EV_EFI_GPT_EVENT",
        EFI_ACTION: "EV_EFI_ACTION",
        0x80000008: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
        0x80000009: "EV_EFI_HANDOFF_TABLES",
        0x8000000A: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
        0x8000000B: "EV_EFI_HANDOFF_TABLES2",
        VARIABLE_BOOT2: "EV_EFI_VARIABLE_BOOT2",
        0x80000010: "EV_EFI_HCRTM_EVENT",
        VARIABLE_AUTHORITY: "EV_EFI_VARIABLE_AUTHORITY",
        DSTACK_RUNTIME: "dstack runtime event",
    }
)
"""Other types are allowed, and called by their number."""


class Format(enum.StrEnum):
    TCG2 = "tcg2"
    """TCG crypto-agile log, as in the memory that the CCEL table points to."""
    DSTACK = "dstack"
    """A JSON array, as dstack guests send it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry. index: measurement register, 0 to 4. digests: (algorithm, digest) as in the log; SHA-384 is
    among them. name: dstack's `event`; empty in TCG logs."""

    index: int
    type: int
    digests: tuple[tuple[int, bytes], ...]
    data: bytes
    name: str = ""

    @property
    def digest(self) -> bytes:
        """The 48 bytes that the register was extended with."""
        for algorithm, value in self.digests:
            if algorithm == SHA384:
                return value
        raise ValueError("an event without SHA-384 is never made")

    @property
    def extends(self) -> bool:
        """Whether it changed a register that can be replayed."""
        return self.index != 0 and self.type != NO_ACTION

    @property
    def register(self) -> str:
        return register_name(self.index)

    @property
    def type_name(self) -> str:
        return TYPE_NAMES.get(self.type, f"{self.type:#010x}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first entry of a TCG log. algorithms: (algorithm, digest size) as declared."""

    index: int
    platform_class: int
    version: bytes
    algorithms: tuple[tuple[int, int], ...]
    vendor: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """A log, parsed, *not* trusted. header: TCG logs only. used: bytes before the padding."""

    format: Format
    events: tuple[Event, ...]
    used: int
    header: Header | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A log that somebody else tried to read, and why it could not be: as an EvidenceFormatError says it."""

    where: str
    expected: str
    found: str


SentLog = bytes | EventLog | Unreadable
"""A log as it was sent, or what reading it came to elsewhere. Equally untrusted: replay decides."""


def register_name(index: int) -> str:
    """What TDX calls a log's measurement register: 0 is MRTD, 1 to 4 are RTMR0 to RTMR3."""
    return "MRTD" if index == 0 else f"RTMR{index - 1}"
