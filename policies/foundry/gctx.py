"""The SEV-SNP launch digest as the firmware extends it, page by page (AMD 56860, PAGE_INFO)."""

from __future__ import annotations

import enum
import hashlib

from policies.foundry.guidtable import PAGE

START = bytes(48)
VMSA_GPA = 0xFFFFFFFFF000
"""Where every VMSA is said to be, whatever the vCPU."""

_INFO_SIZE = 0x70
_ZERO_CONTENTS = bytes(48)


class PageType(enum.IntEnum):
    """PAGE_TYPE. Contents count for NORMAL and VMSA only."""

    NORMAL = 1
    VMSA = 2
    ZERO = 3
    UNMEASURED = 4
    SECRETS = 5
    CPUID = 6


def extend(digest: bytes, kind: PageType, gpa: int, contents: bytes = _ZERO_CONTENTS) -> bytes:
    """The launch digest after one page. contents: SHA-384 of the page, zeros where it is not measured."""
    info = (
        digest
        + contents
        + _INFO_SIZE.to_bytes(2, "little")
        + bytes((kind, 0, 0, 0, 0, 0))  # IMI, VMPL3 to VMPL1 permissions, reserved
        + gpa.to_bytes(8, "little")
    )
    return hashlib.sha384(info).digest()


def pages(digest: bytes, data: bytes, gpa: int) -> bytes:
    """NORMAL pages, ascending from `gpa`; `data` is whole pages."""
    view = memoryview(data)
    for at in range(0, len(data), PAGE):
        contents = hashlib.sha384(view[at : at + PAGE]).digest()
        digest = extend(digest, PageType.NORMAL, gpa + at, contents)
    return digest


def empty(digest: bytes, kind: PageType, gpa: int, size: int) -> bytes:
    """Pages of a type whose contents are not measured."""
    for at in range(0, size, PAGE):
        digest = extend(digest, kind, gpa + at)
    return digest


def vmsa(digest: bytes, page: bytes) -> bytes:
    return extend(digest, PageType.VMSA, VMSA_GPA, hashlib.sha384(page).digest())
