"""The shipped baselines on every recorded report and quote: what is said about real machines."""

from __future__ import annotations

from typing import Any

import pytest

from policies import compiler
from policies.appraise import Appraisal, appraise
from policies.model import Profile
from tests.support import load_manifest, needs_vectors
from tests.unit.policies.support import shipped
from tests.vectors import snp_vectors, tdx_vectors
from verifiers.model import Outcome, Verification

QUOTES = load_manifest("tdx").get("vectors", [])

# Verdict and reason of every report at a time at which its leaf is valid, nothing required. Others are
# accepted. Reports of version 2 come from firmware of before the floors.
REFUSED_REPORTS = {
    "milan-v2-vcek-debug": "snp.debug-off",
    "milan-v2-vcek-virtee": "snp.tcb-floor.milan",
    "milan-v2-vcek-trustee": "snp.tcb-floor.milan",
    "milan-v3-vlek-aws": "snp.tcb-floor.milan-b1",
    "milan-v2-vlek-aws": "snp.tcb-floor.milan",
    "milan-v3-vcek-dstack": "snp.tcb-floor.milan",
    "azure-hcl-milan-v2": "snp.tcb-floor.milan",
    "azure-hcl-truncated-mismatched": "snp.signature",
}
NO_FLOOR = {"turin-v5-vcek-azure-aci", "turin-v5-vcek"}

# Quotes that fail for more than an old TCB.
REFUSED_QUOTES = {
    "tdx4-azure-vtpm@ev17": "tdx.sept-ve-disable",
    "tdx4-debug@ev15": "tdx.debug-off",
    "tdx4-debug@ev17": "tdx.debug-off",
    "tdx5-15-alibaba-servtd@ev17": "tdx.service-td",
    "tdx5-15-alibaba-servtd@ev18": "tdx.service-td",
    "sgx3-occlum-debug@ev17": "sgx.debug-off",
}


def judged(verification: Verification) -> Appraisal:
    policy = compiler.platform_only(shipped())
    return appraise(verification, (), policy, verification.at, required=frozenset(), profile=Profile.NATIVE)


@needs_vectors("sev-snp")
@pytest.mark.parametrize("name", snp_vectors.REPORTS)
def test_reports(name: str) -> None:
    found = judged(snp_vectors.vector(name).verify())
    reason = REFUSED_REPORTS.get(name)
    assert (found.verdict, found.reason) == ("refused" if reason else "accepted", reason)
    assert {"identity", "binding.report-data", "snp.revocation"} <= set(found.unchecked)
    if reason is None:
        assert found.tcb.status == ("no_floor" if name in NO_FLOOR else "ok")
    assert not REFUSED_REPORTS.keys() - set(snp_vectors.REPORTS)


@needs_vectors("sev-snp")
def test_the_outdated_milan_names_both_short_components() -> None:
    found = judged(snp_vectors.vector("milan-v3-vcek-dstack").verify())
    failed = [check.id for check in found.checks if check.outcome is Outcome.FAILED]
    assert failed == ["snp.tcb-floor.milan", "snp.tcb-floor.milan-b1"]
    assert found.tcb.status == "below_floor"
    assert [(s.component, s.has, s.needs) for s in found.tcb.short] == [
        ("snp (reported_tcb)", 23, 24),
        ("microcode (reported_tcb)", 213, 219),
    ]


@needs_vectors("tdx")
@pytest.mark.parametrize("vector", QUOTES, ids=lambda vector: vector["id"])
def test_quotes(vector: dict[str, Any]) -> None:
    """UpToDate is accepted unless something else is wrong; NotSupported is the verifier's own refusal."""
    found = judged(tdx_vectors.verify(vector))
    status = vector["expected"].get("tcb_status")
    if status is None or "tcb_info" not in vector["files"]:
        assert found.verdict in {"undecided", "refused"}
        return
    expected = REFUSED_QUOTES.get(vector["id"])
    if expected is None and status == "NotSupported":
        expected = "dcap.tcb-not-supported"
    if expected is None and status != "UpToDate":
        expected = f"{vector['tee']}.tcb-status"
    assert (found.verdict, found.reason) == ("refused" if expected else "accepted", expected)
    assert found.tcb.status == status
    assert "identity" in found.unchecked
