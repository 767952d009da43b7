"""Azure's HCL report: layout, and the hash that ties runtime claims to the hardware report."""

from __future__ import annotations

import json

import pytest

from tests.support import needs_vectors, vector_bytes
from tests.unit.verifiers.carriers import samples
from verifiers.carriers import hcl, open_evidence
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Check, Outcome

GOOD = samples.hcl(samples.snp("Milan", samples.runtime_hash()), "snp")


def note(raw: bytes) -> Check:
    (found,) = open_evidence(raw).notes
    assert found.id == "evidence.runtime-claims"
    return found


def test_the_claims_are_bound_by_their_hash() -> None:
    assert (note(GOOD).outcome, note(GOOD).reason) == (Outcome.PASSED, None)


@pytest.mark.parametrize(("kind", "name"), [(1, "sha256"), (2, "sha384"), (3, "sha512")])
def test_each_hash_is_zero_padded_to_64_bytes(kind: int, name: str) -> None:
    report = samples.snp("Milan", samples.runtime_hash(name=name))
    assert note(samples.hcl(report, "snp", hash_type=kind)).outcome is Outcome.PASSED
    other = kind % 3 + 1
    assert note(samples.hcl(report, "snp", hash_type=other)).outcome is Outcome.FAILED


@pytest.mark.parametrize("offset", [0x4D4, 0x4D4 + len(samples.RUNTIME) // 2, 0x4D3 + len(samples.RUNTIME)])
def test_one_changed_byte_of_the_claims_is_a_mismatch(offset: int) -> None:
    raw = bytearray(GOOD)
    raw[offset] ^= 1
    found = note(bytes(raw))
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.RUNTIME_CLAIMS_MISMATCH)


def test_padding_of_the_hash_counts() -> None:
    data = samples.runtime_hash()[:63] + b"\1"
    found = note(samples.hcl(samples.snp("Milan", data), "snp"))
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.RUNTIME_CLAIMS_MISMATCH)


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param(b'{"keys":[],"keys":[]}', id="key-twice"),
        pytest.param(b'{"keys":[]', id="cut"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b'{"user-data":""}', id="no-keys"),
    ],
)
def test_claims_that_cannot_be_read_one_way_fail_though_their_hash_holds(runtime: bytes) -> None:
    report = samples.snp("Milan", samples.runtime_hash(runtime))
    found = note(samples.hcl(report, "snp", runtime))
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.RUNTIME_CLAIMS_MISMATCH)


SIZE = len(samples.RUNTIME)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"version": 0}, Reason.UNSUPPORTED_VERSION, id="version-0"),
        pytest.param({"version": 3}, Reason.UNSUPPORTED_VERSION, id="version-3"),
        pytest.param({"data_version": 2}, Reason.UNSUPPORTED_VERSION, id="data-version-2"),
        pytest.param({"request_type": 1}, Reason.BAD_VALUE, id="request-type"),
        pytest.param({"status": 1}, Reason.BAD_VALUE, id="status"),
        pytest.param({"report_type": 3}, Reason.UNSUPPORTED_TEE, id="report-type-3"),
        pytest.param({"report_type": 4}, Reason.BAD_VALUE, id="snp-called-tdx"),
        pytest.param({"hash_type": 0}, Reason.BAD_VALUE, id="hash-0"),
        pytest.param({"hash_type": 4}, Reason.BAD_VALUE, id="hash-4"),
        pytest.param({"data_size": SIZE}, Reason.BAD_VALUE, id="data-size"),
        pytest.param({"report_size": 0x4D4}, Reason.BAD_VALUE, id="report-size"),
        pytest.param({"size": 16 * 1024 + 1}, Reason.EVIDENCE_TOO_LARGE, id="claims-too-large"),
        pytest.param(
            {"size": 2000, "data_size": 2020, "report_size": 0x4D4 + 2000},
            Reason.BAD_LENGTH,
            id="past-the-end",
        ),
        pytest.param(
            {"size": SIZE - 1, "data_size": 19 + SIZE, "report_size": 0x4D3 + SIZE},
            Reason.TRAILING_DATA,
            id="one-byte-left-over",
        ),
    ],
)
def test_headers_that_contradict_themselves(change: dict[str, int], reason: Reason) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(samples.hcl(samples.snp("Milan", samples.runtime_hash()), "snp", **change))
    assert caught.value.reason == reason


def test_a_reserved_byte_and_the_tail_must_be_zero() -> None:
    for offset, reason in ((0x14, Reason.BAD_VALUE), (2599, Reason.TRAILING_DATA)):
        raw = bytearray(GOOD)
        raw[offset] = 1
        with pytest.raises(EvidenceFormatError) as caught:
            open_evidence(bytes(raw))
        assert caught.value.reason == reason


def test_the_layout_has_no_gaps() -> None:
    at = 0
    for field in hcl.HEADER:
        assert field.offset == at
        at += field.size
    assert at == hcl.HEADER_SIZE


# --- with a TD quote -------------------------------------------------------------------------------


def az_tdx(**change: object) -> bytes:
    return json.dumps(samples.az_tdx(**change)).encode()


def test_a_td_quote_must_carry_the_hash() -> None:
    good, quote = open_evidence(az_tdx()).notes
    assert (good.outcome, quote.id, quote.outcome) == (
        Outcome.PASSED,
        "evidence.vtpm-quote",
        Outcome.NOT_CHECKED,
    )
    bad, _ = open_evidence(az_tdx(td_quote=samples.b64u(samples.tdx()))).notes
    assert (bad.outcome, bad.reason) == (Outcome.FAILED, Reason.RUNTIME_CLAIMS_MISMATCH)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"td_quote": samples.b64u(samples.sgx())}, id="sgx-quote"),
        pytest.param({"hcl_report": samples.b64u(GOOD)}, id="snp-blob"),
    ],
)
def test_quote_and_blob_are_of_one_kind(change: dict[str, object]) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(az_tdx(**change))
    assert caught.value.reason == Reason.EVIDENCE_TYPE_MISMATCH


# --- real ------------------------------------------------------------------------------------------


@needs_vectors("sev-snp")
def test_a_real_blob_and_one_changed_byte_of_its_claims() -> None:
    raw = vector_bytes("sev-snp", "azure-hcl-milan-v2/hcl-report.bin")
    assert note(raw).outcome is Outcome.PASSED
    changed = bytearray(raw)
    changed[0x4D4 + 100] ^= 1
    assert note(bytes(changed)).reason == Reason.RUNTIME_CLAIMS_MISMATCH


@needs_vectors("tdx")
def test_the_real_azure_quote_carries_the_hash_of_its_claims() -> None:
    opened = open_evidence(vector_bytes("tdx", "azure/trustee-evidence-v1.json"))
    assert [check.outcome for check in opened.notes] == [Outcome.PASSED, Outcome.NOT_CHECKED]
    assert opened.evidence.raw in vector_bytes("tdx", "quotes/tdx4-azure-vtpm.bin")
