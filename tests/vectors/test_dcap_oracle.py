"""A differential test against an independent verifier, dcap-qvl: same quote, collateral and time.

Where the two differ the difference is listed by name with its cause; a difference that is not listed fails,
and so does a listed one that has gone.
"""

from __future__ import annotations

import json
from typing import Any

import dcap_qvl
import pytest

from tests.mutations.tdx_mutations import CASES, Case
from tests.support import needs_vectors
from tests.vectors.tdx_vectors import BY_ID, at, file, verify
from verifiers.codec import strictjson
from verifiers.dcap import quote
from verifiers.errors import AttestationError
from verifiers.model import Verdict

pytestmark = needs_vectors("tdx")

FULL = [pytest.param(v, id=name) for name, v in BY_ID.items() if "tcb_info" in v["files"]]

# dcap-qvl has a fixed policy on attributes; here the platform baseline judges what is a claim.
FIXED_POLICY = {
    "tdx4-azure-vtpm@ev17": "SEPT_VE_DISABLE",
    "tdx4-debug@ev15": "Debug mode",
    "tdx4-debug@ev17": "Debug mode",
    "tdx5-15-alibaba-servtd@ev17": "service TD",
    "tdx5-15-alibaba-servtd@ev18": "service TD",
    "sgx3-occlum-debug@ev17": "Debug mode",
}
# Mutations that dcap-qvl 0.7.0 lets through: it does not look at the outer certification type.
LET_THROUGH = {"tdx4-phala@ev17/outer-cert-type", "tdx5-15-intel-sample@ev18/outer-cert-type"}


def collateral(vector: dict[str, Any], documents: dict[str, bytes]) -> dcap_qvl.QuoteCollateralV3:
    """The collateral of a vector in dcap-qvl's form; `documents` replaces pieces of it."""

    def get(name: str) -> bytes:
        return documents.get(name, file(vector, name) if name in vector["files"] else b"")

    chain = get("tcb_signing_chain").decode()
    certification = quote.parse(file(vector, "quote")).signature_data.certification_data
    leaf_end = certification.index(b"-----END CERTIFICATE-----") + len(b"-----END CERTIFICATE-----")
    info, identity = get("tcb_info"), get("qe_identity")
    return dcap_qvl.QuoteCollateralV3(
        pck_crl_issuer_chain=certification[leaf_end:].rstrip(b"\0").strip().decode(),
        root_ca_crl=get("root_crl"),
        pck_crl=get("pck_crl"),
        tcb_info_issuer_chain=chain,
        tcb_info=strictjson.member_bytes(info, "tcbInfo", "TCB info").decode(),
        tcb_info_signature=bytes.fromhex(json.loads(info)["signature"]),
        qe_identity_issuer_chain=chain,
        qe_identity=strictjson.member_bytes(identity, "enclaveIdentity", "QE identity").decode(),
        qe_identity_signature=bytes.fromhex(json.loads(identity)["signature"]),
    )


@pytest.mark.parametrize("vector", FULL)
def test_the_oracle_agrees_on_every_vector(vector: dict[str, Any]) -> None:
    found = verify(vector)
    raw, seconds = file(vector, "quote"), int(at(vector).timestamp())
    cause = FIXED_POLICY.get(vector["id"])
    if cause is not None:
        with pytest.raises(ValueError, match=cause):
            dcap_qvl.verify(raw, collateral(vector, {}), seconds)
        assert found.verdict is Verdict.ACCEPTED
    elif found.verdict is Verdict.ACCEPTED:
        report = dcap_qvl.verify(raw, collateral(vector, {}), seconds)
        assert report.status == found.tcb.status
        assert set(report.advisory_ids) == set(found.tcb.advisory_ids)
        assert report.ppid == found.claims[f"{vector['tee']}.pck.ppid"]
    else:
        with pytest.raises(ValueError, match="No matching TCB level found"):
            dcap_qvl.verify(raw, collateral(vector, {}), seconds)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_the_oracle_agrees_on_every_mutation(case: Case) -> None:
    """Nothing that dcap-qvl refuses is accepted here; what it lets through is listed."""
    try:
        dcap_qvl.verify(case.quote, collateral(case.vector, case.documents), int(case.now.timestamp()))
        theirs = True
    except ValueError:
        theirs = False
    try:
        ours = case.verify().verdict is Verdict.ACCEPTED
    except AttestationError:
        ours = False
    assert ours is (case.expected == "accept")
    assert theirs is (ours or case.name in LET_THROUGH)
