"""The SEV-SNP vectors opened: report bytes, certificates, a time at which the leaf is valid.

Opens the carriers by hand, so that these suites stand or fall with the SNP verifier alone.
"""

from __future__ import annotations

import base64
import functools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support import load_manifest, vector_bytes
from verifiers.crypto import x509
from verifiers.model import AnchorSet, ChainCache, Endorsements, NoCache, Unbound, Verification
from verifiers.sevsnp import abi, certtable
from verifiers.sevsnp.verify import verify

KIND = "sev-snp"
UNBOUND = Unbound("a recorded report")

VECTORS: dict[str, dict[str, Any]] = {v["id"]: v for v in load_manifest(KIND).get("vectors", [])}
REPORTS = [name for name, v in VECTORS.items() if v["kind"] == "report"]
LEAVES = [name for name, v in VECTORS.items() if v["kind"] == "cert-only"]


class DictCache:
    """Remembers everything, and counts what it was asked."""

    def __init__(self) -> None:
        self.entries: dict[tuple[object, ...], object] = {}
        self.hits = 0

    def get(self, key: tuple[object, ...]) -> object | None:
        self.hits += key in self.entries
        return self.entries.get(key)

    def put(self, key: tuple[object, ...], value: object) -> None:
        self.entries[key] = value


@dataclass(frozen=True)
class Vector:
    """certificates: the leaf first, then whatever lies beside it. at: thirty days into the leaf's window."""

    name: str
    report: bytes
    certificates: tuple[bytes, ...]
    expected: dict[str, Any]

    @property
    def leaf(self) -> bytes:
        return self.certificates[0]

    @property
    def at(self) -> datetime:
        return x509.parse(self.leaf, "leaf").not_before + timedelta(days=30)

    def endorsements(
        self,
        *,
        certificates: tuple[bytes, ...] | None = None,
        crls: tuple[bytes, ...] = (),
        anchors: AnchorSet = AnchorSet.VENDOR,
        cache: ChainCache | None = None,
    ) -> Endorsements:
        return Endorsements(
            anchors=anchors,
            certificates=self.certificates if certificates is None else certificates,
            crls=crls,
            cache=NoCache() if cache is None else cache,
        )

    def verify(
        self, report: bytes | None = None, *, at: datetime | None = None, **given: Any
    ) -> Verification:
        """Verify `report` (this vector's own by default) with this vector's certificates, or those given."""
        parsed = abi.parse(self.report if report is None else report)
        return verify(parsed, self.endorsements(**given), UNBOUND, at or self.at)


def der(raw: bytes) -> tuple[bytes, ...]:
    return x509.split_pem(raw, "vector", limit=8) if raw.lstrip().startswith(b"-----") else (raw,)


def b64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@functools.cache
def vector(name: str) -> Vector:
    entry = VECTORS[name]
    files = {f["file"].split("/")[1]: vector_bytes(KIND, f["file"]) for f in entry["files"]}
    report, certificates = b"", []
    for part, place in entry.get("extract", {}).items():
        body = files[place["file"]][place["offset"] : place["offset"] + place["length"]]
        if part == "report":
            report = body
        elif part == "leaf_der":
            certificates.append(body)
    for file in sorted(files, key=lambda f: (not f.startswith(("vcek", "vlek")), f)):
        if file.endswith((".der", ".pem")):
            certificates += der(files[file])
    if "report.bin" in files:
        report = files["report.bin"]
    elif "report.hex" in files:
        report = bytes.fromhex(files["report.hex"].decode())
    elif "tsm-report.json" in files:
        tsm = json.loads(files["tsm-report.json"])
        report = b64url(tsm["outblob"])
        table = certtable.certificates(certtable.parse(b64url(tsm["auxblob"])))
        certificates += [table[-1], *table[:-1]]
    elif "evidence.json" in files:
        evidence = json.loads(files["evidence.json"])
        hcl = b64url(evidence["hcl_report"]) if "hcl_report" in evidence else bytes(evidence["report"])
        vcek = evidence["vcek"]
        report = hcl[0x20 : 0x20 + abi.SIZE]
        certificates += der(vcek.encode()) if vcek.startswith("-----") else [b64url(vcek)]
    elif "hcl-report.bin" in files:
        report = files["hcl-report.bin"][0x20 : 0x20 + abi.SIZE]
    return Vector(name, report, tuple(certificates), entry["expected"])
