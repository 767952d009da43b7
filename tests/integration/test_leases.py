"""Leases that still run, decided anew when documents change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import administration, app, leases, pipeline, secrets
from gateway.collateral import importing
from gateway.config import Config
from gateway.http.handlers import Site
from gateway.ports import LedgerUnavailable
from tests.e2e.support import NOW, PATH, SECRET, SNP, documents, snp_collateral
from tests.integration.test_pipeline import (
    attest_body,
    release_body,
    token_of,
    with_journal,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    config = Config(data=tmp_path, development=True)
    prepared = app.prepare(config)
    made, store = app.compose(config)
    for raw in snp_collateral():
        importing.import_file(made.desk.importer, raw, "test", by="test", now=NOW)
    administration.apply(made.office, "default", documents(), "test.yaml", by="test", baselines=True)
    secrets.put(made.vault, "default", PATH, SECRET, by="test")
    yield made
    store.close()
    prepared.store.close()


def review(site: Site, **later: float) -> dict[str, Any]:
    gateway = site.gateway
    now = gateway.clock.now() + timedelta(**later)
    return leases.review(
        site.office.ledger, gateway.appraisals, gateway.keys, gateway.appraiser, "default", now
    )


def stricter(site: Site, version: int = 2) -> None:
    measurement = SNP.good["measurement"]
    assert isinstance(measurement, bytes)
    raw = documents(version=version).replace(measurement.hex().encode(), b"00" * 48)
    administration.apply(site.office, "default", raw, "test.yaml", by="test", baselines=True)


def test_a_change_shows_who_would_not_get_it_again(site: Site) -> None:
    first = pipeline.attest(site.gateway, "default", attest_body(site))["attempt"]
    second = pipeline.release(site.gateway, "default", release_body(token_of(site)))["attempt"]
    assert review(site) == {"running": 2, "looked_at": 2, "complete": True, "not_renewed": []}
    stricter(site)
    found = review(site)
    assert [each["attempt"] for each in found["not_renewed"]] == [second, first]
    assert {each["path"] for each in found["not_renewed"]} == {PATH}
    assert len({each["reason"] for each in found["not_renewed"]}) == 1
    administration.retire(site.office, "default", "release", "payments-db", by="test")
    assert {each["reason"] for each in review(site)["not_renewed"]} == {"release.no-policy"}
    assert review(site, hours=13)["running"] == 0, "a lease of twelve hours is over"


def test_a_release_that_failed_has_no_lease_and_one_without_outcome_has(site: Site) -> None:
    other = "payments/db/other"
    pipeline.attest(site.gateway, "default", attest_body(site, release=(PATH, other)))
    found, _ = leases.running(site.office.ledger, "default", site.gateway.clock.now())
    assert [lease.path for lease in found] == [PATH]
    failing, _ = with_journal(site, "release.outcome")
    with pytest.raises(LedgerUnavailable):
        pipeline.attest(failing.gateway, "default", attest_body(failing))
    assert review(site)["running"] == 2


def test_what_is_not_known_any_more_is_not_renewed(site: Site) -> None:
    pipeline.attest(site.gateway, "default", attest_body(site))
    site.gateway.appraisals.prune(site.gateway.clock.now() + timedelta(days=1))
    (row,) = review(site)["not_renewed"]
    assert row["reason"] == "release.appraisal-absent"


def test_what_is_looked_at_is_bounded_and_it_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        pipeline.attest(site.gateway, "default", attest_body(site))
    stricter(site)
    monkeypatch.setattr(leases, "MOST", 2)
    found = review(site)
    assert (found["running"], found["looked_at"], found["complete"]) == (3, 2, False)
    assert len(found["not_renewed"]) == 2
    monkeypatch.setattr(leases, "ENTRIES", 5)
    assert review(site)["complete"] is False
