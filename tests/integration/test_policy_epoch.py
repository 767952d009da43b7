"""A release is committed under the documents that count at that moment, whoever changes them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import administration, app, pipeline, releasing, secrets
from gateway.collateral import importing
from gateway.config import Config
from gateway.http.handlers import Site
from gateway.ports import NewEntry, PolicyChanged
from gateway.refusal import Denied
from tests.e2e.support import NOW, PATH, SECRET, SNP, documents, snp_collateral
from tests.integration.test_pipeline import attest_body, kinds, release_body, token_of
from tests.support import ROOT

ANOTHER_PROCESS = """
import sys
from pathlib import Path
from gateway import administration, app
from gateway.collateral import importing
from gateway.config import Config
site, store = app.compose(Config(data=Path(sys.argv[1]), development=True))
if sys.argv[2] == "retire":
    administration.retire(site.office, "default", "release", "payments-db", by="another process")
else:
    raw = Path(sys.argv[2]).read_bytes()
    administration.apply(site.office, "default", raw, "new.yaml", by="another process", baselines=True)
store.close()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    prepared = app.prepare(Config(data=tmp_path, development=True))
    made, store = app.compose(Config(data=tmp_path, development=True))
    for raw in snp_collateral():
        importing.import_file(made.desk.importer, raw, "test", by="test", now=NOW)
    administration.apply(made.office, "default", documents(), "test.yaml", by="test", baselines=True)
    secrets.put(made.vault, "default", PATH, SECRET, by="test")
    yield made
    store.close()
    prepared.store.close()


BETWEEN = ("release.intent", "verify.accepted")


class Late:
    """A journal before whose next intents, or next acceptance for who only verifies, something else happens:
    between the decision and its commit."""

    def __init__(self, inner: Any, *first: Callable[[], None]) -> None:
        self._inner, self._first = inner, list(first)

    def commit(self, entries: Sequence[NewEntry], *more: Any, **named: Any) -> Any:
        if self._first and any(entry.kind in BETWEEN for entry in entries):
            self._first.pop(0)()
        return self._inner.commit(entries, *more, **named)


def hurried(site: Site, *first: Callable[[], None]) -> pipeline.Gateway:
    journal = Late(site.gateway.recorder.journal, *first)
    return replace(
        site.gateway,
        recorder=replace(site.gateway.recorder, journal=journal),
        releaser=replace(site.gateway.releaser, journal=journal),
    )


def another(folder: Path, what: str) -> Callable[[], None]:
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(folder), what]
    return lambda: subprocess.run(command, cwd=ROOT, check=True, timeout=60) and None


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the secrets that were opened."""
    found: list[str] = []
    original = secrets.get

    def get(vault: Any, tenant: str, path: str) -> Any:
        found.append(path)
        return original(vault, tenant, path)

    monkeypatch.setattr(releasing.secrets, "get", get)
    return found


def asked(site: Site, ear: bool) -> Callable[[pipeline.Gateway], Any]:
    """The same question by evidence or by the token of an earlier one."""
    if ear:
        body = release_body(token_of(site))
        return lambda gateway: pipeline.release(gateway, "default", body)
    body = attest_body(site)
    return lambda gateway: pipeline.attest(gateway, "default", body)


@pytest.mark.parametrize("ear", [False, True], ids=["attest", "release"])
def test_a_policy_retired_by_another_process_in_between_releases_nothing(
    site: Site, tmp_path: Path, opened: list[str], ear: bool
) -> None:
    ask, before = asked(site, ear), len(kinds(site))
    with pytest.raises(Denied) as caught:
        ask(hurried(site, another(tmp_path, "retire")))
    assert caught.value.why.reason == "release.no-policy"
    assert opened == []
    assert kinds(site)[before:] == ["policy.retire", "release.refused" if ear else "attest.refused"]


@pytest.mark.parametrize("ear", [False, True], ids=["attest", "release"])
def test_a_policy_changed_by_another_process_in_between_decides(
    site: Site, tmp_path: Path, opened: list[str], ear: bool
) -> None:
    stricter = tmp_path / "new.yaml"
    measurement = SNP.good["measurement"]
    assert isinstance(measurement, bytes)
    stricter.write_bytes(documents(version=2).replace(measurement.hex().encode(), b"00" * 48))
    ask = asked(site, ear)
    with pytest.raises(Denied) as caught:
        ask(hurried(site, another(tmp_path, str(stricter))))
    assert caught.value.why.where == "snp/guest"
    assert opened == [] and "release.intent" not in kinds(site)


def test_who_verifies_is_told_what_counts_when_it_is_written_down(site: Site, tmp_path: Path) -> None:
    body = attest_body(site, release=())
    before = len(kinds(site))
    reply = pipeline.verify(hurried(site, another(tmp_path, "retire")), "default", body)
    assert reply["verdict"] != "accepted"
    assert kinds(site)[before:] == ["policy.retire", "verify.refused"]


def test_a_change_that_still_allows_is_named_in_the_intent(site: Site, tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    new.write_bytes(documents(version=2))
    reply = asked(site, False)(hurried(site, another(tmp_path, str(new))))
    assert [each["path"] for each in reply["releases"]] == [PATH]
    intents = [e for e in site.office.ledger.tail("default", 99) if e["kind"] == "release.intent"]
    assert [e["body"]["policy"].split()[0] for e in intents] == ["payments-db@2"]
    assert len(site.gateway.appraisals.recent("default", 9)) == 1


def test_policies_that_never_stay_end_in_busy(site: Site, opened: list[str]) -> None:
    def change() -> None:
        assert site.office.documents.change(site.office.documents.epoch(), ())

    with pytest.raises(Denied) as caught:
        asked(site, False)(hurried(site, *[change] * 99))
    assert (caught.value.why.reason, caught.value.why.status) == ("store.busy", 503)
    assert opened == [] and kinds(site)[-1] == "attest.refused"
    assert asked(site, False)(hurried(site, *[change] * 7))["releases"]


def test_the_store_refuses_what_was_decided_under_another_epoch(site: Site) -> None:
    journal, epoch = site.gateway.recorder.journal, site.office.documents.epoch()
    head = site.office.ledger.head()
    for wrong in (epoch - 1, epoch + 1):
        with pytest.raises(PolicyChanged):
            journal.commit([NewEntry("default", "test.entry", {})], epoch=wrong)
    assert site.office.ledger.head() == head
    assert len(journal.commit([NewEntry("default", "test.entry", {})], epoch=epoch)) == 1
