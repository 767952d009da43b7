"""The native evidence envelope: what our own guest sends, and `POST /v1/verify` takes.

    {"type": "sev-snp", "report": base64url, "certificates": [base64url DER, …]}
    {"type": "tdx" | "sgx", "quote": base64url, "event_log": base64url}

`certificates` and `event_log` may be left out. base64url has no padding here. Other members are refused.
"""

from __future__ import annotations

from dataclasses import replace

from verifiers.carriers import binary
from verifiers.carriers.members import MAX_CERTIFICATES, bad, members, type_name
from verifiers.carriers.opened import MAX_EVIDENCE, Opened, kind_of
from verifiers.codec import b64
from verifiers.crypto.x509 import MAX_CERTIFICATE
from verifiers.dcap.quote import MAX_INPUT
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.sevsnp import abi

_TYPES = ("sev-snp", "tdx", "sgx")


def open_envelope(obj: object) -> Opened:
    """Open a parsed envelope. `obj` comes from the strict JSON reader: no key can occur twice in it.

    Raises EvidenceFormatError: BAD_VALUE, BAD_ENCODING, BAD_LENGTH, UNSUPPORTED_TEE (another type), SAMPLE,
    COMPOSITE, EVIDENCE_TYPE_MISMATCH (the quote is of another kind than `type` says).
    """
    if not isinstance(obj, dict) or not isinstance(obj.get("type"), str):
        raise bad("evidence", 'an object with a "type"', type_name(obj))
    kind = obj["type"]
    if kind == "sev-snp":
        return _snp(obj)
    if kind in ("tdx", "sgx"):
        return _quote(obj, kind)
    if kind == "composite":
        raise composite("a primary and its devices")
    if kind == "sample":
        raise EvidenceFormatError(
            Reason.SAMPLE, "evidence.type", expected=" or ".join(_TYPES), found="sample: nothing is signed"
        )
    raise EvidenceFormatError(
        Reason.UNSUPPORTED_TEE, "evidence.type", expected=" or ".join(_TYPES), found=repr(kind[:32])
    )


def composite(found: str) -> EvidenceFormatError:
    """Composite evidence is all or nothing: judging the primary alone would say more than was checked."""
    return EvidenceFormatError(
        Reason.COMPOSITE,
        "evidence",
        expected="one piece of CPU evidence (device evidence cannot be verified in this version)",
        found=found,
    )


def _snp(obj: object) -> Opened:
    given = members(obj, "evidence", required=["type", "report"], optional=["certificates"])
    report = b64.decode_url(given["report"], "evidence.report", limit=abi.SIZE)
    certificates = given.get("certificates", [])
    if not isinstance(certificates, list) or len(certificates) > MAX_CERTIFICATES:
        raise bad("evidence.certificates", f"an array of at most {MAX_CERTIFICATES}", type_name(certificates))
    found = tuple(
        b64.decode_url(item, f"evidence.certificates[{index}]", limit=MAX_CERTIFICATE)
        for index, item in enumerate(certificates)
    )
    return Opened(
        evidence=abi.parse(report), certificates=found, carrier="envelope", event_log=None, notes=()
    )


def _quote(obj: object, kind: str) -> Opened:
    given = members(obj, "evidence", required=["type", "quote"], optional=["event_log"])
    raw = b64.decode_url(given["quote"], "evidence.quote", limit=MAX_INPUT)
    log = given.get("event_log")
    log = None if log is None else b64.decode_url(log, "evidence.event_log", limit=MAX_EVIDENCE)
    opened = binary.open_quote(raw, event_log=log, carrier="envelope")
    if kind_of(opened.evidence) != kind:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH,
            "evidence.quote",
            expected=f"a quote of type {kind}",
            found=f"one of type {kind_of(opened.evidence)}",
        )
    return replace(opened, carrier="envelope")
