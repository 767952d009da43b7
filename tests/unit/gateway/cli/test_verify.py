"""`sealgate verify`: exit codes, JSON keys, and what people are told."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from gateway import bundles
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from tests.unit.gateway.cli.world import (
    AT,
    DATA,
    KEYS,
    POLICY,
    intel_collateral,
    run,
    snp,
    snp_files,
    tdx_files,
    verify,
    write,
)  # fmt: skip
from verifiers.carriers import TYPES
from verifiers.model import TcbVersion


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "snp", snp_files())


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


# --- the four verdicts -----------------------------------------------------------------------------


def test_accepted_says_what_nobody_compared(folder: Path) -> None:
    ran = verify(folder / "report.bin", "--collateral", folder, "--development")
    first = ran.out.splitlines()[0]
    assert ran.code == 0
    assert first.startswith("SIMULATED ACCEPTED (identity and freshness not checked)")
    assert "Not checked  – " in ran.out
    assert "binding.report-data" in ran.out
    assert "identity" in ran.out


def test_accepted_with_everything_compared(folder: Path, policy: Path) -> None:
    options = ("--collateral", folder, "--development", "--policy", policy, "--report-data", DATA.hex())
    ran = verify(folder / "report.bin", *options, "--require", "identity,freshness,revocation")
    assert (ran.code, ran.out.splitlines()[0].split("   ")[0]) == (0, "SIMULATED ACCEPTED")
    found = verify(folder / "report.bin", *options, "--json").json
    assert (found["verdict"], found["reason"], found["unchecked"]) == ("accepted", None, [])
    assert (found["policy"]["rule"], len(found["policy"]["digests"])) == ("pod", 4)


def test_json_has_exactly_the_published_keys(folder: Path) -> None:
    found = verify(folder / "report.bin", "--collateral", folder, "--development", "--json").json
    assert found.keys() == KEYS
    assert found["evidence"].keys() == {"type", "version", "product", "signing_key", "digest"}
    assert found["evidence"]["type"] == "sev-snp"
    assert found["tcb"] == {"status": "ok", "advisory_ids": [], "date": None}
    assert (found["authentic"], found["signature_valid"], found["chain_valid"]) == (True, True, True)
    assert (found["simulated"], found["at"], found["carrier"]) == (True, AT, "sev-snp-report")
    assert {frozenset(check) for check in found["checks"]} == {
        frozenset({"id", "outcome", "expected", "found", "source", "reason", "fix"})
    }
    outcomes = {check["outcome"] for check in found["checks"]}
    assert outcomes <= {"passed", "failed", "unknown", "waived", "not_checked"}
    assert found["claims"]["host_data"] == "6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283"
    assert found["ignored"] == ["report.bin: evidence: give it as EVIDENCE"]


def test_tdx_json_names_the_platform_by_fmspc(tmp_path: Path) -> None:
    folder = write(tmp_path, tdx_files())
    found = verify(folder / "quote.bin", "--collateral", folder, "--development", "--json").json
    assert found["evidence"].keys() == {"type", "version", "fmspc", "signing_key", "digest"}
    assert (found["verdict"], found["tcb"]["status"]) == ("accepted", "UpToDate")


def test_without_development_simulated_hardware_is_refused(folder: Path) -> None:
    ran = verify(folder / "report.bin", "--collateral", folder, "--json")
    assert (ran.code, ran.json["verdict"], ran.json["reason"]) == (1, "refused", "evidence.simulated")
    assert (ran.json["chain_valid"], ran.json["authentic"], ran.json["simulated"]) == (False, False, True)
    assert verify(folder / "report.bin", "--collateral", folder).out.startswith("SIMULATED REFUSED")


@pytest.mark.parametrize("name", ["report.bin", "quote.bin"])
def test_without_collateral_it_is_undecided_and_says_what_to_get(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, {**snp_files(), **tdx_files()})
    ran = verify(folder / name, "--development", "--json")
    assert (ran.code, ran.json["verdict"]) == (3, "undecided")
    assert ran.json["missing"]
    text = verify(folder / name, "--development").out.removeprefix("SIMULATED ")
    assert text.startswith("UNDECIDED")
    assert "https://" in text


@pytest.mark.parametrize("requirement", ["identity", "freshness"])
def test_what_is_required_and_missing_is_undecided(folder: Path, requirement: str) -> None:
    options = ("--collateral", folder, "--development", "--json")
    ran = verify(folder / "report.bin", *options, "--require", requirement)
    assert (ran.code, ran.json["verdict"]) == (3, "undecided")


def test_a_required_crl_that_is_missing_is_undecided(folder: Path) -> None:
    options = ("--collateral", folder / "vcek.der", "--development", "--json")
    assert verify(folder / "report.bin", *options).code == 0
    ran = verify(folder / "report.bin", *options, "--require", "revocation")
    assert (ran.code, ran.json["reason"]) == (3, "collateral.amd-crl-missing")


def test_a_definite_failure_outranks_a_missing_input(folder: Path) -> None:
    ran = verify(
        folder / "report.bin", "--collateral", folder, "--development", "--json", "--report-data",
        bytes(64).hex(), "--require", "identity",
    )  # fmt: skip
    assert (ran.code, ran.json["reason"]) == (1, "binding.report-data")


def test_report_data_is_compared_whole(folder: Path) -> None:
    options = ("--collateral", folder, "--development", "--json")
    good = verify(folder / "report.bin", *options, "--report-data", DATA.hex().upper())
    assert (good.code, "binding.report-data" in good.json["unchecked"]) == (0, False)
    bad = verify(folder / "report.bin", *options, "--report-data", (DATA[:63] + b"\0").hex())
    assert (bad.code, bad.json["reason"]) == (1, "binding.report-data")


def test_a_guest_that_is_not_listed(folder: Path, policy: Path) -> None:
    policy.write_text(POLICY.replace("sha256:64", "sha256:65"))
    ran = verify(folder / "report.bin", "--collateral", folder, "--development", "--policy", policy, "--json")
    assert (ran.code, ran.json["verdict"], ran.json["policy"]["rule"]) == (1, "refused", None)
    assert ran.json["authentic"] is True


def test_references_may_stand_in_files_of_their_own(folder: Path, tmp_path: Path) -> None:
    *references, release = POLICY.split("---\n")
    for number, text in enumerate(references):
        (tmp_path / f"ref{number}.yaml").write_text(text)
    (tmp_path / "release.yaml").write_text(release)
    options = ("--collateral", folder, "--development", "--json", "--policy", tmp_path / "release.yaml")
    sets = ("--reference", tmp_path / "ref0.yaml", "--reference", tmp_path / "ref1.yaml")
    assert verify(folder / "report.bin", *options, *sets).json["policy"]["rule"] == "pod"
    assert verify(folder / "report.bin", *options).code == 2


# --- where evidence comes from ---------------------------------------------------------------------


def test_standard_input(folder: Path) -> None:
    raw = snp_files()["report.bin"]
    ran = verify("-", "--collateral", folder, "--development", "--json", stdin=raw)
    assert (ran.code, ran.json["verdict"]) == (0, "accepted")
    assert verify("-", stdin=b"").code == 2


def test_a_configfs_tsm_folder(tmp_path: Path) -> None:
    machine = snp()
    files = {
        "outblob": machine.report(DATA),
        "auxblob": machine.certificate_table(),
        "provider": b"sev_guest\n",
    }
    folder = write(tmp_path / "tsm", {**files, "generation": b"1\n", "inblob": b""})
    ran = verify(folder, "--development", "--json")
    assert (ran.code, ran.json["carrier"]) == (0, "configfs-tsm")
    assert verify(folder, "--development", "--type", "tdx").code == 2
    assert verify(folder, "--development", "--type", "sev-snp").code == 0
    (folder / "outblob").unlink()
    assert "configfs-tsm folder with outblob" in verify(folder).err


@pytest.mark.parametrize("name", TYPES)
def test_every_type_can_be_named(folder: Path, name: str) -> None:
    code = verify(folder / "report.bin", "--type", name, "--development", "--collateral", folder).code
    assert code == (0 if name in ("sev-snp", "snp", "sev-snp-report", "configfs-tsm") else 2)


# --- offline ---------------------------------------------------------------------------------------


def test_nothing_opens_a_socket(folder: Path, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("verify opened a socket")

    for name in ("socket", "create_connection", "getaddrinfo", "socketpair"):
        monkeypatch.setattr(socket, name, refuse)
    ran = verify(folder / "report.bin", "--collateral", folder, "--development", "--policy", policy)
    assert ran.code == 0
    assert verify(folder / "report.bin").code == 3
    with_all = ("--collateral", folder, "--development", "--fetch")
    assert verify(folder / "report.bin", *with_all).code == 0, "nothing is missing, so nothing is asked"


# --- what people read ------------------------------------------------------------------------------


def test_the_page_answers_four_questions_in_order(folder: Path) -> None:
    lines = verify(folder / "report.bin", "--collateral", folder, "--development").out.splitlines()[2:]
    titles = [line[2:14].strip() for line in lines if line[2:3].isalpha()]
    assert titles == ["Genuine?", "Current?", "Safe?", "Mine?", "Not checked", "Left aside", "Judged by"]


def test_the_four_tcbs_stand_beside_their_floors(tmp_path: Path) -> None:
    machine = snp()
    old = machine.report(DATA, launch_tcb=machine.certified_tcb)
    folder = write(tmp_path, {**snp_files(), "report.bin": old})
    out = verify(folder / "report.bin", "--collateral", folder, "--development").out
    row = next(line.split() for line in out.splitlines() if line.lstrip().startswith("SNP firmware"))
    assert row == ["SNP", "firmware", "24", "24", "24", "24", "24"]


def test_out_of_date_firmware_is_named_with_its_remedy(tmp_path: Path) -> None:
    machine = SnpMachine(product="Milan", tcb=TcbVersion(bootloader=4, tee=0, snp=23, microcode=213))
    folder = write(tmp_path, {"report.bin": machine.report(DATA), "vcek.der": machine.leaf})
    ran = verify(folder / "report.bin", "--collateral", folder / "vcek.der", "--development")
    assert ran.code == 1
    assert "out-of-date firmware" in ran.out.splitlines()[0]
    assert ran.out.splitlines()[0].endswith("snp.tcb-floor.milan")
    assert "✗ 23" in ran.out
    assert "To pass" in ran.out
    found = verify(folder / "report.bin", "--collateral", folder / "vcek.der", "--development", "--json").json
    assert found["tcb"]["status"] == "below_floor"


def test_report_version_4_takes_a_baseline_that_admits_it(tmp_path: Path) -> None:
    machine = SnpMachine(product="Milan", version=4)
    folder = write(
        tmp_path / "files",
        {"report.bin": machine.report(DATA), "vcek.der": machine.leaf, "crl.der": machine.good_crl},
    )
    shipped = dict(bundles.baselines())["amd-sev-snp.yaml"].decode()
    own = tmp_path / "own.yaml"
    own.write_text(shipped.replace("rules:\n", "admits: [snp.report-version-4]\nrules:\n", 1))
    given = (folder / "report.bin", "--collateral", folder, "--development")
    ran = verify(*given)
    assert (ran.code, ran.out.splitlines()[0].endswith("snp.version")) == (1, True)
    assert "admits: [snp.report-version-4]" in ran.out
    assert verify(*given, "--json").json["reason"] == "snp.version"
    ran = verify(*given, "--policy", own)
    assert (ran.code, ran.err) == (0, "")
    checks = {check["id"]: check for check in verify(*given, "--policy", own, "--json").json["checks"]}
    assert checks["snp.version"]["source"] == "amd-sev-snp@1 (admits snp.report-version-4)"


def test_components_that_are_short_say_who_raises_them(tmp_path: Path) -> None:
    machine = TdxMachine(level="OutOfDate")
    folder = write(tmp_path, {"quote.bin": machine.quote(DATA), **intel_collateral(machine)})
    ran = verify(folder / "quote.bin", "--collateral", folder, "--development")
    assert (ran.code, ran.out.splitlines()[0].endswith("tdx.tcb-status")) == (1, True)
    assert "TCB status OutOfDate" in ran.out
    assert "raised by" in ran.out


def test_plain_text_has_no_escape_codes_and_no_line_end_blanks(folder: Path) -> None:
    out = verify(folder / "report.bin", "--collateral", folder, "--development").out
    assert "\x1b" not in out


def test_file_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    name = "evil\x1b[2J\nsealgate: all is well"
    folder = write(tmp_path / "x", {name: b"<html>", **snp_files()})
    out = verify(folder / "report.bin", "--collateral", folder, "--development").out
    assert "\x1b" not in out
    assert "evil?[2J" in out
    ran = run("verify", folder / name)
    assert (ran.code, ran.err.count("\n"), "\x1b" in ran.err) == (2, 1, False)
