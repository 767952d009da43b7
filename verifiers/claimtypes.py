"""What a claim is: a typed, named fact from verified evidence, and how it is written in JSON.

The rows stand beside the code that reads the bytes (`sevsnp/claims.py`, `tdx/claims.py`, `sgx/claims.py`,
`dcap/claims.py`); `verifiers/claims.py` joins them into the one published table.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from verifiers.model import ClaimValue, TcbVersion


class ClaimType(enum.StrEnum):
    DIGEST = "digest"
    """bytes of a fixed length; lower-case hex in JSON."""
    BYTES = "bytes"
    """identifiers and masks of a fixed length; lower-case hex in JSON."""
    FLAG = "flag"
    INTEGER = "integer"
    MASK = "mask"
    """an integer read as bits; "0x…" in JSON."""
    TEXT = "text"
    VERSION = "version"
    """tuple of integers; "1.55.29" in JSON."""
    LIST = "list"
    """tuple of integers; a JSON array."""
    TCB = "tcb"
    TIME = "time"
    DURATION = "duration"
    """seconds in JSON."""
    SET = "set"
    """set of tokens; a sorted JSON array."""


class Provenance(enum.StrEnum):
    """Whose word a claim is. What is nobody's but the sender's (text of an event log that no digest binds) is
    never a claim; `inspect` lists it as "not verified"."""

    HARDWARE = "hardware"
    """a field of the report or quote that the hardware signed"""
    ENDORSED = "endorsed"
    """from a certificate, CRL or document of the vendor that verified, or computed from one"""
    REPLAYED = "replayed"
    """from an event log: data whose digest is among those that signed registers were extended with"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSpec:
    """One row of the claim table.

    name: as policies write it, "snp.measurement". json: key in `verify --json` and in the EAR, which
    carry one kind of evidence at a time: "measurement"; None keeps it out of JSON. length: bytes, for
    digests and identifiers. unit: "bytes", "seconds", "bits" or "". source: document and field.
    trustee, trust_authority: what Trustee and Intel Trust Authority call it, when they have it.
    values: the closed set of a text claim, when there is one. pattern: regular expression for texts, and
    tokens of a set, that have one spelling only: a policy with another would wait for what never comes.
    provenance: whose word it is.
    """

    name: str
    type: ClaimType
    doc: str
    source: str
    json: str | None
    length: int | None = None
    unit: str = ""
    trustee: str | None = None
    trust_authority: str | None = None
    values: tuple[str, ...] = ()
    pattern: str = ""
    provenance: Provenance = Provenance.HARDWARE


def to_json(spec: ClaimSpec, value: ClaimValue) -> object:
    """The JSON form of a claim's value, by the claim's type."""
    if spec.type is ClaimType.MASK and isinstance(value, int):
        return f"{value:#x}"
    if spec.type is ClaimType.VERSION and isinstance(value, tuple):
        return ".".join(map(str, value))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, TcbVersion):
        return tcb_to_json(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return list(value)
    return value


def tcb_to_json(tcb: TcbVersion) -> dict[str, int]:
    """{"bl", "tee", "snp", "ucode"}, and "fmc" first where the product has one."""
    out = {"bl": tcb.bootloader, "tee": tcb.tee, "snp": tcb.snp, "ucode": tcb.microcode}
    return out if tcb.fmc is None else {"fmc": tcb.fmc, **out}
