"""Says loudly which vectors were run, and in CI lets nothing be skipped."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is: nothing here fails by the clock.
settings.register_profile("sealgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sealgate")


@pytest.fixture(autouse=True)
def no_database_outlives_its_test() -> Iterator[None]:
    yield
    postgres = sys.modules.get("tests.postgres")
    if postgres is not None:
        postgres.cleared()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counted: Counter[str] = Counter()
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            path = report.nodeid.split("::")[0]
            if "/vectors/" in path or "/mutations/" in path:
                counted[f"{path.removeprefix('tests/')} {outcome}"] += 1
    terminalreporter.section("real evidence")
    for line, number in sorted(counted.items()):
        terminalreporter.write_line(f"{number:6d}  {line}")
    if not counted:
        terminalreporter.write_line("none in this run")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """SEALGATE_NO_SKIP=1 (CI): a suite must not go quietly hollow."""
    if os.environ.get("SEALGATE_NO_SKIP") != "1" or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and exitstatus == 0:
        for report in skipped:
            print(f"skipped in CI: {report.nodeid}: {report.longrepr}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
