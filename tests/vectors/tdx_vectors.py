"""The TDX and SGX vectors as arguments of `verify`, shared by the suites that run them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.support import load_manifest, vector_bytes
from verifiers import registry
from verifiers.crypto.x509 import split_pem
from verifiers.dcap import quote
from verifiers.model import AnchorSet, ChainCache, Endorsements, NoCache, Unbound, Verification

MANIFEST = load_manifest("tdx")
BY_ID: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in MANIFEST.get("vectors", [])}
UNBOUND = Unbound("recorded evidence")


class Cache:
    """Remembers everything for ever."""

    def __init__(self) -> None:
        self.entries: dict[tuple[object, ...], object] = {}

    def get(self, key: tuple[object, ...]) -> object | None:
        return self.entries.get(key)

    def put(self, key: tuple[object, ...], value: object) -> None:
        self.entries[key] = value


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def file(vector: dict[str, Any], name: str) -> bytes:
    return vector_bytes("tdx", vector["files"][name])


def endorsements(vector: dict[str, Any], cache: ChainCache | None = None, **changed: Any) -> Endorsements:
    """The vector's collateral, as PCS served it; `changed` replaces fields of Endorsements."""
    have: dict[str, Any] = {"anchors": AnchorSet.VENDOR, "cache": NoCache() if cache is None else cache}
    if "tcb_info" in vector["files"]:
        have |= {
            "certificates": split_pem(file(vector, "tcb_signing_chain"), "TCB signing chain", limit=4),
            "crls": (file(vector, "root_crl"), file(vector, "pck_crl")),
            "tcb_infos": (file(vector, "tcb_info"),),
            "qe_identities": (file(vector, "qe_identity"),),
        }
    return Endorsements(**have | changed)


def at(vector: dict[str, Any]) -> datetime:
    """The vector's verification time; those without one need none."""
    text = vector["verification_time"]
    return moment(text) if text else datetime(2025, 1, 1, tzinfo=UTC)


def verify(
    vector: dict[str, Any], *, raw: bytes | None = None, now: datetime | None = None, **changed: Any
) -> Verification:
    """Verify the vector's quote, or `raw` in its place."""
    parsed = quote.parse(file(vector, "quote") if raw is None else raw)
    return registry.verify(parsed, endorsements(vector, **changed), UNBOUND, now or at(vector))
