"""`sealgate policy backtest` against a running gateway, and against its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.__main__ import cli
from gateway.client import Refused
from tests.e2e.support import (
    PATH,
    SECRET,
    SNP,
    TDX,
    Server,
    documents,
    serving,
    snp_collateral,
    tdx_collateral,
)


def run(*words: str, token: str | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["policy", "backtest", *words], env={"SEALGATE_ADMIN_TOKEN": token})
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A gateway that released to two machines, and refused one path that nobody owns."""
    folder = tmp_path_factory.mktemp("backtest")
    with serving(folder, development=True) as server:
        for raw in (*snp_collateral(), *tdx_collateral()):
            server.admin.ask("POST", "/v1/admin/collateral", raw, "application/octet-stream")
        server.admin.ask("POST", "/v1/admin/policies", documents(), "application/yaml")
        server.admin.ask("PUT", f"/v1/admin/secrets/{PATH}", SECRET, "application/octet-stream")
        for machine in (SNP, TDX, SNP):
            server.guest(machine).get([PATH])
        with pytest.raises(Refused):
            server.guest(SNP).get(["other/path"])
        yield server, folder


def changed(folder: Path, old: str, new: str) -> str:
    text = documents(version=2).decode()
    assert text.count(old) == 1
    path = folder / "after.yaml"
    path.write_text(text.replace(old, new))
    return str(path)


def options(server: Server) -> tuple[str, ...]:
    return ("--gateway", server.url)


def test_a_narrower_policy_would_refuse_the_machines_that_had_the_secret(world: Any, tmp_path: Path) -> None:
    server, _ = world
    after = changed(tmp_path, "snp.product: {in: [Genoa]}", "snp.product: {in: [Milan]}")
    code, out, err = run(after, *options(server), token=server.token)
    assert code == 1, err
    assert "payments-db: 3 attempts judged again" in out
    assert "NEWLY REFUSED   2 attempts, 1 machines\n  snp/snp.product   2" in out
    assert "NEWLY ALLOWED   none" in out


def test_the_folder_says_the_same_as_the_gateway(world: Any, tmp_path: Path) -> None:
    server, _ = world
    after = changed(tmp_path, "lasts: 12h", "lasts: 2h")
    code, out, _ = run(after, *options(server), "--json", token=server.token)
    asked = json.loads(out)
    assert code == 0
    assert asked["matrix"] == [{"was": "accepted", "now": "accepted", "attempts": 3}]
    assert asked["rules"] == {"snp": 2, "tdx": 1}
    assert asked["not_exercised"] == []
    code, out, err = run(after, "--data", str(server.data / "state"), "--json")
    assert (code, json.loads(out or "null")) == (0, asked), err


def test_a_policy_that_owns_more_would_let_in_who_was_refused(world: Any, tmp_path: Path) -> None:
    server, _ = world
    after = changed(tmp_path, 'secrets: ["payments/db/*"]', 'secrets: ["payments/db/*", "other/path"]')
    code, out, _ = run(after, *options(server), "--json", token=server.token)
    found = json.loads(out)
    # Under both the evidence itself is good: what changes is who owns the path, which `policy diff` says.
    assert (code, found["attempts"]) == (0, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "soon"], "--since: expected days or hours"),
        (["--policy", "nobody"], "--policy: expected one of payments-db"),
    ],
)
def test_questions_that_make_no_sense_are_one_line(
    world: Any, tmp_path: Path, words: list[str], said: str
) -> None:
    server, _ = world
    after = changed(tmp_path, "lasts: 12h", "lasts: 2h")
    code, _, err = run(after, *options(server), *words, token=server.token)
    assert code == 2
    assert said in err
