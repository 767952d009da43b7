"""Only what leads to a pin is vetted, and it says of itself what its signer wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.simulator import impostor, intelcerts, keys, seeds
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from tests.support import needs_vectors, vector_bytes
from verifiers import vetting
from verifiers.collateral import Collateral, classify
from verifiers.errors import AttestationError, EndorsementFormatError, VettingError
from verifiers.model import AnchorSet
from verifiers.vetting import Vetted

BOTH, VENDOR = AnchorSet.VENDOR_AND_SIMULATED, AnchorSet.VENDOR
SNP, TDX, SGX = SnpMachine(), TdxMachine(), SgxMachine()
TURIN = SnpMachine(product="Turin")
VLEK = SnpMachine(signing_key="VLEK")
ROOT = keys.intel_root_certificate()
POOL = (intelcerts.ca_certificate("platform"), intelcerts.tcb_signing_certificate(), ROOT)
STRANGER = seeds.p256("stranger", "key")


def facts(vetted: Vetted) -> tuple[str, dict[str, str], int | None, bool]:
    return vetted.kind, dict(vetted.key), vetted.number, vetted.simulated


def only(vetted: tuple[Vetted, ...]) -> Vetted:
    assert len(vetted) == 1
    return vetted[0]


# --- what is genuine -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("machine", "size"), [(SNP, 64), (TURIN, 8)], ids=["Genoa", "Turin"])
def test_a_vcek_names_chip_and_tcb_as_kds_does(machine: SnpMachine, size: int) -> None:
    found = only(vetting.certificate(machine.leaf, "leaf", (), BOTH))
    key = dict(found.key)
    assert (found.kind, found.number, found.simulated) == ("amd.vcek", None, True)
    assert (key["product"], key["chip_id"]) == (machine.product, machine.hwid[:size].hex())
    assert key["snpSPL"] == str(machine.certified_tcb.snp)
    assert ("fmcSPL" in key) == (machine is TURIN)
    assert found.sha256 == hashlib.sha256(machine.leaf).hexdigest() and found.raw == machine.leaf
    assert found.valid_at(found.issued) and not found.valid_at(found.ends)


def test_a_vlek_names_its_provider() -> None:
    found = only(vetting.certificate(VLEK.leaf, "leaf", (), BOTH))
    assert found.kind == "amd.vlek" and found.get("csp_id") and not found.get("chip_id")


def test_amds_issuers_are_not_needed() -> None:
    for raw in (SNP.ark(), SNP.ask(), SNP.asvk()):
        assert vetting.certificate(raw, "issuer", (), BOTH) == ()


def test_an_amd_crl_counts_for_the_place_that_served_it() -> None:
    found = vetting.amd_crl(SNP.crl(number=7), "crl", "vlek", BOTH)
    assert facts(found) == ("amd.crl", {"kind": "vlek", "product": SNP.product}, 7, True)
    assert found.ends - found.issued == timedelta(days=30)


@pytest.mark.parametrize(
    ("made", "kind", "key", "number"),
    [
        pytest.param(
            lambda: vetting.intel_crl(TDX.pck_crl(number=3), "x", POOL, BOTH),
            "intel.pck-crl", {"ca": "platform"}, 3, id="pck-crl",
        ),
        pytest.param(
            lambda: vetting.intel_crl(TDX.root_crl(), "x", POOL, BOTH), "intel.root-crl", {}, 1, id="root-crl"
        ),
        pytest.param(
            lambda: vetting.tcb_info(TDX.tcb_info(tcbEvaluationDataNumber=18), "x", POOL, BOTH),
            "intel.tcb-info", {"fmspc": TDX.fmspc.hex().upper(), "tee": "tdx"}, 18, id="tcb-info",
        ),
        pytest.param(
            lambda: vetting.qe_identity(SGX.qe_identity(tcbEvaluationDataNumber=4), "x", POOL, BOTH),
            "intel.qe-identity", {"tee": "sgx"}, 4, id="qe-identity",
        ),
    ],
)  # fmt: skip
def test_what_intel_signed_comes_with_its_issuers(
    made: Callable[[], tuple[Vetted, ...]], kind: str, key: dict[str, str], number: int
) -> None:
    *issuers, found = made()
    assert facts(found) == (kind, key, number, True)
    assert issuers[0].raw == ROOT and {each.kind for each in issuers} == {"intel.issuer"}


def test_a_pck_names_its_platform() -> None:
    *issuers, found = vetting.certificate(TDX.pck(), "pck", POOL, BOTH)
    assert (found.kind, found.get("ppid"), found.get("ca")) == ("intel.pck", TDX.ppid.hex(), "platform")
    assert [each.get("role") for each in issuers] == ["root", "pck-platform"]


def test_of_a_key_certified_twice_the_longer_certificate_vouches() -> None:
    longer = intelcerts.tcb_signing_certificate(not_after=seeds.EPOCH + timedelta(days=9000))
    for pool in ((*POOL, longer), (longer, *POOL)):
        assert vetting.tcb_info(TDX.tcb_info(), "x", pool, BOTH)[1].raw == longer


# --- what is not ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: vetting.certificate(SNP.leaf, "x", (), VENDOR), "evidence.simulated", id="vcek"),
        pytest.param(lambda: vetting.amd_crl(SNP.crl(), "x", "vcek", VENDOR), "evidence.simulated", id="crl"),
        pytest.param(
            lambda: vetting.intel_crl(TDX.pck_crl(), "x", POOL, VENDOR), "evidence.simulated", id="pck-crl"
        ),
        pytest.param(
            lambda: vetting.tcb_info(TDX.tcb_info(), "x", POOL, VENDOR), "evidence.simulated", id="tcb-info"
        ),
        pytest.param(
            lambda: vetting.qe_identity(TDX.qe_identity(), "x", POOL, VENDOR), "evidence.simulated", id="qe"
        ),
        pytest.param(
            lambda: vetting.certificate(TDX.pck(), "x", POOL, VENDOR), "evidence.simulated", id="pck"
        ),
        pytest.param(lambda: vetting.certificate(ROOT, "x", (), VENDOR), "evidence.simulated", id="root"),
        pytest.param(
            lambda: vetting.certificate(SNP.vcek(sign_with=keys.amd("Milan", "ASK")), "x", (), BOTH),
            "snp.chain", id="vcek-by-another",
        ),
        pytest.param(
            lambda: vetting.amd_crl(SNP.crl(sign_with=keys.amd("Milan", "ARK")), "x", "vcek", BOTH),
            "collateral.crl-signature", id="crl-by-another-ark",
        ),
        pytest.param(
            lambda: vetting.intel_crl(TDX.pck_crl(sign_with=STRANGER), "x", POOL, BOTH),
            "collateral.crl-signature", id="pck-crl-forged",
        ),
        pytest.param(
            lambda: vetting.intel_crl(TDX.pck_crl(), "x", (ROOT,), BOTH),
            "collateral.crl-signature", id="pck-crl-without-its-ca",
        ),
        pytest.param(
            lambda: vetting.intel_crl(SNP.crl(), "x", POOL, BOTH), "collateral.crl-signature", id="amds"
        ),
        pytest.param(
            lambda: vetting.amd_crl(TDX.root_crl(), "x", "vcek", BOTH), "collateral.crl-signature",
            id="intels-as-amds",
        ),
        pytest.param(
            lambda: vetting.tcb_info(TDX.tcb_info(sign_with=STRANGER), "x", POOL, BOTH),
            "collateral.signature", id="tcb-info-forged",
        ),
        pytest.param(
            lambda: vetting.tcb_info(TDX.tcb_info().replace(b"UpToDate", b"upToDate", 1), "x", POOL, BOTH),
            "collateral.malformed", id="tcb-info-unknown-word",
        ),
        pytest.param(
            lambda: vetting.tcb_info(TDX.tcb_info(), "x", (ROOT,), BOTH),
            "collateral.tcb-signing-chain-missing", id="tcb-info-without-signer",
        ),
        pytest.param(
            lambda: vetting.tcb_info(TDX.tcb_info(), "x", POOL[:2], BOTH), "dcap.chain", id="without-root"
        ),
        pytest.param(
            lambda: vetting.qe_identity(TDX.qe_identity(id="QVE"), "x", POOL, BOTH),
            "collateral.wrong-tee", id="another-enclave",
        ),
        pytest.param(
            lambda: vetting.certificate(TDX.pck(sign_with=STRANGER), "x", POOL, BOTH), "dcap.chain",
            id="pck-forged",
        ),
        pytest.param(
            lambda: vetting.certificate(TDX.pck(common_name="Intel SGX PCK Certificat"), "x", POOL, BOTH),
            "dcap.chain-names", id="pck-misnamed",
        ),
    ],
)  # fmt: skip
def test_what_nobody_vouches_for_is_not_vetted(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(AttestationError) as caught:
        make()
    assert caught.value.reason == reason
    if reason != "collateral.malformed":
        assert isinstance(caught.value, VettingError)


@pytest.mark.parametrize("only_theirs", [False, True])
def test_the_right_names_under_another_root_vouch_for_nothing(only_theirs: bool) -> None:
    signer, ca = impostor.intel_chain("signer"), impostor.intel_chain("platform")
    pool = (*signer, *ca) if only_theirs else (*signer, *ca, *POOL)
    with pytest.raises(VettingError) as document:
        vetting.tcb_info(TDX.tcb_info(sign_with=impostor.intel_key("signer")), "x", pool, BOTH)
    with pytest.raises(VettingError) as crl:
        vetting.intel_crl(TDX.pck_crl(sign_with=impostor.intel_key("platform")), "x", pool, BOTH)
    reasons = (document.value.reason, crl.value.reason)
    good_beside = ("collateral.signature", "collateral.crl-signature")
    assert reasons == (("dcap.chain", "dcap.chain") if only_theirs else good_beside)


def test_a_change_of_any_signed_byte_shows() -> None:
    good = TDX.tcb_info()
    at = good.index(b'"fmspc":"') + 9
    with pytest.raises(VettingError) as caught:
        vetting.tcb_info(good[:at] + b"1" + good[at + 1 :], "x", POOL, BOTH)
    assert caught.value.reason == "collateral.signature"


@pytest.mark.parametrize("machine", [SNP, VLEK], ids=["VCEK", "VLEK"])
def test_a_leaf_of_one_kind_is_not_one_of_the_other(machine: SnpMachine) -> None:
    """An ASVK that signs something named SEV-VCEK vouches for a provider, not for a chip."""
    other = "ASVK" if machine is SNP else "ASK"
    forged = machine.certificate(
        "VCEK" if machine is SNP else "VLEK",
        sign_with=keys.amd(machine.product, other),
        issued_by=f"SEV-{'VLEK-' if other == 'ASVK' else ''}{machine.product}",
    )
    with pytest.raises(VettingError) as caught:
        vetting.certificate(forged, "x", (), BOTH)
    assert caught.value.reason == "snp.chain-names"


def test_what_cannot_be_read_is_malformed() -> None:
    for make in (
        lambda: vetting.certificate(b"\x30\x00", "x", (), BOTH),
        lambda: vetting.amd_crl(SNP.crl()[:-1], "x", "vcek", BOTH),
        lambda: vetting.intel_crl(b"", "x", POOL, BOTH),
        lambda: vetting.tcb_info(b"{}", "x", POOL, BOTH),
    ):
        with pytest.raises(EndorsementFormatError):
            make()


# --- whole files ---------------------------------------------------------------------------------------


def test_the_pieces_of_a_file_vouch_for_each_other() -> None:
    found = Collateral(
        certificates=(*TDX.pck_chain, *TDX.tcb_signing_chain(), SNP.leaf, SNP.ask()),
        crls=(TDX.pck_crl(), TDX.root_crl(), SNP.crl()),
        tcb_infos=(TDX.tcb_info(),),
        qe_identities=(TDX.qe_identity(),),
    )
    batch = vetting.everything(found, "file", (), BOTH)
    kinds = [each.kind for each in batch.objects]
    assert sorted(set(kinds)) == [
        "amd.crl", "amd.vcek", "intel.issuer", "intel.pck", "intel.pck-crl", "intel.qe-identity",
        "intel.root-crl", "intel.tcb-info",
    ]  # fmt: skip
    assert [each.get("kind") for each in batch.objects if each.kind == "amd.crl"] == ["vcek", "vlek"]
    assert len(batch.unneeded) == 1 and kinds.count("intel.issuer") == 3


def test_one_forged_piece_and_nothing_counts() -> None:
    found = Collateral(crls=(SNP.crl(), TDX.pck_crl(sign_with=STRANGER)))
    with pytest.raises(VettingError) as caught:
        vetting.everything(found, "file", POOL, BOTH)
    assert caught.value.where == "file: CRL 2"


@needs_vectors("tdx")
@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("crl-platform-20260812-4093.der", "intel.pck-crl", 1),
        ("crl-root-20260226-c114.der", "intel.root-crl", 1),
        ("qeid-td_qe-ev19-20260812-0693.json", "intel.qe-identity", 19),
        ("tcbinfo-tdx-b0c06f000000-ev20-20260813-db7a.json", "intel.tcb-info", 20),
    ],
)
def test_what_intel_published_is_vetted_with_the_issuers_that_ship(name: str, kind: str, number: int) -> None:
    from gateway.collateral import issuers

    pieces = classify(vector_bytes("tdx", f"collateral/{name}"), name)
    batch = vetting.everything(pieces, name, issuers.shipped(), VENDOR)
    found = batch.objects[-1]
    assert (found.kind, found.number, found.simulated) == (kind, number, False)
    assert batch.objects[0].get("role") == "root"


@needs_vectors("tdx")
def test_a_document_printed_anew_is_not_what_intel_signed() -> None:
    from gateway.collateral import issuers

    raw = vector_bytes("tdx", "collateral/tcbinfo-sgx-30606a-prettyprinted.json")
    with pytest.raises(VettingError) as caught:
        vetting.tcb_info(raw, "x", issuers.shipped(), VENDOR)
    assert caught.value.reason == "collateral.signature"
