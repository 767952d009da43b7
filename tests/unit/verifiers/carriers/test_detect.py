"""Recognition by content: every carrier, and everything that is none."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.support import load_manifest, needs_vectors, vector_bytes
from tests.unit.verifiers.carriers import samples
from verifiers.carriers import (
    CARRIERS,
    KINDS,
    MAX_EVIDENCE,
    TYPES,
    kind_of,
    open_evidence,
    open_folder,
    open_message,
)
from verifiers.errors import AttestationError, EvidenceFormatError, Reason
from verifiers.model import TeeKind

EVERYTHING = samples.everything()
BASE64 = samples.b64(samples.snp())
BASE64URL = samples.b64u(b"\xff\xfe\xfa" * 40)
HCL_TDREPORT = samples.hcl(samples.tdreport(), "tdx")
KBS_COMPOSITE = {"primary_evidence": samples.kbs_snp(), "additional_evidence": '{"nvidia":{}}'}


def refused(raw: bytes, forced: str | None = None) -> EvidenceFormatError:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(raw, forced=forced)
    return caught.value


@pytest.mark.parametrize("name", EVERYTHING)
def test_recognised_by_content_and_opened_to_the_signed_bytes(name: str) -> None:
    raw, carrier = EVERYTHING[name]
    opened = open_evidence(raw)
    assert opened.carrier == carrier
    signed = {
        TeeKind.SEV_SNP: {samples.snp(), samples.snp("Turin"), samples.snp("Milan", samples.runtime_hash())},
        TeeKind.TDX: {samples.tdx(), samples.tdx(samples.runtime_hash())},
        TeeKind.SGX: {samples.sgx()},
    }
    assert opened.evidence.raw in signed[kind_of(opened.evidence)]


@pytest.mark.parametrize("name", EVERYTHING)
def test_forcing_what_it_is_changes_nothing(name: str) -> None:
    raw, carrier = EVERYTHING[name]
    opened = open_evidence(raw)
    assert open_evidence(raw, forced=carrier) == opened
    assert open_evidence(raw, forced=kind_of(opened.evidence)) == opened


@pytest.mark.parametrize("name", EVERYTHING)
def test_forcing_another_kind_is_refused(name: str) -> None:
    raw, _ = EVERYTHING[name]
    own = kind_of(open_evidence(raw).evidence)
    for kind in sorted(set(KINDS.values()) - {own}):
        error = refused(raw, kind)
        assert (error.reason, error.expected[-len(kind) :]) == (Reason.EVIDENCE_TYPE_MISMATCH, kind)


@pytest.mark.parametrize("forced", [t for t in CARRIERS if t != "configfs-tsm"])
@pytest.mark.parametrize("name", EVERYTHING)
def test_forcing_another_carrier_never_opens_something_else(name: str, forced: str) -> None:
    raw, carrier = EVERYTHING[name]
    try:
        opened = open_evidence(raw, forced=forced)
    except AttestationError:
        assert forced != carrier
    else:
        assert opened.carrier == forced


def test_an_unknown_type_is_named() -> None:
    assert refused(samples.snp(), "sev").expected == ", ".join(TYPES)


@pytest.mark.parametrize(
    ("raw", "reason", "found"),
    [
        pytest.param(b"", Reason.EVIDENCE_EMPTY, "nothing", id="empty"),
        pytest.param(b" \n\t", Reason.EVIDENCE_UNRECOGNISED, "white space", id="blank"),
        pytest.param(bytes(1184), Reason.EVIDENCE_UNRECOGNISED, "zeros", id="zeros"),
        pytest.param(b"\x01" * 7, Reason.EVIDENCE_UNRECOGNISED, "7 bytes that begin 0101", id="seven-bytes"),
        pytest.param(samples.snp().hex().encode(), Reason.EVIDENCE_UNRECOGNISED, "xxd -r -p", id="hex"),
        pytest.param(BASE64.encode(), Reason.EVIDENCE_UNRECOGNISED, "base64 -d", id="base64"),
        pytest.param(BASE64URL.encode(), Reason.EVIDENCE_UNRECOGNISED, "--base64url", id="base64url"),
        pytest.param(gzip.compress(samples.snp()), Reason.EVIDENCE_UNRECOGNISED, "gunzip", id="gzip"),
        pytest.param(b"<!DOCTYPE html><html>", Reason.EVIDENCE_UNRECOGNISED, "HTML", id="html"),
        pytest.param(samples.vcek(), Reason.EVIDENCE_UNRECOGNISED, "--collateral", id="der"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nAA==\n", Reason.EVIDENCE_UNRECOGNISED, "--collateral", id="pem"
        ),
        pytest.param(
            b"-----BEGIN EC PRIVATE KEY-----\n", Reason.EVIDENCE_UNRECOGNISED, "private key", id="private-key"
        ),
        pytest.param(b"eyJh.eyJi.c2ln", Reason.EVIDENCE_UNRECOGNISED, "JWT", id="jwt"),
        pytest.param(b"quote: BAACAIEAAAA\n", Reason.EVIDENCE_UNRECOGNISED, "bytes of text", id="text"),
        pytest.param(samples.tdreport(), Reason.LOCAL_REPORT, "TDREPORT", id="tdreport"),
        pytest.param(HCL_TDREPORT, Reason.LOCAL_REPORT, "send its TD quote", id="hcl-tdreport"),
        pytest.param(b"{}", Reason.EVIDENCE_UNRECOGNISED, "unknown shape", id="empty-object"),
        pytest.param(b"[]", Reason.EVIDENCE_UNRECOGNISED, "unknown shape", id="empty-array"),
        pytest.param(b'{"tcbInfo":{}}', Reason.EVIDENCE_UNRECOGNISED, "--collateral", id="collateral"),
        pytest.param(b'{"quote":"00","vm_config":""}', Reason.EVIDENCE_UNRECOGNISED, "jq", id="other-json"),
        pytest.param(b'{"quote":"AA","quote":"AA"}', Reason.DUPLICATE, "'quote' twice", id="duplicate-key"),
        pytest.param(b'{"quote":NaN}', Reason.BAD_VALUE, "NaN", id="nan"),
        pytest.param(b'{"quote":1e999}', Reason.BAD_VALUE, "", id="infinite"),
        pytest.param(b'{"a":' * 17 + b"1" + b"}" * 17, Reason.TOO_DEEP, "more", id="deep-json"),
        pytest.param(b"[" * 100_000, Reason.TOO_DEEP, "more", id="very-deep-json"),
        pytest.param(b"\x82" * 40, Reason.TOO_DEEP, "more", id="deep-cbor"),
        pytest.param(b'{"quote":"AA"} x', Reason.BAD_VALUE, "Extra data", id="trailing-json"),
        pytest.param(samples.tsm_cbor() + b"\0", Reason.TRAILING_DATA, "1 more", id="trailing-cbor"),
        pytest.param(samples.snp() + b"\0", Reason.BAD_LENGTH, "none in 0 entries", id="trailing-snp"),
        pytest.param(samples.tdx() + b"\1", Reason.TRAILING_DATA, "", id="trailing-quote"),
        pytest.param(b"\x04" + samples.snp()[1:1183], Reason.BAD_LENGTH, "1183 bytes", id="one-byte-short"),
        pytest.param(b"\x09" + samples.tdx()[1:], Reason.UNSUPPORTED_VERSION, "9", id="quote-version-9"),
        pytest.param(
            samples.tdx()[:2] + b"\x03" + samples.tdx()[3:], Reason.UNSUPPORTED_KEY_TYPE, "3", id="key-type-3"
        ),
        pytest.param(b'{"svn":"1","report_data":"AA=="}', Reason.SAMPLE, "no TEE", id="sample"),
        pytest.param(b'{"type":"sample"}', Reason.SAMPLE, "nothing is signed", id="sample-envelope"),
        pytest.param(
            b'{"device_evidence_list":[]}', Reason.UNSUPPORTED_TEE, "NVIDIA", id="nvidia"
        ),
        pytest.param(b'{"token":[1]}', Reason.UNSUPPORTED_TEE, "CCA", id="cca"),
        pytest.param(b'{"tpm_quote":{},"ak_public":""}', Reason.UNSUPPORTED_TEE, "bare key", id="tpm"),
        pytest.param(json.dumps(KBS_COMPOSITE).encode(), Reason.COMPOSITE, "additional", id="kbs-composite"),
        pytest.param(b'{"type":"composite","primary":{}}', Reason.COMPOSITE, "devices", id="composite"),
    ],
)  # fmt: skip
def test_what_is_no_evidence_is_refused_and_named(raw: bytes, reason: Reason, found: str) -> None:
    error = refused(raw)
    assert error.reason == reason
    assert found in error.found


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        pytest.param(MAX_EVIDENCE, Reason.EVIDENCE_UNRECOGNISED, id="at-the-limit"),
        pytest.param(MAX_EVIDENCE + 1, Reason.EVIDENCE_TOO_LARGE, id="one-byte-over"),
        pytest.param(100 * 1000 * 1000, Reason.EVIDENCE_TOO_LARGE, id="100-megabytes"),
    ],
)
def test_size_is_checked_before_anything_else(size: int, reason: Reason) -> None:
    assert refused(b"\xee" * size).reason == reason


@pytest.mark.parametrize(
    "name", ["snp-report", "tdx-quote", "sgx-quote", "hcl-snp", "tsm-cbor", "cmw-cbor-tag"]
)
def test_truncated_at_every_length(name: str) -> None:
    raw, _ = EVERYTHING[name]
    end = len(raw.rstrip(b"\0")) if name == "hcl-snp" else len(raw)
    opened = [size for size in range(end) if _opens(raw[:size])]
    assert opened == []


@pytest.mark.parametrize("name", ["kbs-snp", "kbs-tdx", "az-snp-v2", "az-tdx-v1", "envelope-snp", "tsm-json"])
def test_json_truncated_here_and_there(name: str) -> None:
    raw, _ = EVERYTHING[name]
    opened = [size for size in range(0, len(raw), 37) if _opens(raw[:size])]
    assert opened == []


def test_an_extended_report_is_whole_or_refused() -> None:
    raw, _ = EVERYTHING["snp-extended"]
    opened = [size for size in range(1185, len(raw)) if _opens(raw[:size])]
    assert opened == []


def _opens(raw: bytes) -> bool:
    try:
        open_evidence(raw)
    except AttestationError:
        return False
    return True


def test_certificates_come_along_and_are_not_looked_into() -> None:
    with_table = open_evidence(EVERYTHING["snp-extended"][0])
    assert samples.vcek() in with_table.certificates
    assert open_evidence(EVERYTHING["kbs-snp"][0]).certificates == (samples.vcek(),)
    assert open_evidence(EVERYTHING["az-snp-v0"][0]).certificates == (samples.vcek(),)
    assert open_evidence(EVERYTHING["az-snp-v2"][0]).certificates == (samples.vcek(),)
    assert open_evidence(EVERYTHING["envelope-snp"][0]).certificates == (samples.vcek(),)


def test_a_tsm_folder_is_opened_from_its_files() -> None:
    files = {"outblob": samples.snp(), "auxblob": samples.table(), "provider": b"sev_guest\n"}
    opened = open_folder(files)
    assert (opened.carrier, opened.evidence.raw) == ("configfs-tsm", samples.snp())
    assert samples.vcek() in opened.certificates
    assert open_folder({"outblob": samples.tdx(), "provider": b"tdx_guest\n"}).evidence.raw == samples.tdx()


# --- real evidence ---------------------------------------------------------------------------------


@needs_vectors("tdx")
@pytest.mark.parametrize(
    "name", sorted({vector["files"]["quote"] for vector in load_manifest("tdx").get("vectors", [])})
)
def test_real_quotes(name: str) -> None:
    opened = open_evidence(vector_bytes("tdx", name))
    assert opened.carrier == "quote"
    assert kind_of(opened.evidence) == name.removeprefix("quotes/")[:3]


REAL = [
    ("sev-snp", "genoa-v3-vcek-configfs-tsm/tsm-report.json", "tsm-report", 3),
    ("sev-snp", "genoa-v3-vcek-configfs-tsm/tsm-report.cbor", "tsm-report", 3),
    ("sev-snp", "azure-hcl-milan-v2/hcl-report.bin", "azure-hcl", 0),
    ("sev-snp", "azure-hcl-truncated-mismatched/hcl-report.bin", "azure-hcl", 0),
    ("sev-snp", "azure-hcl-evidence-v0/evidence.json", "az-snp-vtpm", 1),
    ("sev-snp", "azure-hcl-evidence-v2/evidence.json", "az-snp-vtpm", 1),
    ("sev-snp", "turin-v5-vcek/report.bin", "sev-snp-report", 0),
    ("kbs", "copied/az-snp-vtpm-evidence-v1.json", "az-snp-vtpm", 1),
    ("kbs", "copied/az-tdx-vtpm-evidence-v1.json", "az-tdx-vtpm", 0),
    ("kbs", "copied/snp-evidence-genoa-v3.json", "kbs-snp", 1),
]


@needs_vectors("sev-snp")
@needs_vectors("kbs")
@pytest.mark.parametrize(("kind", "name", "carrier", "certificates"), REAL)
def test_real_evidence(kind: str, name: str, carrier: str, certificates: int) -> None:
    opened = open_evidence(vector_bytes(kind, name))
    assert (opened.carrier, len(opened.certificates)) == (carrier, certificates)


@needs_vectors("tdx")
def test_real_local_reports_and_logs_are_no_evidence() -> None:
    assert refused(vector_bytes("tdx", "eventlogs/tdreport-coco.bin")).reason == Reason.LOCAL_REPORT
    assert refused(vector_bytes("tdx", "azure/trustee-hcl-report.bin")).reason == Reason.LOCAL_REPORT
    assert "event log" in refused(vector_bytes("tdx", "eventlogs/ovmf-ccel.bin")).found


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_native_request_takes_envelopes_and_cmws_only(name: str) -> None:
    raw, carrier = EVERYTHING[name]
    if not raw.startswith((b"{", b"[")):
        return
    if carrier in ("envelope", "cmw"):
        assert open_message(json.loads(raw)) == open_evidence(raw)
    else:
        with pytest.raises(EvidenceFormatError) as caught:
            open_message(json.loads(raw))
        assert caught.value.reason == Reason.BAD_VALUE
