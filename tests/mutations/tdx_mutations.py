"""The manifest's mutations of TDX and SGX quotes, of their collateral and of the time, as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support import vector_bytes
from tests.vectors import tdx_vectors as v
from verifiers import registry
from verifiers.dcap import quote
from verifiers.model import Verification

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One mutation: a quote, documents that replace the vector's, a time, and the manifest's sentence."""

    name: str
    vector: dict[str, Any]
    quote: bytes
    expected: str
    now: datetime
    documents: Mapping[str, bytes] = field(default_factory=dict)

    def verify(self) -> Verification:
        """Raises EvidenceFormatError for what is no quote any more."""
        have = v.endorsements(self.vector)
        changed: dict[str, tuple[bytes, ...]] = {}
        for name, raw in self.documents.items():
            if name == "tcb_info":
                changed["tcb_infos"] = (raw,)
            elif name == "qe_identity":
                changed["qe_identities"] = (raw,)
            else:
                keep = "root_crl" if name == "pck_crl" else "pck_crl"
                changed["crls"] = (v.file(self.vector, keep), raw)
        parsed = quote.parse(self.quote)
        endorsements = v.endorsements(self.vector, have.cache, **changed)
        return registry.verify(parsed, endorsements, v.UNBOUND, self.now)


def _flip_signature(raw: bytes) -> bytes:
    """Flip one bit of the hex signature behind the signed object."""
    at = raw.rindex(b'"signature":"') + len(b'"signature":"')
    return raw[:at] + (b"%x" % (int(raw[at : at + 1], 16) ^ 1)) + raw[at + 1 :]


def _respaced(raw: bytes) -> bytes:
    """A space after every separator: the same JSON, other bytes."""
    return raw.replace(b",", b", ").replace(b'":', b'": ')


def _flip(raw: bytes, at: int, bits: int) -> bytes:
    out = bytearray(raw)
    out[at] ^= bits
    return bytes(out)


def _ops(raw: bytes, ops: list[dict[str, Any]]) -> bytes:
    for op in ops:
        raw = (
            raw[: op["truncate_to"]] if "truncate_to" in op else _flip(raw, op["offset"], int(op["xor"], 16))
        )
    return raw


def _around(name: str, vector: dict[str, Any]) -> datetime | None:
    window = {edge: v.moment(text) for edge, text in vector["collateral_valid_window"].items()}
    return {
        "time-before-window": window["from"] - SECOND,
        "time-at-open": window["from"],
        "time-at-close": window["to"],
        "time-after-window": window["to"] + SECOND,
    }.get(name)


def _documents(name: str, vector: dict[str, Any]) -> dict[str, bytes]:
    def own(which: str) -> bytes:
        return v.file(vector, which)

    def other(path: str) -> bytes:
        return vector_bytes("tdx", f"collateral/{path}")

    changes = {
        "tcbinfo-sig-flip": lambda: {"tcb_info": _flip_signature(own("tcb_info"))},
        "tcbinfo-reserialised": lambda: {"tcb_info": _respaced(own("tcb_info"))},
        "tcbinfo-status-edit": lambda: {"tcb_info": own("tcb_info").replace(b"OutOfDate", b"UpToDate", 1)},
        "qeid-sig-flip": lambda: {"qe_identity": _flip_signature(own("qe_identity"))},
        "sgx-qe-identity-for-tdx": lambda: {"qe_identity": other("qeid-qe-ev17-20250619-155e.json")},
        "fmspc-mismatch": lambda: {"tcb_info": other("tcbinfo-tdx-00806f050000-ev17-20250604-5dbb.json")},
        "sgx-tcbinfo-for-tdx": lambda: {
            "tcb_info": other("tcbinfo-sgx-00a067110000-ev17-20250619-5970.json")
        },
        "pck-crl-sig-flip": lambda: {"pck_crl": _flip(own("pck_crl"), -3, 1)},
        "wrong-ca-crl": lambda: {"pck_crl": other("crl-processor-20250619-5b07.der")},
        "stale-root-crl": lambda: {"root_crl": other("crl-root-20240320-6b9f.der")},
    }
    return changes[name]()


def _case(entry: dict[str, Any]) -> Case:
    vector = v.BY_ID[entry["base"]]
    name = entry["name"]
    # The offsets are those of the quote; the file may have padding behind it, which is not part of it.
    raw, now, documents = v.file(vector, "quote")[: vector["quote_len"]], v.at(vector), {}
    if entry["target"] == "quote":
        raw = _ops(raw, entry["ops"])
    elif (moved := _around(name, vector)) is not None:
        now = moved
    else:
        documents = _documents(name, vector)
    return Case(
        name=f"{entry['base']}/{name}",
        vector=vector,
        quote=raw,
        expected=entry["expected"],
        now=now,
        documents=documents,
    )


CASES = tuple(_case(entry) for entry in v.MANIFEST.get("mutations", []))
