"""A proposal asked beside what counts: its answers are counted, and the real ones stay what they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import administration, app, pipeline, proposals, secrets
from gateway.collateral import importing
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.http.handlers import Site
from gateway.ports import LedgerUnavailable
from gateway.question import Answer
from gateway.refusal import Denied
from gateway.shadow import MOST_WAITING, Result, Shadows, compare
from gateway.store.shadows import KEPT
from tests.e2e.support import NOW, PATH, SECRET, SNP, documents, snp_collateral, snp_machine
from tests.integration.test_pipeline import attest_body, release_body, token_of, with_journal


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


def stricter(version: int = 2) -> bytes:
    """Refuses the machine that passes today."""
    measurement = SNP.good["measurement"]
    assert isinstance(measurement, bytes)
    return documents(version=version).replace(measurement.hex().encode(), b"00" * 48)


def start(site: Site, raw: bytes) -> str:
    found = proposals.propose(site.office, "default", [("new.yaml", raw)], by="author", baselines=True)
    name = str(found["proposal"])
    proposals.start_shadow(site.office, "default", name, by="author", baselines=True)
    return name


def shown(site: Site, name: str) -> dict[str, Any]:
    site.gateway.shadows.drain()
    return proposals.shadow_shown(site.office, "default", name, 500)


def attest(site: Site, **more: Any) -> Any:
    return pipeline.attest(site.gateway, "default", attest_body(site, **more))


def test_each_answer_is_compared_and_the_real_one_stays(site: Site) -> None:
    name = start(site, stricter())
    given = attest(site)
    assert [each["path"] for each in given["releases"]] == [PATH], "the shadow refuses, and nobody notices"
    found = shown(site, name)
    assert found["answers"] == {Result.NEWLY_REFUSED: 1}
    (difference,) = found["differences"]
    assert difference == {
        "at": difference["at"],
        "attempt": given["attempt"],
        "path": PATH,
        "result": "newly-refused",
        "active": {"verdict": "accepted", "reason": ""},
        "shadow": {"verdict": "refused", "reason": "guest.not-listed"},
    }
    record = json.loads(site.gateway.appraisals.get("default", given["attempt"]).record)  # type: ignore[union-attr]
    assert record["verdict"] == "accepted"


def test_release_and_verify_are_asked_too_and_verify_without_a_challenge_is_not(site: Site) -> None:
    token = token_of(site)
    name = start(site, stricter())
    pipeline.release(site.gateway, "default", release_body(token))
    assert shown(site, name)["answers"] == {Result.NEWLY_REFUSED: 1}
    body = json.loads(attest_body(site, release=()))
    assert pipeline.verify(site.gateway, "default", json.dumps(body).encode())["verdict"] == "accepted"
    found = shown(site, name)
    assert found["answers"] == {Result.NEWLY_REFUSED: 2}
    assert found["differences"][0]["path"] == ""
    pipeline.verify(site.gateway, "default", json.dumps({"evidence": body["evidence"]}).encode())
    assert shown(site, name)["answers"] == {Result.NEWLY_REFUSED: 2}, (
        "anybody may ask that, as often as wished"
    )


def test_who_is_refused_today_and_would_not_be(site: Site) -> None:
    administration.apply(site.office, "default", stricter(), "s.yaml", by="test", baselines=True)
    name = start(site, documents(version=3))
    for release in ((PATH,), ()):
        with pytest.raises(Denied) as caught:
            attest(site, release=release)
        assert caught.value.why.reason == "guest.not-listed"
    found = shown(site, name)
    assert found["answers"] == {Result.NEWLY_ALLOWED: 2}
    assert {each["active"]["reason"] for each in found["differences"]} == {"guest.not-listed"}


def test_refused_by_both_with_another_reason(site: Site) -> None:
    other = snp_machine(host_data=bytes(32))
    name = start(site, documents(version=2).replace(b"snp.vmpl: {equals: 0}", b"snp.vmpl: {equals: 1}"))
    with pytest.raises(Denied):
        attest(site, machine=other)
    with pytest.raises(Denied):
        attest(site, machine=other, release=("nobody/owns/this",))
    found = shown(site, name)
    assert found["answers"] == {Result.OTHER_REASON: 1, Result.SAME: 1}
    assert len(found["differences"]) == 1, "what is the same is counted, not listed"


@pytest.mark.parametrize(
    ("given", "other", "result"),
    [
        (Answer("", True, "accepted"), Answer("", True, "accepted"), Result.SAME),
        (Answer("", True, "accepted"), Answer("", False, "undecided", "x"), Result.NEWLY_REFUSED),
        (Answer("", False, "undecided", "x"), Answer("", True, "accepted"), Result.NEWLY_ALLOWED),
        (Answer("", False, "refused", "x"), Answer("", False, "undecided", "x"), Result.OTHER_REASON),
        (Answer("", False, "refused", "x"), Answer("", False, "refused", "y"), Result.OTHER_REASON),
        (Answer("", False, "refused", "x"), Answer("", False, "refused", "x"), Result.SAME),
    ],
)
def test_what_counts_as_a_difference(given: Answer, other: Answer, result: Result) -> None:
    assert compare(given, other) is result


def test_a_shadow_that_raises_changes_nothing_and_is_counted(site: Site, caplog: Any) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug that only the shadow meets")

    name = start(site, stricter())
    with_bug = Shadows(
        store=site.office.shadows,
        proposed=site.office.proposals,
        documents=site.office.documents,
        sources=site.office.sources,
        judge=broken,
        count=lambda result: site.metrics.count("sealgate_shadow_answers_total", result=result),
    )
    site = replace(site, gateway=replace(site.gateway, shadows=with_bug))
    assert attest(site)["releases"]
    found = shown(site, name)
    assert found["answers"] == {Result.NOT_EVALUATED: 1}
    assert found["differences"][0]["shadow"] == {"verdict": "", "reason": "shadow.failed"}
    assert 'sealgate_shadow_answers_total{result="not-evaluated"' in site.metrics.text({})
    assert "a bug that only the shadow meets" in caplog.text


class _Broken:
    """A store that answers nothing."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name}: the disk is on fire")


def test_a_store_that_fails_changes_nothing(site: Site) -> None:
    start(site, stricter())
    site.gateway.shadows._store = _Broken()  # type: ignore[assignment]
    assert attest(site)["releases"], "which shadow runs cannot be read"


def test_what_could_not_be_written_is_written_later(site: Site) -> None:
    name = start(site, stricter())
    shadows = site.gateway.shadows
    attest(site)
    shadows.drain()
    real, calls = shadows._store, []

    class Once:
        def running(self) -> Any:
            return real.running()

        def count(self, *given: Any) -> None:
            calls.append(given)
            if len(calls) == 1:
                raise GatewayError("store.busy", "x", where="x", expected="x", found="x")  # type: ignore[arg-type]
            real.count(*given)

    shadows._store = Once()  # type: ignore[assignment]
    attest(site)
    shadows.drain()
    attest(site)
    assert shown(site, name)["answers"] == {Result.NEWLY_REFUSED: 3}


def test_a_slow_shadow_holds_up_nobody(site: Site) -> None:
    """Its thread stands still; everybody is answered, and what the queue cannot take is counted."""
    name = start(site, stricter())
    shadows = site.gateway.shadows
    entered, going, real = threading.Event(), threading.Event(), shadows._judge

    def waiting(*given: Any) -> Any:
        entered.set()
        going.wait()
        return real(*given)

    shadows._judge = waiting
    attest(site)
    assert entered.wait(30)
    attest(site)
    (asked,) = shadows._waiting.queue
    for _ in range(MOST_WAITING - 1):
        shadows._waiting.put_nowait(asked)
    assert attest(site)["releases"], "the queue is full"
    going.set()
    answers = shown(site, name)["answers"]
    assert answers == {Result.NEWLY_REFUSED: MOST_WAITING + 1, Result.NOT_EVALUATED: 1}


def test_what_is_refused_before_there_are_findings_is_not_asked(site: Site) -> None:
    name = start(site, stricter())
    body = attest_body(site)
    pipeline.attest(site.gateway, "default", body)
    with pytest.raises(Denied):
        pipeline.attest(site.gateway, "default", body)
    failing, _ = with_journal(site, "release.intent")
    with pytest.raises(LedgerUnavailable):
        attest(failing)
    assert shown(site, name)["answers"] == {Result.NEWLY_REFUSED: 1}, "no answer was given to the others"


def test_documents_that_stop_to_fit_are_counted_as_not_evaluated(site: Site) -> None:
    """The proposal owns a path that another policy takes meanwhile."""
    _, _, only = documents().split(b"\n---\n")
    other = only.replace(b"name: payments-db", b"name: other").replace(b"payments/db/*", b"other/*")
    name = start(site, other)
    attest(site)
    assert shown(site, name)["answers"] == {Result.SAME: 1}
    third = other.replace(b"name: other", b"name: third")
    administration.apply(site.office, "default", third, "n.yaml", by="test", baselines=True)
    attest(site)
    found = shown(site, name)
    assert found["answers"] == {Result.SAME: 1, Result.NOT_EVALUATED: 1}
    assert found["differences"][0]["shadow"]["reason"].startswith("policy.")


def test_it_starts_once_and_ends_with_the_activation(site: Site) -> None:
    raw = stricter()
    name = start(site, raw)
    with pytest.raises(GatewayError) as caught:
        proposals.start_shadow(site.office, "default", name, by="author", baselines=True)
    assert caught.value.reason == "store.conflict"
    attest(site)
    site.gateway.shadows.drain()
    found = proposals.shown(site.office, proposals.found(site.office, "default", name))
    assert found["state"] == "shadow"
    assert found["shadow"]["answers"] == {Result.NEWLY_REFUSED: 1}
    proposals.activate(site.office, "default", name, by="admin", baselines=True)
    found = proposals.shown(site.office, proposals.found(site.office, "default", name))
    assert (found["state"], found["shadow"]["running"]) == ("active", False)
    entries = {e["kind"]: e["body"] for e in site.office.ledger.tail("default", 99)}
    assert entries["shadow.start"] == {"proposal": name, "by": "author"}
    assert entries["shadow.stop"]["answers"] == {"newly-refused": 1}
    assert entries["policy.activate"]["states"] == ["draft", "shadow"]
    assert entries["policy.activate"]["shadow"] == {"shadow": 1, "answers": {"newly-refused": 1}}
    with pytest.raises(GatewayError) as caught:
        proposals.stop_shadow(site.office, "default", name, by="author")
    assert caught.value.reason == "request.not-found"


def test_after_the_end_nobody_is_asked(site: Site) -> None:
    name = start(site, stricter())
    proposals.stop_shadow(site.office, "default", name, by="author")
    attest(site)
    assert shown(site, name)["answers"] == {}
    assert site.gateway.shadows._thread is None, "without a shadow there is not even a thread"
    proposals.start_shadow(site.office, "default", name, by="author", baselines=True)
    attest(site)
    assert (shown(site, name)["shadow"], shown(site, name)["answers"]) == (2, {Result.NEWLY_REFUSED: 1})


def test_another_tenant_is_not_asked(site: Site) -> None:
    acme = documents(tenant="acme")
    administration.apply(site.office, "acme", acme, "a.yaml", by="test", baselines=True)
    made = proposals.propose(site.office, "acme", [("n.yaml", acme)], by="author", baselines=True)
    proposals.start_shadow(site.office, "acme", made["proposal"], by="author", baselines=True)
    attest(site)
    site.gateway.shadows.drain()
    assert site.gateway.shadows._thread is None
    (found,) = proposals.shadows(site.office, "acme", 9)
    assert (found["running"], found["answers"]) == (True, {})
    assert proposals.shadows(site.office, "default", 9) == []


def test_the_newest_differences_are_kept(site: Site) -> None:
    name = start(site, stricter())
    attest(site)
    (one,) = shown(site, name)["differences"]
    store = site.office.shadows
    (kept,) = store.differences("default", 1, 9)
    many = [replace(kept, attempt=str(number)) for number in range(KEPT)]
    store.count("default", 1, {"newly-refused": KEPT}, many)
    found = store.differences("default", 1, 10_000)
    assert [each.attempt for each in found] == [str(number) for number in reversed(range(KEPT))]
    assert one["attempt"] not in {each.attempt for each in found}
    assert shown(site, name)["answers"] == {"newly-refused": KEPT + 1}
