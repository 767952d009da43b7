"""Runtime registers of a TD, as far as they follow from what the operator holds: RTMR2 of a direct boot.

RTMR0 needs the ACPI tables and the boot variables of the exact virtual machine; RTMR1 needs the kernel as the
monitor changed it, and newer ones change it no more. Neither is guessed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from policies.foundry.errors import malformed

START = bytes(48)

SEPARATOR = hashlib.sha384(bytes(4)).digest()
BOOT_OPTION = hashlib.sha384(b"Calling EFI Application from Boot Option").digest()
EXIT_BOOT_INVOCATION = hashlib.sha384(b"Exit Boot Services Invocation").digest()
EXIT_BOOT_SUCCESS = hashlib.sha384(b"Exit Boot Services Returned with Success").digest()
"""Events of every direct boot, digests as in the log."""

NOT_PREDICTED = {
    "rtmr0": "needs the ACPI tables and boot variables of the exact machine: take it from a trusted log",
    "rtmr1": "needs the kernel as the monitor changed it: take it from a trusted log",
    "rtmr2": "give --kernel, --initrd and the exact --append",
}


def extend(register: bytes, digest: bytes) -> bytes:
    """TDG.MR.RTMR.EXTEND: SHA-384(old || digest), 48 bytes each."""
    return hashlib.sha384(register + digest).digest()


def replay(digests: Iterable[bytes]) -> bytes:
    """A register after these events, from zero."""
    register = START
    for digest in digests:
        register = extend(register, digest)
    return register


def variable(vendor: bytes, name: str, data: bytes) -> bytes:
    """Digest of an EFI variable event: SHA-384 of UEFI_VARIABLE_DATA. vendor: GUID as stored, 16 bytes."""
    head = vendor + len(name).to_bytes(8, "little") + len(data).to_bytes(8, "little")
    return hashlib.sha384(head + name.encode("utf-16-le") + data).digest()


def command_line(text: str) -> bytes:
    """Digest of the load options that the kernel's EFI stub measures: UTF-16LE with a final NUL.

    Raises FoundryError(MALFORMED) for a NUL inside, or what is no text.
    """
    try:
        raw = text.encode("utf-16-le")
    except UnicodeEncodeError:
        raise malformed("command line", expected="text", found="a lone surrogate") from None
    if "\0" in text:
        raise malformed("command line", expected="no NUL", found="NUL")
    return hashlib.sha384(raw + b"\0\0").digest()


def rtmr2(append: str, initrd: bytes) -> bytes:
    """RTMR2 of a kernel with EFI stub, started directly by OVMF: command line, then initrd.

    append: exactly what the kernel was given, with anything that the monitor added ("initrd=initrd").
    Raises FoundryError(MALFORMED).
    """
    return replay((command_line(append), hashlib.sha384(initrd).digest()))
