"""`sealgate verify` on real evidence: what the manifests say must come out."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import VECTORS, load_manifest, needs_vectors, vector_bytes
from tests.unit.gateway.cli.world import run, write

TDX = load_manifest("tdx").get("vectors", [])
SNP = [v for v in load_manifest("sev-snp").get("vectors", []) if v["kind"] == "report"]
ATTRIBUTES = ("Debug mode", "SEPT_VE_DISABLE", "service TD")
"""What another verifier says when it refuses a quote for its attributes."""


# --- TDX and SGX -----------------------------------------------------------------------------------


@needs_vectors("tdx")
@pytest.mark.parametrize("vector", TDX, ids=lambda vector: vector["id"])
def test_quotes(vector: dict[str, Any]) -> None:
    files = dict(vector["files"])
    args: list[object] = ["verify", VECTORS / "tdx" / files.pop("quote"), "--json"]
    args += ["--at", vector.get("verification_time") or "2026-01-01T00:00:00Z"]
    for name in filter(None, files.values()):
        args += ["--collateral", VECTORS / "tdx" / name]
    ran = run(*args)
    found, expected = ran.json, vector["expected"]
    code, verdict = wanted(expected)
    assert (ran.code, found["verdict"]) == (code, verdict)
    if expected["tcb_status"] is None:
        assert found["tcb"]["status"] is None
        return
    assert (found["signature_valid"], found["chain_valid"], found["authentic"]) == (True, True, True)
    assert found["tcb"]["status"] == expected["tcb_status"]
    assert sorted(found["tcb"]["advisory_ids"]) == sorted(expected["advisory_ids"])
    assert found["evidence"]["fmspc"] == vector["fmspc"]
    for name, value in vector["claims"].items():
        assert sorted(found["claims"][name]) == sorted(value), name


def wanted(expected: dict[str, Any]) -> tuple[int, str]:
    """Exit code and verdict of the shipped baseline: UpToDate, and no attribute that is refused."""
    if expected["tcb_status"] is None:
        chained = expected["signature_detail"]["qe_sig"] is not None or "data type 3" in expected["notes"]
        return (3, "undecided") if chained else (1, "refused")
    oracle = expected.get("oracle", {})
    refused = any(word in oracle.get("error", "") for word in ATTRIBUTES)
    good = expected["tcb_status"] == "UpToDate" and not refused
    return (0, "accepted") if good else (1, "refused")


# --- SEV-SNP ---------------------------------------------------------------------------------------

BINARY = ("report.bin", "attestation.bin", "evidence.binarypb")


def extract(vector: dict[str, Any], item: str, raw: bytes) -> bytes:
    place = vector.get("extract", {}).get(item)
    return raw if place is None else raw[place["offset"] : place["offset"] + place["length"]]


def files_of(vector: dict[str, Any]) -> tuple[list[bytes], dict[str, bytes]]:
    """Every form of the evidence, and the collateral."""
    evidence, collateral = [], {}
    for entry in vector["files"]:
        name = entry["file"].split("/")[-1]
        raw = vector_bytes("sev-snp", entry["file"])
        if name == "report.hex":
            evidence.append(bytes.fromhex(raw.decode().strip()))
        elif name.startswith(("hcl-", "tsm-", "evidence.json")):
            evidence.append(raw)
        elif name in BINARY:
            evidence.append(extract(vector, "report", raw))
        elif name == "endorsements.binarypb":
            collateral["leaf.der"] = extract(vector, "leaf_der", raw)
        elif name.endswith((".der", ".pem")):
            collateral[name] = raw
    return evidence, collateral


@needs_vectors("sev-snp")
@pytest.mark.parametrize("vector", SNP, ids=lambda vector: vector["id"])
def test_reports(vector: dict[str, Any], tmp_path: Path) -> None:
    expected = vector["expected"]
    start = datetime.fromisoformat(expected["checks"]["leaf_not_before"]) + timedelta(days=30)
    at = start.isoformat().replace("+00:00", "Z")
    evidence, collateral = files_of(vector)
    write(tmp_path / "c", collateral)
    assert evidence
    for raw in evidence:
        path = write(tmp_path, {"evidence": raw}) / "evidence"
        ran = run("verify", path, "--collateral", tmp_path / "c", "--at", at, "--json")
        found = ran.json
        assert (found["signature_valid"], found["chain_valid"]) == (
            expected["signature_valid"],
            expected["chain_valid"],
        )
        assert ran.code == {"accepted": 0, "refused": 1}[found["verdict"]]
        summary = found["evidence"]
        assert (summary["type"], summary["version"]) == ("sev-snp", vector["report_version"])
        assert (summary["product"], summary["signing_key"]) == (vector["product"], vector["signing_key"])
        assert_fields(found["claims"], expected["fields"])
        if not expected["signature_valid"]:
            assert (found["verdict"], found["reason"], found["authentic"]) == (
                "refused",
                "snp.signature",
                False,
            )


def assert_fields(claims: dict[str, Any], fields: dict[str, Any]) -> None:
    """Every field of the manifest, as the JSON spells it; null means that this version has none."""
    same = {name: claims.get(name) for name in fields}
    for name in ("launch_mit_vector", "current_mit_vector"):
        if fields.get(name) is None:
            same.pop(name, None)
    assert same == {name: fields[name] for name in same}


@needs_vectors("sev-snp")
def test_the_debug_guest_is_genuine_and_refused(tmp_path: Path) -> None:
    folder = VECTORS / "sev-snp" / "milan-v2-vcek-debug"
    ran = run(
        "verify", folder / "report.bin", "--collateral", folder, "--at", "2024-01-01T00:00:00Z", "--json"
    )
    assert (ran.code, ran.json["reason"], ran.json["authentic"]) == (1, "snp.debug-off", True)


@needs_vectors("sev-snp")
def test_a_real_machine_with_old_firmware_is_genuine_and_refused_for_that(tmp_path: Path) -> None:
    raw = vector_bytes("sev-snp", "milan-v3-vcek-dstack/attestation.bin")[4 : 4 + 1184]
    path = write(tmp_path, {"report.bin": raw}) / "report.bin"
    vcek = VECTORS / "sev-snp" / "milan-v3-vcek-dstack" / "vcek.pem"
    options = ("--collateral", vcek, "--at", "2026-07-03T09:00:00Z")
    found = run("verify", path, *options, "--json")
    assert (found.code, found.json["reason"], found.json["authentic"]) == (1, "snp.tcb-floor.milan", True)
    assert found.json["tcb"]["status"] == "below_floor"
    first = run("verify", path, *options).out.splitlines()[0]
    assert first.startswith("REFUSED   genuine AMD hardware, out-of-date firmware")
    assert first.endswith("snp.tcb-floor.milan")
    assert run("verify", path).out.startswith("UNDECIDED   cannot tell yet whether it is genuine")


@needs_vectors("sev-snp")
@pytest.mark.parametrize(
    ("evidence", "certificate"),
    [
        ("milan-v2-vcek-virtee/report.hex", "milan-v2-vcek-trustee/vcek.der"),
        ("milan-v3-vlek-aws/report.bin", "milan-v2-vlek-aws/vlek.der"),
        ("turin-v5-vcek/report.bin", "turin-vcek-cert/vcek.der"),
        ("milan-v2-vcek-debug/report.bin", "milan-vcek-invalid-new/vcek.der"),
        ("milan-v2-vcek-debug/report.bin", "milan-vcek-invalid-legacy/vcek.der"),
    ],
)
def test_certificates_of_others(evidence: str, certificate: str, tmp_path: Path) -> None:
    raw = vector_bytes("sev-snp", evidence)
    raw = bytes.fromhex(raw.decode()) if evidence.endswith("hex") else raw
    path = write(tmp_path, {"report": raw}) / "report"
    options = ("--collateral", VECTORS / "sev-snp" / certificate, "--at", "2025-01-15T00:00:00Z", "--json")
    ran = run("verify", path, *options)
    assert (ran.code, ran.json["verdict"], ran.json["authentic"]) == (1, "refused", False)
