"""Trustee's reference values and policies: what maps is exact, every other line is reported."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies import trustee_policy, trustee_values
from tests.support import VECTORS, needs_vectors
from tests.unit.gateway.cli.world import run
from verifiers.errors import AttestationError
from verifiers.model import TeeKind

HEX = "ab" * 48


def rows(value: object) -> tuple[list[dict[str, str]], list[str], datetime | None]:
    found = trustee_values.read([("rv.json", json.dumps(value).encode())])
    made, lost, ends = trustee_values.rows(found)
    return [{key: cell.text for key, cell in row.cells.items()} for row in made], lost, ends


def test_launch_measurements_in_hex_and_base64() -> None:
    raw = base64.b64encode(b"b" * 48).decode()
    made, lost, _ = rows({"snp_launch_measurement": [HEX, raw, HEX.upper()]})
    assert [row["snp.measurement"] for row in made] == [f"sha384:{HEX}", f"sha384:{(b'b' * 48).hex()}"]
    assert lost == []


@pytest.mark.parametrize(
    "value", ["cc" * 32, "x", "", 3, None, {"a": 1}, base64.b64encode(b"b" * 32).decode()]
)
def test_what_is_no_measurement_is_not_guessed(value: object) -> None:
    made, lost, _ = rows({"snp_launch_measurement": [value]})
    assert made == [] and lost[0].startswith("snp_launch_measurement[0]")


def test_tdx_registers_hold_together_in_every_listed_combination() -> None:
    made, lost, _ = rows({"mr_td": [HEX], "rtmr_1": ["11" * 48, "12" * 48], "rtmr_2": ["22" * 48]})
    assert [(row["tdx.rtmr1"][7:9], row["tdx.rtmr2"][7:9]) for row in made] == [("11", "22"), ("12", "22")]
    assert "RTMR0" in lost[0]
    made, lost, _ = rows({"mr_td": [HEX]})
    assert made == [] and "rtmr_1, rtmr_2 missing" in lost[0]
    many = [f"{n:096x}" for n in range(17)]
    made, lost, _ = rows({"mr_td": many, "rtmr_1": many, "rtmr_2": [HEX]})
    assert made == [] and "289 combinations" in lost[0]


def test_records_and_messages_and_their_expiry() -> None:
    record = {
        "version": "0.1.0",
        "name": "snp_launch_measurement",
        "expiration": "2027-03-01T00:00:00Z",
        "value": [HEX],
    }
    other = {**record, "name": "svn", "expiration": "2026-01-01T00:00:00Z"}
    made, lost, ends = rows([record, other])
    assert len(made) == 1 and lost == ["svn: no counterpart is known"]
    assert ends == datetime(2027, 3, 1, tzinfo=UTC)
    payload = base64.b64encode(json.dumps({"snp_launch_measurement": [HEX]}).encode()).decode()
    assert len(rows({"version": "0.1.0", "type": "sample", "payload": payload})[0]) == 1


@pytest.mark.parametrize(
    "value",
    [
        3,
        [3],
        {"type": "swid", "payload": ""},
        {"type": "sample", "payload": "!"},
        {"type": "sample", "payload": base64.b64encode(b"[").decode()},
        {"name": 3, "value": []},
        {"name": "a", "value": [], "expiration": "tomorrow"},
        {"name": "a", "value": [], "expiration": "0001-01-01T00:00:00+23:00"},
        [{"a": 1}, {"a": 2}],
    ],
)
def test_bad_files_are_refused(value: object) -> None:
    with pytest.raises(AttestationError):
        rows(value)


@needs_vectors("kbs")
def test_the_published_message() -> None:
    admin = json.loads((VECTORS / "kbs" / "admin" / "admin.json").read_text())
    bodies = [r["body"] for r in admin["requests"] if r["path"] == "/kbs/v0/reference-value"]
    made, lost, _ = rows(bodies[0])
    assert [row["snp.measurement"] for row in made] == [f"sha384:{'aa' * 48}"] and lost == []


# --- policies --------------------------------------------------------------------------------------

SNP = """\
package policy
import rego.v1
default executables := 33
trust_claims := {
	"executables": executables,
}
executables := 3 if {
	input.snp
	# a comment
	input.snp.evidence.measurement in query_reference_value("snp_launch_measurement")
}
configuration := 2 if {
	input.snp
	input.snp.evidence.policy.debug_allowed == false
	input.snp.evidence.policy.migrate_ma_allowed == false
	input.snp.evidence.policy.smt_allowed == query_reference_value("snp_smt_allowed")
	input.snp.evidence.policy.abi_major == query_reference_value("snp_guest_abi_major")
	input.snp.evidence.policy.abi_minor == query_reference_value("snp_guest_abi_minor")
}
"""
TDX = """\
hardware := 2 if {
	input.tdx
	input.tdx.quote.header.tee_type == "81000000"
	input.tdx.quote.body.mr_td in query_reference_value("mr_td")
	input.tdx.tcb_status == "UpToDate"
	input.tdx.td_attributes.debug == false
	input.tdx.quote.body.xfam in query_reference_value("xfam")
}
"""
AFFIRMING = """\
package policy
default allow = false
allow if {
    not any_not_affirming
    count(input.submods) > 0
}
any_not_affirming if {
    some _, submod in input.submods
    submod["ear.status"] != "affirming"
}
"""
VALUES = {
    "snp_smt_allowed": [True],
    "snp_guest_abi_major": [1],
    "snp_guest_abi_minor": [55],
    "xfam": ["E702060000000000"],
}


def shape(*texts: str, values: dict[str, list[object]] | None = None) -> trustee_policy.Shape:
    files = [(f"{n}.rego", text) for n, text in enumerate(texts)]
    return trustee_policy.read(files, "guests", VALUES if values is None else values)  # type: ignore[arg-type]


def test_the_known_lines_become_conditions() -> None:
    found = shape(SNP, TDX, AFFIRMING)
    assert trustee_policy.report(found) == []
    assert found.rules == {
        TeeKind.SEV_SNP: [
            "guest: {in_set: guests}",
            "snp.policy.debug: {equals: false}",
            "snp.policy.migrate_ma: {equals: false}",
            "snp.policy.smt: {equals: true}",
            "snp.policy.abi: {equals: 1.55}",
        ],
        TeeKind.TDX: [
            "guest: {in_set: guests}",
            "tdx.tcb.status: {equals: UpToDate}",
            "tdx.td_attributes.debug: {equals: false}",
            "tdx.xfam: {in: [hex:e702060000000000]}",
        ],
    }


@pytest.mark.parametrize(
    "line, why",
    [
        ('input.snp.evidence.reported_tcb.snp in query_reference_value("snp_snp_svn")', "a floor"),
        ("input.snp.evidence.policy.debug_allowed == true", "not part"),
        ('input.snp.evidence.policy.debug_allowed == query_reference_value("d")', "not part"),
        ("not input.snp.evidence.policy.debug_allowed == false", "not part"),
        ('input.snp.evidence.measurement in query_reference_value("other")', "not part"),
        ("input.snp.evidence.policy.debug_allowed == false; true", "not part"),
    ],
)
def test_every_other_line_is_reported_with_its_place(line: str, why: str) -> None:
    found = shape(f"hardware := 2 if {{\n\tinput.snp\n\t{line}\n}}\n")
    ((where, text, said),) = found.unmapped
    assert where == "0.rego:3" and text == line and why in said
    assert found.rules == {TeeKind.SEV_SNP: []}


@pytest.mark.parametrize(
    "line",
    [
        'input.tdx.quote.body.mr_td in query_reference_value("rtmr_1")',
        'input.tdx.quote.body.rtmr_3 in query_reference_value("rtmr_3")',
        'input.tdx.tcb_status == "OutOfDate"',
        "input.tdx.td_attributes.debug == true",
    ],
)
def test_every_other_line_about_tdx_is_reported(line: str) -> None:
    found = shape(f"hardware := 2 if {{\n\tinput.tdx\n\t{line}\n}}\n")
    assert [text for _, text, _ in found.unmapped] == [line] and found.rules == {TeeKind.TDX: []}


def test_values_that_are_not_given_are_not_guessed() -> None:
    found = shape(SNP, TDX, values={})
    assert [why.split(",")[0] for _, _, why in found.unmapped] == [
        "needs snp_smt_allowed",
        "needs snp_guest_abi_major",
        "needs snp_guest_abi_minor",
        "needs xfam",
    ]


def test_alternatives_and_foreign_evidence_are_reported() -> None:
    text = SNP + "else := 3 if {\n\tinput.snp\n}\nhardware := 2 if {\n\tinput.se\n}\nallow := true\n"
    whys = [why for _, _, why in shape(text).unmapped]
    assert "asks for more" in whys[0] and "no evidence se here" in whys[2] and "not part" in whys[-1]
    assert "any genuine TEE passes" in trustee_policy.report(shape(SNP))[-1]


# --- as a user -------------------------------------------------------------------------------------


def test_migration_lists_what_the_original_leaves_open(tmp_path: Path) -> None:
    (tmp_path / "rv.json").write_text(json.dumps({"snp_launch_measurement": [HEX], **VALUES}))
    (tmp_path / "as.rego").write_text(SNP)
    (tmp_path / "rp.rego").write_text(AFFIRMING)
    sets, policy = tmp_path / "set.yaml", tmp_path / "policy.yaml"
    about = ("--name", "guests", "--owner", "a@acme.example", "--until", "2096-01-01T00:00:00Z")
    made = run("reference", "import", "--trustee", tmp_path / "rv.json", *about, "--out", sets)
    assert made.code == 0 and "not taken over: xfam" in made.err
    words = ("policy", "import", "--trustee", tmp_path / "as.rego", "--trustee", tmp_path / "rp.rego")
    more = ("--reference", sets, "--values", tmp_path / "rv.json", "--secret", "db/*", "--out", policy)
    ran = run(*words, *more, *about[:4])
    assert ran.code == 1 and "minimum.workload" in ran.err and "minimum.tcb-floor" in ran.err
    text = policy.read_text()
    assert "accept_risk" not in text
    mine = ["snp.product: {equals: Genoa}", "snp.vmpl: {equals: 0}", "snp.host_data: {equals: zero}"]
    policy.write_text(text + "".join(f"      - {condition}\n" for condition in mine))
    assert run("policy", "check", sets, policy).code == 0


def test_lines_that_do_not_map_stop_the_policy(tmp_path: Path) -> None:
    (tmp_path / "rv.json").write_text(json.dumps({"snp_launch_measurement": [HEX]}))
    (tmp_path / "as.rego").write_text(SNP)
    sets, policy = tmp_path / "set.yaml", tmp_path / "policy.yaml"
    about = ("--name", "guests", "--owner", "a@acme.example")
    run(
        "reference",
        "import",
        "--trustee",
        tmp_path / "rv.json",
        *about,
        "--until",
        "2096-01-01T00:00:00Z",
        "--out",
        sets,
    )
    words = (
        "policy",
        "import",
        "--trustee",
        tmp_path / "as.rego",
        "--reference",
        sets,
        "--secret",
        "db/*",
        *about,
    )
    ran = run(*words, "--out", policy)
    assert ran.code == 2 and "as.rego:16" in ran.err and not policy.exists()
    assert run(*words, "--out", policy, "--partial").code == 1 and policy.exists()
