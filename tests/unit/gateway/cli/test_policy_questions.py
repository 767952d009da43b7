"""`sealgate policy explain`, `diff` and `prove`, as their users call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.cli.world import AT, DATA, HOST_DATA, POLICY, run, snp, snp_files, write


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def asked(*words: str) -> tuple[int, Any]:
    done = run("policy", *words, "--json")
    return done.code, done.json


# --- diff ------------------------------------------------------------------------------------------


def test_a_policy_does_not_differ_from_itself(tmp_path: Path) -> None:
    policy = written(tmp_path, "a.yaml", POLICY)
    done = run("policy", "diff", policy, policy)
    assert done.code == 0
    assert done.out.count("nothing (proved over all evidence") == 2


def test_what_is_newly_allowed_is_shown_with_what_stood_against_it(tmp_path: Path) -> None:
    before = written(tmp_path, "a.yaml", POLICY)
    assert POLICY.count("snp.vmpl: {equals: 0}") == 1
    after = written(tmp_path, "b.yaml", POLICY.replace("snp.vmpl: {equals: 0}", "snp.vmpl: {in: [0, 1]}"))
    done = run("policy", "diff", before, after, "--at", AT)
    assert done.code == 1
    assert "NEWLY ALLOWED   by pod" in done.out
    assert "before: pod/snp.vmpl   expected 0, found 1" in done.out
    assert f"NEWLY REFUSED   nothing (proved over all evidence, at {AT})" in done.out
    code, (found,) = asked("diff", after, before, "--at", AT)
    assert code == 1
    assert found["newly_allowed"] == []
    (change,) = found["newly_refused"]
    assert change["witness"]["claims"]["snp.vmpl"] == 1
    assert change["witness"]["claims"]["snp.host_data"] == HOST_DATA.hex()


def test_paths_and_leases_are_differences_too(tmp_path: Path) -> None:
    before = written(tmp_path, "a.yaml", POLICY)
    text = POLICY.replace("secrets: [db/password]", "secrets: [db/password, db/tls]").replace(
        "lasts: 12h", "lasts: 2h"
    )
    code, (found,) = asked("diff", before, written(tmp_path, "b.yaml", text), "--at", AT)
    assert code == 1
    assert (found["newly_allowed"], found["newly_refused"]) == ([], [])
    assert found["other"] == [
        "paths: + db/tls",
        "lease: 12h, renewed every 1h before, 2h, renewed every 1h after",
    ]


def test_a_policy_that_is_only_on_one_side_is_named(tmp_path: Path) -> None:
    before = written(tmp_path, "a.yaml", POLICY)
    done = run(
        "policy", "diff", before, written(tmp_path, "b.yaml", POLICY.replace("name: db\n", "name: other\n"))
    )
    assert done.code == 1
    assert "db is gone: db/password" in done.out
    assert "other is new: db/password" in done.out


@pytest.mark.parametrize("words", [["diff", "no-such-file", "no-such-file"], ["prove", "no-such-file"]])
def test_files_that_cannot_be_read_are_one_line(words: list[str]) -> None:
    done = run("policy", *words)
    assert done.code == 2
    assert done.err.startswith("sealgate: no-such-file: ")
    assert "Traceback" not in done.err


# --- prove -----------------------------------------------------------------------------------------


def test_the_standard_properties_are_proved(tmp_path: Path) -> None:
    code, found = asked("prove", written(tmp_path, "a.yaml", POLICY))
    assert code == 0
    assert [each["property"] for each in found] == [
        "never-debug",
        "never-below-baseline",
        "never-without-revocation",
        "never-unlisted-guest",
        "never-unlisted-workload",
    ]
    assert all(each["proved"] for each in found)


def test_a_condition_of_ones_own_has_a_counterexample_or_not(tmp_path: Path) -> None:
    policy = written(tmp_path, "a.yaml", POLICY)
    code, (found,) = asked("prove", policy, "--never", "{snp.product: {equals: Turin}}")
    assert (code, found["proved"]) == (0, True)
    code, (found,) = asked("prove", policy, "--never", "{snp.signing_key: {equals: VLEK}}")
    assert code == 1
    assert "snp.signing_key" not in found["counterexample"]["claims"] or (
        found["counterexample"]["claims"]["snp.signing_key"] == "VLEK"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--property", "never-mind"], "--property: expected one of never-debug"),
        (["--never", "{snp.prduct: {equals: Milan}}"], "did you mean snp.product"),
        (
            ["--never", "{snp.product: {equals: Milan}}\n---\n{snp.vmpl: {equals: 0}}"],
            "one condition is expected",
        ),
        (["--never", "{"], "--never"),
        (["--at", "yesterday"], "--at"),
    ],
)
def test_questions_that_make_no_sense_are_refused(tmp_path: Path, words: list[str], said: str) -> None:
    done = run("policy", "prove", written(tmp_path, "a.yaml", POLICY), *words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


# --- explain ---------------------------------------------------------------------------------------


def explained(folder: Path, report: bytes, *words: str) -> tuple[str, ...]:
    write(folder, {**snp_files(), "report.bin": report, "policy.yaml": POLICY.encode()})
    files = [f"--collateral={folder / name}" for name in ("vcek.der", "crl.der")]
    return ("explain", str(folder / "report.bin"), str(folder / "policy.yaml"), *files, "--at", AT, *words)


def test_accepted_evidence_needs_no_change(tmp_path: Path) -> None:
    done = run("policy", *explained(tmp_path, snp().report(DATA), "--development"))
    assert done.code == 0, done.err
    assert done.out.startswith("ACCEPTED")
    assert "smallest changes" not in done.out


def test_the_smallest_change_of_a_refused_guest_is_shown(tmp_path: Path) -> None:
    debug = snp().report(DATA, policy=0xB0000)
    code, (found,) = asked(*explained(tmp_path, debug, "--development"))
    assert (code, found["reason"]) == (1, "snp.debug-off")
    assert found["flips"] == [{"snp.policy.debug": {"from": True, "to": False}}]
    assert found["flips_complete"] is True
    assert found["waivers"] == []
    done = run("policy", *explained(tmp_path, debug, "--development"))
    assert "in the evidence   snp.policy.debug: true → false" in done.out
    assert "no accepted risk can cover" in done.out


def test_a_missing_crl_could_be_fetched_or_waived(tmp_path: Path) -> None:
    words = [
        word for word in explained(tmp_path, snp().report(DATA), "--development") if "crl.der" not in word
    ]
    done = run("policy", *words)
    assert done.code == 3
    assert "accept snp.revocation in pod, until" in done.out
    assert "in the evidence   collateral.amd_crl: missing → checked" in done.out


def test_what_the_verifier_found_is_not_for_policies_to_change(tmp_path: Path) -> None:
    flipped = bytearray(snp().report(DATA))
    flipped[0x50] ^= 1
    done = run("policy", *explained(tmp_path, bytes(flipped), "--development"))
    assert done.code == 1
    assert "not authentic" in done.out
    assert "in the evidence" not in done.out
    done = run("policy", *explained(tmp_path, snp().report(DATA)))
    assert done.code == 1
    assert "no policy can change what the verifier found" in done.out or "not authentic" in done.out


def test_a_secret_that_no_policy_owns_is_said(tmp_path: Path) -> None:
    done = run("policy", *explained(tmp_path, snp().report(DATA), "--development", "--secret", "other/path"))
    assert done.code == 2
    assert "expected a release policy that owns other/path, found none" in done.err
