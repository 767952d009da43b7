"""`sealgate policy test`, and the templates that ship with cases."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.policy import policy
from policies.mutants import OPERATORS
from tests.support import ROOT

TEMPLATES = sorted(path for path in (ROOT / "policies" / "templates").iterdir() if path.is_dir())
AT = "2026-11-20T12:00:00Z"


def run(*args: str, code: int = 0) -> Result:
    done = CliRunner().invoke(policy, args)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "policies" / "templates" / "disk-unlock", tmp_path / "t"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("folder", TEMPLATES, ids=lambda path: path.name)
def test_templates_are_covered_and_their_cases_notice_mistakes(folder: Path) -> None:
    (found,) = json.loads(run("test", str(folder), "--mutate", "--full-coverage", "--json").output)
    assert found["failed"] == 0 and found["coverage"]["open"] == []
    assert found["mutation"]["percent"] >= 95 and found["mutation"]["killed"] >= 5
    assert found["mutation"]["operators"] == dict(OPERATORS)


@pytest.mark.parametrize("folder", TEMPLATES, ids=lambda path: path.name)
def test_templates_are_formatted_and_have_no_errors(folder: Path) -> None:
    run("fmt", "--check", str(folder))
    assert "0 errors, 0 warnings" in run("check", str(folder), "--at", AT).output


CASES = sorted((ROOT / "policies" / "cases").glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda path: path.stem)
def test_baselines_are_covered_and_their_cases_notice_mistakes(file: Path) -> None:
    assert {path.stem for path in CASES} == {"amd-sev-snp", "intel-tdx"}
    (found,) = json.loads(run("test", str(file), "--mutate", "--full-coverage", "--json").output)
    assert found["failed"] == 0 and found["coverage"]["open"] == []
    assert found["mutation"]["percent"] >= 95 and found["mutation"]["killed"] >= 50


def test_what_ships_is_formatted() -> None:
    run(
        "fmt",
        "--check",
        str(ROOT / "policies" / "bundles"),
        str(ROOT / "policies" / "cases"),
        str(ROOT / "gateway" / "demo" / "quickstart"),
    )


def test_there_is_a_template_for_each_common_case() -> None:
    assert {path.name for path in TEMPLATES} == {
        "disk-unlock",
        "kata-namespace",
        "model-weights",
        "ci-runner",
    }


def test_a_loosened_policy_fails_its_cases(template: Path) -> None:
    change(template / "policy.yaml", "snp.product: {equals: Genoa}", "snp.product: {in: [Genoa, Milan]}")
    shown = run("test", str(template), code=1).output
    assert "✗ Milan, whose root can be extracted" in shown
    assert "expected refused, found accepted" in shown or "expected the reason" in shown


def test_a_survivor_is_named_with_its_line(template: Path) -> None:
    text = (template / "cases.yaml").read_text()
    lines = (template / "policy.yaml").read_text().splitlines()
    line = next(n for n, line in enumerate(lines, 1) if "snp.signing_key" in line)
    start = text.index("  - name: key of the provider")
    end = text.index("  - name: Milan")
    (template / "cases.yaml").write_text(text[:start] + text[end:])
    shown = run("test", str(template), "--mutate").output
    assert (
        "survived drop-check: without snp.signing_key equals VCEK" in shown
        and f"policy.yaml:{line}:9" in shown
    )
    assert "not shown false: snp.signing_key equals VCEK" in shown
    run("test", str(template), "--full-coverage", code=1)
    run("test", str(template), "--min-score", "100", code=1)


def test_junit(template: Path, tmp_path: Path) -> None:
    change(template / "cases.yaml", "lease: 12h", "lease: 11h")
    run("test", str(template), "--junit", str(tmp_path / "out.xml"), code=1)
    (suite,) = ET.parse(tmp_path / "out.xml").getroot()
    assert suite.attrib["tests"] == "19" and suite.attrib["failures"] == "1"
    (failure,) = suite.findall("testcase/failure")
    assert failure.attrib["message"] == "expected a lease of 11h, found 12h"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("product: Genoa", "product: Rome", "expected Milan or Genoa or Turin, found 'Rome'"),
        ("product: Genoa", "level: OutOfDate", "takes product, signing_key, format only"),
        ("product: Genoa", "set: {vmlp: 1}", "did you mean 'vmpl'?"),
        ("policy: policy.yaml", "policy: polcy.yaml", "no such file"),
        ("policy: policy.yaml", "policy: references.yaml", "expected one release policy or baseline"),
        ("vm-images/snp-image", "vm-images/snp-imag", "did you mean snp-image?"),
    ],
)
def test_what_cannot_be_run_says_why(template: Path, old: str, new: str, said: str) -> None:
    change(template / "cases.yaml", old, new)
    assert said in run("test", str(template), code=2).output


def test_a_file_that_holds_no_cases(template: Path) -> None:
    assert "expected cases" in run("test", str(template / "policy.yaml"), code=2).output


def test_machines_can_differ(template: Path) -> None:
    (template / "cases.yaml").write_text(f"""\
sealgate: policy-cases/1
policy: policy.yaml
documents: [references.yaml]
at: {AT}
cases:
  - name: old SNP machine
    evidence: {{simulate: sev-snp, set: {{tcb: 10.0.22.84}}, entries: [vm-images/snp-image]}}
    expect: {{verdict: refused, reason: snp.tcb-floor.genoa}}
  - name: a VLEK, and a debug guest, signed
    evidence: {{simulate: sev-snp, signing_key: VLEK, set: {{policy: 0xB0000}}}}
    expect: {{verdict: refused, reasons: [snp.debug-off, snp-vm/snp.signing_key]}}
  - name: old report
    evidence: {{simulate: sev-snp, format: 2, entries: [vm-images/snp-image]}}
    expect: {{verdict: refused, reasons: [snp.report-version]}}
  - name: old TDX platform
    evidence: {{simulate: tdx, level: OutOfDate, entries: [vm-images/tdx-image]}}
    expect: {{verdict: refused, reasons: [tdx.tcb-status]}}
  - name: quote of version 5
    evidence: {{simulate: tdx, format: 5, entries: [vm-images/tdx-image]}}
    expect: {{verdict: accepted}}
""")
    run("test", str(template))
