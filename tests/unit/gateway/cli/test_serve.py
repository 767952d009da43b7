"""`sealgate serve` up to the moment it serves: what it says, and where the first credential goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import admins, app, serve
from gateway.cli.serve import command
from gateway.config import Config
from gateway.store.administrators import SqliteAdministrators
from gateway.store.connection import unavailable
from gateway.store.ledger import SqliteLedger

TOKEN = re.compile(r"sga_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")


class Stopped(Exception):
    pass


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway ends before it serves."""

    def end(*_: object, **__: object) -> None:
        raise Stopped

    monkeypatch.setattr(serve, "serve", end)


def start(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["--data", str(folder / "state"), "--port", "0", *options])


def counts(folder: Path, token: str) -> bool:
    """Is there an administrator of the whole gateway with this token?"""
    prepared = app.prepare(Config(data=folder / "state"))
    with prepared.store as store:
        assert prepared.credential is None
        return admins.authenticate(token, store=store.administrators).tenant == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_a_first_start_that_never_serves_gives_the_credential(
    tmp_path: Path, ends: None, as_json: bool
) -> None:
    done = start(tmp_path, *(["--json"] if as_json else []))
    assert isinstance(done.exception, Stopped)
    (token,) = TOKEN.findall(done.stdout)
    if as_json:
        assert json.loads(done.stdout) == {"administrator": token}
    assert counts(tmp_path, token)
    assert not TOKEN.search(start(tmp_path).stdout)


def test_a_credential_with_a_file_of_its_own_is_nowhere_else(tmp_path: Path, ends: None) -> None:
    file = tmp_path / "token"
    assert not TOKEN.search(start(tmp_path, "--admin-token-file", str(file)).output)
    assert counts(tmp_path, file.read_text())


def failing(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> pytest.MonkeyPatch:
    def fail(*_: object) -> Any:
        raise unavailable("the disk is full")

    monkeypatch.setattr(owner, name, fail)
    return monkeypatch


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [(SqliteAdministrators, "add", "store.unavailable"), (SqliteLedger, "add", "ledger.unavailable")],
)
def test_a_start_that_fails_leaves_no_credential_and_the_next_one_goes_on(
    tmp_path: Path, ends: None, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, reason: str
) -> None:
    file = tmp_path / "token"
    with monkeypatch.context() as patch:
        failing(patch, owner, name)
        done = start(tmp_path, "--admin-token-file", str(file))
    assert done.exit_code == 2
    assert reason in done.output and "disk is full" in done.output
    assert len(done.output.splitlines()) == 1
    assert not file.exists()
    start(tmp_path, "--admin-token-file", str(file))
    assert counts(tmp_path, file.read_text())


def test_a_file_that_cannot_be_written_makes_no_administrator(tmp_path: Path, ends: None) -> None:
    done = start(tmp_path, "--admin-token-file", str(tmp_path / "absent" / "token"))
    assert (done.exit_code, "absent" in done.output) == (2, True)
    file = tmp_path / "token"
    start(tmp_path, "--admin-token-file", str(file))
    assert counts(tmp_path, file.read_text())


def test_tls_files_that_are_none_are_found_before_anything_is_made(tmp_path: Path, ends: None) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing\n")
    done = start(tmp_path, "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "expected a PEM chain" in done.output and "key.pem; found something else" in done.output
    assert not (tmp_path / "state").exists()
