"""One machine's outlook: who is accepted today and will not be, why, from when, and what is short."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.bundles import baselines
from gateway.forecast.outlook import BASELINE, EARLY, EXPIRY, Machine, World, outlook, promotion, with_early
from gateway.policybook import read
from gateway.ports import Supplied
from gateway.simulator import inteldocs
from gateway.simulator.amd import DAY, SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.simulator.seeds import EPOCH
from policies import compiler
from policies.model import Baseline
from verifiers.carriers import open_evidence
from verifiers.model import AnchorSet, NoCache, TcbVersion, Unbound, Verdict

DATA = bytes(64)
SNP, TDX = SnpMachine(product="Genoa"), TdxMachine()
SGX_NOW, TDX_NOW = inteldocs.SGX_SVNS["UpToDate"], inteldocs.TDX_SVNS["UpToDate"]


def machine(of: Any = TDX, **fields: Any) -> Machine:
    raw = of.report(DATA, **fields) + of.certificate_table() if of is SNP else of.quote(DATA, **fields)
    return Machine(
        kind="tdx",
        id="ab" * 16,
        family="5EA16A7E0000",
        seen=EPOCH,
        tenant="default",
        attempt="A",
        opened=open_evidence(raw),
        binding=Unbound("a test"),
    )


def held(of: Any = TDX) -> Supplied:
    given = of.endorsements()
    return Supplied(
        certificates=given.certificates,
        crls=given.crls,
        tcb_infos=given.tcb_infos,
        qe_identities=given.qe_identities,
    )


def policy(**replaced: str) -> Any:
    """The shipped baselines, with words of them replaced."""
    texts = [raw.decode() for _, raw in baselines()]
    for old, new in replaced.values() if replaced else ():
        assert any(old in text for text in texts)
        texts = [text.replace(old, new) for text in texts]
    found = [d for text in texts for d in read(text.encode(), "b") if isinstance(d, Baseline)]
    return compiler.platform_only(found)


POLICY = policy()


def world(of: Any = TDX, **changes: Any) -> World:
    good = World(
        anchors=AnchorSet.VENDOR_AND_SIMULATED,
        cache=NoCache(),
        now=EPOCH,
        policy=POLICY,
        held=held(of),
        early=None,
        proposed=None,
        horizon=timedelta(days=3),
    )
    return replace(good, **changes)


def early_info(*, sgx: tuple[int, ...] = SGX_NOW, tdx: tuple[int, ...] = TDX_NOW, module: int = 6) -> bytes:
    """Of the next evaluation, in which these SVNs are up to date and those of today are not."""
    levels = [
        inteldocs.tcb_level("UpToDate", sgx=sgx, tdx=tdx, date="2026-06-10"),
        inteldocs.tcb_level("OutOfDate", sgx=SGX_NOW, tdx=TDX_NOW, advisories=("INTEL-SA-09999",)),
    ]
    modules = [
        inteldocs.module_identity(
            "TDX_01",
            [inteldocs.svn_level("UpToDate", module), inteldocs.svn_level("OutOfDate", 1)],
        )
    ]
    return TDX.tcb_info(
        tcbEvaluationDataNumber=21, issueDate=EPOCH, tcbLevels=levels, tdxModuleIdentities=modules
    )


def early_identity(svn: int) -> bytes:
    levels = [inteldocs.svn_level("UpToDate", svn), inteldocs.svn_level("OutOfDate", 1)]
    return TDX.qe_identity(tcbEvaluationDataNumber=21, issueDate=EPOCH, tcbLevels=levels)


def ahead(**early: bytes) -> Any:
    """What Intel's early documents bring for the TDX machine."""
    given = Supplied(
        tcb_infos=(early["info"],) if "info" in early else (),
        qe_identities=(early["identity"],) if "identity" in early else (),
    )
    return outlook(machine(), world(early=with_early(held(), given)))


@pytest.mark.parametrize(
    ("early", "component", "has", "needs"),
    [
        ({"info": early_info(sgx=(9, *SGX_NOW[1:]))}, "Early Microcode Update", 8, 9),
        ({"info": early_info(tdx=(5, 0, 9, *TDX_NOW[3:]))}, "TDX Late Microcode Update", 8, 9),
        ({"info": early_info(sgx=(*SGX_NOW[:7], 7, *SGX_NOW[8:]))}, "SEAMLDR ACM", 6, 7),
        ({"info": early_info(module=7)}, "TDX_01", 6, 7),
        ({"identity": early_identity(9)}, "quoting enclave", 8, 9),
    ],
    ids=["microcode", "late microcode", "loader", "module", "quoting enclave"],
)  # fmt: skip
def test_the_component_that_will_be_short_is_named(
    early: dict[str, bytes], component: str, has: int, needs: int
) -> None:
    found = ahead(**early)
    assert (found.verdict, found.reason) == (Verdict.ACCEPTED, None)
    (finding,) = found.findings
    assert (finding.when, finding.verdict, finding.reason) == (EARLY, Verdict.REFUSED, "tdx.tcb-status")
    assert finding.check == "tdx.tcb-status" and finding.at is None
    (short,) = finding.short
    assert component in short.component
    assert (short.has, short.needs) == (has, needs)
    assert short.raised_by


def test_what_would_be_promoted_is_said() -> None:
    (finding,) = ahead(info=early_info(module=7)).findings
    assert finding.cause == (
        f"when Intel promotes TCB info evaluation 21 (now 20; early document of {EPOCH:%Y-%m-%d})"
    )
    both = with_early(held(), Supplied(tcb_infos=(early_info(),), qe_identities=(early_identity(9),)))
    assert both is not None
    assert " and QE identity evaluation 21 (now 20" in promotion(held(), both)


def test_early_documents_that_ask_for_no_more_change_nothing() -> None:
    assert ahead(info=early_info()).findings == ()


def test_without_early_documents_of_its_own_nothing_is_replaced() -> None:
    assert with_early(held(), Supplied()) is None
    assert with_early(held(), held()) is None
    only = with_early(held(), Supplied(tcb_infos=(b"x",)))
    assert only is not None
    assert (only.tcb_infos, only.qe_identities) == ((b"x",), held().qe_identities)
    assert (only.certificates, only.crls) == (held().certificates, held().crls)


def test_early_documents_that_cannot_be_read_count_as_they_would_for_a_verdict() -> None:
    (finding,) = ahead(info=b"{}").findings
    assert (finding.when, finding.reason) == (EARLY, "collateral.malformed")
    assert "evaluation 0" in finding.cause


def test_a_forged_early_document_is_not_believed() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    forged = TDX.tcb_info(tcbEvaluationDataNumber=99, sign_with=ec.generate_private_key(ec.SECP256R1()))
    (finding,) = ahead(info=forged).findings
    assert (finding.when, finding.reason) == (EARLY, "collateral.signature")


def test_a_baseline_that_is_not_active_yet() -> None:
    """A Genoa floor above what the machine has."""
    higher = policy(snp=("snp: 23", "snp: 26"))
    found = outlook(machine(SNP), world(SNP, proposed=higher))
    (finding,) = found.findings
    assert (finding.when, finding.verdict) == (BASELINE, Verdict.REFUSED)
    assert finding.reason == "snp.tcb-floor.genoa"
    assert finding.cause == "when the given baseline is activated"
    names = {(short.component, short.has, short.needs) for short in finding.short}
    assert ("snp (reported_tcb)", 25, 26) in names
    assert finding.fixes
    assert outlook(machine(SNP), world(SNP, proposed=POLICY)).findings == ()


def test_what_expires_is_said_to_the_second() -> None:
    far = world(horizon=timedelta(days=40))
    (finding,) = outlook(machine(), far).findings
    assert (finding.when, finding.verdict) == (EXPIRY, Verdict.UNDECIDED)
    assert finding.at == EPOCH + 29 * DAY
    assert "unless something newer is there by then" in finding.cause
    just_before = world(horizon=29 * DAY - timedelta(seconds=1))
    assert outlook(machine(), just_before).findings == ()


def test_what_ends_by_a_rule_before_the_verifier_says_so_is_found_too() -> None:
    """Collateral may be of a certain age only: no end that the verifier knows of."""
    young = policy(age=("at_most: 30d", "at_most: 10d"))
    (finding,) = outlook(machine(), world(policy=young, horizon=timedelta(days=20))).findings
    assert finding.reason is not None and "age" in finding.reason
    assert finding.at is not None
    assert abs(finding.at - (EPOCH + 9 * DAY)) <= timedelta(seconds=2)


def test_who_is_not_accepted_today_has_nothing_to_lose() -> None:
    old = TdxMachine(level="OutOfDate")
    found = outlook(machine(old), world(early=held(), horizon=timedelta(days=99)))
    assert (found.verdict, found.findings) == (Verdict.REFUSED, ())


def test_all_that_is_ahead_is_told_in_order() -> None:
    tdx = policy(status=("UpToDate", "SWHardeningNeeded"))
    given = with_early(held(), Supplied(tcb_infos=(early_info(module=7),)))
    found = outlook(machine(), world(early=given, proposed=tdx, horizon=timedelta(days=40)))
    assert [finding.when for finding in found.findings] == [BASELINE, EARLY, EXPIRY]


def test_a_floor_of_today_counts_for_old_firmware() -> None:
    old = SnpMachine(product="Genoa", tcb=TcbVersion(bootloader=1, tee=0, snp=1, microcode=1))
    raw = old.report(DATA) + old.certificate_table()
    it = replace(machine(SNP), opened=open_evidence(raw))
    found = outlook(it, world(SNP))
    assert (found.verdict, found.reason) == (Verdict.REFUSED, "snp.tcb-floor.genoa")
