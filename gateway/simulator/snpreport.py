"""Assembles and signs SEV-SNP attestation reports, as the secure processor's firmware does.

AMD 56860, SEV Secure Nested Paging Firmware ABI Specification, table ATTESTATION_REPORT. This is the
other side of `verifiers/sevsnp/abi.py`, with a table of its own: a layout error shared by both would go
unseen. Fields are called as the claims are.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from verifiers.model import TcbVersion

SIZE = 0x4A0
SIGNED = 0x2A0
"""Bytes that the signature covers, from the start."""
_HALF = 72
"""Bytes of R and of S, little-endian."""


class Kind(enum.Enum):
    """How a field's value is given."""

    BYTES = "bytes of the field's length"
    NUMBER = "an unsigned integer"
    TCB = "a TcbVersion"
    VERSION = "(major, minor, build)"
    CPUID = "(family, model, stepping)"


@dataclass(frozen=True, slots=True)
class Entry:
    offset: int
    size: int
    kind: Kind


_B, _N = Kind.BYTES, Kind.NUMBER
FIELDS: Mapping[str, Entry] = {
    "version": Entry(0x000, 4, _N),
    "guest_svn": Entry(0x004, 4, _N),
    "policy": Entry(0x008, 8, _N),
    "family_id": Entry(0x010, 16, _B),
    "image_id": Entry(0x020, 16, _B),
    "vmpl": Entry(0x030, 4, _N),
    "signature_algo": Entry(0x034, 4, _N),
    "current_tcb": Entry(0x038, 8, Kind.TCB),
    "platform_info": Entry(0x040, 8, _N),
    "key_info": Entry(0x048, 4, _N),
    "report_data": Entry(0x050, 64, _B),
    "measurement": Entry(0x090, 48, _B),
    "host_data": Entry(0x0C0, 32, _B),
    "id_key_digest": Entry(0x0E0, 48, _B),
    "author_key_digest": Entry(0x110, 48, _B),
    "report_id": Entry(0x140, 32, _B),
    "report_id_ma": Entry(0x160, 32, _B),
    "reported_tcb": Entry(0x180, 8, Kind.TCB),
    "cpuid_fms": Entry(0x188, 3, Kind.CPUID),
    "chip_id": Entry(0x1A0, 64, _B),
    "committed_tcb": Entry(0x1E0, 8, Kind.TCB),
    "current_version": Entry(0x1E8, 3, Kind.VERSION),
    "committed_version": Entry(0x1EC, 3, Kind.VERSION),
    "launch_tcb": Entry(0x1F0, 8, Kind.TCB),
    "launch_mit_vector": Entry(0x1F8, 8, _N),
    "current_mit_vector": Entry(0x200, 8, _N),
}


def tcb_bytes(tcb: TcbVersion) -> bytes:
    """TCB_VERSION, 8 bytes: Turin's layout when there is an FMC, else that of Milan and Genoa."""
    if tcb.fmc is None:
        return bytes((tcb.bootloader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode))
    return bytes((tcb.fmc, tcb.bootloader, tcb.tee, tcb.snp, 0, 0, 0, tcb.microcode))


def encode(name: str, value: object) -> bytes:
    """The bytes of one field. Raises ValueError, naming the field, when the value does not fit it."""
    entry = FIELDS[name]
    match entry.kind, value:
        case Kind.BYTES, bytes() if len(value) == entry.size:
            return value
        case Kind.NUMBER, int() if 0 <= value < 1 << 8 * entry.size:
            return value.to_bytes(entry.size, "little")
        case Kind.TCB, TcbVersion():
            return tcb_bytes(value)
        case Kind.VERSION, (int(major), int(minor), int(build)):
            return bytes((build, minor, major))
        case Kind.CPUID, (int(family), int(model), int(stepping)):
            return bytes((family, model, stepping))
    raise ValueError(f"{name} takes {entry.kind.value} ({entry.size} bytes), not {value!r}")


def assemble(values: Mapping[str, object], patch: Mapping[int, bytes]) -> bytes:
    """The signed part, 672 bytes: `values` over zeros, then the patches that lie inside it."""
    out = bytearray(SIGNED)
    for name, value in values.items():
        start = FIELDS[name].offset
        raw = encode(name, value)
        out[start : start + len(raw)] = raw
    for offset, raw in patch.items():
        if offset < SIGNED:
            _overwrite(out, offset, raw)
    return bytes(out)


def sign(signed: bytes, key: ec.EllipticCurvePrivateKey, patch: Mapping[int, bytes]) -> bytes:
    """The whole report, 1184 bytes: R and S little-endian in 72 bytes each, zeros, then the patches that
    lie in the signature field."""
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA384())))
    out = bytearray(signed)
    out += r.to_bytes(_HALF, "little") + s.to_bytes(_HALF, "little")
    out += bytes(SIZE - len(out))
    for offset, raw in patch.items():
        if offset >= SIGNED:
            _overwrite(out, offset, raw)
    return bytes(out)


def _overwrite(target: bytearray, offset: int, raw: bytes) -> None:
    if offset + len(raw) > len(target):
        raise ValueError(f"patch at {offset:#x}: {len(raw)} bytes do not fit before {len(target):#x}")
    target[offset : offset + len(raw)] = raw
