"""What is in evidence and collateral, field by field. Decodes; judges nothing and verifies nothing."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.cli.page import readable
from verifiers.carriers import Opened
from verifiers.codec.reader import Field
from verifiers.crypto import x509
from verifiers.dcap import quote as quotes
from verifiers.dcap import report as enclave
from verifiers.dcap.quote import Quote
from verifiers.dcap.report import EnclaveFlags
from verifiers.errors import AttestationError, EndorsementFormatError, EvidenceFormatError
from verifiers.eventlog import reading
from verifiers.eventlog.binding import shown
from verifiers.eventlog.log import EventLog
from verifiers.eventlog.replay import counts, replay
from verifiers.model import TeeKind
from verifiers.sevsnp import abi, needs, product
from verifiers.sevsnp.abi import GuestPolicy, PlatformInfo, SnpReport
from verifiers.tdx import abi as tdx
from verifiers.tdx import attributes

_MAX_CHAIN = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One field. at: offset in the signed bytes, where there is one; note: what the value means. cells: the
    name in columns, for tables."""

    name: str
    value: str
    at: int | None = None
    note: str = ""
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    title: str
    rows: tuple[Row, ...]


def evidence(opened: Opened) -> tuple[list[Block], tuple[bytes, ...]]:
    """Blocks of the evidence itself, and every certificate in it or with it."""
    head = [Row("carrier", opened.carrier), Row("certificates with it", str(len(opened.certificates)))]
    if isinstance(opened.event_log, bytes):
        head.append(Row("event log", f"{len(opened.event_log)} bytes", note="see below"))
    head += [Row(note.id, note.outcome.value, note=note.found) for note in opened.notes]
    if isinstance(opened.evidence, SnpReport):
        return [Block("Carrier", tuple(head)), snp_report(opened.evidence)], opened.certificates
    blocks, chain = quote(opened.evidence)
    if isinstance(opened.event_log, bytes):
        blocks += _carried_log(opened.event_log)
    return [Block("Carrier", tuple(head)), *blocks], (*chain, *opened.certificates)


def _carried_log(raw: bytes) -> list[Block]:
    try:
        return event_log(reading.parse(raw))
    except EvidenceFormatError as error:
        return [problem(error, "Event log")]


def event_log(log: EventLog) -> list[Block]:
    """Its entries, with what is bound to the digest or "not verified", and what they replay to."""
    rows = []
    for number, event in enumerate(log.events):
        cells = (str(number), event.register, event.type_name, f"{event.digest[:6].hex()}…")
        rows.append(Row(" ".join(cells), shown(event), cells=cells))
    counted = zip(replay(log.events), counts(log.events), strict=True)
    registers = tuple(
        Row(f"RTMR{n}", value.hex() if count else "48 zero bytes", note=f"{count} events")
        for n, (value, count) in enumerate(counted)
    )
    title = f"Event log, format {log.format}, {len(log.events)} events in {log.used} bytes"
    return [Block(title, tuple(rows) or (Row("events", "none"),)), Block("Replays to", registers)]


def snp_report(report: SnpReport) -> Block:
    rows = []
    line = needs.product_of(report)
    for field in abi.LAYOUT:
        raw = report.raw[field.offset : field.offset + field.size]
        rows.append(Row(field.name, _value(raw), field.offset, _snp_note(field, raw, report, line)))
    return Block(f"SEV-SNP report, version {report.version}", tuple(rows))


def _snp_note(field: Field, raw: bytes, report: SnpReport, line: product.Product | None) -> str:
    number = int.from_bytes(raw, "little")
    name = field.name
    if name.endswith("_TCB"):
        if line is not None:
            return f"{product.show(product.decode_tcb(raw, line))} as {line} has it"
        return "layout depends on the product, which this version does not say"
    match name:
        case "POLICY":
            return f"ABI {number >> 8 & 0xFF}.{number & 0xFF} {_flags(GuestPolicy, number >> 16 << 16)}"
        case "PLATFORM_INFO":
            return _flags(PlatformInfo, number)
        case "KEY_INFO":
            key = report.signing_key
            return f"signing key {key.name if key else 'reserved'}"
        case "VMPL":
            return "requested by the host" if number == abi.VMPL_HOST else ""
        case "CPUID_FAM_ID":
            return str(line) if line else ""
        case "REPORT_DATA":
            return readable(raw)
    return "NOT ZERO" if name.startswith("RESERVED") and any(raw) else ""


def quote(found: Quote) -> tuple[list[Block], tuple[bytes, ...]]:
    """Header, body and signature data of a quote, and the certificates of its PCK chain."""
    head = tuple(
        Row(f.name, _value(found.raw[f.offset : f.offset + f.size]), f.offset) for f in quotes.HEADER
    )
    start = len(found.signed) - len(found.body)
    data = found.signature_data
    signature = (
        Row("signature", data.signature.hex()),
        Row("attestation key", data.attestation_key.hex()),
        Row("authentication data", data.auth_data.hex() or "none"),
        Row("certification data", f"type {data.certification_type}, {len(data.certification_data)} bytes"),
        Row("QE report signature", data.qe_report_signature.hex()),
        Row("zero bytes behind the quote", str(found.padding)),
    )
    blocks = [
        Block(f"Quote header, version {found.header.version}", head),
        Block(f"Body: {found.body_type.name}", _body(found, start)),
        Block("Signature data", signature),
        Block("QE report", _enclave(data.qe_report.raw, 0)),
    ]
    chain: tuple[bytes, ...] = ()
    if data.certification_type == quotes.PCK_CHAIN:
        try:
            chain = x509.split_pem(data.certification_data, "PCK chain", limit=_MAX_CHAIN)
        except EndorsementFormatError as error:
            blocks.append(
                Block("PCK chain", (Row("unreadable", error.found, note=f"expected {error.expected}"),))
            )
    return blocks, chain


def _body(found: Quote, start: int) -> tuple[Row, ...]:
    if found.kind is TeeKind.SGX:
        return _enclave(found.body, start)
    rows = []
    for field in tdx.LAYOUTS[found.body_type]:
        raw = found.body[field.offset : field.offset + field.size]
        note = ""
        if field.name == "TDATTRIBUTES":
            note = " ".join(sorted(attributes.names(int.from_bytes(raw, "little")))) or "none set"
        elif field.name == "TEE_TCB_SVN":
            note = f"module {raw[1]}.{raw[0]:02d}, microcode {raw[2]}"
        elif field.name == "REPORTDATA":
            note = readable(raw)
        rows.append(Row(field.name, _value(raw), start + field.offset, note))
    return tuple(rows)


def _enclave(raw: bytes, start: int) -> tuple[Row, ...]:
    rows = []
    for field in enclave.LAYOUT:
        part = raw[field.offset : field.offset + field.size]
        note = ""
        if field.name == "ATTRIBUTES":
            note = _flags(EnclaveFlags, int.from_bytes(part[:8], "little"))
        elif field.name == "REPORTDATA":
            note = readable(part)
        elif field.name.startswith("RESERVED") and any(part):
            note = "NOT ZERO"
        rows.append(Row(field.name, _value(part), start + field.offset, note))
    return tuple(rows)


def _flags(kind: type[GuestPolicy] | type[PlatformInfo] | type[EnclaveFlags], bits: int) -> str:
    names = [flag.name or "" for flag in kind if bits & flag.value]
    unknown = bits & ~sum(flag.value for flag in kind)
    return " ".join([*names, *([f"unknown bits {unknown:#x}"] if unknown else [])]) or "none set"


def _value(raw: bytes) -> str:
    """Integers up to 8 bytes as such; long zeros as a count; the rest as hex."""
    if len(raw) <= 4:
        number = int.from_bytes(raw, "little")
        return f"{number} ({number:#x})" if number > 9 else str(number)
    if len(raw) <= 8:
        return f"{int.from_bytes(raw, 'little'):#x}"
    return raw.hex() if any(raw) else f"{len(raw)} zero bytes"


def problem(error: AttestationError, title: str) -> Block:
    """A block for something that cannot be read."""
    return Block(
        title, (Row("unreadable", f"expected {error.expected}, found {error.found}", note=error.reason),)
    )
