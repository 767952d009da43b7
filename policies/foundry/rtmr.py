"""Runtime registers of a TD that OVMF starts directly, as far as they follow from what the operator holds.

RTMR0 and RTMR1 are those of OVMF from before May 2025; later builds put other events into both, in an order
that is not known here. Order and fixed events were checked against the log and quote of a real launch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policies.foundry import linuxkernel, tdhob
from policies.foundry.errors import FoundryError, FoundryReason, malformed
from policies.foundry.guidtable import guid
from policies.foundry.tdvf import Section, SectionType

START = bytes(48)

SEPARATOR = hashlib.sha384(bytes(4)).digest()
BOOT_OPTION = hashlib.sha384(b"Calling EFI Application from Boot Option").digest()
EXIT_BOOT_INVOCATION = hashlib.sha384(b"Exit Boot Services Invocation").digest()
EXIT_BOOT_SUCCESS = hashlib.sha384(b"Exit Boot Services Returned with Success").digest()
"""Events of every direct boot, digests as in the log."""

_GLOBAL = guid("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_SECURITY = guid("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
_SECURE_BOOT = (
    (_GLOBAL, "SecureBoot"),
    (_GLOBAL, "PK"),
    (_GLOBAL, "KEK"),
    (_SECURITY, "db"),
    (_SECURITY, "dbx"),
)
_VOLUME = guid("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1")
_UI_APP = guid("462caa21-7614-4503-836e-8ab6f4662331")
_BOOT_ORDER = bytes(2)
_BOOT_0000 = (
    (0x109).to_bytes(4, "little")
    + (0x2C).to_bytes(2, "little")
    + "UiApp\0".encode("utf-16-le")
    + bytes.fromhex("04071400")
    + _VOLUME
    + bytes.fromhex("04061400")
    + _UI_APP
    + bytes.fromhex("7fff0400")
)
"""What OVMF puts in first: its own setup menu."""


@dataclass(frozen=True, slots=True)
class Acpi:
    """SHA-384 of what QEMU hands over: etc/table-loader, etc/acpi/rsdp, etc/acpi/tables."""

    loader: bytes
    rsdp: bytes
    tables: bytes


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


def firmware_volume(sections: Sequence[Section]) -> bytes:
    """SHA-384 of the variable store (CFV) as firmware measures it.

    Raises FoundryError: MALFORMED, UNCERTAIN when it holds variables: then those of secure boot may be set.
    """
    found = [section for section in sections if section.type is SectionType.CFV]
    if len(found) != 1 or len(found[0].data) != found[0].memory_size:
        raise malformed("TDVF sections", expected="one CFV, whole in the file", found=f"{len(found)}")
    if not tdhob.empty_variable_store(found[0].data):
        raise FoundryError(
            FoundryReason.UNCERTAIN,
            "firmware: variable store",
            expected="an empty one (no keys of secure boot)",
            found="another",
        )
    return hashlib.sha384(found[0].data).digest()


def rtmr0(td_hob: bytes, volume: bytes, acpi: Acpi) -> bytes:
    """RTMR0 without keys of secure boot. td_hob, volume: SHA-384 of TD HOB and variable store."""
    variables = (variable(vendor, name, b"") for vendor, name in _SECURE_BOOT)
    options = (hashlib.sha384(value).digest() for value in (_BOOT_ORDER, _BOOT_0000))
    return replay((td_hob, volume, *variables, SEPARATOR, acpi.loader, acpi.rsdp, acpi.tables, *options))


def predicted_rtmr0(sections: Sequence[Section], memory: int, acpi: Acpi) -> bytes:
    """RTMR0 from firmware, bytes of memory and ACPI blobs. Raises FoundryError."""
    hob = hashlib.sha384(tdhob.build(sections, memory)).digest()
    return rtmr0(hob, firmware_volume(sections), acpi)


def rtmr1(kernel: bytes) -> bytes:
    """RTMR1 of a direct boot. kernel: its Authenticode digest, as it was started."""
    return replay((kernel, BOOT_OPTION, SEPARATOR, EXIT_BOOT_INVOCATION, EXIT_BOOT_SUCCESS))


def predicted_rtmr1(kernel: bytes, initrd_size: int, memory: int | None) -> bytes:
    """RTMR1 from the kernel file. memory: bytes of the guest if the loader changes the kernel, else None.

    Raises FoundryError.
    """
    if memory is not None:
        kernel = linuxkernel.patched(kernel, initrd_size, tdhob.below_4g(memory))
    return rtmr1(linuxkernel.authenticode(kernel))
