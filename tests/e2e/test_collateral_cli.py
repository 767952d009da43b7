"""`sealgate collateral` as operators run it: a gateway that asks the vendor lab, bundles, refusals, codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters import SystemClock
from gateway.collateral import bundle
from gateway.lab import Lab
from gateway.simulator.amd import SnpMachine
from tests.e2e.support import NOW, SNP, TDX, Server, serving
from tests.support import ROOT


@dataclass(frozen=True)
class World:
    """A gateway that asks the lab, another that asks nobody, and evidence in files."""

    lab: Lab
    online: Server
    offline: Server
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("collateral")
    (folder / "snp.bin").write_bytes(SNP.report(bytes(64)))
    (folder / "tdx.bin").write_bytes(TDX.quote(bytes(64)))
    config = folder / "sealgate.toml"
    with Lab(SystemClock()) as lab:
        config.write_text(
            f'development = true\n[listen]\nworkers = 1\n[collateral]\namd = "{lab.urls.kds}"\n'
            f'intel = "{lab.urls.pcs}"\nintel_certificates = "{lab.urls.certificates}"\namd_seconds = 0\n'
        )
        with (
            serving(folder / "online", "--config", str(config)) as online,
            serving(folder / "offline", "--workers", "1") as offline,
        ):
            yield World(lab, online, offline, folder)


def run(server: Server, *arguments: object) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SEALGATE_GATEWAY": server.url, "SEALGATE_ADMIN_TOKEN": server.token}
    return subprocess.run(
        [sys.executable, "-m", "gateway", "collateral", *map(str, arguments)],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def parsed(server: Server, *arguments: object, code: int = 0) -> Any:
    done = run(server, *arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def refused(server: Server, *arguments: object, code: int = 2) -> str:
    """The one line that a failure is."""
    done = run(server, *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert done.stderr.startswith("sealgate: ")
    return done.stderr


@pytest.fixture(scope="module")
def packed(world: World) -> Path:
    """What both machines need, fetched by the gateway, in a bundle."""
    for name in ("snp.bin", "tdx.bin"):
        rows = parsed(world.online, "fetch", "--for", world.folder / name)
        assert {row["outcome"] for row in rows} == {"ok"}
    file = world.folder / "all.sgc"
    parsed(world.online, "export", file)
    return file


def signer(file: Path) -> str:
    with file.open("rb") as opened:
        return bundle.read_head(opened).signer


def test_fetch_has_the_gateway_ask_for_what_was_named(world: World) -> None:
    (row,) = parsed(world.online, "fetch", "amd/turin/crl/vlek")
    assert (row["kind"], row["key"], row["outcome"]) == ("amd.crl", "kind=vlek product=Turin", "ok")
    assert world.lab.journal.count("amd.crl") >= 1


def test_what_the_vendor_puts_off_is_said_and_stays_noted(world: World) -> None:
    rule = world.lab.set("intel.pck-crl", "throttled", retry_after=30, ca="processor")
    try:
        (row,) = parsed(world.online, "fetch", "intel/crl/processor", "--wait", "20", code=1)
        assert row["outcome"] == "throttled"
        assert row["again"] is not None
        found = parsed(world.online, "status")
        (want,) = [each for each in found["wants"] if each["key"] == "ca=processor"]
        assert want["outcome"] == "throttled"
        shown = run(world.online, "status").stdout
        assert "throttled" in shown
        assert "open until" in shown
    finally:
        world.lab.unset(rule)


def test_wrong_names_and_a_gateway_that_asks_nobody(world: World) -> None:
    assert "did you mean amd/genoa" in refused(world.online, "fetch", "amd/genoaa/crl")
    assert "asks no vendor" in refused(world.offline, "fetch", "amd/genoa/crl", code=1)


def test_status_is_sorted_by_what_ends_first_and_says_what_breaks(world: World, packed: Path) -> None:
    found = parsed(world.online, "status")
    ends = [row["usable_until"] for row in found["collateral"]]
    assert ends == sorted(ends)
    shown = run(world.online, "status").stdout
    assert "every TDX machine with FMSPC" in shown
    assert "\x1b[" not in shown, "colour only on a terminal"


def test_a_bundle_is_told_apart_and_checked_offline(world: World, packed: Path) -> None:
    (report,) = parsed(world.offline, "verify", packed, "--development", "--trust", signer(packed))
    assert (report["bundle"], report["trusted"], report["good"]) == (True, True, True)
    (report,) = parsed(world.offline, "verify", packed, "--development", "--trust", "x" * 43, code=1)
    assert report["trusted"] is False
    (report,) = parsed(world.offline, "verify", packed, code=1)
    assert {each["state"] for each in report["objects"]} == {"not-genuine"}, "simulated is not for production"
    late = (NOW + timedelta(days=60)).isoformat().replace("+00:00", "Z")
    (report,) = parsed(world.offline, "verify", packed, "--development", "--at", late, code=1)
    assert {"ended", "current"} == {each["state"] for each in report["objects"]}


def test_import_needs_a_key_that_was_named(world: World, packed: Path) -> None:
    line = refused(world.offline, "import", packed, code=1)
    assert signer(packed) in line
    assert "[collateral.bundle-untrusted]" in line


def test_an_import_goes_on_where_it_stopped_and_twice_changes_nothing(world: World, packed: Path) -> None:
    raw = packed.read_bytes()
    head, rest = bundle.split(raw)
    first = head.members[0]
    world.offline.admin.ask(
        "POST", "/v1/admin/collateral/bundle", head.raw + rest[: first.size], "application/octet-stream",
        {"trust": head.signer},
    )  # fmt: skip
    made = parsed(world.offline, "import", packed, "--trust", head.signer)
    assert [each["sha256"] for each in made if each["outcome"] == "held"] == [first.sha256]
    before = parsed(world.offline, "status")["generation"]
    assert {each["outcome"] for each in parsed(world.offline, "import", packed, "--trust", head.signer)} == {
        "held"
    }
    assert parsed(world.offline, "status")["generation"] == before
    again = world.folder / "again.sgc"
    parsed(world.offline, "export", again)
    assert again.read_bytes().split(b"\n", 3)[3] == raw.split(b"\n", 3)[3], (
        "out, in and out: the same contents"
    )
    assert signer(again) != head.signer


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: raw[:-1], "collateral.bundle-truncated"),
        (lambda raw: raw + b"\n", "collateral.bundle-surplus"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "collateral.bundle-member"),
        (lambda raw: raw.replace(b"Genoa", b"Milan", 1), "collateral.bundle-signature"),
    ],
    ids=["truncated", "surplus", "tampered", "relabelled"],
)
def test_a_damaged_bundle_is_not_begun_with(world: World, packed: Path, change: Any, reason: str) -> None:
    damaged = world.folder / "damaged.sgc"
    damaged.write_bytes(change(packed.read_bytes()))
    for command in ("import", "verify"):
        assert f"[{reason}]" in refused(world.offline, command, damaged)


def test_what_is_older_than_what_is_held_is_told_before_and_refused(world: World, packed: Path) -> None:
    """The exporter has what the vendor serves now; the other gateway got a newer CRL by hand."""
    parsed(world.offline, "import", packed, "--trust", signer(packed))
    newer = SnpMachine(at=NOW + timedelta(hours=6)).crl(this_update=NOW + timedelta(seconds=-1), number=10**9)
    file = world.folder / "newer.crl"
    file.write_bytes(newer)
    made = parsed(world.offline, "import", file)
    assert {each["outcome"] for each in made} == {"imported"}
    token = world.folder / "token"
    token.write_text(world.offline.token)
    asked = ("--development", "--gateway", world.offline.url, "--token-file", token)
    (report,) = parsed(world.offline, "verify", packed, *asked, code=1)
    assert [each["kind"] for each in report["objects"] if each["state"] == "older"] == ["amd.crl"]
    made = parsed(world.offline, "import", packed, "--trust", signer(packed), code=1)
    assert {each["reason"] for each in made if each["outcome"] == "refused"} == {"collateral.rollback"}


def test_prune_says_what_would_go_and_waits_for_a_yes(world: World) -> None:
    found = parsed(world.offline, "prune")
    assert (found["would"], found["pruned"]) == ([], None)
    assert parsed(world.offline, "prune", "--yes")["pruned"] == {"slots": 0, "objects": 0}


def test_a_file_is_not_overwritten(world: World, packed: Path) -> None:
    assert "exists already" in refused(world.online, "export", packed)
    assert "nothing of that is held" in refused(
        world.offline, "export", world.folder / "none.sgc", "amd/turin/crl", code=1
    )
    assert not (world.folder / "none.sgc").exists()
    assert not (world.folder / "none.sgc.part").exists()
