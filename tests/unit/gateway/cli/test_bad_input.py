"""Whatever is wrong with a file or an option: one line, exit code 2, JSON with the published keys; and what
can be read and is wrong is a verdict instead."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import keys
from gateway.simulator.amd import SnpMachine
from gateway.simulator.amdcerts import serial
from gateway.simulator.intel import TdxMachine
from gateway.simulator.quotewrite import pem
from gateway.simulator.seeds import EPOCH
from tests.unit.gateway.cli.world import (
    AT,
    DATA,
    KEYS,
    POLICY,
    Ran,
    intel_collateral,
    run,
    snp,
    snp_files,
    tdx,
    tdx_files,
    verify,
    write,
)  # fmt: skip


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


REPORT = snp_files()["report.bin"]
VCEK = snp_files()["vcek.der"]
RELEASE = POLICY.split("---\n")[2]


def malformed(ran: Ran, reason: str) -> None:
    """Exit 2, one line on stderr that begins with the program's name, JSON on stdout."""
    assert ran.code == 2
    assert ran.err.startswith("sealgate: ")
    assert (ran.err.count("\n"), "Traceback" in ran.err) == (1, False)
    found = ran.json
    assert found.keys() == KEYS
    assert (found["verdict"], found["reason"]) == ("malformed", reason)
    assert (found["authentic"], found["signature_valid"], found["chain_valid"]) == (False, False, False)
    assert (found["checks"], found["claims"]) == ([], {})


# --- evidence that cannot be read ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"", "evidence.empty", id="empty"),
        pytest.param(REPORT[:-1], "evidence.bad-length", id="one-byte-short"),
        pytest.param(REPORT + b"\0", "evidence.bad-length", id="one-byte-long"),
        pytest.param(REPORT.hex().encode(), "evidence.unrecognised", id="text-for-binary"),
        pytest.param(pem([VCEK]), "evidence.unrecognised", id="pem"),
        pytest.param(VCEK, "evidence.unrecognised", id="certificate"),
        pytest.param(gzip.compress(REPORT), "evidence.unrecognised", id="gzip"),
        pytest.param(b"<html></html>", "evidence.unrecognised", id="html"),
        pytest.param(b'{"quote":"AA==","quote":"AA=="}', "evidence.duplicate", id="duplicate-key"),
        pytest.param(b'{"quote":NaN}', "evidence.bad-value", id="nan"),
        pytest.param(b"[" * 10_000, "evidence.too-deep", id="deep"),
        pytest.param(b'{"quote":"-_=="}', "evidence.bad-encoding", id="base64-variant"),
        pytest.param(tdx_files()["quote.bin"] + b"\1", "evidence.trailing-data", id="trailing-data"),
        pytest.param(b"\x06" + tdx_files()["quote.bin"][1:], "evidence.unsupported-version", id="version-6"),
        pytest.param(b'{"svn":"1","report_data":""}', "evidence.sample", id="sample"),
    ],
)
def test_unreadable_evidence(tmp_path: Path, raw: bytes, reason: str) -> None:
    path = write(tmp_path, {"evidence": raw}) / "evidence"
    ran = verify(path, "--json")
    malformed(ran, reason)
    assert str(path) in ran.err
    assert f"[{reason}]" in ran.err


def test_a_hundred_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    ran = verify(path, "--json")
    malformed(ran, "evidence.too-large")
    assert "found 100000000 bytes" in ran.err
    malformed(verify(snp_path(tmp_path), "--collateral", path, "--json"), "evidence.too-large")


def snp_path(tmp_path: Path) -> Path:
    return write(tmp_path / "snp", snp_files()) / "report.bin"


def test_wrong_type(tmp_path: Path) -> None:
    malformed(verify(snp_path(tmp_path), "--type", "tdx", "--json"), "evidence.type-mismatch")
    assert verify(snp_path(tmp_path), "--type", "nonsense").code == 2


@pytest.mark.parametrize("version", [0, 1, 4, 6, 0xFFFFFFFF])
def test_report_versions_that_nobody_knows_are_refused(tmp_path: Path, version: int) -> None:
    raw = version.to_bytes(4, "little") + REPORT[4:]
    ran = verify(write(tmp_path, {"r": raw}) / "r", "--collateral", snp_path(tmp_path).parent, "--json")
    assert (ran.code, ran.json["verdict"], ran.json["authentic"]) == (1, "refused", False)
    assert {"snp.version"} <= {c["reason"] for c in ran.json["checks"] if c["outcome"] == "failed"}


# --- files that cannot be opened -------------------------------------------------------------------


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    ran = verify(tmp_path / "nothing", "--json")
    malformed(ran, "input.unreadable")
    assert ran.err.strip().endswith("nothing: no such file or directory [input.unreadable]")
    malformed(verify(snp_path(tmp_path), "--collateral", tmp_path / "nothing", "--json"), "input.unreadable")
    malformed(verify(snp_path(tmp_path), "--policy", tmp_path / "nothing", "--json"), "input.unreadable")


# --- collateral ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"hello", "collateral.unrecognised", id="text"),
        pytest.param(REPORT, "collateral.unrecognised", id="evidence"),
        pytest.param(VCEK[:-1], "collateral.certificate-malformed", id="cut"),
        pytest.param(VCEK + VCEK, "collateral.certificate-malformed", id="two-where-one-belongs"),
        pytest.param(b'{"tcbInfo":{},"tcbInfo":{}}', "collateral.malformed", id="duplicate-key"),
    ],
)
def test_a_named_file_must_be_collateral_and_in_a_folder_it_is_left_aside(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    path = snp_path(tmp_path)
    folder = write(tmp_path / "c", {"stranger": raw, "vcek.der": VCEK})
    malformed(verify(path, "--collateral", folder / "stranger", "--json"), reason)
    found = verify(path, "--collateral", folder, "--development", "--json").json
    assert (found["verdict"], [line.split(":")[0] for line in found["ignored"]]) == ("accepted", ["stranger"])


def judged(tmp_path: Path, report: bytes, *certificates: bytes, at: str = AT) -> dict[str, Any]:
    """Report with these certificates, each a file of its own."""
    folder = write(tmp_path / "j", {"r": report} | {f"c{n}": raw for n, raw in enumerate(certificates)})
    files = [arg for n in range(len(certificates)) for arg in ("--collateral", folder / f"c{n}")]
    found = run("verify", folder / "r", *files, "--at", at, "--development", "--json")
    return {"code": found.code, **found.json}


def stamp(days: float) -> str:
    return (EPOCH + timedelta(days=days)).isoformat().replace("+00:00", "Z")


def test_expired_and_not_yet_valid(tmp_path: Path) -> None:
    for days in (-40_000, 40_000):
        found = judged(tmp_path, REPORT, VCEK, at=stamp(days) if abs(days) < 10_000 else _far(days))
        assert (found["code"], found["reason"], found["authentic"]) == (1, "snp.chain-dates", True)


def _far(days: int) -> str:
    return "1990-01-01T00:00:00Z" if days < 0 else "2120-01-01T00:00:00Z"


def test_evidence_with_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    """Not a malformed report, and no verdict about it: the right certificate decides."""
    evidence = {"type": "sev-snp", "report": b64url(REPORT), "certificates": [b64url(VCEK[:-1])]}
    folder = write(tmp_path, {"e": json.dumps(evidence).encode(), "v": VCEK})
    ran = verify(folder / "e", "--development", "--json")
    assert (ran.code, ran.json["reason"], ran.json["authentic"]) == (3, "collateral.vcek-missing", False)
    ran = verify(folder / "e", "--collateral", folder / "v", "--development", "--json")
    assert (ran.code, ran.json["authentic"]) == (0, True)


PAST = {"this_update": EPOCH - timedelta(days=2), "next_update": EPOCH - timedelta(days=1)}
FUTURE = {"this_update": EPOCH + timedelta(days=1), "next_update": EPOCH + timedelta(days=2)}


@pytest.mark.parametrize(
    ("crl", "code", "required", "reason"),
    [
        pytest.param(snp().crl(), 0, 0, None, id="current"),
        pytest.param(snp().crl(**PAST), 3, 3, "collateral.crl-expired", id="expired"),
        pytest.param(snp().crl(**FUTURE), 3, 3, "collateral.crl-not-yet-valid", id="not-yet-valid"),
        pytest.param(
            snp().crl(sign_with=keys.amd("Milan", "ASK")), 1, 1, "collateral.crl-signature", id="forged"
        ),
        pytest.param(
            snp().crl(revoked=[serial("Milan", "ASK")], **PAST), 1, 1, "snp.revoked", id="revoked-and-expired"
        ),
        pytest.param(
            snp("Genoa").crl(**PAST), 0, 3, "collateral.amd-crl-missing", id="expired-of-another-product"
        ),
    ],
)
def test_crls_and_exit_codes(
    tmp_path: Path, crl: bytes, code: int, required: int, reason: str | None
) -> None:
    """One that is not valid at that time leaves the question open; forged or revoked is refused."""
    folder = write(tmp_path, {"r": REPORT, "v": VCEK, "c": crl})
    options = ("--collateral", folder / "v", "--collateral", folder / "c", "--development", "--json")
    ran = verify(folder / "r", *options)
    assert (ran.code, ran.json["reason"]) == (code, reason if code else None)
    ran = verify(folder / "r", *options, "--require", "revocation")
    assert (ran.code, ran.json["reason"], ran.json["authentic"]) == (required, reason, True)


def test_another_chips_certificate(tmp_path: Path) -> None:
    found = judged(tmp_path, REPORT, snp(seed="another").leaf)
    assert (found["code"], found["verdict"], found["signature_valid"]) == (1, "refused", False)


def test_the_chain_of_another_product(tmp_path: Path) -> None:
    found = judged(tmp_path, REPORT, snp("Genoa").leaf, snp("Genoa").ask(), snp("Genoa").ark())
    assert (found["code"], found["verdict"], found["authentic"]) == (1, "refused", False)


def test_a_vlek_where_a_vcek_belongs(tmp_path: Path) -> None:
    found = judged(tmp_path, REPORT, snp(key="VLEK").leaf)
    assert (found["code"], found["verdict"], found["authentic"]) == (1, "refused", False)


def test_swapped_intermediates_change_nothing_since_keys_are_pinned(tmp_path: Path) -> None:
    machine = snp()
    for intermediates in ((machine.asvk(), machine.ark()), (machine.ark(), machine.ask()), ()):
        found = judged(tmp_path, REPORT, VCEK, *intermediates)
        assert (found["code"], found["chain_valid"]) == (0, True)


def test_a_certificate_that_nobody_pinned_signed(tmp_path: Path) -> None:
    forged = bytearray(VCEK)
    forged[-1] ^= 1
    found = judged(tmp_path, REPORT, bytes(forged))
    assert (found["code"], found["chain_valid"], found["reason"]) == (1, False, "snp.chain")


def test_a_second_certificate_of_another_machine_does_no_harm(tmp_path: Path) -> None:
    found = judged(tmp_path, REPORT, snp(seed="another").leaf, VCEK)
    assert (found["code"], found["signature_valid"]) == (0, True)


def test_tcb_info_of_another_platform(tmp_path: Path) -> None:
    other = TdxMachine(fmspc=bytes.fromhex("00806F050000"))
    files = {**intel_collateral(tdx()), "tcb_info": other.tcb_info()}
    folder = write(tmp_path, {"quote.bin": tdx().quote(DATA), **files})
    found = run("verify", folder / "quote.bin", "--collateral", folder, "--at", AT, "--development", "--json")
    assert (found.code, found.json["verdict"]) in {(3, "undecided"), (1, "refused")}
    assert found.json["tcb"]["status"] is None


# --- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--at", "2026-06-30", "expected a time with its zone"),
        ("--at", "2026-06-30T12:00:00", "expected a time with its zone"),
        ("--at", "2026-13-30T12:00:00Z", "expected a time with its zone"),
        ("--at", "yesterday", "expected a time with its zone"),
        ("--at", "0001-01-01T00:00:00+14:00", "expected a time with its zone"),
        ("--report-data", "00" * 32, "pad a shorter value with zeros on the right"),
        ("--report-data", "0" * 127, "found 127"),
        ("--report-data", "0" * 129, "found 129"),
        ("--report-data", "zz" * 64, "expected 128 hexadecimal digits"),
        ("--report-data", "", "found 0"),
        ("--require", "identity,luck", "found 'luck'"),
        ("--require", "identity;freshness", "expected some of"),
        ("--require", "identity,,freshness", "found ''"),
    ],
)
def test_options_are_strict(tmp_path: Path, option: str, value: str, says: str) -> None:
    ran = run("verify", snp_path(tmp_path), option, value, "--json")
    malformed(ran, "input.usage")
    assert f"{option}: " in ran.err
    assert says in ran.err


@pytest.mark.parametrize("args", [(), ("a", "b"), ("a", "--nonsense"), ("a", "--type"), ("a", "--at")])
def test_usage_errors_are_one_line(args: tuple[str, ...]) -> None:
    ran = run("verify", *args)
    assert (ran.code, ran.err.count("\n"), ran.err.startswith("sealgate: ")) == (2, 1, True)


def test_an_unknown_command_is_one_line() -> None:
    ran = run("nonsense")
    assert (ran.code, ran.err) == (2, "sealgate: No such command 'nonsense'.\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "policy", id="empty"),
        pytest.param("a: 1\na: 2\n", ":2:1: ", id="duplicate-key"),
        pytest.param("sealgate: nonsense/1\n", ":1:11: ", id="unknown-document"),
        pytest.param(POLICY.replace("snp.vmpl", "snp.vmpll"), "snp.vmpl", id="unknown-claim"),
        pytest.param(POLICY + "---\n" + RELEASE, "holds db twice", id="twice"),
        pytest.param(
            POLICY + "---\n" + RELEASE.replace("name: db\n", "name: other\n"),
            "expected one release policy",
            id="two",
        ),
        pytest.param(RELEASE, "guests", id="sets-missing"),
    ],
)
def test_policies_that_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    ran = run("verify", snp_path(tmp_path), "--policy", path, "--json")
    assert (ran.code, ran.json["verdict"]) == (2, "malformed")
    assert says in ran.err
    assert all(line.startswith("sealgate: ") for line in ran.err.splitlines())


def test_our_own_bugs_are_neither_verdict_nor_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.cli import offline

    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(offline, "judge", broken)
    monkeypatch.delenv("SEALGATE_DEBUG", raising=False)
    ran = verify(snp_path(tmp_path))
    assert (ran.code, ran.out) == (70, "")
    assert ran.err.count("\n") == 1
    assert "secret detail" not in ran.err


def test_kbs_evidence_in_which_one_field_was_changed(tmp_path: Path) -> None:
    from tests.unit.verifiers.carriers import samples

    evidence = {"attestation_report": samples.snp_fields(REPORT), "cert_chain": None}
    good = judged(tmp_path, json.dumps(evidence).encode(), VCEK)
    evidence["attestation_report"]["host_data"][0] ^= 1  # type: ignore[index]
    bad = judged(tmp_path, json.dumps(evidence).encode(), VCEK)
    assert (good["code"], good["carrier"]) == (0, "kbs-snp")
    assert (bad["code"], bad["reason"]) == (1, "snp.signature")


def test_runtime_claims_that_do_not_match_are_refused_though_the_report_is_genuine(tmp_path: Path) -> None:
    from tests.unit.verifiers.carriers import samples

    machine = SnpMachine(product="Milan")
    blob = samples.hcl(machine.report(samples.runtime_hash()), "snp")
    changed = bytearray(blob)
    changed[0x4D4 + 5] ^= 1
    good, bad = judged(tmp_path, blob, machine.leaf), judged(tmp_path, bytes(changed), machine.leaf)
    assert (good["code"], good["carrier"]) == (0, "azure-hcl")
    assert (bad["code"], bad["reason"]) == (1, "evidence.runtime-claims-mismatch")
    assert bad["authentic"] is True
