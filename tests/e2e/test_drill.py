"""`sealgate admin drill`: the short form as a user runs it, and against a gateway that runs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

from gateway.demo.process import running
from gateway.lab.drill.lines import LINES
from tests.support import ROOT

COMMAND = [sys.executable, "-m", "gateway", "admin", "drill"]


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=600)


def test_every_line_of_the_short_drill_ends_as_promised() -> None:
    done = drill("--short", "--json")
    told = json.loads(done.stdout)
    assert [row["name"] for row in told["rows"]] == [line.name for line in LINES if line.short]
    assert [row for row in told["rows"] if not row["as_promised"]] == []
    assert (done.returncode, told["good"]) == (0, True)
    for row in told["rows"]:
        assert row["vendor_calls"] > 0


def test_people_see_one_line_each() -> None:
    done = drill("--only", "forged", "--only", "cold")
    assert done.returncode == 0
    assert "SIMULATED" in done.stdout
    assert re.search(r"^  1  signatures are wrong .*refused as not-genuine .* ✓", done.stdout, re.MULTILINE)
    assert "2 of 2 lines ended as promised" in done.stdout


def test_lines_are_listed_and_the_runbook_has_every_one() -> None:
    listed = drill("--list").stdout
    page = (ROOT / "gateway" / "lab" / "README.md").read_text()
    named = set(re.findall(r"`([a-z0-9-]+)`", page))
    for line in LINES:
        assert f"\n{line.name} " in f"\n{listed}"
        assert line.name in named or f"-{line.name.split('-', 1)[-1]}" in named, line.name


def test_a_line_that_does_not_exist_is_named() -> None:
    done = drill("--only", "flood")
    assert (done.returncode, done.stdout.count("✓")) == (2, 0)
    assert "found 'flood'" in done.stderr


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody has."""
    for first in range(21_000, 30_000, 10):
        try:
            for port in range(first, first + count):
                with socket.socket() as tried:
                    tried.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def test_a_gateway_that_runs_is_drilled_through_its_own_interfaces(tmp_path: Path) -> None:
    first = free_ports(5)
    config = tmp_path / "gateway.toml"
    config.write_text(
        "[collateral]\n"
        f'amd = "http://127.0.0.1:{first + 1}"\n'
        f'intel = "http://127.0.0.1:{first + 2}"\n'
        f'intel_certificates = "http://127.0.0.1:{first + 3}"\n'
        "amd_seconds = 0\n"
    )
    with running(tmp_path / "gateway", development=True, options=("--config", str(config))) as gateway:
        token = tmp_path / "gateway" / "admin-token"
        done = drill(
            "--gateway", gateway.url, "--token-file", str(token), "--listen", f"127.0.0.1:{first}", "--json"
        )
        told = json.loads(done.stdout)
        assert [row for row in told["rows"] if not row["as_promised"]] == []
        assert (done.returncode, len(told["rows"])) == (0, 1 + sum(line.fault is not None for line in LINES))


def test_a_production_gateway_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path / "gateway", development=False) as gateway:
        token = tmp_path / "gateway" / "admin-token"
        done = drill("--gateway", gateway.url, "--token-file", str(token), "--listen", "127.0.0.1:0")
        assert done.returncode == 2
        assert "expected a gateway in development mode" in done.stderr
        assert gateway.admin.get("/v1/admin/secrets")["secrets"] == []
