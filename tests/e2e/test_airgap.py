"""Offline start with a bundle only: no socket leaves the machine, and everything that was imported counts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import serving
from tests.support import ROOT

WATCH = ROOT / "tests" / "e2e" / "watch"


def watched(log: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(WATCH), os.environ.get("PYTHONPATH", ""))))
    return {"PYTHONPATH": path, "SEALGATE_TEST_CONNECTS": str(log)}


def namespace() -> list[str]:
    """What runs a command without any network but a loopback of its own; [] where that is not allowed."""
    for options in (["--net"], ["--map-root-user", "--net"]):
        tool = shutil.which("unshare")
        if (
            tool
            and subprocess.run([tool, *options, "true"], capture_output=True, check=False).returncode == 0
        ):
            return [tool, *options]
    return []


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("airgap")
    log = folder / "connects"
    done = subprocess.run(
        [*namespace(), sys.executable, "-m", "tests.e2e.airgap", str(folder)],
        cwd=ROOT, env={**os.environ, **watched(log)}, capture_output=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    value = dict(json.loads(done.stdout))
    return value | {"connects": log.read_text() if log.exists() else ""}


def test_nothing_but_loopback_is_ever_connected_to_or_looked_up(outcome: dict[str, Any]) -> None:
    assert outcome["connects"] == ""
    if namespace():
        assert outcome["interfaces"] == ["lo"], "and there was nowhere to go"


def test_a_development_gateway_releases_on_a_bundle_alone(outcome: dict[str, Any]) -> None:
    found = outcome["development"]
    assert (found["before"], found["after"]) == ([False, False], [True, True])
    assert (found["imported"], found["again"]) == (["imported"], ["held"])
    assert (found["offline"], found["fetch"]) == (True, 1)


def test_a_production_gateway_verifies_on_a_bundle_alone(outcome: dict[str, Any]) -> None:
    found = outcome["production"]
    if found is None:
        pytest.skip("no recorded evidence at hand")
    assert (found["before"], found["after"]) == (False, True)
    assert found["untrusted"] == "collateral.bundle-untrusted"
    assert found["imported"] == ["imported"]
    assert found["simulated"] == ["refused"], "a bundle opens no way in for simulated collateral"


def test_the_watch_sees_a_gateway_that_is_not_offline(tmp_path: Path) -> None:
    """A check that cannot fail is none: the same watch, on a gateway that is to hold AMD's CRL."""
    log, config = tmp_path / "connects", tmp_path / "sealgate.toml"
    config.write_text(
        'development = true\n[collateral]\nkeep = ["amd:Milan"]\namd = "https://kds.sealgate.invalid"\n'
    )
    with serving(tmp_path / "data", "--config", str(config), environ=watched(log)):
        until = time.monotonic() + 60
        while not log.exists() and time.monotonic() < until:
            time.sleep(0.2)
    assert "kds.sealgate.invalid" in log.read_text()
