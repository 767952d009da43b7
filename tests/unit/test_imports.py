"""The import rules of the three packages, and what the pure ones may never touch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support import ROOT

ALLOWED = {
    "verifiers": {"verifiers"},
    "policies": {"policies", "verifiers"},
    "gateway": {"gateway", "policies", "verifiers"},
}
IMPURE = {
    "asyncio", "http", "httpx", "importlib", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "requests", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib", "warnings",
}  # fmt: skip
CLOCK = {"now", "utcnow", "today"}
"""Attributes that read the clock when called on datetime or date."""
WITHIN_VERIFIERS = {
    "codec": {"codec", "errors"},
    "crypto": {"codec", "crypto", "errors"},
    "sevsnp": {"codec", "crypto", "sevsnp", "errors", "model", "verdict", "claimtypes"},
    "dcap": {"codec", "crypto", "dcap", "errors", "model", "verdict", "claimtypes"},
    "eventlog": {"codec", "eventlog", "errors"},
    "tdx": {"codec", "crypto", "dcap", "eventlog", "tdx", "errors", "model", "verdict", "claimtypes"},
    "sgx": {"codec", "crypto", "dcap", "sgx", "errors", "model", "verdict", "claimtypes"},
}
"""Folder of `verifiers` to the parts of `verifiers` it may import: no TEE knows another."""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    """Every module named by an import, wherever it stands in the file."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    bad = [
        f"{relative(path)} imports {name}"
        for path in sources(package)
        for name in sorted({n.split(".")[0] for n in imported(ast.parse(path.read_text()))} & ALLOWED.keys())
        if name not in ALLOWED[package]
    ]
    assert bad == []


@pytest.mark.parametrize("package", ["verifiers", "policies"])
def test_pure_packages_import_nothing_impure(package: str) -> None:
    bad = [
        f"{relative(path)} imports {name}"
        for path in sources(package)
        for name in sorted({n.split(".")[0] for n in imported(ast.parse(path.read_text()))} & IMPURE)
    ]
    assert bad == []


@pytest.mark.parametrize("package", ["verifiers", "policies"])
def test_pure_packages_read_no_clock_and_open_no_file(package: str) -> None:
    bad = []
    for path in sources(package):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func
                if isinstance(called, ast.Attribute) and called.attr in CLOCK:
                    bad.append(f"{relative(path)}:{node.lineno} reads the clock: .{called.attr}()")
                if isinstance(called, ast.Name) and called.id in {"open", "print", "input", "exec", "eval"}:
                    bad.append(f"{relative(path)}:{node.lineno} calls {called.id}()")
            if isinstance(node, ast.Global):
                bad.append(f"{relative(path)}:{node.lineno} has module state: global {node.names}")
    assert bad == []


@pytest.mark.parametrize("part", WITHIN_VERIFIERS)
def test_parts_of_verifiers_keep_to_themselves(part: str) -> None:
    allowed = WITHIN_VERIFIERS[part]
    bad = [
        f"{relative(path)} imports {name}"
        for path in sorted((ROOT / "verifiers" / part).rglob("*.py"))
        for name in sorted(imported(ast.parse(path.read_text())))
        if name.startswith("verifiers.") and name.split(".")[1] not in allowed
    ]
    assert bad == []


def test_the_clock_is_read_in_one_file_of_the_gateway() -> None:
    found = [
        relative(path)
        for path in sources("gateway")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date"}
    ]
    assert set(found) <= {"gateway/adapters.py"}


@pytest.mark.parametrize(
    ("call", "home"),
    [
        ("Verification(", "verifiers/verdict.py"),
        ("Vetted(", "verifiers/vetting.py"),
        ("ReleaseGrant(", "policies/release.py"),
    ],
)
def test_what_may_unlock_a_secret_is_made_in_one_place(call: str, home: str) -> None:
    """Python cannot forbid a constructor call; this can."""
    name = call[:-1]
    makers = {
        relative(path)
        for package in ALLOWED
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == name)
            or (isinstance(node.func, ast.Attribute) and node.func.attr == name)
        )
    }
    assert makers == {home}


# --- what is made up -------------------------------------------------------------------------------

MADE_UP = ("policies.hypothetical", "gateway.past")
"""Verifications that no verifier made now: of evidence that does not exist, and of records read back."""
TOOLS = "gateway.cli.policy."
"""The only part of the gateway that may have to do with evidence which nobody has sent."""
COMMANDS = {"gateway.__main__", "gateway.cli.policy"}
"""What hangs the tools into the command line."""


def name_of(path: Path) -> str:
    return relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def reachable() -> dict[str, set[str]]:
    """Each of our modules, and every module of ours that importing it brings in."""
    trees = {name_of(path): ast.parse(path.read_text()) for package in ALLOWED for path in sources(package)}
    direct = {name: imported(tree) & trees.keys() - {name} for name, tree in trees.items()}
    out = {}
    for name in trees:
        seen, left = set[str](), [name]
        while left:
            for other in direct[left.pop()] - seen:
                seen.add(other)
                left.append(other)
        out[name] = seen
    return out


def test_only_the_policy_tools_reach_what_is_made_up() -> None:
    for made_up, user in zip(MADE_UP, ("questions", "backtesting"), strict=True):
        found = {name for name, others in reachable().items() if made_up in others}
        assert f"{TOOLS}{user}" in found
        served = {name for name in found if name.startswith("gateway") and not name.startswith(TOOLS)}
        assert served <= COMMANDS


def test_made_up_verifications_come_from_one_place() -> None:
    users = {
        relative(path)
        for package in ALLOWED
        for path in sources(package)
        if "verifiers.verdict.hypothetical" in imported(tree := ast.parse(path.read_text()))
        or any(
            isinstance(node, ast.Attribute)
            and node.attr == "hypothetical"
            and isinstance(node.value, ast.Name)
            and node.value.id == "verdict"
            for node in ast.walk(tree)
        )
    }
    assert users == {"policies/hypothetical.py"}
