"""`sealgate sim vendor` and `sealgate sim fault` as a user runs them."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "gateway", "sim"]


@contextmanager
def vendor(*options: str) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen([*COMMAND, "vendor", "--json", *options], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, b"")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)


def status(url: str, context: ssl.SSLContext | None = None) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_vendors_run_until_they_are_stopped_and_faults_change_meanwhile() -> None:
    with vendor("--fault", "amd.crl:throttled,product=Milan") as lab:
        assert lab["simulated"] is True
        kds, control = lab["urls"]["kds"], lab["urls"]["control"]
        assert status(f"{kds}/vcek/v1/Milan/crl") == 429
        assert status(f"{kds}/vcek/v1/Genoa/crl") == 200
        done = run("fault", "--control", control, "--clear", "--json", "amd.crl:error,status=503")
        assert [each["fault"] for each in json.loads(done.stdout)["faults"]] == ["error"]
        assert status(f"{kds}/vcek/v1/Genoa/crl") == 503
        done = run("fault", "--control", control, "--clear", "--promote")
        assert "standard 21, early 21" in done.stdout and "nothing is wrong" in done.stdout
        assert status(f"{kds}/vcek/v1/Milan/crl") == 200


def test_https_with_the_certificate_that_it_writes(tmp_path: Path) -> None:
    with vendor("--https", str(tmp_path / "lab.pem")) as lab:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "lab.pem"))
        assert status(f"{lab['urls']['kds']}/vcek/v1/Genoa/crl", trusting) == 200


def test_people_are_told_what_to_configure_and_that_it_is_simulated() -> None:
    process = subprocess.Popen([*COMMAND, "vendor"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    shown = ""
    with process.stdout:
        for line in process.stdout:
            shown += line
            if line.startswith("Interrupt"):
                process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert shown.startswith("SIMULATED")
    assert "[collateral]" in shown and 'amd = "http://127.0.0.1:' in shown
    assert shown.endswith("stopped after 0 requests\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["vendor", "--listen", "0.0.0.0:0"], "loopback only"),
        (["vendor", "--listen", "nowhere"], "expected HOST:PORT"),
        (["vendor", "--listen", "127.0.0.1:70000"], "expected HOST:PORT"),
        (["vendor", "--listen", "vendor.example:0"], "--listen"),
        (["vendor", "--fault", "amd.crl"], "expected ENDPOINT:FAULT"),
        (["vendor", "--fault", "amd.crl:sour"], "expected stale"),
        (["vendor", "--https", "/nowhere/lab.pem"], "No such file"),
        (["fault", "--control", "http://127.0.0.1:1", "amd.crl:stale"], "refused"),
        (["fault", "--control", "ftp://x"], "expected a URL"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr and len(done.stderr.splitlines()) == 1
