"""Starting a gateway: what is made the first time, and what is never made again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.app import Prepared
from gateway.config import Config, Limits
from gateway.errors import GatewayError
from gateway.keys import FileKeys
from gateway.ports import LedgerUnavailable
from gateway.serve import tidy
from gateway.store.ledger import SqliteLedger
from tests.integration.test_store import appraisal
from tests.stores import START


def start(folder: Path) -> Prepared:
    return app.prepare(Config(data=folder, development=True))


def files_of(folder: Path) -> dict[str, bytes]:
    keys = Config(data=folder).keys_folder
    return {path.name: path.read_bytes() for path in keys.iterdir() if path.is_file()}


def entries(prepared: Prepared, kind: str) -> list[dict[str, Any]]:
    return [dict(entry["body"]) for entry in prepared.store.ledger.tail("", 100) if entry["kind"] == kind]


def test_new_keys_are_the_ledgers_first_entry_and_hold_no_key(tmp_path: Path) -> None:
    with start(tmp_path).store as store:
        first = store.ledger.tail("", 100)[0]
        keys = FileKeys.load(Config(data=tmp_path).keys_folder, store.identity, app.OsRandom())
        signing, kek = keys.key_ids()
        assert (first["index"], first["kind"]) == (0, "keys.create")
        assert first["body"] == {"signing": list(signing), "kek": list(kek), "by": "setup"}


def test_a_second_start_makes_nothing(tmp_path: Path) -> None:
    with start(tmp_path).store as store:
        head, held = store.ledger.head(), files_of(tmp_path)
    again = start(tmp_path)
    with again.store:
        assert (again.created, again.credential) == (False, None)
        assert (again.store.ledger.head(), files_of(tmp_path)) == (head, held)


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_store_that_lost_its_keys_gets_no_new_ones(tmp_path: Path, left: str) -> None:
    folder = Config(data=tmp_path).keys_folder
    with start(tmp_path).store as store:
        head = store.ledger.head()
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    shutil.rmtree(folder)
    if left == "an empty folder":
        folder.mkdir(mode=0o700)
    with pytest.raises(GatewayError) as caught:
        start(tmp_path)
    assert (caught.value.reason, caught.value.where) == ("keys.absent", str(folder))
    assert "restore" in caught.value.detail
    assert not folder.exists() or not list(folder.iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    shutil.move(kept, folder)
    folder.chmod(0o700)
    with start(tmp_path).store as store:
        assert store.ledger.head() == head


def test_a_start_interrupted_before_the_entry_goes_on_with_the_same_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise LedgerUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteLedger, "append", fail)
        with pytest.raises(LedgerUnavailable):
            start(tmp_path)
    held = files_of(tmp_path)
    again = start(tmp_path)
    with again.store:
        assert files_of(tmp_path) == held
        assert len(entries(again, "keys.create")) == 1
        assert again.credential is not None


def test_evidence_and_findings_are_kept_for_as_many_days_as_configured(tmp_path: Path) -> None:
    config = Config(data=tmp_path, development=True, limits=Limits(appraisal_days=2))
    with app.prepare(config).store as store:
        for days in (1, 3):
            store.journal.commit(
                (), replace(appraisal(f"{days} days old"), created=START - timedelta(days=days))
            )
        tidy(config, store, START)
        assert [row.jti for row in store.appraisals.recent("acme", 9)] == ["1 days old"]
        assert store.ledger.head() == store.ledger.verify(None)
