"""Collateral at hand: what operators imported, picked by what a piece of evidence needs.

Nothing is fetched here, and nothing is trusted for being stored: the verifiers check every object against
the pinned roots each time. What is kept per need is only a selection, so that a store full of certificates
costs one verification no more than a store with one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import CollateralStore, StoredCollateral
from verifiers.collateral import Collateral
from verifiers.crypto import crl, x509
from verifiers.dcap import identity, tcbinfo
from verifiers.errors import EndorsementFormatError
from verifiers.model import Need
from verifiers.sevsnp import certificates as amd

CERTIFICATE, CRL, TCB_INFO, QE_IDENTITY = "certificate", "crl", "tcb-info", "qe-identity"
_INTEL, _AMD = "intel", "amd"


def items(found: Collateral, imported: datetime) -> tuple[StoredCollateral, ...]:
    """The pieces of a file as rows of the store, keyed by what they are for.

    Raises EndorsementFormatError for a piece that cannot be read.
    """
    out: list[StoredCollateral] = []
    for kind, pieces in (
        (CERTIFICATE, found.certificates),
        (CRL, found.crls),
        (TCB_INFO, found.tcb_infos),
        (QE_IDENTITY, found.qe_identities),
    ):
        for raw in pieces:
            digest = hashlib.sha256(raw).hexdigest()
            out.append(
                StoredCollateral(
                    kind=kind, key=_key(kind, raw, digest), sha256=digest, source=raw, imported=imported
                )
            )
    return tuple(out)


def not_older(new: StoredCollateral, held: Iterable[StoredCollateral]) -> None:
    """A signed document never replaces one that was issued later: that is how a rollback begins.

    Raises GatewayError(STORE_CONFLICT). Certificates and CRLs replace nothing: each has its own key.
    """
    for other in held:
        if (other.kind, other.key) == (new.kind, new.key) and _issued(other) > _issued(new):
            raise GatewayError(
                GatewayReason.STORE_CONFLICT,
                f"{new.kind} {new.key} is older than the one that is held",
                where=f"{new.kind} {new.key}",
                expected=f"issued at {_issued(other).isoformat()} or later",
                found=_issued(new).isoformat(),
            )


@dataclass(slots=True)
class _Shelf:
    """Everything held at one generation, sorted by who may need it."""

    generation: int
    common: dict[str, dict[str, list[bytes]]] = field(default_factory=dict)
    """vendor → kind → objects that any evidence of that vendor may need."""
    leaves: dict[str, list[bytes]] = field(default_factory=dict)
    """hwID in hex → VCEKs."""
    documents: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)


class StoredCollateralSource:
    """`CollateralSource` over a `CollateralStore`. Reads the store anew when its generation has grown."""

    def __init__(self, store: CollateralStore) -> None:
        self._store, self._lock = store, threading.Lock()
        self._shelf: _Shelf | None = None

    def get(self, needs: Sequence[Need]) -> Mapping[str, Sequence[bytes]]:
        shelf = self._current()
        out: dict[str, list[bytes]] = {CERTIFICATE: [], CRL: [], TCB_INFO: [], QE_IDENTITY: []}
        for vendor in dict.fromkeys(need.kind.split(".")[0] for need in needs):
            for kind, objects in shelf.common.get(vendor, {}).items():
                out[kind] += objects
        for need in needs:
            key = dict(need.key)
            if need.kind == "amd.vcek":
                out[CERTIFICATE] += shelf.leaves.get(key["chip_id"], [])
            elif need.kind == "intel.tcb-info":
                name = (TCB_INFO, f"{key['tee']} {key['fmspc']}")
                out[TCB_INFO] += shelf.documents.get(name, [])
            elif need.kind == "intel.qe-identity":
                out[QE_IDENTITY] += shelf.documents.get((QE_IDENTITY, key["tee"]), [])
        return out

    def _current(self) -> _Shelf:
        generation = self._store.generation()
        shelf = self._shelf
        if shelf is None or shelf.generation != generation:
            with self._lock:
                shelf = _sort(*self._store.all())
                self._shelf = shelf
        return shelf


def _sort(generation: int, held: Sequence[StoredCollateral]) -> _Shelf:
    shelf = _Shelf(generation)
    for item in held:
        if item.kind in (TCB_INFO, QE_IDENTITY):
            shelf.documents.setdefault((item.kind, item.key), []).append(item.source)
            continue
        try:
            vendor, hwid = _owner(item)
        except EndorsementFormatError:  # what an older version let in; the verifiers would ignore it too
            continue
        if hwid is not None:
            shelf.leaves.setdefault(hwid, []).append(item.source)
        else:
            shelf.common.setdefault(vendor, {}).setdefault(item.kind, []).append(item.source)
    return shelf


def _owner(item: StoredCollateral) -> tuple[str, str | None]:
    """Vendor by the issuer's name, and the hwID of a VCEK. Only a selection: nothing follows from it."""
    if item.kind == CRL:
        return (_INTEL if b"Intel" in crl.parse(item.source, item.key).issuer else _AMD), None
    certificate = x509.parse(item.source, item.key)
    if "Intel" in certificate.issuer_cn:
        return _INTEL, None
    if any(oid.startswith(amd.ARC) for oid in certificate.extensions):
        hwid = amd.parse(certificate.extensions, item.key).hwid
        return _AMD, None if hwid is None else hwid.hex()
    return _AMD, None


def _key(kind: str, raw: bytes, digest: str) -> str:
    if kind == CERTIFICATE:
        return f"{x509.parse(raw, kind).subject_cn} {digest}"
    if kind == CRL:
        return f"CRL of {crl.parse(raw, kind).issuer_cn} {digest}"
    if kind == TCB_INFO:
        info, _ = tcbinfo.parse(raw, kind)
        return f"{info.tee.value} {info.fmspc.hex().upper()}"
    enclave, _ = identity.parse(raw, kind)
    return enclave.id if enclave.tee is None else enclave.tee.value


def _issued(item: StoredCollateral) -> datetime:
    if item.kind == TCB_INFO:
        return tcbinfo.parse(item.source, item.key)[0].window.issued
    if item.kind == QE_IDENTITY:
        return identity.parse(item.source, item.key)[0].window.issued
    return item.imported
