"""Every SEV-SNP vector that is a report, a certificate or a root, against what the manifest says."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support import VECTORS as FOLDER
from tests.support import needs_vectors, vector_bytes
from tests.vectors.snp_vectors import KIND, LEAVES, REPORTS, VECTORS, Vector, b64url, vector
from verifiers import claims
from verifiers.crypto import x509
from verifiers.model import Outcome, Verdict, first_reason
from verifiers.sevsnp import abi, certificates, certtable, roots
from verifiers.sevsnp.product import Product
from verifiers.sevsnp.roots import Role

pytestmark = needs_vectors(KIND)

GOOD = [name for name in REPORTS if VECTORS[name]["expected"]["signature_valid"]]


def outcomes(found: Any) -> dict[str, Outcome]:
    return {check.id: check.outcome for check in found.checks}


def test_the_manifest_has_what_these_tests_count_on() -> None:
    assert (len(REPORTS), len(LEAVES), len(GOOD)) == (16, 4, 15)


@pytest.mark.parametrize("name", REPORTS)
def test_report_is_the_one_that_the_manifest_means(name: str) -> None:
    assert hashlib.sha256(vector(name).report).hexdigest() == VECTORS[name]["report_sha256"]
    assert abi.parse(vector(name).report).version == VECTORS[name]["report_version"]


@pytest.mark.parametrize("name", REPORTS)
def test_signature_and_chain(name: str) -> None:
    it = vector(name)
    found = it.verify()
    assert found.signature_valid is it.expected["signature_valid"]
    assert found.chain_valid is it.expected["chain_valid"]
    assert found.evidence.version == VECTORS[name]["report_version"]
    assert found.evidence.signing_key == VECTORS[name]["signing_key"]
    assert found.evidence.product == VECTORS[name]["product"]
    assert found.evidence.digest == hashlib.sha256(it.report[:672]).digest()


@pytest.mark.parametrize("name", REPORTS)
def test_fields(name: str) -> None:
    """Exactly the keys and spellings of the manifest; null stands for a claim that is not there."""
    expected = vector(name).expected["fields"]
    found = claims.json_claims(vector(name).verify())
    assert {key: found.get(key) for key in expected} == expected
    assert all(found[key] == value for key, value in expected.items() if value is not None)


@pytest.mark.parametrize("name", GOOD)
def test_leaf_alone_is_enough(name: str) -> None:
    """ASK, ASVK and ARK are pinned as figures: report and leaf verify offline."""
    it = vector(name)
    found = it.verify(certificates=(it.leaf,))
    assert found.authentic
    assert not found.simulated
    assert found.claims["evidence.simulated"] is False
    assert found.verdict is Verdict.ACCEPTED
    open_ends = {check.id for check in found.checks if check.outcome is not Outcome.PASSED}
    csp = {"snp.csp-id"} if VECTORS[name]["signing_key"] == "VLEK" else set()
    assert open_ends == {"snp.revocation", "binding.report-data"} | csp


@pytest.mark.parametrize("name", REPORTS)
def test_cross_checks(name: str) -> None:
    """Each of the manifest's checks, computed independently of the signature."""
    it = vector(name)
    checks, found = it.expected["checks"], it.verify()
    seen = outcomes(found)
    leaf = x509.parse(it.leaf, "leaf")
    assert leaf.issuer_cn == checks["issuer"]
    assert leaf.sha256 == checks["leaf_sha256"] == found.used[VECTORS[name]["signing_key"].lower()]
    assert leaf.not_before == datetime.fromisoformat(checks["leaf_not_before"])
    assert leaf.not_after == datetime.fromisoformat(checks["leaf_not_after"])
    assert (seen["snp.tcb-certificate"] is Outcome.PASSED) is checks["leaf_tcb_equals_reported_tcb"]
    extensions = certificates.parse(leaf.extensions, "leaf")
    if "csp_id" in checks:
        assert found.claims["snp.csp_id"] == checks["csp_id"]
        assert extensions.hwid is None
    else:
        assert extensions.hwid is not None
        assert len(extensions.hwid) == checks["hwid_len"]
        assert (seen["snp.chip-id"] is Outcome.PASSED) is checks["hwid_equals_chip_id"]


def test_natural_negative_names_the_chip() -> None:
    """Another chip's VCEK: its chain holds, the report is not its own, and the right one is asked for."""
    found = vector("azure-hcl-truncated-mismatched").verify()
    assert (found.signature_valid, found.chain_valid) == (False, True)
    assert found.verdict is Verdict.REFUSED
    assert first_reason(found.checks) == "snp.signature"
    assert outcomes(found)["snp.chip-id"] is Outcome.FAILED
    assert [need.kind for need in found.missing] == ["amd.vcek", "amd.crl"]


def test_debug_guest_is_authentic() -> None:
    """Debug is for policy to refuse: the claim says it, no check of ours does."""
    found = vector("milan-v2-vcek-debug").verify()
    assert found.verdict is Verdict.ACCEPTED
    assert found.claims["snp.policy.debug"] is True
    assert claims.json_claims(found)["policy_flags"] == ["debug", "smt"]


@pytest.mark.parametrize("name", LEAVES)
def test_certificates_alone(name: str) -> None:
    """A report of no chip at all: chain_valid speaks of the certificate only."""
    it = Vector(name, abi.build(VERSION=3, POLICY=0x20000), vector(name).certificates, {})
    found = it.verify(certificates=(it.leaf,))
    assert found.chain_valid is VECTORS[name]["expected"]["chain_valid"]
    assert not found.signature_valid
    if not found.chain_valid:
        assert first_reason(found.checks) == "snp.chain"


@pytest.mark.parametrize("name", [name for name in LEAVES if "extensions" in VECTORS[name]["expected"]])
def test_extensions(name: str) -> None:
    leaf = x509.parse(vector(name).leaf, "leaf")
    raw = VECTORS[name]["expected"]["extensions"]
    found = certificates.parse(leaf.extensions, "leaf")
    spl = {
        key: int.from_bytes(bytes.fromhex(value)[2:], "big") for key, value in raw.items() if key != "hwid"
    }
    assert found.struct_version == spl["struct"]
    assert found.product_name == bytes.fromhex(raw["product"])[2:].decode()
    assert found.hwid == bytes.fromhex(raw["hwid"])
    assert found.tcb.fmc == spl.get("fmc")
    got = (found.tcb.bootloader, found.tcb.tee, found.tcb.snp, found.tcb.microcode)
    assert got == (spl["bl"], spl["tee"], spl["snp"], spl["ucode"])


def test_both_spellings_of_a_hwid_mean_the_same() -> None:
    """Doctored VCEKs with the hwID raw and wrapped: both are read, neither is trusted."""
    ids = set()
    for name in ("milan-vcek-invalid-legacy", "milan-vcek-invalid-new"):
        ids.add(certificates.parse(x509.parse(vector(name).leaf, "leaf").extensions, "leaf").hwid)
    assert len(ids) == 1
    assert len(ids.pop() or b"") == 64


ROOT_FILES = [
    f["file"]
    for v in VECTORS.values()
    for f in v["files"]
    if v["kind"] == "roots" or "cert_chain" in f["file"]
]


@pytest.mark.parametrize("file", ROOT_FILES)
def test_published_roots_are_the_pins(file: str) -> None:
    """Key, name, serial, dates and digest of every published ARK, ASK and ASVK are those in the source."""
    pins = {anchor.cn: anchor for anchor in roots.VENDOR.values()}
    found = x509.split_pem(vector_bytes(KIND, file), file, limit=8)
    assert len(found) in (2, 3)
    for raw in found:
        cert = x509.parse(raw, file)
        pin = pins[cert.subject_cn]
        assert hashlib.sha256(cert.spki).hexdigest() == pin.spki_sha256
        assert cert.public_key == pin.key
        assert cert.sha256 == pin.cert_sha256
        assert (cert.subject, cert.serial) == (pin.subject, pin.serial)
        assert (cert.not_before, cert.not_after) == (pin.not_before, pin.not_after)
        assert cert.issuer == roots.ark_of(pin).subject
        assert x509.issued_by(cert, roots.ark_of(pin).key)
        assert cert.is_ca
        assert cert.may_sign_certificates
        assert cert.path_length == (None if pin.role is Role.ARK else 0)
        assert cert.may_sign_crls is (pin.role is Role.ARK)


def test_pins_are_the_published_figures() -> None:
    listed = json.loads((FOLDER.parent / "spec" / "amd-keys.json").read_text())["products"]
    assert {(p, r) for p in listed for r in listed[p]} == {(str(p), str(r)) for p, r in roots.VENDOR}
    for (line, role), pin in roots.VENDOR.items():
        entry = listed[line][role]
        assert f"{pin.key.public_numbers().n:x}" == entry["modulus_hex"]
        assert pin.key.public_numbers().e == 65537
        assert roots.spki_sha256(pin.key) == pin.spki_sha256 == entry["spki_sha256"]
        assert (pin.cn, f"{pin.serial:#x}") == (entry["cn"], entry["serial"])
        assert pin.cert_sha256 == entry["cert_sha256"]
        assert pin.not_before == datetime.fromisoformat(entry["not_before"])
        assert pin.not_after == datetime.fromisoformat(entry["not_after"])


def test_real_certificate_table() -> None:
    """configfs-tsm's auxblob: ARK, ASK and VCEK as PEM, at the places that the fact sheet gives."""
    tsm = json.loads(vector_bytes(KIND, "genoa-v3-vcek-configfs-tsm/tsm-report.json"))
    raw = b64url(tsm["auxblob"])
    items = certtable.parse(raw)
    assert [guid for guid, _ in items] == [certtable.ARK, certtable.ASK, certtable.VCEK]
    assert [raw.index(body) for _, body in items] == [96, 2373, 4698]
    assert certtable.build(items) == raw
    names = [x509.parse(cert, "table").subject_cn for cert in certtable.certificates(items)]
    assert names == ["ARK-Genoa", "SEV-Genoa", "SEV-VCEK"]


def test_vleks_live_one_year() -> None:
    it = vector("milan-v3-vlek-aws")
    end = x509.parse(it.leaf, "vlek").not_after
    assert it.verify(at=end - timedelta(seconds=1)).verdict is Verdict.ACCEPTED
    for at in (end, end + timedelta(seconds=1)):
        found = it.verify(at=at)
        assert found.authentic
        assert first_reason(found.checks) == "snp.chain-dates"
        assert [need.kind for need in found.missing] == ["amd.vlek", "amd.crl"]


def test_products_of_the_vectors_cover_all_pins() -> None:
    assert {VECTORS[name]["product"] for name in GOOD} == {line.value for line in Product}
