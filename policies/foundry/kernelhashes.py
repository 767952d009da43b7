"""The page in which QEMU tells OVMF the hashes of kernel, initrd and command line (kernel-hashes=on)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from policies.foundry.errors import malformed
from policies.foundry.guidtable import PAGE, guid

_TABLE = guid("9438d606-4f22-4cc9-b479-a793d411fd21")
_CMDLINE = guid("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")
_INITRD = guid("44baf731-3a2f-4bd7-9af1-41e29169781d")
_KERNEL = guid("4de79437-abd2-427f-b835-d5b172d2045b")

_ENTRY, _LENGTH, _PADDED = 50, 168, 176


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """What QEMU is given with -kernel, -initrd and -append. initrd: empty if there is none."""

    kernel: bytes
    initrd: bytes
    append: str


def page(boot: DirectBoot, gpa: int) -> bytes:
    """The 4096 bytes with the table at `gpa` modulo 4096. Raises FoundryError(MALFORMED)."""
    try:
        command_line = boot.append.encode("utf-8")
    except UnicodeEncodeError:
        raise malformed(
            "command line", expected="text that UTF-8 can spell", found="a lone surrogate"
        ) from None
    if b"\0" in command_line:
        raise malformed("command line", expected="no NUL", found="NUL")
    offset = gpa % PAGE
    if offset + _PADDED > PAGE:
        raise malformed(
            "kernel hash table", expected=f"{_PADDED} bytes within one page", found=f"offset {offset:#x}"
        )
    hashed = ((_CMDLINE, command_line + b"\0"), (_INITRD, boot.initrd), (_KERNEL, boot.kernel))
    table = _TABLE + _LENGTH.to_bytes(2, "little")
    for name, data in hashed:
        table += name + _ENTRY.to_bytes(2, "little") + hashlib.sha256(data).digest()
    return (bytes(offset) + table).ljust(PAGE, b"\0")
