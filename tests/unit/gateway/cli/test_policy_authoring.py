"""`sealgate policy claims` and `schema`, as an author calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.policy import policy
from policies.claimtable import rows
from tests.support import ROOT
from verifiers.claims import BY_NAME


def run(*args: str, code: int = 0) -> Result:
    done = CliRunner().invoke(policy, args)
    assert done.exit_code == code, done.output
    return done


def test_the_whole_table_as_json() -> None:
    found = json.loads(run("claims", "--json").output)
    assert [row["name"] for row in found] == [row.name for row in rows(BY_NAME)]
    keys = {"type", "unit", "written", "in_json", "source", "trustee", "trust_authority", "operators"}
    assert all(keys <= row.keys() for row in found)
    assert all(row["written"] and row["source"] and row["doc"] for row in found)


@pytest.mark.parametrize("word", ["tdx.mr_td", "tdx_mrtd", "quote.body.mr_td"])
def test_a_claim_is_found_under_every_name(word: str) -> None:
    shown = run("claims", word).output
    assert "digest, 48 bytes" in shown and "tdx_mrtd" in shown and "quote.body.mr_td" in shown
    assert "hex; sha384:" in shown and "TDX" in shown


def test_what_matches_nothing_says_what_is_near() -> None:
    assert "did you mean tdx.mr_td?" in run("claims", "tdx.mrtd").output


def test_schemas_are_written_and_printed(tmp_path: Path) -> None:
    run("schema", "--out", str(tmp_path / "s"))
    for path in sorted((ROOT / "policies" / "schema").iterdir()):
        assert (tmp_path / "s" / path.name).read_text() == path.read_text()
        assert run("schema", path.stem).output == path.read_text()
    assert "release-policy" in run("schema").output.splitlines()
    assert "did you mean release-policy?" in run("schema", "release-polcy", code=2).output


def test_formatting_files(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("sealgate:   x  # why\n")
    file.chmod(0o640)
    assert "would reformat" in run("fmt", "--check", str(tmp_path), code=1).output
    assert file.read_text() == "sealgate:   x  # why\n"
    assert "reformatted" in run("fmt", str(file)).output
    assert file.read_text() == "sealgate: x  # why\n" and file.stat().st_mode & 0o777 == 0o640
    assert "nothing to change" in run("fmt", "--check", str(file)).output
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]
    (tmp_path / "link.yaml").symlink_to(file)
    file.write_text("sealgate:   y\n")
    run("fmt", str(tmp_path / "link.yaml"))
    assert file.read_text() == "sealgate: y\n" and (tmp_path / "link.yaml").is_symlink()
    (tmp_path / "link.yaml").unlink()
    file.write_text("a: &x 1\n")
    assert "anchors" in run("fmt", str(file), code=2).output
    assert file.read_text() == "a: &x 1\n"


def test_formatting_standard_input() -> None:
    done = CliRunner().invoke(policy, ["fmt", "-"], input="a:   [1,2]\n")
    assert (done.exit_code, done.output) == (0, "a: [1, 2]\n")


# --- check -----------------------------------------------------------------------------------------

QUICKSTART = ROOT / "gateway" / "demo" / "quickstart"


def copied(folder: Path, old: str = "", new: str = "") -> Path:
    for path in QUICKSTART.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text().replace(old, new))
    return folder


def test_check_says_what_is_meant_and_how_bad_it_is(tmp_path: Path) -> None:
    assert "0 errors, 0 warnings, 0 notes" in run("check", str(copied(tmp_path))).output
    folder = str(copied(tmp_path, "snp.vmpl: {equals: 0}", "snp.vmpl: {in: [0], in: [0]}"))
    assert "duplicate-key" in run("check", folder, code=2).output
    folder = str(
        copied(tmp_path, "snp.vmpl: {equals: 0}", "all: [{snp.vmpl: {equals: 0}}, {snp.vmpl: {equals: 1}}]")
    )
    assert "error[rule-never-matches]" in run("check", folder, code=1).output


def test_check_as_json_and_strict(tmp_path: Path) -> None:
    folder = str(copied(tmp_path))
    soon = run("check", folder, "--at", "2027-02-10T00:00:00Z", "--json")
    found = json.loads(soon.output)
    assert {"baseline-review"} <= {finding["code"] for finding in found["findings"]}
    assert all(finding["level"] == "warning" and finding["line"] >= 1 for finding in found["findings"])
    run("check", folder, "--at", "2027-02-10T00:00:00Z", "--strict", code=1)
    broken = copied(tmp_path, "snp.vmpl", "snp.vmlp")
    (finding,) = json.loads(run("check", str(broken), "--json", code=2).output)["findings"]
    assert finding["code"] == "policy.claim-unknown" and "snp.vmpl" in finding["hint"]


def test_check_lists_the_problems_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &x 1\n")
    (tmp_path / "b.yaml").write_text("sealgate: release-polcy/1\n")
    shown = run("check", str(tmp_path), code=2).output
    assert "error[anchor]" in shown and "did you mean release-policy/1?" in shown
