"""`sealgate verify` and `inspect` as users run them: another process, real files, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.unit.gateway.cli.world import AT, DATA, KEYS, snp_files, tdx_files, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "tdx", tdx_files())
    return write(tmp_path / "snp", snp_files())


def sealgate(
    *args: object, stdin: bytes = b"", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gateway", *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        timeout=60,
        check=False,
    )


def test_the_four_exit_codes(folder: Path) -> None:
    report = folder / "report.bin"
    good = ("--collateral", folder, "--at", AT, "--json")
    assert sealgate("verify", report, *good, "--development").returncode == 0
    assert sealgate("verify", report, *good).returncode == 1
    assert sealgate("verify", folder / "nothing", *good).returncode == 2
    assert sealgate("verify", report, "--at", AT, "--json").returncode == 3


def test_json_on_standard_output_and_nothing_else(folder: Path) -> None:
    done = sealgate(
        "verify", folder / "report.bin", "--collateral", folder, "--at", AT, "--json", "--development"
    )
    assert json.loads(done.stdout).keys() == KEYS
    assert done.stderr == b""


def test_malformed_evidence_on_standard_input() -> None:
    done = sealgate("verify", "-", "--json", stdin=b"<html>")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (2, "malformed")
    assert (done.stderr.count(b"\n"), b"Traceback" in done.stderr) == (1, False)


def test_a_quote_with_its_collateral(folder: Path) -> None:
    quotes = folder.parent / "tdx"
    options = ("--collateral", quotes, "--at", AT, "--development", "--report-data", DATA.hex())
    done = sealgate("verify", quotes / "quote.bin", *options)
    assert done.returncode == 0
    assert done.stdout.decode().startswith("SIMULATED ACCEPTED (identity not checked)")


def test_a_terminal_that_knows_ascii_only_gets_question_marks(folder: Path) -> None:
    done = sealgate(
        "verify",
        folder / "report.bin",
        "--at",
        AT,
        environment={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 3
    assert done.stdout.isascii()


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    command = [sys.executable, "-m", "gateway", "inspect", str(folder / "report.bin")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_verify_loads_no_server_and_no_socket_library(folder: Path) -> None:
    program = (
        "import sys; from gateway.__main__ import cli\n"
        f"try: cli.main(['verify', {str(folder / 'report.bin')!r}, '--json'])\n"
        "except SystemExit: pass\n"
        "unwanted = {'flask', 'granian', 'sqlite3', 'http.client', 'urllib.request', 'urllib3'}\n"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.stdout.decode().strip().splitlines()[-1] == "[]"


def test_help_lists_the_commands() -> None:
    done = sealgate("--help")
    assert done.returncode == 0
    assert {b"verify", b"inspect"} <= set(done.stdout.split())
