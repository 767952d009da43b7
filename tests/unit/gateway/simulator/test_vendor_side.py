"""What the vendor knows of simulated machines: chip id or PPID only, and one evaluation after the other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.simulator import impostor, inteldocs, keys
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from gateway.simulator.intelmachine import PPID_PADDING
from verifiers.crypto import x509
from verifiers.dcap import identity, tcbinfo
from verifiers.dcap import quote as quotes
from verifiers.errors import EndorsementFormatError, Reason
from verifiers.model import Outcome, ReportData, TcbVersion, Verdict, Verification
from verifiers.sevsnp import abi
from verifiers.sevsnp import verify as snp
from verifiers.tdx import verify as tdx

DATA = bytes(range(64))
OLD = TcbVersion(bootloader=9, tee=0, snp=21, microcode=84)


def judge(machine: TdxMachine, **collateral: bytes) -> Verification:
    given = machine.endorsements(**collateral)
    return tdx.verify(quotes.parse(machine.quote(DATA)), given, ReportData(DATA), machine.at)


@pytest.mark.parametrize("product", keys.PRODUCTS)
def test_kds_can_certify_a_chip_of_which_it_knows_hwid_and_tcb(product: str) -> None:
    machine = SnpMachine(product=product, seed="somewhere")
    leaf = SnpMachine(product=product, chip=machine.hwid, tcb=machine.certified_tcb).leaf
    found = snp.verify(
        abi.parse(machine.report(DATA)),
        machine.endorsements(certificates=(leaf,)),
        ReportData(DATA),
        machine.at,
    )
    assert found.verdict is Verdict.ACCEPTED


def test_a_vcek_belongs_to_one_chip_at_one_tcb() -> None:
    machine = SnpMachine()
    for leaf in (SnpMachine(chip=machine.hwid, tcb=OLD).leaf, SnpMachine(chip=bytes(range(64))).leaf):
        found = snp.verify(
            abi.parse(machine.report(DATA)),
            machine.endorsements(certificates=(leaf,)),
            ReportData(DATA),
            machine.at,
        )
        assert found.verdict is not Verdict.ACCEPTED


@pytest.mark.parametrize(("product", "size"), [("Turin", 64), ("Genoa", 8)])
def test_a_chip_id_has_the_size_of_its_product(product: str, size: int) -> None:
    with pytest.raises(ValueError, match="bytes of hwID"):
        SnpMachine(product=product, chip=bytes(size))


def test_pcs_can_certify_a_platform_of_which_it_has_the_encrypted_ppid() -> None:
    machine = TdxMachine(seed="somewhere", level="OutOfDate")
    sent = machine.encrypted_ppid()
    assert (len(sent), sent == machine.encrypted_ppid()) == (384, False)
    ppid = keys.ppid_key().decrypt(sent, PPID_PADDING)
    again = TdxMachine(platform=ppid, level="OutOfDate")
    assert again.ppid == machine.ppid
    assert again.pck_key.private_numbers() == machine.pck_key.private_numbers()
    assert (again.pck_serial, again.platform_instance_id) == (
        machine.pck_serial,
        machine.platform_instance_id,
    )


@pytest.mark.parametrize("evaluation", inteldocs.EVALUATIONS)
@pytest.mark.parametrize("level", [*inteldocs.SGX_SVNS])
def test_each_evaluation_gives_a_platform_the_status_it_has_there(evaluation: int, level: str) -> None:
    listed = inteldocs.EVALUATIONS[evaluation]
    names = list(inteldocs.SGX_SVNS)
    # A platform has the status of the highest listed level that it reaches.
    reached = next(listed[name] for name in names[names.index(level) :] if name in listed)
    machine = TdxMachine(level=level)
    found = judge(
        machine,
        tcb_info=machine.tcb_info(evaluation=evaluation),
        qe_identity=machine.qe_identity(evaluation=evaluation if level == "Next" else 20),
    )
    assert found.tcb.status == reached


def test_a_tcb_recovery_makes_the_quoting_enclave_old_too() -> None:
    machine = TdxMachine()
    found = judge(machine, qe_identity=machine.qe_identity(evaluation=21))
    assert found.tcb.status == "OutOfDate"


def test_the_list_of_evaluation_numbers_has_intels_members() -> None:
    raw = TdxMachine().evaluation_numbers([19, 21])
    body: dict[str, Any] = json.loads(raw)["tcbEvaluationDataNumbers"]
    assert list(body) == ["id", "version", "issueDate", "nextUpdate", "tcbEvalNumbers"]
    assert [each["tcbEvaluationDataNumber"] for each in body["tcbEvalNumbers"]] == [21, 19]
    assert SgxMachine().evaluation_numbers() != raw


def test_members_may_stand_twice_and_readers_refuse_them() -> None:
    machine = TdxMachine()
    for raw, parse in (
        (machine.tcb_info(twice=("tcbEvaluationDataNumber",)), tcbinfo.parse),
        (machine.qe_identity(twice=("isvprodid",)), identity.parse),
    ):
        json.loads(raw)
        with pytest.raises(EndorsementFormatError) as caught:
            parse(raw, "document")
        assert caught.value.reason == Reason.COLLATERAL_MALFORMED


def test_the_impostors_names_are_right_and_nothing_of_his_is_believed() -> None:
    machine = TdxMachine()
    for role, genuine in (("signer", machine.tcb_signing_chain()[0]), ("platform", machine.pck_chain[1])):
        mine, theirs = x509.parse(impostor.intel_certificate(role), "a"), x509.parse(genuine, "b")
        assert (mine.subject, mine.issuer) == (theirs.subject, theirs.issuer)
    found = judge(machine, tcb_info=machine.tcb_info(sign_with=impostor.intel_key("signer")))
    assert found.verdict is not Verdict.ACCEPTED
    assert {c.id for c in found.checks if c.outcome is not Outcome.PASSED} >= {"dcap.tcb-info"}


@pytest.mark.parametrize("product", keys.PRODUCTS)
def test_the_impostors_crl_and_vcek_are_not_believed(product: str) -> None:
    machine = SnpMachine(product=product)
    report = abi.parse(machine.report(DATA))
    leaf = machine.vcek(sign_with=impostor.amd_key(product, "ASK"))
    crl = machine.crl(sign_with=impostor.amd_key(product, "ARK"))
    for given in (machine.endorsements(certificates=(leaf,)), machine.endorsements(crls=(crl,))):
        assert snp.verify(report, given, ReportData(DATA), machine.at).verdict is not Verdict.ACCEPTED
