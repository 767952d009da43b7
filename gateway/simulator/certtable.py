"""The certificate table that hosts hand to SNP guests (AMD 56421, SNP Extended Guest Request).

Array of 24-byte entries {GUID in RFC 4122 byte order, offset u32, length u32}, an all-zero entry, the bodies;
offsets count from the start of the table. Comes in configfs-tsm's auxblob and behind extended reports.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType

GUIDS: Mapping[str, uuid.UUID] = MappingProxyType(
    {
        "VCEK": uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd"),
        "VLEK": uuid.UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1"),
        "ASK": uuid.UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782"),
        "ARK": uuid.UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae"),
        "CRL": uuid.UUID("92f81bc3-5811-4d3d-97ff-d19f88dc67ea"),
    }
)
"""An ASVK travels under the ASK's GUID."""

_ENTRY = 24


def write(certificates: Mapping[str, bytes]) -> bytes:
    """The table for these bodies; keys are those of `GUIDS`, or a GUID as text for any other item."""
    first = _ENTRY * (len(certificates) + 1)
    head, bodies = bytearray(), bytearray()
    for key, body in certificates.items():
        guid = GUIDS[key] if key in GUIDS else uuid.UUID(key)
        head += guid.bytes
        head += (first + len(bodies)).to_bytes(4, "little") + len(body).to_bytes(4, "little")
        bodies += body
    return bytes(head) + bytes(_ENTRY) + bytes(bodies)
