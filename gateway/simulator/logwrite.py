"""Writes event logs as firmware, boot loader and Attestation Agent do: the TCG crypto-agile form.

The other side of `verifiers/eventlog`, with layouts of its own: an error shared by both would go unseen.

Sources: TCG PC Client Platform Firmware Profile 1.05, 10.2 and 10.4; confidential-containers/trustee,
Attestation Agent Event Log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

_EFI_GLOBAL = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
_IMAGE_SECURITY = bytes.fromhex("cbb219d73a3d9645a3bcdad00e67656f")
PADDED_SIZE = 65536
"""Bytes of the memory that the simulated firmware reserves; what is not used is 0xff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry. register: RTMR number. data: what the log shows; measured: the bytes whose SHA-384 extends
    the register, when they are others. digest: that instead, whatever the data is."""

    register: int
    type: int
    data: bytes
    measured: bytes | None = None
    digest: bytes | None = None

    @property
    def extended_with(self) -> bytes:
        if self.digest is not None:
            return self.digest
        return hashlib.sha384(self.data if self.measured is None else self.measured).digest()


def variable(name: str, value: bytes, guid: bytes = _EFI_GLOBAL) -> bytes:
    """UEFI_VARIABLE_DATA."""
    counts = len(name).to_bytes(8, "little") + len(value).to_bytes(8, "little")
    return guid + counts + name.encode("utf-16-le") + value


def aael(domain: str, operation: str, content: str, *, register: int = 3) -> LogEntry:
    """What the Attestation Agent adds for one event."""
    text = f"{domain} {operation} {content}".encode()
    return LogEntry(register=register, type=0x6, data=b"LEAA" + len(text).to_bytes(4, "little") + text)


def _secure_boot_variables() -> Iterable[LogEntry]:
    yield LogEntry(register=0, type=0x80000001, data=variable("SecureBoot", b"\1"))
    for name, guid in (("PK", _EFI_GLOBAL), ("KEK", _EFI_GLOBAL)):
        yield LogEntry(register=0, type=0x80000001, data=variable(name, b"simulated key", guid))
    for name in ("db", "dbx"):
        yield LogEntry(register=0, type=0x80000001, data=variable(name, b"", _IMAGE_SECURITY))


BOOT: tuple[LogEntry, ...] = (
    LogEntry(register=0, type=0x8000000B, data=b"\x09TdxTable\0", measured=b"simulated TD HOB"),
    LogEntry(register=0, type=0x8000000A, data=b"simulated firmware volume", measured=b"CFV"),
    *_secure_boot_variables(),
    LogEntry(register=0, type=0x4, data=bytes(4)),
    LogEntry(register=0, type=0xA, data=b"ACPI DATA", measured=b"simulated ACPI tables"),
    LogEntry(register=0, type=0x80000002, data=variable("BootOrder", bytes(2)), measured=bytes(2)),
    LogEntry(register=1, type=0x80000007, data=b"Calling EFI Application from Boot Option"),
    LogEntry(register=1, type=0x4, data=bytes(4)),
    LogEntry(register=1, type=0x80000003, data=b"simulated device path", measured=b"simulated kernel image"),
    LogEntry(register=2, type=0xD, data=b"kernel_cmdline: quiet ro\0", measured=b"quiet ro"),
    LogEntry(register=2, type=0xD, data=b"/initrd.img\0", measured=b"simulated initrd"),
    LogEntry(register=1, type=0x80000007, data=b"Exit Boot Services Invocation"),
    LogEntry(register=1, type=0x80000007, data=b"Exit Boot Services Returned with Success"),
)
"""What the simulated firmware, boot loader and kernel record: RTMR0 to RTMR2, nothing in RTMR3."""


def registers(entries: Iterable[LogEntry]) -> tuple[bytes, bytes, bytes, bytes]:
    """RTMR0 to RTMR3 after these entries."""
    held = [bytes(48) for _ in range(4)]
    for entry in entries:
        held[entry.register] = hashlib.sha384(held[entry.register] + entry.extended_with).digest()
    return held[0], held[1], held[2], held[3]


def write(entries: Iterable[LogEntry], *, size: int | None = None) -> bytes:
    """The log, filled up with 0xff to `size` bytes. Raises ValueError when it is longer."""
    spec = b"Spec ID Event03\0" + bytes(4) + b"\0\2\0\2" + b"\1\0\0\0" + b"\x0c\0\x30\0" + b"\0"
    out = b"\1\0\0\0" + b"\3\0\0\0" + bytes(20) + len(spec).to_bytes(4, "little") + spec
    for entry in entries:
        out += (entry.register + 1).to_bytes(4, "little") + entry.type.to_bytes(4, "little")
        out += b"\1\0\0\0" + b"\x0c\0" + entry.extended_with
        out += len(entry.data).to_bytes(4, "little") + entry.data
    if size is not None and len(out) > size:
        raise ValueError(f"the log has {len(out)} bytes, more than {size}")
    return out if size is None else out + b"\xff" * (size - len(out))
