"""The certificate table of extended reports and of configfs-tsm's auxblob. Written by the host, signed by
nobody: it brings certificates, never trust.

Source: AMD 56421, "Guest-Hypervisor Communication Block Standardization", SNP Extended Guest Request.
Entries {GUID 16 bytes, OFFSET u32, LENGTH u32}, then an all-zero entry; offsets count from the table's start.
GUIDs are in RFC 4122 byte order, as real tables have them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from verifiers.codec.reader import Reader
from verifiers.crypto import x509
from verifiers.errors import EndorsementFormatError, EvidenceFormatError, Reason

MAX_SIZE = 256 * 1024
"""Bytes. Linux caps the host's at 16 KiB; firmware endorsements may make it longer."""
MAX_ENTRIES = 32

VCEK = "63da758d-e664-4564-adc5-f4b93be8accd"
VLEK = "a8074bc2-a25a-483e-aae6-39c045a0b8a1"
ASK = "4ab7b379-bbac-4fe4-a02f-05aef327c782"
"""The ASVK's, too."""
ARK = "c0b406a4-a803-4952-9743-3fb6014cd0ae"
CRL = "92f81bc3-5811-4d3d-97ff-d19f88dc67ea"

NAMES: Mapping[str, str] = MappingProxyType(
    {
        VCEK: "VCEK",
        VLEK: "VLEK",
        ASK: "ASK",
        ARK: "ARK",
        CRL: "CRL",
        "9f4116cd-c503-4f5a-8f6f-fb68882f4ce2": "firmware launch endorsement",
        "ecae0c0f-9502-43b1-afa2-0ae2e0d565b6": "extra platform information",
    }
)
"""What the GUIDs that we know stand for."""

CERTIFICATES = (VCEK, VLEK, ASK, ARK)

_ENTRY = 24
_CHAIN_LIMIT = 4


def parse(raw: bytes) -> tuple[tuple[str, bytes], ...]:
    """The items whose GUIDs we know, as (GUID in text form, body), in table order; others are left out.

    Raises EvidenceFormatError: EVIDENCE_TOO_LARGE (bytes or entries), BAD_LENGTH (no all-zero entry at the
    end, or a body that goes past the table), BAD_VALUE (a body that overlaps entries or another body) or
    DUPLICATE (a GUID twice, known or not). Does not look into bodies: DER or PEM, good or bad.
    """
    if len(raw) > MAX_SIZE:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE,
            "certificate table",
            expected=f"at most {MAX_SIZE} bytes",
            found=f"{len(raw)} bytes",
        )
    entries = _entries(raw)
    first_body = _ENTRY * (len(entries) + 1)
    end_of_last = first_body
    for guid, offset, length in sorted(entries, key=lambda entry: entry[1:]):
        where = f"certificate table entry {guid}"
        # Python's integers do not wrap: the sum of two u32 is what it says.
        if offset + length > len(raw):
            raise EvidenceFormatError(
                Reason.BAD_LENGTH,
                where,
                expected=f"a body inside {len(raw)} bytes",
                found=f"offset {offset}, length {length}",
            )
        if offset < end_of_last:
            raise EvidenceFormatError(
                Reason.BAD_VALUE,
                where,
                expected=f"a body at {end_of_last} or behind it",
                found=f"offset {offset}: it overlaps what comes before",
            )
        end_of_last = offset + length
    return tuple((guid, raw[offset : offset + length]) for guid, offset, length in entries if guid in NAMES)


def certificates(items: Iterable[tuple[str, bytes]]) -> tuple[bytes, ...]:
    """The certificates of a parsed table, one DER each; PEM bodies are taken apart.

    A PEM body that cannot be read is handed over as it is: `verify` then says which certificate is malformed
    if it was needed. Raises nothing.
    """
    out: list[bytes] = []
    for guid, body in items:
        if guid not in CERTIFICATES:
            continue
        if body.lstrip().startswith(b"-----BEGIN"):
            try:
                out += x509.split_pem(body, NAMES[guid], limit=_CHAIN_LIMIT)
                continue
            except EndorsementFormatError:
                pass
        out.append(body)
    return tuple(out)


def build(items: Iterable[tuple[str, bytes]]) -> bytes:
    """The table of these (GUID, body) pairs, bodies in the same order behind the entries."""
    listed = tuple(items)
    at = _ENTRY * (len(listed) + 1)
    head = b""
    for guid, body in listed:
        head += uuid.UUID(guid).bytes + at.to_bytes(4, "little") + len(body).to_bytes(4, "little")
        at += len(body)
    return head + bytes(_ENTRY) + b"".join(body for _, body in listed)


def _entries(raw: bytes) -> list[tuple[str, int, int]]:
    """GUID, offset and length of every entry before the all-zero one."""
    reader = Reader(raw, "certificate table")
    out: list[tuple[str, int, int]] = []
    seen: set[str] = set()
    while True:
        if reader.left < _ENTRY:
            raise EvidenceFormatError(
                Reason.BAD_LENGTH,
                "certificate table",
                expected="an all-zero entry at its end",
                found=f"none in {len(out)} entries, {reader.left} bytes left",
            )
        guid_raw = reader.take(16, "GUID")
        offset, length = reader.u32("OFFSET"), reader.u32("LENGTH")
        if not any(guid_raw) and not offset and not length:
            return out
        guid = str(uuid.UUID(bytes=guid_raw))
        if guid in seen:
            raise EvidenceFormatError(
                Reason.DUPLICATE, "certificate table", expected="each GUID once", found=f"{guid} twice"
            )
        if len(out) == MAX_ENTRIES:
            raise EvidenceFormatError(
                Reason.EVIDENCE_TOO_LARGE,
                "certificate table",
                expected=f"at most {MAX_ENTRIES} entries",
                found="more",
            )
        seen.add(guid)
        out.append((guid, offset, length))
