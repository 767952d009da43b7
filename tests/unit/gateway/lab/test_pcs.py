"""What the lab's PCS and PCCS serve is what Intel's do: headers, encodings, statuses; and it verifies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.lab import Lab
from gateway.lab.lab import SUBSCRIPTION_KEY
from gateway.simulator import inteldocs, seeds
from gateway.simulator.intel import SgxMachine, TdxMachine
from gateway.simulator.quotewrite import pem
from tests.support import needs_vectors, vector_bytes
from tests.unit.gateway.lab.support import Clock, Got, get
from verifiers.crypto import crl, x509
from verifiers.dcap import identity, pck, tcbinfo
from verifiers.dcap import quote as quotes
from verifiers.model import Endorsements, ReportData, Verdict
from verifiers.sgx import verify as sgx
from verifiers.tdx import verify as tdx

DATA = bytes(range(64))
TDX, SGX = "/tdx/certification/v4", "/sgx/certification/v4"
FMSPC = "5EA16A7E0000"
KEY = {"Ocp-Apim-Subscription-Key": SUBSCRIPTION_KEY}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(Clock()) as started:
        yield started


def chain(got: Got, header: str) -> list[x509.Certificate]:
    text = unquote(got.headers[header.lower()])
    return [x509.parse(raw, "chain") for raw in x509.split_pem(text.encode(), "chain", limit=3)]


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("machine", [TdxMachine(), SgxMachine(ca="processor")], ids=["tdx", "sgx"])
def test_a_quote_verifies_with_what_pcs_serves_for_it(lab: Lab, machine: TdxMachine | SgxMachine) -> None:
    base = f"/{machine.TEE.lower()}/certification/v4"
    info = get(lab.urls.pcs, f"{base}/tcb?fmspc={FMSPC.lower()}")
    qe = get(lab.urls.pcs, f"{base}/qe/identity")
    listed = get(lab.urls.pcs, f"{SGX}/pckcrl?ca={machine.ca}&encoding=der")
    root = get(lab.urls.certificates, "/IntelSGXRootCA.der")
    signers = tuple(each.der for each in chain(info, "TCB-Info-Issuer-Chain"))
    assert [each.subject_cn for each in chain(info, "TCB-Info-Issuer-Chain")] == [
        "Intel SGX TCB Signing",
        "Intel SGX Root CA",
    ]
    given: Endorsements = machine.endorsements(
        certificates=signers, tcb_info=info.body, qe_identity=qe.body, pck_crl=listed.body, root_crl=root.body
    )
    verify = tdx.verify if machine.TEE == "TDX" else sgx.verify
    found = verify(quotes.parse(machine.quote(DATA)), given, ReportData(DATA), machine.at)
    assert (found.verdict, found.tcb.status) == (Verdict.ACCEPTED, "UpToDate")


@pytest.mark.parametrize(
    ("path", "header", "issuers", "content_type"),
    [
        (f"{TDX}/tcb?fmspc={FMSPC}", "TCB-Info-Issuer-Chain", "TCB Signing", "application/json"),
        (f"{SGX}/tcb?fmspc={FMSPC}", "TCB-Info-Issuer-Chain", "TCB Signing", "application/json"),
        (f"{TDX}/qe/identity", "SGX-Enclave-Identity-Issuer-Chain", "TCB Signing", "application/json"),
        (f"{SGX}/qe/identity", "SGX-Enclave-Identity-Issuer-Chain", "TCB Signing", "application/json"),
        (
            f"{TDX}/tcbevaluationdatanumbers",
            "TCB-Evaluation-Data-Numbers-Issuer-Chain",
            "TCB Signing",
            "application/json",
        ),
        (
            f"{SGX}/pckcrl?ca=platform",
            "SGX-PCK-CRL-Issuer-Chain",
            "PCK Platform CA",
            "application/x-pem-file",
        ),
        (
            f"{SGX}/pckcrl?ca=processor&encoding=der",
            "SGX-PCK-CRL-Issuer-Chain",
            "PCK Processor CA",
            "application/pkix-crl",
        ),
    ],
)
def test_the_issuer_chain_is_a_url_encoded_header(
    lab: Lab, path: str, header: str, issuers: str, content_type: str
) -> None:
    got = get(lab.urls.pcs, path)
    raw = got.headers[header.lower()]
    assert raw.startswith("-----BEGIN%20CERTIFICATE-----%0A")
    assert not {"+", "/", "=", " ", "\n"} & set(raw)
    assert [each.subject_cn for each in chain(got, header)] == [f"Intel SGX {issuers}", "Intel SGX Root CA"]
    assert (got.status, got.headers["content-type"]) == (200, content_type)
    assert len(hexed(got.headers["request-id"])) == 16


@needs_vectors("tdx")
def test_recorded_answers_have_the_same_shape(lab: Lab) -> None:
    """Two answers of the real PCS, recorded with their headers decoded."""
    recorded: dict[str, Any] = json.loads(vector_bytes("tdx", "collateral/pcs-tdx-tcbinfo-with-headers.json"))
    got = get(lab.urls.pcs, f"{TDX}/tcb?fmspc={FMSPC}")
    assert shape(got.body.decode()) == shape(recorded["tcb_info_json"])
    assert lines(unquote(got.headers["tcb-info-issuer-chain"])) == lines(recorded["issuer_chain"])
    recorded = json.loads(vector_bytes("tdx", "collateral/pcs-pckcrl-platform-with-headers.json"))
    listed = get(lab.urls.pcs, f"{SGX}/pckcrl?ca=platform")
    assert lines(listed.body.decode()) == lines(recorded["crl_data"])
    assert lines(unquote(listed.headers["sgx-pck-crl-issuer-chain"])) == lines(recorded["issuer_chain"])
    numbers = get(lab.urls.pcs, f"{TDX}/tcbevaluationdatanumbers").body.decode()
    real = vector_bytes("tdx", "collateral/evalnums-tdx-20250527-8743.json").decode()
    assert shape(numbers) == shape(real)
    assert shape(get(lab.urls.pcs, f"{TDX}/qe/identity").body.decode()) == shape(
        vector_bytes("tdx", "collateral/qeid-td_qe-ev19-20260812-0693.json").decode()
    )


def shape(text: str) -> tuple[object, bool]:
    """Names of members in order, to the depth of the document's own; and whether it is compact."""
    envelope = json.loads(text)
    member = next(iter(envelope))
    optional = {"tdxModuleIdentities"}
    inner = [name for name in envelope[member] if name not in optional]
    return [list(envelope), inner], text == json.dumps(envelope, separators=(",", ":"))


def lines(text: str) -> list[object]:
    """A PEM text without what differs: marks in order, full lines, the newline at the end."""
    rows = text.splitlines()
    widths = {len(row) for row in rows[1:-2] if not row.startswith("-----")} - {len(rows[-2])}
    return [[row for row in rows if row.startswith("-----")], max(widths), text[-1]]


def test_the_two_channels_serve_different_evaluations(lab: Lab) -> None:
    def numbers(query: str) -> tuple[int, int]:
        info, _ = tcbinfo.parse(get(lab.urls.pcs, f"{TDX}/tcb?fmspc={FMSPC}{query}").body, "TCB info")
        what = query.replace("&", "?", 1)
        qe, _ = identity.parse(get(lab.urls.pcs, f"{TDX}/qe/identity{what}").body, "QE identity")
        return info.evaluation_number, qe.evaluation_number

    assert numbers("") == numbers("&update=standard") == (20, 20)
    assert numbers("&update=early") == (21, 21)
    assert numbers("&tcbEvaluationDataNumber=19") == (19, 19)


def test_a_promotion_moves_the_standard_channel_only_forward() -> None:
    with Lab(Clock()) as lab:
        lab.promote()
        info, _ = tcbinfo.parse(get(lab.urls.pcs, f"{TDX}/tcb?fmspc={FMSPC}").body, "TCB info")
        assert info.evaluation_number == 21
        lab.channels(standard=19, early=20)
        info, _ = tcbinfo.parse(get(lab.urls.pcs, f"{TDX}/tcb?fmspc={FMSPC}&update=early").body, "TCB info")
        assert info.evaluation_number == 20


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(f"{TDX}/tcb", 400, id="no-fmspc"),
        pytest.param(f"{TDX}/tcb?fmspc={FMSPC[:-1]}", 400, id="short-fmspc"),
        pytest.param(f"{TDX}/tcb?fmspc={FMSPC[:-1]}G", 400, id="fmspc-not-hex"),
        pytest.param(f"{TDX}/tcb?fmspc={FMSPC[:-1]}1", 404, id="unknown-fmspc"),
        pytest.param(f"{TDX}/tcb?fmspc={FMSPC}&update=late", 400, id="no-such-channel"),
        pytest.param(
            f"{TDX}/tcb?fmspc={FMSPC}&update=early&tcbEvaluationDataNumber=20", 400, id="channel-and-number"
        ),
        pytest.param(f"{TDX}/tcb?fmspc={FMSPC}&tcbEvaluationDataNumber=x", 400, id="number-is-none"),
        pytest.param(f"{TDX}/tcb?fmspc={FMSPC}&tcbEvaluationDataNumber=18", 410, id="number-is-gone"),
        pytest.param(f"{TDX}/tcb?fmspc={FMSPC}&tcbEvaluationDataNumber=22", 404, id="number-to-come"),
        pytest.param(f"{SGX}/qe/identity?tcbEvaluationDataNumber=18", 410, id="identity-is-gone"),
        pytest.param(f"{SGX}/pckcrl", 400, id="no-ca"),
        pytest.param(f"{SGX}/pckcrl?ca=root", 400, id="no-such-ca"),
        pytest.param(f"{SGX}/pckcrl?ca=platform&encoding=hex", 400, id="no-such-encoding"),
        pytest.param(f"{TDX}/pckcrl?ca=platform", 404, id="tdx-has-no-pckcrl"),
        pytest.param(f"{SGX}/rootcacrl", 404, id="only-a-pccs-has-rootcacrl"),
        pytest.param("/sgx/certification/v3/tcb", 404, id="version-3"),
    ],
)
def test_refusals_have_the_documented_status(lab: Lab, path: str, status: int) -> None:
    got = get(lab.urls.pcs, path)
    assert (got.status, got.body) == (status, b"")
    assert "request-id" in got.headers


def test_the_list_of_families(lab: Lab) -> None:
    assert json.loads(get(lab.urls.pcs, f"{SGX}/fmspcs?platform=all").body) == [
        {"fmspc": FMSPC, "platform": "E5"}
    ]


# --- PCK certificates ------------------------------------------------------------------------------


def query(machine: TdxMachine, **changes: str) -> str:
    values = {
        "encrypted_ppid": machine.encrypted_ppid().hex(),
        "cpusvn": bytes(machine.svns).hex(),
        "pcesvn": machine.pce_svn.to_bytes(2, "little").hex(),
        "pceid": "0000",
    } | changes
    return "&".join(f"{name}={value}" for name, value in values.items())


@pytest.mark.parametrize("level", ["UpToDate", "OutOfDate"])
def test_a_pck_certificate_by_encrypted_ppid(lab: Lab, level: str) -> None:
    machine = TdxMachine(seed="unheard-of", level=level)
    got = get(lab.urls.pcs, f"{SGX}/pckcert?{query(machine)}", KEY)
    assert (got.status, got.headers["content-type"]) == (200, "application/x-pem-file")
    (raw,) = x509.split_pem(got.body, "PCK", limit=1)
    leaf = x509.parse(raw, "PCK")
    found = pck.read(leaf, "PCK")
    assert (found.ppid, found.components) == (machine.ppid, machine.svns)
    assert (leaf.serial, leaf.spki) == (machine.pck_serial, x509.parse(machine.pck(), "PCK").spki)
    assert got.headers["sgx-tcbm"] == bytes(machine.svns).hex().upper() + "0B00"
    assert got.headers["sgx-fmspc"] == FMSPC
    assert got.headers["sgx-pck-certificate-ca-type"] == "platform"
    names = [each.subject_cn for each in chain(got, "SGX-PCK-Certificate-Issuer-Chain")]
    assert names == ["Intel SGX PCK Platform CA", "Intel SGX Root CA"]


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        pytest.param({}, {}, 401, id="no-subscription-key"),
        pytest.param({}, {"Ocp-Apim-Subscription-Key": "x" * 32}, 401, id="another-key"),
        pytest.param({"encrypted_ppid": "00" * 384}, KEY, 404, id="ppid-of-nobody"),
        pytest.param({"encrypted_ppid": "00" * 383}, KEY, 400, id="ppid-too-short"),
        pytest.param({"cpusvn": "00" * 16}, KEY, 404, id="below-every-level"),
        pytest.param({"pceid": "0001"}, KEY, 404, id="another-pce"),
        pytest.param({"pcesvn": "0b"}, KEY, 400, id="pcesvn-too-short"),
    ],
)
def test_pck_certificates_are_not_for_everybody(
    lab: Lab, changes: dict[str, str], headers: dict[str, str], status: int
) -> None:
    assert get(lab.urls.pcs, f"{SGX}/pckcert?{query(TdxMachine(), **changes)}", headers).status == status


def test_a_platform_of_another_family_is_known_when_it_was_introduced() -> None:
    machine = TdxMachine(seed="other", fmspc=bytes.fromhex("5EA16A7E00FF"), ca="processor")
    with Lab(Clock(), subscription_key=None) as lab:
        lab.know(machine)
        got = get(lab.urls.pcs, f"{SGX}/pckcert?{query(machine)}")
        assert got.headers["sgx-fmspc"] == "5EA16A7E00FF"
        assert got.headers["sgx-pck-certificate-ca-type"] == "processor"
        assert get(lab.urls.pcs, f"{TDX}/tcb?fmspc=5ea16a7e00ff").status == 200


# --- where a PCCS differs --------------------------------------------------------------------------


def test_a_pccs_serves_crls_in_hex_unless_der_is_asked_for(lab: Lab) -> None:
    root = get(lab.urls.pccs, f"{SGX}/rootcacrl")
    assert crl.parse(hexed(root.body.decode()), "CRL").issuer_cn == "Intel SGX Root CA"
    assert hexed(root.body.decode()) == get(lab.urls.certificates, "/IntelSGXRootCA.der").body
    plain = get(lab.urls.pccs, f"{SGX}/pckcrl?ca=platform")
    der = get(lab.urls.pccs, f"{SGX}/pckcrl?ca=PLATFORM&encoding=der")
    assert hexed(plain.body.decode()) == der.body
    assert pem([der.body], "X509 CRL") == get(lab.urls.pcs, f"{SGX}/pckcrl?ca=platform").body


def test_a_pccs_has_no_numbers_and_looks_at_none(lab: Lab) -> None:
    assert get(lab.urls.pccs, f"{TDX}/tcbevaluationdatanumbers").status == 404
    info, _ = tcbinfo.parse(
        get(lab.urls.pccs, f"{TDX}/tcb?fmspc={FMSPC}&tcbEvaluationDataNumber=19").body, "TCB info"
    )
    assert info.evaluation_number == inteldocs.EVALUATION
    assert get(lab.urls.pccs, f"{TDX}/tcb?fmspc=x").body != b""


def test_a_pccs_wants_the_qe_and_no_key(lab: Lab) -> None:
    qe = seeds.octets("machine-1", "QE id", 16).hex()
    assert get(lab.urls.pccs, f"{SGX}/pckcert?{query(TdxMachine(), qeid=qe)}").status == 200
    assert get(lab.urls.pccs, f"{SGX}/pckcert?{query(TdxMachine())}").status == 400
    nobody = query(TdxMachine(), qeid=qe, encrypted_ppid="00" * 384)
    assert get(lab.urls.pccs, f"{SGX}/pckcert?{nobody}").status == 461
