"""What the documentation names must exist: files, folders, make targets and commands."""

from __future__ import annotations

import re

import pytest

from gateway.__main__ import COMMANDS
from tests.support import ROOT

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")) + sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("verifiers", "policies", "gateway")
    for path in (ROOT / package).rglob("*.md")
)


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`((?:verifiers|policies|gateway|tests|\.ci)/[\w./*-]+)`", text))
    missing = [name for name in sorted(named) if not list(ROOT.glob(name.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_named_make_targets_and_commands_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"(?:`|\$ )(?:\.venv/bin/)?sealgate ([a-z]+)", text)) <= COMMANDS.keys()
