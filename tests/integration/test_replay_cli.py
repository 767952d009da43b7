"""`sealgate verify --replay`: what people and scripts are told, from a file and from a gateway's folder."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.http.handlers import Site
from tests.e2e.support import SNP, TDX
from tests.integration.test_replay import MACHINES, attempted, given, opened, out_of_date, site_bundle
from tests.unit.gateway.cli.world import run, write


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path / "state") as made:
        yield made


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kw: object) -> Any:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)


def saved(site: Site, folder: Path, machine: Any, *, newer: bytes | None = None) -> Path:
    attempt = attempted(site, machine)
    if newer is not None:
        given(site, newer)
    path = folder / "bundle.json"
    path.write_bytes(site_bundle(site, attempt, with_now=newer is not None))
    return path


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(
    ("name", "code"), [("snp", 0), ("tdx", 0), ("snp, debug", 1), ("tdx, out of date", 1)]
)
def test_a_file_is_enough(site: Site, tmp_path: Path, name: str, code: int) -> None:
    path = saved(site, tmp_path, MACHINES[name])
    ran = run("verify", "--replay", path)
    assert (ran.code, ran.err) == (code, "")
    assert ran.out.startswith("SIMULATED IDENTICAL   " + ("accepted" if code == 0 else "refused"))
    assert "collateral: that day's, every object as then" in ran.out
    found = run("verify", "--replay", path, "--json").json
    assert (found["identical"], found["checks"], found["members"]) == (True, [], [])
    assert found["verdict"]["was"] == found["verdict"]["is"] == found["result"]["verdict"]
    assert found["collateral"] == {"only_then": [], "only_now": []}


@pytest.mark.usefixtures("no_sockets")
def test_the_gateways_folder_is_enough(site: Site, tmp_path: Path) -> None:
    attempt = attempted(site, SNP)
    ran = run("verify", "--replay", attempt, "--data", tmp_path / "state")
    assert (ran.code, ran.out.split("   ")[0]) == (0, "SIMULATED IDENTICAL")
    assert attempt in ran.out
    gone = run("verify", "--replay", "0000-0000-0000-0000", "--data", tmp_path / "state")
    assert (gone.code, "[request.not-found]" in gone.err) == (2, True)
    elsewhere = run("verify", "--replay", attempt, "--data", tmp_path / "nothing")
    assert (elsewhere.code, "[store.absent]" in elsewhere.err) == (2, True)


def test_todays_collateral_is_set_against_that_days(site: Site, tmp_path: Path) -> None:
    path = saved(site, tmp_path, TDX, newer=out_of_date())
    ran = run("verify", "--replay", path, "--with-collateral", "now")
    first = ran.out.splitlines()[0]
    assert (ran.code, first.split("   ")[:2]) == (1, ["SIMULATED DIFFERENT", "was accepted, is refused"])
    assert first.endswith("tdx.tcb-status")
    assert "✗ tdx.tcb-status: passed → failed" in ran.out
    assert ran.out.count("only then  tcb-info sha256:") == ran.out.count("only now   tcb-info sha256:") == 1
    found = run("verify", "--replay", path, "--with-collateral", "now", "--json").json
    assert (found["verdict"], found["identical"]) == ({"was": "accepted", "is": "refused"}, False)
    (change,) = (each for each in found["checks"] if each["id"] == "tdx.tcb-status")
    assert (change["was"]["outcome"], change["is"]["outcome"]) == ("passed", "failed")
    assert found["at"]["was"] < found["at"]["is"]


def test_collateral_in_files_counts_as_todays(site: Site, tmp_path: Path) -> None:
    path = saved(site, tmp_path, SNP)
    folder = write(tmp_path / "given", {"crl.der": SNP.crl(number=7)})
    ran = run("verify", "--replay", path, "--with-collateral", "now", "--collateral", folder)
    assert (ran.code, "only now   crl sha256:" in ran.out) == (0, True)
    assert ran.out.startswith("SIMULATED")


def test_a_later_time_is_said(site: Site, tmp_path: Path) -> None:
    path = saved(site, tmp_path, SNP)
    ran = run("verify", "--replay", path, "--at", "2099-01-01T00:00:00Z")
    assert (ran.code, "! time 2099-01-01T00:00:00Z; then 20" in ran.out) == (1, True)
    assert "snp.chain-dates: passed → failed" in ran.out


def test_another_verifier_is_said(site: Site, tmp_path: Path) -> None:
    """A bundle from other code, by which one check had come out otherwise."""
    path = saved(site, tmp_path, SNP)
    value = json.loads(path.read_bytes())
    value["record"]["replay"]["verifier"] = "0.0.9 0123456789abcdef"
    value["record"]["checks"][0]["found"] = "something else"
    path.write_text(json.dumps(value))
    ran = run("verify", "--replay", path)
    assert ran.code == 0
    assert "; then 0.0.9 0123456789abcdef" in ran.out
    assert "so it is the verifier that decides otherwise" in ran.out
    value["record"]["replay"]["verifier"] = run("verify", "--replay", path, "--json").json["verifier"]["is"]
    path.write_text(json.dumps(value))
    assert "please report this" in run("verify", "--replay", path).out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("evidence.bin",), "expected none of EVIDENCE"),
        (("--event-log", "x"), "expected none of EVIDENCE"),
        (("--policy", "x"), "expected none of EVIDENCE"),
        (("--development",), "expected none of EVIDENCE"),
        (("--config", "x"), "--fetch, --config and --development"),
        (("--at", "yesterday"), "--at: expected a time"),
        (("--with-collateral", "now"), "expected a bundle that was exported with today's collateral"),
        (("--collateral", "x"), "expected --with-collateral now"),
    ],
)
def test_wrong_usage(site: Site, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    ran = run("verify", "--replay", saved(site, tmp_path, SNP), *options)
    assert (ran.code, said in ran.err) == (2, True)


def test_neither_evidence_nor_replay() -> None:
    ran = run("verify")
    assert (ran.code, "expected EVIDENCE, or --replay" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(b"", "replay.malformed"), (b"{}", "replay.malformed"), (b"\x00" * 99, "replay.malformed")],
)
def test_garbage_is_one_line(tmp_path: Path, raw: bytes, reason: str) -> None:
    path = write(tmp_path, {"bundle.json": raw}) / "bundle.json"
    ran = run("verify", "--replay", path)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert f"[{reason}]" in ran.err
    missing = run("verify", "--replay", tmp_path / "nothing")
    assert (missing.code, "no such file" in missing.err) == (2, True)


def test_a_tampered_object_is_named(site: Site, tmp_path: Path) -> None:
    path = saved(site, tmp_path, SNP)
    value = json.loads(path.read_bytes())
    value["collateral"][0]["source"] = "AAAA"
    path.write_text(json.dumps(value))
    ran = run("verify", "--replay", path)
    assert (ran.code, "[replay.altered]" in ran.err, value["collateral"][0]["sha256"] in ran.err) == (
        2,
        True,
        True,
    )
    value["collateral"][0]["source"] = None
    path.write_text(json.dumps(value))
    ran = run("verify", "--replay", path)
    assert (ran.code, "[replay.incomplete]" in ran.err, value["collateral"][0]["sha256"] in ran.err) == (
        2,
        True,
        True,
    )
