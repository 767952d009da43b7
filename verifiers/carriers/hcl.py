"""Azure's HCL report: what a confidential VM with a paravisor reads from vTPM NV index 0x01400001.

The blob holds the hardware report, made at boot, and runtime claims (JSON) whose hash the report's
REPORT_DATA carries. The claims count only when that hash holds, so it is checked here and noted in the
verdict. With TDX the blob holds a TDREPORT, which only its own machine can check: the quote comes beside it.

Source: kinvolk/azure-cvm-tooling, `az-cvm-vtpm/src/hcl`; confirmed on six real blobs. Integers are
little-endian.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from dataclasses import dataclass
from types import MappingProxyType

from verifiers.codec import strictjson
from verifiers.codec.reader import Field, cut
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Check, Outcome

MAGIC = b"HCLA"
MAX_BLOB = 64 * 1024
"""Bytes. Real ones have 2048 or 2600, zero padded."""
MAX_RUNTIME_DATA = 16 * 1024
SOURCE = "Azure HCL report, runtime data header"

HEADER_SIZE = 0x4D4
HEADER: tuple[Field, ...] = (
    Field("signature", 0x000, 4),
    Field("version", 0x004, 4),
    Field("report_size", 0x008, 4),
    Field("request_type", 0x00C, 4),
    Field("status", 0x010, 4),
    Field("reserved", 0x014, 12),
    Field("hardware_report", 0x020, 1184),
    Field("data_size", 0x4C0, 4),
    Field("data_version", 0x4C4, 4),
    Field("report_type", 0x4C8, 4),
    Field("hash_type", 0x4CC, 4),
    Field("variable_data_size", 0x4D0, 4),
)
TDREPORT_SIZE = 1024
_HASHES = MappingProxyType({1: "sha256", 2: "sha384", 3: "sha512"})


class ReportType(enum.IntEnum):
    """What the hardware report slot holds."""

    SNP = 2
    TDX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """An HCL blob, taken apart, *not* trusted.

    hardware_report: 1184 bytes (SNP report) or 1024 (TDREPORT). runtime_data: exactly the bytes that the hash
    covers. hash_name: as hashlib spells it.
    """

    version: int
    report_type: ReportType
    hardware_report: bytes
    hash_name: str
    runtime_data: bytes


def parse(raw: bytes) -> HclReport:
    """Take a blob apart.

    Raises EvidenceFormatError: EVIDENCE_TOO_LARGE, BAD_LENGTH (shorter than it says), UNSUPPORTED_VERSION,
    UNSUPPORTED_TEE (report type), BAD_VALUE (sizes that contradict each other, unknown hash, reserved bytes,
    a slot that does not hold what the type says), TRAILING_DATA (anything but zeros behind).
    """
    if len(raw) > MAX_BLOB:
        raise _bad(Reason.EVIDENCE_TOO_LARGE, "", f"at most {MAX_BLOB} bytes", f"{len(raw)} bytes")
    if len(raw) < HEADER_SIZE:
        raise _bad(Reason.BAD_LENGTH, "", f"at least {HEADER_SIZE} bytes", f"{len(raw)} bytes")
    fields = cut(raw[:HEADER_SIZE], HEADER, HEADER_SIZE, "HCL report")
    number = {name: int.from_bytes(value, "little") for name, value in fields.items() if len(value) == 4}
    _check_header(fields, number)
    size = number["variable_data_size"]
    end = HEADER_SIZE + size
    if number["data_size"] != 20 + size or number["report_size"] != end:
        found = f"{number['data_size']} and {number['report_size']}"
        raise _bad(Reason.BAD_VALUE, ".data_size, .report_size", f"{20 + size} and {end}", found)
    if len(raw) < end:
        raise _bad(Reason.BAD_LENGTH, ".runtime_data", f"{size} bytes", f"{len(raw) - HEADER_SIZE} bytes")
    if any(raw[end:]):
        raise _bad(Reason.TRAILING_DATA, "", f"zeros from offset {end} on", "other bytes")
    report_type = ReportType(number["report_type"])
    return HclReport(
        version=number["version"],
        report_type=report_type,
        hardware_report=_slot(fields["hardware_report"], report_type),
        hash_name=_HASHES[number["hash_type"]],
        runtime_data=raw[HEADER_SIZE:end],
    )


def binding(report: HclReport, report_data: bytes) -> Check:
    """Does `report_data` (64 bytes, from the *signed* report or quote) carry the hash of the runtime claims?

    PASSED, or FAILED with RUNTIME_CLAIMS_MISMATCH; the JSON is read, strictly, only after its hash matched.
    """
    digest = hashlib.new(report.hash_name, report.runtime_data).digest()
    expected = digest.ljust(64, b"\x00")
    if not hmac.compare_digest(expected, report_data):
        return _note(Outcome.FAILED, expected.hex(), report_data.hex())
    try:
        claims = strictjson.loads(report.runtime_data, "runtime claims", limit=MAX_RUNTIME_DATA)
    except EvidenceFormatError as error:
        return _note(Outcome.FAILED, error.expected, f"{error.found} in {error.where}")
    if not isinstance(claims, dict) or not isinstance(claims.get("keys"), list):
        return _note(Outcome.FAILED, 'an object with "keys"', "something else")
    name = report.hash_name.replace("sha", "SHA-")
    return _note(Outcome.PASSED, f"REPORT_DATA = {name} of the runtime claims, zero padded", "equal")


def _note(outcome: Outcome, expected: str, found: str) -> Check:
    return Check(
        id="evidence.runtime-claims",
        outcome=outcome,
        expected=expected,
        found=found,
        source=SOURCE,
        reason=None if outcome is Outcome.PASSED else Reason.RUNTIME_CLAIMS_MISMATCH,
        fix=None
        if outcome is Outcome.PASSED
        else "send report and runtime claims of the same boot, unchanged",
    )


def _check_header(fields: dict[str, bytes], number: dict[str, int]) -> None:
    if fields["signature"] != MAGIC:
        raise _bad(Reason.BAD_VALUE, ".signature", "HCLA", fields["signature"].hex())
    if number["version"] not in (1, 2) or number["data_version"] != 1:
        found = f"{number['version']} and {number['data_version']}"
        raise _bad(Reason.UNSUPPORTED_VERSION, ".version", "1 or 2, and 1 for the runtime data", found)
    if number["request_type"] != 2 or number["status"] != 0 or any(fields["reserved"]):
        found = (
            f"type {number['request_type']}, status {number['status']}, reserved {fields['reserved'].hex()}"
        )
        raise _bad(Reason.BAD_VALUE, ".request_type", "type 2, status 0, reserved zero", found)
    if number["report_type"] not in (ReportType.SNP, ReportType.TDX):
        raise _bad(Reason.UNSUPPORTED_TEE, ".report_type", "2 (SNP) or 4 (TDX)", str(number["report_type"]))
    if number["hash_type"] not in _HASHES:
        raise _bad(Reason.BAD_VALUE, ".hash_type", "1, 2 or 3", str(number["hash_type"]))
    if number["variable_data_size"] > MAX_RUNTIME_DATA:
        found = f"{number['variable_data_size']}"
        raise _bad(Reason.EVIDENCE_TOO_LARGE, ".variable_data_size", f"at most {MAX_RUNTIME_DATA}", found)


def _slot(slot: bytes, report_type: ReportType) -> bytes:
    """The hardware report out of its slot of 1184 bytes; a TDREPORT is shorter and the rest is zero."""
    if report_type is ReportType.SNP:
        return slot
    if slot[0] != 0x81 or any(slot[TDREPORT_SIZE:]):
        raise _bad(
            Reason.BAD_VALUE, ".hardware_report", "a TDREPORT and zeros", f"first bytes {slot[:4].hex()}"
        )
    return slot[:TDREPORT_SIZE]


def _bad(reason: Reason, where: str, expected: str, found: str) -> EvidenceFormatError:
    return EvidenceFormatError(reason, f"HCL report{where}", expected=expected, found=found)
