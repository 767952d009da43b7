"""`sealgate sim`: what it writes verifies, and what it cannot write it refuses in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.sim import sim
from gateway.simulator import keys, seeds
from verifiers.carriers import open_evidence
from verifiers.collateral import Collateral, classify, merge
from verifiers.model import AnchorSet, Endorsements, ReportData, TcbVersion, Verdict, Verification
from verifiers.registry import verify

AT = "2026-06-30T12:00:00Z"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sim, list(arguments))


def judge(folder: Path, evidence: str, at: datetime = seeds.EPOCH) -> Verification:
    """What a relying party does with the folder: evidence, and everything else in it as collateral."""
    others = [path for path in folder.iterdir() if path.suffix in (".der", ".json", ".pem")]
    given: Collateral = merge(*(classify(path.read_bytes(), path.name) for path in others))
    opened = open_evidence((folder / evidence).read_bytes())
    endorsements = Endorsements(
        anchors=AnchorSet.VENDOR_AND_SIMULATED,
        certificates=(*opened.certificates, *given.certificates),
        crls=given.crls,
        tcb_infos=given.tcb_infos,
        qe_identities=given.qe_identities,
    )
    return verify(opened.evidence, endorsements, ReportData(bytes(64)), at)


@pytest.mark.parametrize("product", keys.PRODUCTS)
@pytest.mark.parametrize(("key", "issuer"), [("vcek", "ask"), ("vlek", "asvk")])
def test_snp_files_verify(product: str, key: str, issuer: str, tmp_path: Path) -> None:
    result = run("snp", "--out", str(tmp_path), "--product", product, "--key", key, "--at", AT)
    assert result.exit_code == 0, result.output
    assert "SIMULATED" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.bin",
        "extended-report.bin",
        f"{key}.der",
        f"{issuer}.der",
        "ark.der",
        "crl.der",
    }
    for evidence in ("report.bin", "extended-report.bin"):
        found = judge(tmp_path, evidence)
        assert (found.verdict, found.simulated, found.evidence.product) == (Verdict.ACCEPTED, True, product)


@pytest.mark.parametrize(
    "arguments",
    [("tdx",), ("tdx", "--version", "5"), ("tdx", "--version", "5", "--body", "1.0"), ("sgx",)],
    ids=["tdx-4", "tdx-5", "tdx-5-1.0", "sgx"],
)
def test_intel_files_verify(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*arguments, "--out", str(tmp_path), "--at", AT)
    assert result.exit_code == 0, result.output
    assert "SIMULATED" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "quote.bin",
        *(["event_log.bin"] if arguments[0] == "tdx" else []),
        "tcb_info.json",
        "qe_identity.json",
        "pck_crl.der",
        "root_crl.der",
        "tcb_signing_chain.pem",
    }
    found = judge(tmp_path, "quote.bin")
    assert (found.verdict, found.simulated, found.tcb.status) == (Verdict.ACCEPTED, True, "UpToDate")


def test_without_at_it_is_valid_now(tmp_path: Path) -> None:
    assert run("tdx", "--out", str(tmp_path)).exit_code == 0
    assert judge(tmp_path, "quote.bin", datetime.now(UTC)).verdict is Verdict.ACCEPTED


def test_json_says_simulated_and_lists_the_files(tmp_path: Path) -> None:
    result = run("snp", "--out", str(tmp_path), "--at", AT, "--json")
    found = json.loads(result.output)
    assert found["simulated"] is True
    assert found["evidence"] == {"type": "sev-snp", "product": "Genoa", "signing_key": "VCEK"}
    assert found["at"] == AT
    assert {Path(path) for path in found["files"].values()} == set(tmp_path.iterdir())


def test_set_changes_the_report_and_a_tcb_is_certified(tmp_path: Path) -> None:
    settings = ("tcb=10.0.23.84", "policy=0xB0000", "vmpl=1", "host_data=" + "07" * 32, "version=5")
    changes = [word for setting in settings for word in ("--set", setting)]
    assert run("snp", "--out", str(tmp_path), "--at", AT, *changes).exit_code == 0
    found = judge(tmp_path, "report.bin")
    assert found.verdict is Verdict.ACCEPTED
    assert found.evidence.version == 5
    assert found.claims["snp.reported_tcb"] == TcbVersion(bootloader=10, tee=0, snp=23, microcode=84)
    assert (found.claims["snp.vmpl"], found.claims["snp.host_data"]) == (1, b"\x07" * 32)
    assert found.claims["snp.policy.debug"] is True


def test_set_changes_the_quote_and_a_level_is_certified(tmp_path: Path) -> None:
    changes = ("--set", "level=OutOfDate", "--set", "td_attributes=0x10000001", "--set", "rtmr3=" + "07" * 48)
    assert run("tdx", "--out", str(tmp_path), "--at", AT, *changes).exit_code == 0
    found = judge(tmp_path, "quote.bin")
    assert (found.verdict, found.tcb.status) == (Verdict.ACCEPTED, "OutOfDate")
    assert found.claims["tdx.td_attributes.debug"] is True
    assert found.claims["tdx.rtmr3"] == b"\x07" * 48


def test_report_data_is_what_was_given(tmp_path: Path) -> None:
    text = bytes(range(64)).hex()
    for kind, file in (("snp", "report.bin"), ("tdx", "quote.bin"), ("sgx", "quote.bin")):
        assert run(kind, "--out", str(tmp_path), "--report-data", text).exit_code == 0
        assert bytes.fromhex(text) in (tmp_path / file).read_bytes()


WRONG = [
    pytest.param(("snp", "--set", "polcy=1"), "did you mean 'policy'?", id="near-a-field"),
    pytest.param(("snp", "--set", "polcy=1"), "measurement", id="lists-the-fields"),
    pytest.param(("tdx", "--set", "measurement=00"), "mr_td", id="field-of-another-kind"),
    pytest.param(("snp", "--set", "policy"), "FIELD=VALUE", id="no-equals"),
    pytest.param(("snp", "--set", "=1"), "FIELD=VALUE", id="no-field"),
    pytest.param(("snp", "--set", "report_data=00"), "no field 'report_data'", id="has-its-own-option"),
    pytest.param(("snp", "--set", "policy=debug"), "a number", id="not-a-number"),
    pytest.param(("snp", "--set", "policy=-1"), "a number", id="negative"),
    pytest.param(("snp", "--set", "vmpl=4294967296"), "below 2^32", id="number-too-large"),
    pytest.param(("snp", "--set", "measurement=" + "0" * 95), "96 hex digits (48 bytes)", id="digest-short"),
    pytest.param(("snp", "--set", "measurement=" + "g" * 96), "96 hex digits", id="digest-not-hex"),
    pytest.param(("snp", "--set", "tcb=1.2.3"), "bootloader.tee.snp.microcode", id="tcb-of-three"),
    pytest.param(("snp", "--set", "tcb=1.2.3.256"), "bootloader.tee.snp.microcode", id="tcb-too-large"),
    pytest.param(("snp", "--set", "tcb=1.2.3.4.5"), "four components", id="turins-tcb-for-genoa"),
    pytest.param(
        ("snp", "--product", "Turin", "--set", "tcb=1.2.3.4"), "five components", id="genoas-tcb-for-turin"
    ),
    pytest.param(("snp", "--set", "cpuid_fms=1911"), "6 hex digits", id="cpuid-short"),
    pytest.param(("snp", "--set", "current_version=1.55"), "major.minor.build", id="version-of-two"),
    pytest.param(("tdx", "--set", "level=Fine"), "UpToDate or OutOfDate or Revoked", id="level"),
    pytest.param(("tdx", "--set", "td_attributes=0x1" + "0" * 16), "8 bytes", id="mask-too-large"),
    pytest.param(("tdx", "--set", "td_attributes=1"), "16 hex digits", id="mask-short"),
    pytest.param(("tdx", "--body", "1.5"), "version 4", id="body-of-version-5"),
    pytest.param(("sgx", "--report-data", "00" * 63), "128 hexadecimal digits", id="report-data-short"),
    pytest.param(("sgx", "--at", "yesterday"), "2026-06-30T12:00:00Z", id="not-a-time"),
    pytest.param(("sgx", "--at", "2026-06-30T12:00:00"), "found '2026-06-30T12:00:00'", id="no-zone"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_what_cannot_be_minted_is_refused_in_one_line(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    result = run(*arguments, "--out", str(tmp_path / "new"))
    assert result.exit_code == 2
    assert said in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "new").exists(), "nothing is written before everything is understood"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = run("sgx", "--out", str(tmp_path / "file" / "folder"))
    assert result.exit_code == 2
    assert "expected a folder" in result.output


@pytest.mark.parametrize("command", ["snp", "tdx", "sgx"])
def test_the_example_in_the_help_works(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    help_text = run(command, "--help").output
    example = next(line for line in help_text.splitlines() if line.strip().startswith("sealgate sim"))
    words = example.split()[2:]
    assert words[0] == command
    assert run(*words).exit_code == 0
    assert list(tmp_path.glob("*/*.bin"))


def test_the_group_says_that_it_is_simulated() -> None:
    assert "SIMULATED" in run("--help").output
