"""A served gateway contains its readers, says so, and leaves none behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.e2e.support import PATH, SNP, serving
from tests.support import ROOT

MEASURES = {"no_new_privs", "landlock", "rlimits", "seccomp"}


def zygotes(pid: int) -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process(pid).children(recursive=True)
        if "gateway.containment.zygote" in each.cmdline()
    ]


def gone(processes: list[psutil.Process]) -> bool:
    until = time.monotonic() + 20
    while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_readers_are_contained_and_end_with_the_gateway(tmp_path: Path) -> None:
    """With SIGTERM; what a kill leaves is `tests/integration/test_containment.py`'s."""
    with serving(tmp_path) as server:
        server.provide()
        assert server.guest(SNP).get([PATH])
        told = server.anonymous.get("/readyz")["containment"]
        assert told.keys() == {"mode", *MEASURES}
        assert told["mode"] == "best-effort"  # development
        assert all(told[name].startswith("on") for name in MEASURES)
        assert all(each.environ().keys() <= {"LC_ALL"} for each in zygotes(server.process.pid))
        found = [*zygotes(server.process.pid)]
        readers = [child for each in found for child in each.children()]
        assert found and readers
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        assert gone([*found, *readers])


def test_doctor_lists_what_contains_them(tmp_path: Path) -> None:
    with serving(tmp_path, development=False) as server:
        server.anonymous.get("/healthz")
        command = [sys.executable, "-m", "gateway", "admin", "doctor", "--gateway", server.url]
        environ = {**os.environ, "SEALGATE_ADMIN_TOKEN": server.token}
        text = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        ).stdout
        assert "readers of evidence are contained: required" in text
        for name in MEASURES:
            assert f"    {name:<13} on" in text
        value = json.loads(
            subprocess.run(
                [*command, "--json"], cwd=ROOT, env=environ, capture_output=True, check=True
            ).stdout
        )
        assert value["containment"]["seccomp"] == "on"


def test_off_is_said(tmp_path: Path) -> None:
    config = tmp_path / "sealgate.toml"
    config.write_text('[containment]\nmode = "off"\n')
    with serving(tmp_path, "--config", str(config)) as server:
        assert server.anonymous.get("/readyz")["containment"] == {"mode": "off"}
        assert zygotes(server.process.pid) == []
