"""Every TDX and SGX vector gets exactly the findings of the manifest, at its time and with its collateral."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import load_manifest, needs_vectors, vector_bytes
from tests.vectors.tdx_vectors import BY_ID, MANIFEST, Cache, at, endorsements, file, moment, verify
from verifiers import claims
from verifiers.crypto import ecdsa, x509
from verifiers.dcap import quote, tcbinfo
from verifiers.dcap.document import open_signed
from verifiers.errors import Reason
from verifiers.model import Outcome, TeeKind, Verdict, Verification, first_reason

pytestmark = needs_vectors("tdx")

ALL = [pytest.param(vector, id=name) for name, vector in BY_ID.items()]
FULL = [pytest.param(v, id=name) for name, v in BY_ID.items() if "tcb_info" in v["files"]]

# What this verifier concludes by itself: a status that is merely old is for the platform baseline.
REFUSED = {
    "tdx4-spr-e4-pks@ev15": Reason.DCAP_TCB_NOT_SUPPORTED,
    "tdx4-dstack-tappd@ev17": Reason.DCAP_TCB_NOT_SUPPORTED,
}
PARTIAL = {
    "tdx4-oasis-trailing": (Verdict.UNDECIDED, Reason.DCAP_ROOT_CRL_MISSING),
    "sgx3-oasis-eppid": (Verdict.UNDECIDED, Reason.DCAP_PCK_MISSING),
    "sgx3-intel-testroot": (Verdict.REFUSED, Reason.SGX_ATTRIBUTES),
    "tdx4-intel-testroot": (Verdict.REFUSED, Reason.CERTIFICATE_MALFORMED),
}


def outcome(verification: Verification, name: str) -> Outcome:
    return next(check.outcome for check in verification.checks if check.id == name)


def test_no_vector_has_gone() -> None:
    assert len(ALL) == 33
    assert len(FULL) == 29
    assert sum(vector["tee"] == "sgx" for vector in BY_ID.values()) == 9
    assert len(MANIFEST["mutations"]) == 104
    assert len(MANIFEST["tcb_algorithm_cases"]) == 31
    assert load_manifest("tdx")["schema"] == "tdx-vectors/1"


@pytest.mark.parametrize("vector", ALL)
def test_framing(vector: dict[str, Any]) -> None:
    raw = file(vector, "quote")
    parsed = quote.parse(raw)
    assert quote.write(parsed) == parsed.raw == raw[: vector["quote_len"]]
    assert parsed.kind.value == vector["tee"]
    assert parsed.header.version == vector["quote_version"]
    assert parsed.padding == vector["trailing_bytes"]
    assert parsed.signature_data.certification_type == vector["cert_data_type"]
    assert len(parsed.signature_data.auth_data) == vector["qe"]["auth_data_len"]


@pytest.mark.parametrize("vector", ALL)
def test_signatures(vector: dict[str, Any]) -> None:
    found, expected = verify(vector), vector["expected"]
    assert found.signature_valid is expected["signature_valid"]
    detail = expected["signature_detail"]
    word = {True: Outcome.PASSED, None: Outcome.UNKNOWN}
    assert outcome(found, "dcap.signature") is word[detail["body_sig"]]
    assert outcome(found, "dcap.qe-report-signature") is word[detail["qe_sig"]]
    assert outcome(found, "dcap.attestation-key-binding") is word[detail["ak_bind"]]


@pytest.mark.parametrize("vector", ALL)
def test_chain(vector: dict[str, Any]) -> None:
    found, expected = verify(vector), vector["expected"]["chain_valid"]
    # One vector has a sentence instead of a flag: signatures hold, revocation could not be looked at.
    holds = expected is True or (isinstance(expected, str) and expected.startswith("chain signatures"))
    assert found.chain_valid is holds
    assert found.authentic is (holds and found.signature_valid)
    assert not found.simulated
    assert found.evidence.fmspc == vector["fmspc"]


@pytest.mark.parametrize("vector", FULL)
def test_tcb(vector: dict[str, Any]) -> None:
    found, expected = verify(vector), vector["expected"]
    tee = vector["tee"]
    assert found.tcb.status == expected["tcb_status"]
    assert set(found.tcb.advisory_ids) == set(expected["advisory_ids"])
    assert len(found.tcb.advisory_ids) == len(expected["advisory_ids"])
    assert found.tcb.date == (moment(expected["tcb_date"]) if expected["tcb_date"] else None)
    assert found.claims[f"{tee}.qe.status"] == expected["qe_status"]
    assert found.claims.get("tdx.module.id") == expected["tdx_module_id"]
    assert found.claims.get("tdx.module.status") == expected["tdx_module_status"]
    numbers = vector["tcb_evaluation_data_number"]
    assert found.claims[f"{tee}.tcb.evaluation_number"] == numbers["tcb_info"]
    assert found.claims[f"{tee}.qe.evaluation_number"] == numbers["qe_identity"]
    if expected["tcb_status"] in ("UpToDate", "OutOfDate", "NotSupported"):
        assert bool(found.tcb.short) is (expected["tcb_status"] != "UpToDate")


@pytest.mark.parametrize("vector", FULL)
def test_verdict(vector: dict[str, Any]) -> None:
    found = verify(vector)
    refused = REFUSED.get(vector["id"])
    assert found.verdict is (Verdict.REFUSED if refused else Verdict.ACCEPTED)
    assert first_reason(found.checks) == refused
    assert found.missing == ()
    assert found.expires is not None and found.expires > at(vector)
    assert found.expires == moment(vector["collateral_valid_window"]["to"])


@pytest.mark.parametrize("vector", [pytest.param(BY_ID[n], id=n) for n in PARTIAL if n in BY_ID])
def test_without_collateral(vector: dict[str, Any]) -> None:
    found = verify(vector)
    assert (found.verdict, first_reason(found.checks)) == PARTIAL[vector["id"]]
    assert found.tcb.status is None
    assert found.missing or vector["fmspc"] is None


@pytest.mark.parametrize("vector", ALL)
def test_claims(vector: dict[str, Any]) -> None:
    shown = claims.json_claims(verify(vector))
    assert {name: shown.get(name) for name in vector["claims"]} == vector["claims"]


@pytest.mark.parametrize("vector", ALL)
def test_platform_claims(vector: dict[str, Any]) -> None:
    shown = claims.json_claims(verify(vector))
    qe = vector["qe"]
    assert shown["qe_isv_svn"] == qe["isv_svn"]
    assert shown["qe_isv_prod_id"] == qe["isv_prod_id"]
    assert shown["qe_mr_signer"] == qe["mr_signer"]
    pck = vector["pck"]
    if pck is None:
        assert "pck_ppid" not in shown
        return
    assert shown["fmspc"] == vector["fmspc"].lower()
    assert shown["pck_ppid"] == pck["ppid"]
    assert shown["pck_cpusvn"] == pck["cpusvn"]
    assert shown["pck_comp_svns"] == pck["comp_svns"]
    assert shown["pck_pcesvn"] == pck["pcesvn"]
    assert shown["pck_pceid"] == pck["pceid"]
    assert shown["pck_sgx_type"] == pck["sgx_type"]
    assert shown.get("pck_platform_instance_id") == pck["platform_instance_id"]
    flags = {"1": "pck_dynamic_platform", "2": "pck_cached_keys", "3": "pck_smt_enabled"}
    assert {key: shown.get(name) for key, name in flags.items() if name in shown} == pck["configuration"]
    assert shown["pck_ca"] == vector["pck_ca"].split()[-2].lower()


@pytest.mark.parametrize("vector", FULL)
def test_a_cache_changes_nothing_and_forgets_no_date(vector: dict[str, Any]) -> None:
    cache = Cache()
    cold = verify(vector)
    assert verify(vector, cache=cache) == cold
    assert {str(key[0]) for key in cache.entries} == {
        "dcap.pck-chain",
        "dcap.certification",
        "dcap.collateral",
    }
    assert len(cache.entries) == 3
    assert verify(vector, cache=cache) == cold
    end = moment(vector["collateral_valid_window"]["to"])
    late = verify(vector, cache=cache, now=end)
    assert late.verdict is not Verdict.ACCEPTED
    assert late == verify(vector, now=end)


def test_the_shortfall_of_the_worked_example() -> None:
    """FMSPC 00806F050000 under evaluation 18: what a C3 host of early 2025 had to raise."""
    found = verify(BY_ID["tdx4-gcp-cos113@ev18"])
    assert [(s.component, s.has, s.needs, s.raised_by) for s in found.tcb.short] == [
        ("SGX 1 Early Microcode Update", 7, 8, "BIOS"),
        ("SGX 2 SGX Late Microcode Update", 7, 8, "OS/VMM"),
        ("SGX 5 BIOS", 3, 4, "BIOS"),
        ("SGX 8 SEAMLDR ACM", 3, 6, "OS/VMM"),
        ("TDX 3 TDX Late Microcode Update", 7, 8, "OS/VMM"),
        ("TDX module (TDX_01)", 4, 6, "OS/VMM, then relaunch the guest"),
    ]


def test_collateral_of_two_evaluations_counts_the_newer() -> None:
    """Both TCB infos current: the higher evaluation number decides, whatever the order."""
    early, standard = BY_ID["sgx3-tlsn-early@ev19"], BY_ID["sgx3-tlsn-standard@ev17"]
    both = (file(standard, "tcb_info"), file(early, "tcb_info"))
    for infos in (both, both[::-1]):
        found = verify(standard, tcb_infos=infos)
        assert found.tcb.status == "OutOfDate"
        assert found.claims["sgx.tcb.evaluation_number"] == 19


def test_other_documents_do_not_get_in_the_way() -> None:
    """A folder with everything: what is about other platforms, other times or unreadable is left alone."""
    vector = BY_ID["tdx4-phala@ev17"]
    others = [BY_ID[name] for name in ("tdx4-gcp-cos113@ev17", "sgx3-phala@ev17", "tdx4-phala@ev20")]
    have = endorsements(vector)
    found = verify(
        vector,
        tcb_infos=(*(file(o, "tcb_info") for o in others), b"{}", *have.tcb_infos),
        qe_identities=(*(file(o, "qe_identity") for o in others), b"nonsense", *have.qe_identities),
        crls=(*(file(o, "pck_crl") for o in others), b"\x30\x00", *have.crls),
        certificates=(b"no certificate", *have.certificates),
    )
    assert found.verdict is Verdict.ACCEPTED
    assert found.tcb == verify(vector).tcb
    assert found.used == verify(vector).used


def test_a_pretty_printed_document_is_not_what_intel_signed() -> None:
    entry = MANIFEST["negative_collateral"][0]
    raw = vector_bytes("tdx", entry["file"])
    info, _ = tcbinfo.parse(raw, "TCB info")
    assert info.tee is TeeKind.SGX
    vector = BY_ID["sgx3-oasis-00606a@ev17"]
    # It is about another platform, so its signature alone is asked for here.
    signed = open_signed(raw, "tcbInfo", "TCB info")
    for certificate in endorsements(vector).certificates:
        key = x509.parse(certificate, "certificate").public_key
        assert not ecdsa.verify_p256_sha256(key, signed.r, signed.s, signed.body)  # type: ignore[arg-type]
