"""Linux configfs-tsm replies (kernel 6.7 on): as JSON, as CBOR, and as the folder itself.

`outblob` is the report or quote, `auxblob` the host's certificate table (SNP), `provider` who made it.
JSON and CBOR forms are those of `application/vnd.veraison.tsm-report+json` and `+cbor`.

Sources: Linux Documentation/ABI/testing/configfs-tsm; veraison/services `scheme/sevsnp`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from verifiers.carriers import binary
from verifiers.carriers.members import bad, base64url, members, text, type_name
from verifiers.carriers.opened import MAX_EVIDENCE, Opened
from verifiers.codec import cbor
from verifiers.dcap.quote import MAX_INPUT
from verifiers.errors import EvidenceFormatError, Reason

MAX_TABLE = 128 * 1024
"""Bytes of auxblob."""
FOLDER_FILES = ("outblob", "auxblob", "provider", "event_log")
"""Files of a configfs-tsm folder that are read; the others steer the kernel and hold no evidence. `event_log`
is none of the kernel's: a copy of /sys/firmware/acpi/tables/data/CCEL that somebody put beside them."""

_PROVIDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"sev_guest": ("sev-snp-report",), "tdx_guest": ("quote",)}
)


def open_json(obj: object) -> Opened:
    """{"outblob": base64url, "auxblob": base64url?, "provider": text?}, already parsed."""
    given = members(obj, "tsm-report", required=["outblob"], optional=["auxblob", "provider"])
    aux = given.get("auxblob")
    return _open(
        base64url(given["outblob"], "tsm-report.outblob", limit=MAX_INPUT),
        b"" if aux is None else base64url(aux, "tsm-report.auxblob", limit=MAX_TABLE),
        _provider(given.get("provider")),
        "tsm-report",
    )


def open_cbor(raw: bytes) -> Opened:
    """The same members, blobs as byte strings."""
    return open_map(cbor.loads(raw, "tsm-report", limit=MAX_EVIDENCE, max_depth=2, max_items=16))


def open_map(obj: object) -> Opened:
    """A CBOR map, already decoded."""
    given = members(obj, "tsm-report", required=["outblob"], optional=["auxblob", "provider"])
    aux = given.get("auxblob")
    return _open(
        _bytes(given["outblob"], "tsm-report.outblob", MAX_INPUT),
        b"" if aux is None else _bytes(aux, "tsm-report.auxblob", MAX_TABLE),
        _provider(given.get("provider")),
        "tsm-report",
    )


def open_folder(files: Mapping[str, bytes]) -> Opened:
    """A folder below /sys/kernel/config/tsm/report, as name to content; `FOLDER_FILES` are read.

    Raises EvidenceFormatError: EVIDENCE_UNRECOGNISED without outblob, EVIDENCE_EMPTY when it is empty.
    """
    if "outblob" not in files:
        found = ", ".join(sorted(files)[:6]) or "an empty folder"
        raise EvidenceFormatError(
            Reason.EVIDENCE_UNRECOGNISED, "folder", expected="a configfs-tsm folder with outblob", found=found
        )
    for name in FOLDER_FILES:
        if len(files.get(name, b"")) > MAX_EVIDENCE:
            raise EvidenceFormatError(
                Reason.EVIDENCE_TOO_LARGE,
                name,
                expected=f"at most {MAX_EVIDENCE} bytes",
                found=f"{len(files[name])} bytes",
            )
    provider = files.get("provider")
    named = None if provider is None else provider.decode("ascii", "replace")
    opened = _open(files["outblob"], files.get("auxblob", b""), _provider(named), "configfs-tsm")
    return binary.with_event_log(opened, files["event_log"]) if "event_log" in files else opened


def _open(outblob: bytes, auxblob: bytes, provider: str | None, carrier: str) -> Opened:
    if not outblob:
        raise EvidenceFormatError(
            Reason.EVIDENCE_EMPTY,
            "outblob",
            expected="a report or quote",
            found="nothing (write inblob first)",
        )
    kind = binary.recognise(outblob)
    if provider is not None and provider not in _PROVIDERS:
        raise EvidenceFormatError(
            Reason.UNSUPPORTED_TEE, "provider", expected=" or ".join(_PROVIDERS), found=repr(provider[:64])
        )
    allowed = ("sev-snp-report", "quote") if provider is None else _PROVIDERS[provider]
    if kind not in allowed:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TYPE_MISMATCH,
            "outblob",
            expected=" or ".join(allowed),
            found=kind or f"{len(outblob)} bytes of something else",
        )
    opened = replace(binary.open_as(kind, outblob), carrier=carrier)
    if not auxblob:
        return opened
    if kind != "sev-snp-report":
        raise bad("auxblob", "nothing beside a TDX quote", f"{len(auxblob)} bytes")
    found, notes = binary.table(auxblob)
    return replace(opened, certificates=found, notes=(*opened.notes, *notes))


def _provider(value: object) -> str | None:
    """The provider's name; the kernel ends it with a line feed."""
    return None if value is None else text(value, "provider", limit=64).strip("\n")


def _bytes(value: object, where: str, limit: int) -> bytes:
    if not isinstance(value, bytes):
        raise bad(where, "a byte string", type_name(value))
    if len(value) > limit:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE, where, expected=f"at most {limit} bytes", found=f"{len(value)} bytes"
        )
    return value
