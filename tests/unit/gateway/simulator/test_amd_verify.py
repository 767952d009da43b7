"""Simulated SNP evidence through the real verifier: good is good, and one change gives one reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.simulator import amdcerts, derwrite, keys, seeds
from gateway.simulator.amd import DAY, SnpMachine
from gateway.simulator.x509build import KEY_CERT_SIGN, Extension
from verifiers.errors import Reason
from verifiers.model import (
    AnchorSet,
    Endorsements,
    Outcome,
    ReportData,
    TcbVersion,
    Verdict,
    Verification,
    first_reason,
)
from verifiers.sevsnp import abi
from verifiers.sevsnp.verify import verify

DATA = bytes(range(64))
GENOA, MILAN, TURIN = (SnpMachine(product=name) for name in ("Genoa", "Milan", "Turin"))
VLEK = SnpMachine(product="Milan", signing_key="VLEK")


def judge(report: bytes, endorsements: Endorsements, machine: SnpMachine = GENOA) -> Verification:
    return verify(abi.parse(report), endorsements, ReportData(DATA), machine.at)


def failed(found: Verification) -> list[str | None]:
    return [check.code for check in found.checks if check.outcome is Outcome.FAILED]


VERSIONS = [
    (product, version)
    for product in keys.PRODUCTS
    for version in (2, 3, 5)
    # Refused: version 2 has no CPUID, which alone may choose Turin's TCB layout.
    if (product, version) != ("Turin", 2)
]


@pytest.mark.parametrize(("product", "version"), VERSIONS)
@pytest.mark.parametrize("kind", ["VCEK", "VLEK"])
def test_good_evidence_is_accepted_as_simulated_and_refused_as_real(
    product: str, kind: str, version: int
) -> None:
    machine = SnpMachine(product=product, signing_key=kind, version=version)
    report = machine.report(DATA)
    found = judge(report, machine.endorsements())
    assert (found.verdict, failed(found)) == (Verdict.ACCEPTED, [])
    assert (found.signature_valid, found.chain_valid, found.simulated) == (True, True, True)
    assert (found.evidence.product, found.evidence.signing_key) == (product, kind)
    assert found.claims["evidence.simulated"] is True
    real = judge(report, machine.endorsements(anchors=AnchorSet.VENDOR))
    assert (real.verdict, first_reason(real.checks)) == (Verdict.REFUSED, Reason.SIMULATED)
    assert (real.signature_valid, real.chain_valid) == (True, False)


def test_issuer_certificates_that_come_along_change_nothing() -> None:
    along = (GENOA.ark(), GENOA.ask(), GENOA.leaf)
    found = judge(GENOA.report(DATA), GENOA.endorsements(certificates=along))
    assert (found.verdict, failed(found)) == (Verdict.ACCEPTED, [])


TURIN_TCB = TcbVersion(fmc=1, bootloader=3, tee=2, snp=4, microcode=97)
OLD = TcbVersion(bootloader=10, tee=0, snp=24, microcode=84)
NEW = TcbVersion(bootloader=10, tee=0, snp=26, microcode=84)

REPORTS = [
    pytest.param({"version": 1}, Reason.SNP_VERSION, id="version-1"),
    pytest.param({"version": 6}, Reason.SNP_VERSION, id="version-6"),
    pytest.param({"vmpl": 0xFFFFFFFF}, Reason.SNP_HOST_REQUESTED, id="host-requested"),
    pytest.param({"vmpl": 4}, Reason.SNP_HOST_REQUESTED, id="vmpl-4"),
    pytest.param({"policy": 0x10000}, Reason.SNP_RESERVED, id="policy-bit-17-clear"),
    pytest.param({"policy": 0x30000 | 1 << 26}, Reason.SNP_RESERVED, id="policy-bit-26"),
    pytest.param({"platform_info": 0x125}, Reason.SNP_RESERVED, id="platform-info-bit-8"),
    pytest.param({"key_info": 1 << 5}, Reason.SNP_RESERVED, id="key-info-bit-5"),
    pytest.param({"launch_mit_vector": 1}, Reason.SNP_RESERVED, id="vector-in-version-3"),
    pytest.param({"patch": {0x18B: b"\x01"}}, Reason.SNP_RESERVED, id="reserved-byte"),
    pytest.param({"patch": {0x49F: b"\x01"}}, Reason.SNP_RESERVED, id="behind-the-signature"),
    pytest.param({"patch": {0x2A0 + 71: b"\x01"}}, Reason.SNP_SIGNATURE, id="r-too-large"),
    pytest.param({"patch": {0x2A0: bytes(72)}}, Reason.SNP_SIGNATURE, id="r-zero"),
    pytest.param({"signature_algo": 2}, Reason.SNP_SIGNATURE, id="signature-algo"),
    pytest.param({"sign_with": seeds.p384("x", "stranger")}, Reason.SNP_SIGNATURE, id="other-key"),
    pytest.param({"key_info": 0b00100}, Reason.SNP_SIGNING_KEY, id="says-vlek"),
    pytest.param({"key_info": 0b01000}, Reason.SNP_SIGNING_KEY, id="reserved-signing-key"),
    pytest.param({"chip_id": bytes(64)}, Reason.SNP_CHIP_ID, id="masked-chip"),
    pytest.param({"chip_id": b"\x01" * 64}, Reason.SNP_CHIP_ID, id="other-chip"),
    pytest.param({"cpuid_fms": (0x19, 0x01, 1)}, Reason.SNP_PRODUCT, id="cpuid-of-milan"),
    pytest.param({"cpuid_fms": (0x1A, 0x50, 0)}, Reason.SNP_PRODUCT, id="cpuid-of-venice"),
    pytest.param({"reported_tcb": OLD}, Reason.SNP_TCB_CERTIFICATE, id="certified-for-newer"),
    pytest.param({"committed_tcb": NEW}, Reason.SNP_TCB_ORDER, id="committed-above-current"),
    pytest.param({"launch_tcb": NEW}, Reason.SNP_TCB_ORDER, id="launch-above-current"),
    pytest.param({"current_tcb": OLD}, Reason.SNP_TCB_ORDER, id="current-below-reported"),
]


@pytest.mark.parametrize(("change", "reason"), REPORTS)
def test_one_change_of_a_report_gives_its_reason(change: dict[str, object], reason: Reason) -> None:
    found = judge(GENOA.report(DATA, **change), GENOA.endorsements())  # type: ignore[arg-type]
    assert set(failed(found)) == {reason}
    assert found.chain_valid


def test_another_challenge_is_not_answered() -> None:
    found = judge(GENOA.report(bytes(64)), GENOA.endorsements())
    assert failed(found) == [Reason.REPORT_DATA_MISMATCH]


def test_an_old_machine_is_genuine() -> None:
    """Its certificate says the same: whether it is too old is a policy's business."""
    machine = SnpMachine(tcb=OLD)
    found = judge(machine.report(DATA), machine.endorsements())
    assert (found.verdict, found.claims["snp.reported_tcb"]) == (Verdict.ACCEPTED, OLD)


def minted_by(mint: Callable[[], bytes]) -> Endorsements:
    return GENOA.endorsements(certificates=(mint(),))


LEAVES = [
    pytest.param(lambda: GENOA.vcek(sign_with=keys.amd("Milan", "ASK")), Reason.SNP_CHAIN, id="other-ask"),
    pytest.param(lambda: GENOA.vcek(sign_with=keys.amd("Genoa", "ARK")), Reason.SNP_CHAIN, id="by-the-ark"),
    pytest.param(lambda: GENOA.vcek(not_after=GENOA.at), Reason.SNP_CHAIN_DATES, id="expires-now"),
    pytest.param(
        lambda: GENOA.vcek(not_before=GENOA.at + timedelta(seconds=1)), Reason.SNP_CHAIN_DATES, id="not-yet"
    ),
    pytest.param(lambda: GENOA.vcek(hwid=b"\x01" * 64), Reason.SNP_CHIP_ID, id="other-chip"),
    pytest.param(lambda: GENOA.vcek(tcb=OLD), Reason.SNP_TCB_CERTIFICATE, id="other-tcb"),
    pytest.param(lambda: GENOA.vcek(product_name="Milan-B0"), Reason.SNP_PRODUCT, id="other-product-name"),
    pytest.param(
        lambda: GENOA.vcek(public_key=seeds.p384("x", "stranger").public_key()),
        Reason.SNP_SIGNATURE,
        id="other-public-key",
    ),
    pytest.param(
        lambda: GENOA.vcek(contents={"cspID": derwrite.ia5_string("CN=x")}),
        Reason.SNP_SIGNING_KEY,
        id="vcek-with-csp-id",
    ),
]


@pytest.mark.parametrize(("mint", "reason"), LEAVES)
def test_one_change_of_a_leaf_gives_its_reason(mint: Callable[[], bytes], reason: Reason) -> None:
    assert reason in failed(judge(GENOA.report(DATA), minted_by(mint)))


UNREADABLE = [
    pytest.param({"drop": ["ucodeSPL"]}, id="no-ucode"),
    pytest.param({"drop": ["structVersion"]}, id="no-struct-version"),
    pytest.param({"duplicate": ["blSPL"]}, id="twice"),
    pytest.param({"struct_version": 1}, id="turins-struct-version"),
    pytest.param({"contents": {"blSPL": b"\x02\x02\x00\x0a"}}, id="integer-not-minimal"),
    pytest.param({"contents": {"blSPL": derwrite.integer(256)}}, id="spl-256"),
    pytest.param({"contents": {"hwID": bytes(63)}}, id="hwid-63"),
    pytest.param({"contents": {"productName": derwrite.utf8_string("Genoa")}}, id="name-in-utf8"),
    pytest.param({"extra": [Extension("1.3.6.1.4.1.3704.1.6", b"\x05\x00")]}, id="unknown-in-the-arc"),
]


@pytest.mark.parametrize("change", UNREADABLE)
def test_extensions_that_cannot_be_read_are_refused(change: dict[str, object]) -> None:
    found = judge(GENOA.report(DATA), minted_by(lambda: GENOA.vcek(**change)))
    assert found.verdict is not Verdict.ACCEPTED
    assert first_reason(found.checks) is not None


@pytest.mark.parametrize("prefix", [b"", b"\x04\x40"], ids=["raw", "wrapped"])
def test_both_encodings_of_hwid_are_read(prefix: bytes) -> None:
    found = judge(GENOA.report(DATA), minted_by(lambda: GENOA.vcek(contents={"hwID": prefix + GENOA.hwid})))
    assert failed(found) == []


def test_a_vlek_does_not_stand_in_for_a_vcek() -> None:
    """The chip's key certified as a VLEK: the report says VCEK, and nobody would ask for the chip."""
    found = judge(GENOA.report(DATA), minted_by(lambda: GENOA.vlek()))
    assert Reason.SNP_SIGNING_KEY in failed(found)
    assert found.signature_valid


def test_a_vlek_issued_by_the_ask_is_refused() -> None:
    wrong = VLEK.vlek(sign_with=keys.amd("Milan", "ASK"), issued_by="SEV-Milan")
    found = judge(VLEK.report(DATA), VLEK.endorsements(certificates=(wrong,)), VLEK)
    assert Reason.SNP_SIGNING_KEY in failed(found)


def test_turins_eight_byte_id_must_be_padded_with_zeros() -> None:
    good = judge(TURIN.report(DATA), TURIN.endorsements(), TURIN)
    padded = judge(TURIN.report(DATA, chip_id=TURIN.hwid.ljust(64, b"\x01")), TURIN.endorsements(), TURIN)
    assert (failed(good), failed(padded)) == ([], [Reason.SNP_CHIP_ID])


def test_turins_tcb_in_milans_layout_is_refused() -> None:
    raw = bytes((1, 3, 0, 0, 0, 0, 5, 97))
    found = judge(TURIN.report(DATA, patch={0x180: raw}), TURIN.endorsements(), TURIN)
    assert Reason.SNP_TCB_CERTIFICATE in failed(found)


CRLS = [
    pytest.param(
        lambda: GENOA.crl(revoked=[amdcerts.serial("Genoa", "ASK")]),
        (Verdict.REFUSED, Reason.SNP_REVOKED),
        id="ask-revoked",
    ),
    pytest.param(
        lambda: GENOA.crl(this_update=GENOA.at - 31 * DAY, next_update=GENOA.at),
        (Verdict.UNDECIDED, Reason.CRL_EXPIRED),
        id="expires-now",
    ),
    pytest.param(
        lambda: GENOA.crl(this_update=GENOA.at + timedelta(seconds=1)),
        (Verdict.UNDECIDED, Reason.CRL_NOT_YET_VALID),
        id="not-yet",
    ),
    pytest.param(
        lambda: GENOA.crl(sign_with=keys.amd("Genoa", "ASK")),
        (Verdict.REFUSED, Reason.CRL_SIGNATURE),
        id="signed-by-the-ask",
    ),
]


@pytest.mark.parametrize(("mint", "expected"), CRLS)
def test_one_change_of_the_crl_gives_its_reason(
    mint: Callable[[], bytes], expected: tuple[Verdict, Reason]
) -> None:
    found = judge(GENOA.report(DATA), GENOA.endorsements(crls=(mint(),)))
    assert (found.verdict, first_reason(found.checks)) == expected
    assert failed(found) == ([expected[1]] if expected[0] is Verdict.REFUSED else [])
    assert found.chain_valid


@pytest.mark.parametrize("serial", [0, amdcerts.serial("Genoa", "ASVK"), amdcerts.serial("Milan", "ASK")])
def test_a_crl_that_names_somebody_else_refuses_nobody(serial: int) -> None:
    """Serial 0 is every leaf's: an entry for it must not match them all."""
    found = judge(GENOA.report(DATA), GENOA.endorsements(crls=(GENOA.crl(revoked=[serial]),)))
    assert (found.verdict, failed(found)) == (Verdict.ACCEPTED, [])


def test_a_revoked_asvk_takes_its_vleks_along() -> None:
    revoked = VLEK.crl("vlek", revoked=[amdcerts.serial("Milan", "ASVK")])
    found = judge(VLEK.report(DATA), VLEK.endorsements(crls=(revoked,)), VLEK)
    assert failed(found) == [Reason.SNP_REVOKED]


def test_issuers_can_be_minted_wrong_too() -> None:
    """For tests of path rules: an ASK that is no CA, or that another key signed."""
    for wrong in (
        amdcerts.issuer("Genoa", "ASK", ca=False, path_length=None),
        amdcerts.issuer("Genoa", "ASK", key_usage=KEY_CERT_SIGN, signed_by="ASVK"),
    ):
        assert wrong != GENOA.ask()
        found = judge(GENOA.report(DATA), GENOA.endorsements(certificates=(GENOA.leaf, wrong)))
        assert found.chain_valid, "trust comes from the pinned keys; what comes along adds nothing"
