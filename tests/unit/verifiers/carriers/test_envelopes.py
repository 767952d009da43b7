"""The native envelope, tsm-reports and CMW: one change in a good one, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import pytest

from tests.support import needs_vectors, vector_bytes
from tests.unit.verifiers.carriers import samples
from verifiers.carriers import cmw, open_envelope, open_evidence, open_folder
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Outcome

SNP = {
    "type": "sev-snp",
    "report": samples.b64u(samples.snp()),
    "certificates": [samples.b64u(samples.vcek())],
}
TDX = {"type": "tdx", "quote": samples.b64u(samples.tdx())}
TSM_JSON = "application/vnd.veraison.tsm-report+json"
VALUE = samples.b64u(json.dumps(samples.tsm()).encode())
NUMBER = cmw.CBOR_TAGS.start


def refused(obj: Any) -> EvidenceFormatError:
    with pytest.raises(EvidenceFormatError) as caught:
        open_evidence(obj if isinstance(obj, bytes) else json.dumps(obj).encode())
    return caught.value


# --- native ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        pytest.param(SNP | {"extra": 1}, Reason.BAD_VALUE, id="member-unknown"),
        pytest.param(SNP | {"quote": "AA"}, Reason.BAD_VALUE, id="both"),
        pytest.param({"type": "sev-snp"}, Reason.BAD_VALUE, id="no-report"),
        pytest.param(SNP | {"report": SNP["report"] + "="}, Reason.BAD_ENCODING, id="padded"),
        pytest.param(
            SNP | {"report": samples.b64u(samples.snp()[:-1])}, Reason.BAD_LENGTH, id="one-byte-short"
        ),
        pytest.param(
            SNP | {"report": samples.b64u(samples.snp() + samples.table())},
            Reason.EVIDENCE_TOO_LARGE,
            id="extended",
        ),
        pytest.param(SNP | {"certificates": None}, Reason.BAD_VALUE, id="certificates-null"),
        pytest.param(SNP | {"certificates": ["AA"] * 9}, Reason.BAD_VALUE, id="nine-certificates"),
        pytest.param(SNP | {"certificates": [1]}, Reason.BAD_VALUE, id="certificate-number"),
        pytest.param(TDX | {"type": "sgx"}, Reason.EVIDENCE_TYPE_MISMATCH, id="tdx-called-sgx"),
        pytest.param({"type": "sev-snp", "quote": "AA"}, Reason.BAD_VALUE, id="quote-called-snp"),
        pytest.param(TDX | {"event_log": "a"}, Reason.BAD_ENCODING, id="event-log"),
        pytest.param({"type": "nitro"}, Reason.UNSUPPORTED_TEE, id="other-tee"),
        pytest.param({"type": "composite", "primary": SNP, "devices": []}, Reason.COMPOSITE, id="composite"),
    ],
)
def test_the_envelope_is_strict(obj: dict[str, Any], reason: Reason) -> None:
    assert refused(obj).reason == reason


@pytest.mark.parametrize(
    ("provider", "shown"),
    [
        pytest.param("\x1b[2Jx\r", repr("\x1b[2Jx\r"), id="control"),
        pytest.param("\u202egnp", repr("\u202egnp"), id="bidi"),
        pytest.param("p" * 64, repr("p" * 64), id="long"),
    ],
)
def test_the_name_of_an_unknown_provider_is_shown_escaped(provider: str, shown: str) -> None:
    caught = refused(samples.tsm(provider=provider))
    assert (caught.reason, caught.found) == (Reason.UNSUPPORTED_TEE, shown)
    assert str(caught).isprintable()


@pytest.mark.parametrize("obj", [None, 1, "x", [], {}, {"type": 1}, {"type": None}])
def test_an_envelope_is_an_object_with_a_type(obj: object) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_envelope(obj)
    assert caught.value.reason == Reason.BAD_VALUE


# --- tsm-report and folder -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        pytest.param(samples.tsm(provider="arm_cca_guest\n"), Reason.UNSUPPORTED_TEE, id="other-provider"),
        pytest.param(samples.tsm(provider="tdx_guest"), Reason.EVIDENCE_TYPE_MISMATCH, id="provider-lies"),
        pytest.param(samples.tsm(provider=1), Reason.BAD_VALUE, id="provider-number"),
        pytest.param(samples.tsm(outblob=""), Reason.EVIDENCE_EMPTY, id="empty-outblob"),
        pytest.param(samples.tsm(outblob="AAAA"), Reason.EVIDENCE_TYPE_MISMATCH, id="short-outblob"),
        pytest.param(
            samples.tsm(outblob=samples.b64u(samples.tdx())), Reason.EVIDENCE_TYPE_MISMATCH, id="quote"
        ),
        pytest.param(samples.tsm(generation=1), Reason.BAD_VALUE, id="member-unknown"),
        pytest.param(
            samples.tsm(auxblob=samples.b64u(samples.table()[:-1])), Reason.BAD_LENGTH, id="table-cut"
        ),
        pytest.param(samples.tsm_cbor(outblob="text"), Reason.BAD_VALUE, id="cbor-text"),
        pytest.param(samples.tsm_cbor(auxblob=None, outblob=None), Reason.BAD_VALUE, id="cbor-null"),
        pytest.param(
            {"outblob": samples.b64u(samples.tdx()), "auxblob": "AAAA"},
            Reason.BAD_VALUE,
            id="table-beside-quote",
        ),
    ],
)
def test_tsm_reports_are_strict(obj: Any, reason: Reason) -> None:
    assert refused(obj).reason == reason


def test_a_crl_in_the_hosts_table_is_left_aside_and_noted() -> None:
    from gateway.simulator import certtable

    machine = samples.machine("Milan")
    table = certtable.write({"VCEK": machine.leaf, "CRL": machine.good_crl})
    opened = open_evidence(samples.snp() + table)
    assert opened.certificates == (machine.leaf,)
    assert [(n.id, n.outcome) for n in opened.notes] == [("evidence.ignored", Outcome.NOT_CHECKED)]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param({}, Reason.EVIDENCE_UNRECOGNISED, id="empty-folder"),
        pytest.param({"report.bin": samples.snp()}, Reason.EVIDENCE_UNRECOGNISED, id="no-outblob"),
        pytest.param({"outblob": b""}, Reason.EVIDENCE_EMPTY, id="empty-outblob"),
        pytest.param({"outblob": samples.snp()[:-1]}, Reason.BAD_LENGTH, id="short-outblob"),
        pytest.param({"outblob": bytes(2**20 + 1)}, Reason.EVIDENCE_TOO_LARGE, id="too-large"),
        pytest.param({"outblob": samples.snp(), "provider": b"\xff"}, Reason.UNSUPPORTED_TEE, id="provider"),
    ],
)
def test_folders_are_strict(files: dict[str, bytes], reason: Reason) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        open_folder(files)
    assert caught.value.reason == reason


# --- CMW -------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    out: Any = [TSM_JSON, VALUE]
    for _ in range(depth):
        out = {"a": out}
    return out


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        pytest.param([TSM_JSON, VALUE, 2], Reason.EVIDENCE_UNRECOGNISED, id="endorsements-only"),
        pytest.param([TSM_JSON, VALUE, 0], Reason.BAD_VALUE, id="ind-0"),
        pytest.param([TSM_JSON, VALUE, 32], Reason.BAD_VALUE, id="ind-32"),
        pytest.param([TSM_JSON, VALUE, True], Reason.BAD_VALUE, id="ind-true"),
        pytest.param([TSM_JSON, VALUE + "="], Reason.BAD_ENCODING, id="padded"),
        pytest.param([TSM_JSON, 1], Reason.BAD_VALUE, id="value-number"),
        pytest.param(["text", VALUE], Reason.BAD_VALUE, id="no-media-type"),
        pytest.param(["application/eat+jwt", "YS5iLmM", 4], Reason.EVIDENCE_UNRECOGNISED, id="eat"),
        pytest.param(nested(5), Reason.TOO_DEEP, id="five-deep"),
        pytest.param({"a": [TSM_JSON, VALUE], "b": [TSM_JSON, VALUE]}, Reason.COMPOSITE, id="two"),
        pytest.param({f"a{n}": [TSM_JSON, "AA", 2] for n in range(33)}, Reason.BAD_VALUE, id="33-entries"),
        pytest.param({"__cmwc_t": "tag:x"}, Reason.BAD_VALUE, id="no-entry"),
        pytest.param({"__cmwc_t": "x" * 257, "a": ["a/b", "AA"]}, Reason.BAD_VALUE, id="long-type"),
        pytest.param({"__cmwc_t": ["x"], "a": ["a/b", "AA"]}, Reason.BAD_VALUE, id="other-type"),
        pytest.param(cbor2.dumps([TSM_JSON, "text"]), Reason.BAD_VALUE, id="cbor-text-value"),
        pytest.param(cbor2.dumps([-1, b""]), Reason.BAD_VALUE, id="negative-format"),
        pytest.param(cbor2.dumps([65536, b""]), Reason.BAD_VALUE, id="format-too-large"),
        pytest.param(cbor2.dumps([1, b"\0"]), Reason.EVIDENCE_UNRECOGNISED, id="unknown-format"),
        pytest.param(cbor2.dumps(cbor2.CBORTag(NUMBER, "x")), Reason.BAD_VALUE, id="tag-around-text"),
        pytest.param(cbor2.dumps(cbor2.CBORTag(NUMBER + 255, b"x")), Reason.BAD_VALUE, id="no-such-tag"),
        pytest.param(cbor2.dumps(cbor2.CBORTag(NUMBER - 1, b"x")), Reason.BAD_VALUE, id="other-tag"),
    ],
)
def test_wrappers_are_strict(obj: Any, reason: Reason) -> None:
    assert refused(obj).reason == reason


def test_four_collections_deep_is_still_read() -> None:
    assert open_evidence(json.dumps(nested(4)).encode()).evidence.raw == samples.snp()


def test_what_is_marked_as_something_else_is_left_aside_and_noted() -> None:
    opened = open_evidence(
        json.dumps({"cpu": [TSM_JSON, VALUE, 4], "rv": ["application/x", "AA", 1]}).encode()
    )
    assert [(n.id, n.outcome) for n in opened.notes] == [("evidence.ignored", Outcome.NOT_CHECKED)]
    assert "cmw.rv" in opened.notes[0].found


def test_a_collection_with_a_device_is_composite_and_names_both() -> None:
    cpu = [TSM_JSON, VALUE, 4]
    error = refused(
        {"__cmwc_t": "tag:acme.example,2026:composite", "cpu": cpu, "gpu": ["application/x", "Z3B1", 4]}
    )
    assert (error.reason, error.found) == (Reason.COMPOSITE, "a CMW collection with 2 pieces: cpu, gpu")


@needs_vectors("standards")
def test_the_published_examples() -> None:
    example = json.loads(vector_bytes("standards", "cmw.json"))
    assert refused(example["json_record"]).reason == Reason.EVIDENCE_UNRECOGNISED
    assert refused(example["json_collection"]).reason == Reason.COMPOSITE
    assert "other messages" in refused(bytes.fromhex(example["cbor_record"])).found
    for row in example["tn_checks"]:
        raw = cbor2.dumps(cbor2.CBORTag(row["tag"], samples.snp()))
        if row["content_format"] <= 64999:
            assert open_evidence(raw).carrier == "cmw"
