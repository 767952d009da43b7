"""`sealgate policy init`: what it writes passes every command; it refuses what no policy may allow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.policy import policy
from gateway.cli.sim import sim
from tests.support import ROOT

AT = "2026-11-20T12:00:00Z"
VECTORS = ROOT.parent / "shared" / "vectors"


def run(*args: str, code: int = 0) -> Result:
    done = CliRunner().invoke(policy, args)
    assert done.exit_code == code, done.output
    return done


def minted(folder: Path, kind: str, *args: str) -> Path:
    done = CliRunner().invoke(sim, [kind, "--out", str(folder), "--at", AT, *args])
    assert done.exit_code == 0, done.output
    return folder / ("report.bin" if kind == "snp" else "quote.bin")


def first(tmp_path: Path, evidence: Path, *args: str, code: int = 0) -> tuple[Path, str]:
    out = tmp_path / "policy"
    given = ("--from", str(evidence), "--collateral", str(evidence.parent), "--out", str(out), "--at", AT)
    return out, run("init", *given, *args, code=code).output


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("snp", ()),
        ("snp", ("--product", "Turin")),
        ("snp", ("--key", "vlek")),
        ("snp", ("--set", f"host_data={'ab' * 32}")),
        ("snp", ("--product", "Milan", "--set", "tcb=4.0.24.200")),
        ("tdx", ()),
        ("tdx", ("--version", "5")),
        ("tdx", ("--set", "level=OutOfDate")),
        ("tdx", ("--set", f"mr_config_id={'ab' * 48}", "--set", f"rtmr3={'cd' * 48}")),
        ("sgx", ()),
    ],
)
def test_what_is_written_passes_everything(tmp_path: Path, kind: str, settings: tuple[str, ...]) -> None:
    evidence = minted(tmp_path / "evidence", kind, *settings)
    out, said = first(tmp_path, evidence, "--development")
    assert "SIMULATED" in said and "counts until 2026-12-04T12:00:00Z" in said
    run("fmt", "--check", str(out))
    assert "0 errors" in run("check", str(out), "--at", AT).output
    (found,) = json.loads(run("test", str(out), "--mutate", "--full-coverage", "--json").output)
    assert found["mutation"]["percent"] >= 95, found["mutation"]
    text = (out / "policy.yaml").read_text()
    assert "expires: 2026-12-04T12:00:00Z" in text and "finding: minimum.provenance" in text
    assert "origin: seen" in (out / "references.yaml").read_text()


@pytest.mark.parametrize(
    ("kind", "settings", "why"),
    [
        ("snp", ("--set", "policy=0xB0000"), "snp.debug-off"),
        ("snp", ("--set", "policy=0x70000"), "snp.migration-off"),
        ("tdx", ("--set", "td_attributes=0x10000001"), "tdx.debug-off"),
        ("sgx", ("--set", "attributes=0700000000000000e700000000000000"), "sgx.debug-off"),
        ("tdx", ("--set", "level=Revoked"), "dcap.tcb"),
    ],
)
def test_what_no_policy_may_allow(tmp_path: Path, kind: str, settings: tuple[str, ...], why: str) -> None:
    evidence = minted(tmp_path / "evidence", kind, *settings)
    out, said = first(tmp_path, evidence, "--development", code=1)
    assert "no policy may allow this evidence:" in said and why in said
    assert not out.exists()


def test_simulated_evidence_needs_to_be_asked_for(tmp_path: Path) -> None:
    out, said = first(tmp_path, minted(tmp_path / "evidence", "snp"), code=1)
    assert "no policy may allow" in said and not out.exists()


def test_evidence_that_was_changed_is_refused(tmp_path: Path) -> None:
    evidence = minted(tmp_path / "evidence", "snp")
    raw = bytearray(evidence.read_bytes())
    raw[0x90] ^= 1
    evidence.write_bytes(raw)
    _, said = first(tmp_path, evidence, "--development", code=1)
    assert "snp.signature" in said


def test_without_collateral(tmp_path: Path) -> None:
    quote = minted(tmp_path / "evidence", "tdx")
    out = str(tmp_path / "policy")
    given = ("--from", str(quote), "--out", out, "--at", AT, "--development")
    assert "dcap.revocation" in run("init", *given, code=1).output
    report = minted(tmp_path / "evidence", "snp")
    (tmp_path / "evidence" / "crl.der").unlink()
    _, said = first(tmp_path, report, "--development")
    assert "no CRL was given" in said
    assert "assume: [revocation]" in (tmp_path / "policy" / "cases.yaml").read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    evidence = minted(tmp_path / "evidence", "snp")
    out, _ = first(tmp_path, evidence, "--development")
    (out / "policy.yaml").write_text("mine")
    _, said = first(tmp_path, evidence, "--development", code=2)
    assert "found one" in said and (out / "policy.yaml").read_text() == "mine"


def test_names_are_taken(tmp_path: Path) -> None:
    evidence = minted(tmp_path / "evidence", "snp")
    names = ("--name", "payments", "--secret", "payments/db", "--tenant", "acme")
    people = ("--owner", "asha@acme.example", "--approved-by", "lena@acme.example")
    out, _ = first(tmp_path, evidence, "--development", *names, *people)
    text = (out / "policy.yaml").read_text()
    assert "name: payments\n" in text and "tenant: acme\n" in text and "secrets: [payments/db]" in text
    assert "placeholder" not in run("check", str(out), "--at", AT).output
    run("test", str(out), "--mutate", "--min-score", "95")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--name", "Payments DB", "lower-case"),
        ("--secret", "a//b", "is no path"),
        ("--approved-by", "owner@to-be-named.invalid", "cannot approve"),
        ("--owner", "x: {", "policy"),
    ],
)
def test_names_that_are_none(tmp_path: Path, option: str, value: str, said: str) -> None:
    evidence = minted(tmp_path / "evidence", "snp")
    _, found = first(tmp_path, evidence, "--development", option, value, code=2)
    assert said in found
    assert not list((tmp_path / "policy").rglob("*.*"))


@pytest.mark.skipif(not VECTORS.is_dir(), reason="no vectors of real hardware here")
def test_a_real_quote(tmp_path: Path) -> None:
    folder = VECTORS / "tdx"
    names = (
        "tcbinfo-tdx-00806f050000-ev17-20250213-040f.json",
        "qeid-td_qe-ev17-20250213-2ba1.json",
        "crl-platform-20250213-00ef.der",
        "crl-root-20240320-6b9f.der",
        "tcb-signing-chain-20180521.pem",
    )
    collateral = [part for name in names for part in ("--collateral", str(folder / "collateral" / name))]
    quote = folder / "quotes" / "tdx4-gcp-cos113.bin"
    out = tmp_path / "policy"
    run("init", "--from", str(quote), *collateral, "--out", str(out), "--at", "2025-02-28T03:00:00Z")
    run("test", str(out), "--mutate", "--min-score", "95", "--full-coverage")
