"""Evidence as the hardware's own bytes: an SNP report, alone or with its certificate table, or a quote."""

from __future__ import annotations

from dataclasses import replace

from verifiers.carriers import hcl
from verifiers.carriers.opened import Opened, kind_of
from verifiers.dcap import quote
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Check, Outcome, TeeKind
from verifiers.sevsnp import abi, certtable

TDREPORT_SIZE = hcl.TDREPORT_SIZE
_SNP_VERSIONS = range(2, 16)
"""More than exist, so that a new version is refused as a version and not as unknown bytes."""
_QUOTE_VERSIONS = range(1, 17)
_QUOTE_KEY_TYPES = range(1, 9)
_QUOTE_TEE_TYPES = (0x00, 0x81)


def recognise(raw: bytes) -> str | None:
    """A carrier's name ("sev-snp-report", "sev-snp-extended", "quote", "azure-hcl"), "tdreport", or None.

    Looks at the front alone. An SNP report begins with its version as a u32; a quote with version and key
    type as two u16, neither of them zero: the same four bytes are never both.
    """
    if raw.startswith(hcl.MAGIC):
        return "azure-hcl"
    if len(raw) < 8:
        return None
    version, key_type = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:4], "little")
    tee_type = int.from_bytes(raw[4:8], "little")
    if version in _QUOTE_VERSIONS and key_type in _QUOTE_KEY_TYPES and tee_type in _QUOTE_TEE_TYPES:
        return "quote"
    if len(raw) == TDREPORT_SIZE and raw[0] == 0x81 and not any(raw[4:16]):
        return "tdreport"
    if key_type == 0 and version in _SNP_VERSIONS:
        return "sev-snp-extended" if len(raw) > abi.SIZE else "sev-snp-report"
    # Exactly the size of a report: a damaged version is then better called that than unknown bytes.
    if len(raw) == abi.SIZE and (raw[1:4] == bytes(3) or raw[:4] == b"\xff" * 4) and any(raw[4:]):
        return "sev-snp-report"
    return None


def open_as(name: str, raw: bytes) -> Opened:
    """Open `raw` as what `recognise` called it. Raises EvidenceFormatError."""
    if name == "quote":
        return open_quote(raw, event_log=None, carrier="quote")
    if name == "sev-snp-report":
        return Opened(evidence=abi.parse(raw), certificates=(), carrier=name, event_log=None, notes=())
    if name == "sev-snp-extended":
        return open_extended(raw)
    if name == "azure-hcl":
        return open_hcl(raw, certificates=(), carrier=name)
    raise local_report()


def open_extended(raw: bytes) -> Opened:
    """1184 bytes of report, then the host's certificate table (AMD 56421, SNP Extended Guest Request)."""
    if len(raw) <= abi.SIZE:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH,
            "extended report",
            expected=f"{abi.SIZE} bytes of report and a certificate table",
            found=f"{len(raw)} bytes",
        )
    found, notes = table(raw[abi.SIZE :])
    return Opened(
        evidence=abi.parse(raw[: abi.SIZE]),
        certificates=found,
        carrier="sev-snp-extended",
        event_log=None,
        notes=notes,
    )


def open_quote(raw: bytes, *, event_log: bytes | None, carrier: str) -> Opened:
    """A TDX or SGX quote; an event log that came along is kept as it is, for `verify` to replay."""
    parsed = quote.parse(raw)
    if event_log is not None and parsed.kind is not TeeKind.TDX:
        raise EvidenceFormatError(
            Reason.BAD_VALUE, "event log", expected="none with an SGX quote", found=f"{len(event_log)} bytes"
        )
    return Opened(evidence=parsed, certificates=(), carrier=carrier, event_log=event_log, notes=())


def with_event_log(opened: Opened, log: bytes) -> Opened:
    """The same evidence with a log that came beside it.

    Raises EvidenceFormatError: BAD_VALUE for evidence other than a TDX quote, DUPLICATE when it has one.
    """
    if kind_of(opened.evidence) is not TeeKind.TDX:
        raise EvidenceFormatError(
            Reason.BAD_VALUE,
            "event log",
            expected=f"none with evidence of type {kind_of(opened.evidence)}",
            found=f"{len(log)} bytes",
        )
    if opened.event_log is not None:
        raise EvidenceFormatError(
            Reason.DUPLICATE, "event log", expected="one", found=f"another in the {opened.carrier} evidence"
        )
    return replace(opened, event_log=log)


def open_hcl(raw: bytes, *, certificates: tuple[bytes, ...], carrier: str) -> Opened:
    """An HCL blob that holds an SNP report. With a TDREPORT in it a quote must come along (`kbs.py`)."""
    blob = hcl.parse(raw)
    if blob.report_type is hcl.ReportType.TDX:
        raise local_report("a TDREPORT in an HCL report: send its TD quote along (az-tdx-vtpm evidence)")
    report = abi.parse(blob.hardware_report)
    return Opened(
        evidence=report,
        certificates=certificates,
        carrier=carrier,
        event_log=None,
        notes=(hcl.binding(blob, report.report_data),),
    )


def table(raw: bytes) -> tuple[tuple[bytes, ...], tuple[Check, ...]]:
    """Certificates of a host's table as DER, and a note for whatever else was in it."""
    items = certtable.parse(raw)
    crls = sum(guid == certtable.CRL for guid, _ in items)
    notes = (_crl_note(crls),) if crls else ()
    return certtable.certificates(items), notes


def local_report(found: str | None = None) -> EvidenceFormatError:
    return EvidenceFormatError(
        Reason.LOCAL_REPORT,
        "evidence",
        expected="a TD quote",
        found=found
        or "a TDREPORT: its MAC can be checked on its own machine only; "
        "have the Quote Generation Service make a quote of it (configfs-tsm: outblob)",
    )


def _crl_note(count: int) -> Check:
    return Check(
        id="evidence.ignored",
        outcome=Outcome.NOT_CHECKED,
        expected="certificates only: CRLs come from our own sources",
        found=f"{count} CRL in the host's certificate table, not used",
        source="AMD 56421, SNP Extended Guest Request",
    )
