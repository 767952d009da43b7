"""KBS evidence JSON: the report is rebuilt byte for byte, and nothing but known members gets in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import needs_vectors, vector_bytes
from tests.unit.verifiers.carriers import samples
from verifiers import registry
from verifiers.carriers import kbs, open_evidence
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import AnchorSet, Endorsements, Unbound, Verdict


@pytest.mark.parametrize("product", ["Milan", "Genoa", "Turin"])
def test_the_report_is_rebuilt_exactly(product: str) -> None:
    assert kbs.rebuild(samples.snp_fields(samples.snp(product))) == samples.snp(product)


def test_absent_and_null_optional_members_are_zero_bytes() -> None:
    fields = samples.snp_fields(samples.snp())
    for name in ("launch_mit_vector", "current_mit_vector"):
        del fields[name]
    assert kbs.rebuild(fields) == samples.snp()
    fields["cpuid_fam_id"] = fields["cpuid_mod_id"] = fields["cpuid_step"] = None
    assert kbs.rebuild(fields)[0x188:0x18B] == bytes(3)


def _set(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(fields: dict[str, Any]) -> None:
        for name in path[:-1]:
            fields = fields[name]
        fields[path[-1]] = value

    return change


def _drop(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields.pop(name)


@pytest.mark.parametrize(
    ("change", "reason", "where"),
    [
        pytest.param(_drop("policy"), Reason.BAD_VALUE, "", id="member-missing"),
        pytest.param(_set("extra", value=0), Reason.BAD_VALUE, "", id="member-unknown"),
        pytest.param(_set("vmpl", value=-1), Reason.BAD_VALUE, ".vmpl", id="negative"),
        pytest.param(_set("vmpl", value=2**32), Reason.BAD_VALUE, ".vmpl", id="too-large"),
        pytest.param(_set("vmpl", value=True), Reason.BAD_VALUE, ".vmpl", id="true"),
        pytest.param(_set("vmpl", value=0.0), Reason.BAD_VALUE, ".vmpl", id="float"),
        pytest.param(_set("vmpl", value="0"), Reason.BAD_VALUE, ".vmpl", id="text"),
        pytest.param(_set("vmpl", value=None), Reason.BAD_VALUE, ".vmpl", id="null"),
        pytest.param(
            _set("measurement", value=[0] * 47), Reason.BAD_LENGTH, ".measurement", id="47"
        ),
        pytest.param(
            _set("measurement", value=[0] * 49), Reason.BAD_LENGTH, ".measurement", id="49"
        ),
        pytest.param(
            _set("measurement", value=[256] * 48), Reason.BAD_VALUE, ".measurement", id="256"
        ),
        pytest.param(
            _set("measurement", value=[True] * 48), Reason.BAD_VALUE, ".measurement", id="trues"
        ),
        pytest.param(
            _set("measurement", value="00" * 48), Reason.BAD_VALUE, ".measurement", id="hex"
        ),
        pytest.param(
            _set("current_tcb", "fmc", value=1), Reason.BAD_VALUE, ".current_tcb.fmc", id="fmc"
        ),
        pytest.param(
            _set("current_tcb", "snp", value=256), Reason.BAD_VALUE, ".current_tcb.snp", id="spl"
        ),
        pytest.param(
            _set("signature", value={"r": [0] * 72}), Reason.BAD_VALUE, ".signature", id="no-s"
        ),
        pytest.param(
            _set("signature", "r", value=[0] * 71), Reason.BAD_LENGTH, ".signature.r", id="r-71"
        ),
        pytest.param(
            _set("current", "build", value=256), Reason.BAD_VALUE, ".current.build", id="build"
        ),
    ],
)  # fmt: skip
def test_one_wrong_member(change: Callable[[dict[str, Any]], None], reason: Reason, where: str) -> None:
    evidence = copy.deepcopy(samples.kbs_snp())
    change(evidence["attestation_report"])
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(json.dumps(evidence).encode())
    assert (caught.value.reason, caught.value.where) == (reason, f"attestation_report{where}")


def test_turin_needs_an_fmc() -> None:
    fields = samples.snp_fields(samples.snp("Turin"))
    fields["reported_tcb"]["fmc"] = None
    with pytest.raises(EvidenceFormatError) as caught:
        kbs.rebuild(fields)
    assert caught.value.where == "attestation_report.reported_tcb.fmc"


def test_a_field_that_was_changed_is_in_the_bytes_that_were_signed() -> None:
    evidence = copy.deepcopy(samples.kbs_snp())
    evidence["attestation_report"]["measurement"][0] ^= 1
    opened = open_evidence(json.dumps(evidence).encode())
    assert opened.evidence.raw != samples.snp()
    assert opened.evidence.raw[0x90] == samples.snp()[0x90] ^ 1


@pytest.mark.parametrize("chain", [None, []])
def test_the_chain_may_be_absent(chain: object) -> None:
    evidence = samples.kbs_snp() | {"cert_chain": chain}
    assert open_evidence(json.dumps(evidence).encode()).certificates == ()
    del evidence["cert_chain"]
    assert open_evidence(json.dumps(evidence).encode()).certificates == ()


def test_only_certificates_are_taken_from_the_chain() -> None:
    chain = [{"cert_type": "CRL", "data": [1]}, {"cert_type": "VCEK", "data": list(samples.vcek())}]
    evidence = samples.kbs_snp() | {"cert_chain": chain}
    assert open_evidence(json.dumps(evidence).encode()).certificates == (samples.vcek(),)


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param({}, id="object"),
        pytest.param([{"cert_type": "VCEK"}], id="no-data"),
        pytest.param([{"cert_type": "VCEK", "data": [1], "x": 1}], id="member-unknown"),
        pytest.param([{"cert_type": "VCEK", "data": [1]}] * 9, id="nine"),
        pytest.param([{"cert_type": "VCEK", "data": [300]}], id="not-a-byte"),
    ],
)
def test_a_chain_of_another_shape(chain: object) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(json.dumps(samples.kbs_snp() | {"cert_chain": chain}).encode())
    assert caught.value.reason == Reason.BAD_VALUE
    assert caught.value.where.startswith("cert_chain")


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        pytest.param(samples.b64u(samples.tdx()), Reason.BAD_ENCODING, id="base64url"),
        pytest.param(samples.b64(samples.tdx()).rstrip("=") + "\n", Reason.BAD_ENCODING, id="line-feed"),
        pytest.param("", Reason.EVIDENCE_EMPTY, id="empty"),
        pytest.param(None, Reason.BAD_VALUE, id="null"),
        pytest.param([4, 0], Reason.BAD_VALUE, id="array"),
        pytest.param("A" * 100_000, Reason.EVIDENCE_TOO_LARGE, id="too-large"),
    ],
)
def test_quotes_are_standard_base64(quote: object, reason: Reason) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(json.dumps({"quote": quote}).encode())
    assert caught.value.reason == reason


def test_an_event_log_is_kept_as_it_was_sent() -> None:
    opened = open_evidence(json.dumps({"quote": samples.b64(samples.tdx()), "cc_eventlog": "bG9n"}).encode())
    assert opened.event_log == b"log"
    assert opened.notes == ()
    with pytest.raises(EvidenceFormatError):
        open_evidence(json.dumps({"quote": samples.b64(samples.sgx()), "cc_eventlog": "bG9n"}).encode())


@pytest.mark.parametrize("version", [0, 3, -1, True, "2", None, 2.5])
def test_other_azure_versions(version: object) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(json.dumps(samples.az_snp() | {"version": version}).encode())
    assert caught.value.reason == Reason.UNSUPPORTED_VERSION


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"tpm_quote": {"signature": "00", "message": "0g", "pcrs": []}}, "tpm_quote.message"),
        ({"tpm_quote": {"signature": "", "message": "00", "pcrs": []}}, "tpm_quote.signature"),
        ({"tpm_quote": {"message": "00", "pcrs": []}}, "tpm_quote"),
        ({"hcl_report": "SENMQQ==="}, "hcl_report"),
        ({"hcl_report": "SENMQ="}, "hcl_report"),
        ({"vcek": "!"}, "vcek"),
        ({"user_data": ""}, "evidence"),
    ],
)
def test_azure_members_are_strict(change: dict[str, object], where: str) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(json.dumps(samples.az_snp() | change).encode())
    assert caught.value.where == where


@needs_vectors("kbs")
@needs_vectors("sev-snp")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("kbs", "copied/snp-evidence-genoa-v3.json"),
        ("kbs", "copied/az-snp-vtpm-evidence-v1.json"),
        ("sev-snp", "azure-hcl-evidence-v0/evidence.json"),
        ("sev-snp", "azure-hcl-evidence-v2/evidence.json"),
    ],
)
def test_real_evidence_verifies_with_the_certificate_it_brings(kind: str, name: str) -> None:
    opened = open_evidence(vector_bytes(kind, name))
    endorsements = Endorsements(anchors=AnchorSet.VENDOR, certificates=opened.certificates)
    found = registry.verify(opened.evidence, endorsements, Unbound("test"), datetime(2026, 6, 1, tzinfo=UTC))
    assert (found.signature_valid, found.chain_valid, found.verdict) == (True, True, Verdict.ACCEPTED)
