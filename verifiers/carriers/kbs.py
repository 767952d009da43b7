"""Evidence JSON as guests of the Key Broker Service send it (confidential-containers/guest-components).

SNP evidence arrives as the *fields* of a report. The 1184 bytes are put together from them first, and from
there on only those bytes are read: a field that disagrees with what was signed makes the signature fail.
Byte strings are arrays of integers (SNP, Azure version 0), standard base64 (quotes) or base64url (Azure
version 1 and 2, with or without padding).

Source: guest-components `attestation-agent/attester/src/{snp,tdx,sgx_dcap,az_snp_vtpm,az_tdx_vtpm,sample}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from verifiers.carriers import binary, hcl
from verifiers.carriers.members import (
    MAX_CERTIFICATES,
    bad,
    base64url,
    certificates,
    hexadecimal,
    integer,
    members,
    octets,
    text,
    type_name,
)
from verifiers.carriers.opened import MAX_EVIDENCE, Opened, kind_of
from verifiers.codec import b64
from verifiers.crypto.x509 import MAX_CERTIFICATE
from verifiers.dcap import quote
from verifiers.dcap.quote import Quote
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Check, Outcome, TeeKind
from verifiers.sevsnp import abi
from verifiers.tdx import abi as tdx_abi

_TURIN_FAMILY = 0x1A
_MAX_PEM = 2 * MAX_CERTIFICATES * MAX_CERTIFICATE
_TPM_PART = 1024
"""Bytes; a TPM quote message has 122 to 161, its signature 256."""

# Members of virtee/sev's AttestationReport, as serde writes them, and the fields of the report they are.
_SIZES: Mapping[str, int] = MappingProxyType({field.name: field.size for field in abi.LAYOUT})
_BYTES = (
    "family_id",
    "image_id",
    "report_data",
    "measurement",
    "host_data",
    "id_key_digest",
    "author_key_digest",
    "report_id",
    "report_id_ma",
    "chip_id",
)
_INTEGERS: Mapping[str, str] = MappingProxyType(
    {
        "version": "VERSION",
        "guest_svn": "GUEST_SVN",
        "policy": "POLICY",
        "vmpl": "VMPL",
        "sig_algo": "SIGNATURE_ALGO",
        "plat_info": "PLATFORM_INFO",
        "key_info": "KEY_INFO",
    }
)
_OPTIONAL: Mapping[str, str] = MappingProxyType(
    {
        "cpuid_fam_id": "CPUID_FAM_ID",
        "cpuid_mod_id": "CPUID_MOD_ID",
        "cpuid_step": "CPUID_STEP",
        "launch_mit_vector": "LAUNCH_MIT_VECTOR",
        "current_mit_vector": "CURRENT_MIT_VECTOR",
    }
)
"""null or absent where the report's version has none: the bytes are then zero."""
_TCBS = ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb")
_BUILDS = ("current", "committed")


def open_snp(obj: object) -> Opened:
    """{"attestation_report": {fields}, "cert_chain": [{"cert_type", "data"}] | null}."""
    evidence = members(obj, "evidence", required=["attestation_report"], optional=["cert_chain"])
    report = abi.parse(rebuild(evidence["attestation_report"]))
    found = _chain(evidence.get("cert_chain"))
    return Opened(evidence=report, certificates=found, carrier="kbs-snp", event_log=None, notes=())


def open_quote(obj: object) -> Opened:
    """{"quote": base64, "cc_eventlog": base64 | null} (TDX) or {"quote": base64} (SGX)."""
    evidence = members(obj, "evidence", required=["quote"], optional=["cc_eventlog"])
    raw = b64.decode_standard(evidence["quote"], "quote", limit=quote.MAX_INPUT)
    log = evidence.get("cc_eventlog")
    log = None if log is None else b64.decode_standard(log, "cc_eventlog", limit=MAX_EVIDENCE)
    opened = binary.open_quote(raw, event_log=log, carrier="quote")
    return replace(opened, carrier=f"kbs-{kind_of(opened.evidence)}")


def open_az_snp(obj: object) -> Opened:
    """Azure SNP: HCL report, TPM quote and VCEK; version 0 by its shape, 1 and 2 by their number."""
    if isinstance(obj, Mapping) and "report" in obj:
        old = members(obj, "evidence", required=["report", "quote"], optional=["vcek"])
        blob = octets(old["report"], "report", low=hcl.HEADER_SIZE, high=hcl.MAX_BLOB)
        vcek = text(old["vcek"], "vcek", limit=_MAX_PEM).encode() if old.get("vcek") else b""
        tpm = _tpm_quote_v0(old["quote"])
    else:
        new = members(obj, "evidence", required=["version", "hcl_report", "tpm_quote"], optional=["vcek"])
        _version(new["version"])
        blob = base64url(new["hcl_report"], "hcl_report", limit=hcl.MAX_BLOB)
        vcek = base64url(new["vcek"], "vcek", limit=MAX_CERTIFICATE) if new.get("vcek") else b""
        tpm = _tpm_quote(new["tpm_quote"])
    found = certificates(vcek, "vcek") if vcek else ()
    opened = binary.open_hcl(blob, certificates=found, carrier="az-snp-vtpm")
    return _with_notes(opened, tpm)


def open_az_tdx(obj: object) -> Opened:
    """Azure TDX: HCL report, TPM quote, TD quote. Judged is the TD quote, which carries the claims' hash."""
    evidence = members(
        obj, "evidence", required=["hcl_report", "tpm_quote", "td_quote"], optional=["version"]
    )
    if "version" in evidence:
        _version(evidence["version"])
        blob = base64url(evidence["hcl_report"], "hcl_report", limit=hcl.MAX_BLOB)
        raw = base64url(evidence["td_quote"], "td_quote", limit=quote.MAX_INPUT)
        tpm = _tpm_quote(evidence["tpm_quote"])
    else:
        blob = octets(evidence["hcl_report"], "hcl_report", low=hcl.HEADER_SIZE, high=hcl.MAX_BLOB)
        raw = octets(evidence["td_quote"], "td_quote", low=1, high=quote.MAX_INPUT)
        tpm = _tpm_quote_v0(evidence["tpm_quote"])
    report = hcl.parse(blob)
    if report.report_type is not hcl.ReportType.TDX:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH, "hcl_report", expected="report type TDX", found="report type SNP"
        )
    opened = binary.open_quote(raw, event_log=None, carrier="az-tdx-vtpm")
    if kind_of(opened.evidence) is not TeeKind.TDX:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH, "td_quote", expected="a TDX quote", found="an SGX quote"
        )
    return _with_notes(opened, hcl.binding(report, _report_data(opened.evidence)), tpm)


def _report_data(evidence: Quote | abi.SnpReport) -> bytes:
    return tdx_abi.parse(evidence).report_data if isinstance(evidence, Quote) else evidence.report_data


def refuse_sample(obj: object) -> Opened:
    """What a guest sends that found no TEE. Nothing is signed, so there is nothing to verify."""
    raise EvidenceFormatError(
        Reason.SAMPLE,
        "evidence",
        expected="evidence signed by hardware",
        found="sample evidence: the guest found no TEE (is /dev/sev-guest or configfs-tsm there?)",
    )


def rebuild(fields: object) -> bytes:
    """The 1184 bytes of the SNP report whose fields these are (AMD 56860, ATTESTATION_REPORT).

    Raises EvidenceFormatError: BAD_VALUE (a member missing, unknown, or out of its range), BAD_LENGTH.
    """
    where = "attestation_report"
    given = members(
        fields,
        where,
        required=[*_BYTES, *_INTEGERS, *_TCBS, *_BUILDS, "signature"],
        optional=list(_OPTIONAL),
    )
    out: dict[str, int | bytes] = {}
    for name in _BYTES:
        size = _SIZES[name.upper()]
        out[name.upper()] = octets(given[name], f"{where}.{name}", low=size, high=size)
    for name, field in (*_INTEGERS.items(), *_OPTIONAL.items()):
        value = given.get(name)
        if value is not None or name in _INTEGERS:
            out[field] = integer(value, f"{where}.{name}", high=(1 << 8 * _SIZES[field]) - 1)
    turin = given.get("cpuid_fam_id") == _TURIN_FAMILY
    for name in _TCBS:
        out[name.upper()] = _tcb(given[name], f"{where}.{name}", turin=turin)
    for name in _BUILDS:
        version = members(given[name], f"{where}.{name}", required=["major", "minor", "build"], optional=[])
        for part, number in version.items():
            out[f"{name}_{part}".upper()] = integer(number, f"{where}.{name}.{part}", high=255)
    signature = members(given["signature"], f"{where}.signature", required=["r", "s"], optional=[])
    for part, number in signature.items():
        out[f"SIGNATURE_{part.upper()}"] = octets(number, f"{where}.signature.{part}", low=72, high=72)
    return abi.build(**out)


def _tcb(value: object, where: str, *, turin: bool) -> bytes:
    """TCB_VERSION: fmc exists from family 1Ah on and moves every other component."""
    parts = members(value, where, required=["bootloader", "tee", "snp", "microcode"], optional=["fmc"])
    if (parts.get("fmc") is not None) is not turin:
        expected = "an integer, as CPUID family 1Ah has it" if turin else "null: only CPUID family 1Ah has it"
        raise bad(f"{where}.fmc", expected, type_name(parts.get("fmc")))
    number = {
        name: integer(part, f"{where}.{name}", high=255) for name, part in parts.items() if part is not None
    }
    first = [number["bootloader"], number["tee"]]
    if turin:
        return bytes([number["fmc"], *first, number["snp"], 0, 0, 0, number["microcode"]])
    return bytes([*first, 0, 0, 0, 0, number["snp"], number["microcode"]])


def _chain(value: object) -> tuple[bytes, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad("cert_chain", "an array or null", type_name(value))
    if len(value) > MAX_CERTIFICATES:
        raise bad("cert_chain", f"at most {MAX_CERTIFICATES} entries", f"{len(value)}")
    out: list[bytes] = []
    for index, entry in enumerate(value):
        where = f"cert_chain[{index}]"
        parts = members(entry, where, required=["cert_type", "data"], optional=[])
        if parts["cert_type"] in ("ARK", "ASK", "VCEK", "VLEK"):
            data = octets(parts["data"], f"{where}.data", low=1, high=4 * MAX_CERTIFICATE)
            out += certificates(data, f"{where}.data")
    return tuple(out)


def _version(value: object) -> None:
    if value not in (1, 2) or isinstance(value, bool):
        raise EvidenceFormatError(
            Reason.UNSUPPORTED_VERSION, "evidence.version", expected="1 or 2", found=type_name(value)
        )


def _tpm_quote(value: object) -> Check:
    parts = members(value, "tpm_quote", required=["signature", "message", "pcrs"], optional=[])
    hexadecimal(parts["signature"], "tpm_quote.signature", low=1, high=_TPM_PART)
    message = hexadecimal(parts["message"], "tpm_quote.message", low=1, high=_TPM_PART)
    return _tpm_note(message)


def _tpm_quote_v0(value: object) -> Check:
    parts = members(value, "quote", required=["signature", "message", "pcrs"], optional=[])
    octets(parts["signature"], "quote.signature", low=1, high=_TPM_PART)
    return _tpm_note(octets(parts["message"], "quote.message", low=1, high=_TPM_PART))


def _tpm_note(message: bytes) -> Check:
    return Check(
        id="evidence.vtpm-quote",
        outcome=Outcome.NOT_CHECKED,
        expected="signed by HCLAkPub over our nonce, PCRs as the policy says",
        found=f"a TPM quote of {len(message)} bytes, not verified in this version",
        source="TCG TPM 2.0 part 2, TPMS_ATTEST",
    )


def _with_notes(opened: Opened, *notes: Check) -> Opened:
    return replace(opened, notes=(*opened.notes, *notes))
