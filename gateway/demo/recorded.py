"""Real, recorded evidence: judged offline, by the same baseline, at a time when its certificates were valid.

One AMD Milan report comes with a package that the tests depend on. More lies beside a developer's checkout.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway import bundles
from policies import load
from policies.appraise import Appraisal, appraise
from policies.compiler import platform_only
from policies.model import Baseline, Profile
from verifiers import registry
from verifiers.carriers import open_evidence
from verifiers.claims import BY_NAME
from verifiers.collateral import classify, merge
from verifiers.model import AnchorSet, Endorsements, Unbound

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """authentic and reason: what must come out."""

    title: str
    evidence: bytes
    collateral: tuple[bytes, ...]
    at: datetime
    authentic: bool
    reason: str | None


def recordings() -> Iterator[Recording]:
    """Every recording that is at hand."""
    packaged = _packaged()
    if packaged is not None:
        yield packaged
    snp = VECTORS / "sev-snp" / "milan-v3-vcek-dstack"
    if snp.is_dir():
        yield Recording(
            title="REAL AMD Milan report, recorded 2026-06",
            evidence=(snp / "attestation.bin").read_bytes()[4 : 4 + 1184],
            collateral=((snp / "vcek.pem").read_bytes(),),
            at=datetime(2026, 7, 3, 9, tzinfo=UTC),
            authentic=True,
            reason="snp.tcb-floor.milan",
        )
    tdx = VECTORS / "tdx"
    if tdx.is_dir():
        for evaluation, at, reason in (
            ("ev17", datetime(2025, 2, 28, 3, tzinfo=UTC), None),
            ("ev18", datetime(2026, 2, 11, 9, tzinfo=UTC), "tdx.tcb-status"),
        ):
            yield Recording(
                title=f"REAL Google TDX quote, judged {at:%Y-%m}",
                evidence=(tdx / "quotes" / "tdx4-gcp-cos113.bin").read_bytes(),
                collateral=tuple((tdx / "collateral" / name).read_bytes() for name in _TDX[evaluation]),
                at=at,
                authentic=True,
                reason=reason,
            )


_TDX = {
    "ev17": (
        "tcbinfo-tdx-00806f050000-ev17-20250213-040f.json",
        "qeid-td_qe-ev17-20250213-2ba1.json",
        "crl-platform-20250213-00ef.der",
        "crl-root-20240320-6b9f.der",
        "tcb-signing-chain-20180521.pem",
    ),
    "ev18": (
        "tcbinfo-tdx-00806f050000-ev18-20260127-e715.json",
        "qeid-td_qe-ev18-20260127-080c.json",
        "crl-platform-20260127-f304.der",
        "crl-root-20250320-ad6f.der",
        "tcb-signing-chain-20250506.pem",
    ),
}


def judge(recording: Recording) -> Appraisal:
    """As `sealgate verify` would, under the vendors' roots alone."""
    opened = open_evidence(recording.evidence)
    found = merge(*(classify(raw, "recorded") for raw in recording.collateral))
    verification = registry.verify(
        opened.evidence,
        Endorsements(
            anchors=AnchorSet.VENDOR,
            certificates=(*opened.certificates, *found.certificates),
            crls=found.crls,
            tcb_infos=found.tcb_infos,
            qe_identities=found.qe_identities,
        ),
        Unbound("recorded evidence answers nobody's challenge"),
        recording.at,
    )
    documents = [d for name, raw in bundles.baselines() for d in load.load(raw, name, claims=BY_NAME)]
    policy = platform_only(tuple(d for d in documents if isinstance(d, Baseline)))
    return appraise(verification, (), policy, recording.at, required=frozenset(), profile=Profile.NATIVE)


def _packaged() -> Recording | None:
    """The report inside omne-attest: genuine, with the debug bit set, which is what must be said of it."""
    try:
        vectors = importlib.import_module("omne_attest.vectors")
    except ImportError:
        return None
    return Recording(
        title="REAL AMD Milan report, a debug guest",
        evidence=vectors.attestation(),
        collateral=(vectors.vcek(),),
        at=datetime(2026, 9, 15, 12, tzinfo=UTC),
        authentic=True,
        reason="snp.debug-off",
    )
