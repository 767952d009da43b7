"""Rules that hold for every committed file."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest

from tests.support import ROOT


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def test_no_lock_file_names_a_registry() -> None:
    pattern = re.compile(r"--(extra-)?index-url|\"resolved\": *\"http|registry *= *\"http|https?://[^ ]*pypi")
    bad = [
        name
        for name in tracked()
        if name.startswith("requirements") and pattern.search((ROOT / name).read_text())
    ]
    assert bad == []
    assert not [name for name in tracked() if name.endswith(("uv.lock", "poetry.lock", "Pipfile.lock"))]


def test_every_locked_package_has_a_hash() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-uv.txt"):
        blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text().strip())
        assert blocks
        assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("package", ["verifiers", "policies", "gateway"])
def test_modules_and_public_definitions_say_what_they_are(package: str) -> None:
    """Every module has a docstring; no file and no function needs a scroll."""
    bad = []
    for path in sorted((ROOT / package).rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        text = path.read_text()
        tree = ast.parse(text)
        if not ast.get_docstring(tree):
            bad.append(f"{where}: no docstring")
        if text.count("\n") > 450:
            bad.append(f"{where}: {text.count(chr(10))} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 80:
                bad.append(f"{where}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno} lines")
    assert bad == []
