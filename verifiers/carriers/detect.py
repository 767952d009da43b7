"""Tell what evidence came in, by its content, and open it.

Nothing here decides whether evidence is good: it finds the bytes that were signed. Size is checked before
anything else, depth and counts before anything is decoded, and every failure is an `EvidenceFormatError`
that says what was found and, where there is something to do about it, what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from verifiers.carriers import binary, cmw, envelope, kbs, looks, tsm
from verifiers.carriers.opened import MAX_EVIDENCE, Opened, kind_of
from verifiers.codec import cbor, strictjson
from verifiers.errors import EvidenceFormatError, Reason

CARRIERS = (
    "sev-snp-report",
    "sev-snp-extended",
    "quote",
    "azure-hcl",
    "tsm-report",
    "configfs-tsm",
    "kbs-snp",
    "kbs-tdx",
    "kbs-sgx",
    "az-snp-vtpm",
    "az-tdx-vtpm",
    "envelope",
    "cmw",
)
"""What evidence may come in: `Opened.carrier`, and a value of `forced`."""

KINDS: Mapping[str, str] = MappingProxyType(
    {"sev-snp": "sev-snp", "snp": "sev-snp", "tdx": "tdx", "sgx": "sgx"}
)
"""What evidence may be, as a value of `forced`: any carrier of that kind will do."""

TYPES = (*KINDS, *CARRIERS)

_SPACE = b" \t\r\n"
_JSON_DEPTH = 16
_RAW_OF_KIND = MappingProxyType({"sev-snp": "sev-snp-report", "tdx": "quote", "sgx": "quote"})

_JSON_OPENERS: Mapping[str, Callable[[object], Opened]] = MappingProxyType(
    {
        "envelope": envelope.open_envelope,
        "tsm-report": tsm.open_json,
        "kbs-snp": kbs.open_snp,
        "kbs-quote": kbs.open_quote,
        "kbs-tdx": kbs.open_quote,
        "kbs-sgx": kbs.open_quote,
        "az-snp-vtpm": kbs.open_az_snp,
        "az-tdx-vtpm": kbs.open_az_tdx,
        "sample": kbs.refuse_sample,
        "cmw": cmw.open_json,
    }
)
_OTHER_TEES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"device_evidence_list"}), "NVIDIA device evidence"),
    (frozenset({"evidence_list"}), "NVIDIA device evidence"),
    (frozenset({"tpm_quote", "ak_public"}), "TPM evidence with a bare key"),
    (frozenset({"token"}), "an Arm CCA token"),
    (frozenset({"attestation_report", "serial_number"}), "Hygon CSV evidence"),
    (frozenset({"attestation_reports"}), "Hygon DCU evidence"),
    (frozenset({"encr_measurement_key"}), "IBM Secure Execution evidence"),
)


def open_evidence(raw: bytes, *, forced: str | None = None) -> Opened:
    """Open evidence of any carrier.

    forced: one of `TYPES`. A carrier's name: open as that and nothing else. A kind's name: recognise the
    carrier, but refuse evidence of another kind; bytes that are not recognised are read as that kind's own.

    Raises EvidenceFormatError: EVIDENCE_EMPTY, EVIDENCE_TOO_LARGE, EVIDENCE_UNRECOGNISED (with what it looks
    like), EVIDENCE_TYPE_MISMATCH, SAMPLE, COMPOSITE, LOCAL_REPORT, or what the carrier's parser found.
    """
    if not raw:
        raise EvidenceFormatError(
            Reason.EVIDENCE_EMPTY, "evidence", expected="a report or quote", found="nothing"
        )
    if len(raw) > MAX_EVIDENCE:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE,
            "evidence",
            expected=f"at most {MAX_EVIDENCE} bytes",
            found=f"{len(raw)} bytes",
        )
    if forced is None:
        return _recognised(raw)
    if forced in KINDS:
        return _of_kind(raw, KINDS[forced])
    if forced in CARRIERS:
        return _as_carrier(raw, forced)
    raise EvidenceFormatError(
        Reason.EVIDENCE_UNRECOGNISED, "type", expected=", ".join(TYPES), found=repr(forced[:32])
    )


def open_message(obj: object) -> Opened:
    """Open the evidence member of a native request, JSON already read strictly: a native envelope, or a CMW
    record or collection. What other protocols send has its own way in, with its own binding.

    Raises EvidenceFormatError, as `open_evidence` for these two carriers.
    """
    if isinstance(obj, list) or _json_carrier(obj) == "cmw":
        return cmw.open_json(obj)
    return envelope.open_envelope(obj)


def _recognised(raw: bytes) -> Opened:
    kind = binary.recognise(raw)
    if kind is not None:
        return binary.open_as(kind, raw)
    head = raw.lstrip(_SPACE)[:1]
    if head in (b"{", b"["):
        return _json(raw)
    if raw[0] in cmw.FIRST_BYTES:
        return _cbor(raw)
    raise _unrecognised(raw)


def _json(raw: bytes) -> Opened:
    obj = strictjson.loads(raw, "evidence", limit=MAX_EVIDENCE, max_depth=_JSON_DEPTH)
    obj = _unwrap(obj)
    name = _json_carrier(obj)
    if name is None:
        raise _unrecognised_json(obj)
    return _JSON_OPENERS[name](obj)


def _unwrap(obj: object) -> object:
    """The primary evidence out of a KBS attest request, or of its `tee-evidence` member."""
    if isinstance(obj, dict) and "tee-evidence" in obj:
        obj = obj["tee-evidence"]
    if isinstance(obj, dict) and obj.keys() == {"primary_evidence", "additional_evidence"}:
        if obj["additional_evidence"] not in ("", None):
            raise envelope.composite("primary evidence with additional evidence")
        return obj["primary_evidence"]
    return obj


def _json_carrier(obj: object) -> str | None:
    """Which carrier a JSON value is, by its members alone."""
    if isinstance(obj, list):
        return "cmw" if _is_record(obj) else None
    if not isinstance(obj, dict):
        return None
    names = obj.keys()
    if "outblob" in names:
        return "tsm-report"
    if isinstance(obj.get("type"), str):
        return "envelope"
    if "hcl_report" in names:
        return "az-tdx-vtpm" if "td_quote" in names else "az-snp-vtpm"
    if "report" in names and "quote" in names and isinstance(obj["report"], list):
        return "az-snp-vtpm"
    if "attestation_report" in names and "serial_number" not in names:
        return "kbs-snp"
    if "quote" in names and names <= {"quote", "cc_eventlog"}:
        return "kbs-quote"
    if "svn" in names and "report_data" in names:
        return "sample"
    return "cmw" if "__cmwc_t" in names or _is_collection(obj, cmw.MAX_DEPTH + 1) else None


def _is_collection(obj: dict[str, object], depth: int) -> bool:
    """Every member is a CMW record or a collection of such. Deeper ones are left for `cmw` to refuse."""
    return bool(obj) and all(
        _is_record(item) or (isinstance(item, dict) and (depth == 0 or _is_collection(item, depth - 1)))
        for item in obj.values()
    )


def _is_record(item: object) -> bool:
    return isinstance(item, list) and len(item) in (2, 3) and isinstance(item[0], str)


def _other_tee(obj: dict[str, object]) -> str | None:
    return next((what for wanted, what in _OTHER_TEES if wanted <= obj.keys()), None)


def _cbor(raw: bytes) -> Opened:
    obj = cbor.loads(raw, "evidence", limit=MAX_EVIDENCE, tags=cmw.CBOR_TAGS)
    if isinstance(obj, dict) and "outblob" in obj:
        return tsm.open_map(obj)
    return cmw.open_decoded(obj)


def _of_kind(raw: bytes, kind: str) -> Opened:
    try:
        opened = _recognised(raw)
    except EvidenceFormatError as error:
        if error.reason != Reason.EVIDENCE_UNRECOGNISED:
            raise
        opened = binary.open_as(_RAW_OF_KIND[kind], raw)
    if kind_of(opened.evidence) != kind:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH,
            "evidence",
            expected=f"evidence of type {kind}",
            found=f"type {kind_of(opened.evidence)} ({opened.carrier})",
        )
    return opened


def _as_carrier(raw: bytes, name: str) -> Opened:
    if name in ("sev-snp-report", "sev-snp-extended", "quote", "azure-hcl"):
        return binary.open_as(name, raw)
    if name == "configfs-tsm":
        return tsm.open_folder({"outblob": raw})
    first = raw.lstrip(_SPACE)[:1]
    if first not in (b"{", b"[") and name in ("tsm-report", "cmw"):
        return tsm.open_cbor(raw) if name == "tsm-report" else cmw.open_cbor(raw)
    obj = strictjson.loads(raw, "evidence", limit=MAX_EVIDENCE, max_depth=_JSON_DEPTH)
    opened = _JSON_OPENERS[name](_unwrap(obj) if name.startswith(("kbs-", "az-")) else obj)
    if name in ("kbs-tdx", "kbs-sgx") and opened.carrier != name:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH, "evidence", expected=name, found=opened.carrier
        )
    return opened


def _unrecognised(raw: bytes) -> EvidenceFormatError:
    return EvidenceFormatError(
        Reason.EVIDENCE_UNRECOGNISED,
        "evidence",
        expected="an SNP report, a TDX or SGX quote, or a carrier of one",
        found=looks.describe(raw),
    )


def _unrecognised_json(obj: object) -> EvidenceFormatError:
    found = "JSON of an unknown shape"
    if isinstance(obj, dict):
        names = obj.keys()
        other = _other_tee(obj)
        if other is not None:
            return EvidenceFormatError(
                Reason.UNSUPPORTED_TEE, "evidence", expected="SEV-SNP, TDX or SGX evidence", found=other
            )
        if names & {"tcbInfo", "enclaveIdentity"}:
            found = "Intel collateral: give it with --collateral"
        elif "quote" in names and isinstance(obj["quote"], str):
            found = 'JSON with a "quote" among unknown members: take it out first (jq -r .quote FILE | …)'
    return EvidenceFormatError(
        Reason.EVIDENCE_UNRECOGNISED,
        "evidence",
        expected="evidence JSON: a native envelope, KBS evidence, a tsm-report or a CMW",
        found=found,
    )
