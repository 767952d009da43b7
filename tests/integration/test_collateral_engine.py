"""The engine against the vendor lab: what is missed is fetched once, vetted, kept fresh, and never gets
older."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.collateral import refresher
from gateway.collateral.engine import PUT_OFF
from gateway.collateral.status import overview
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from tests.integration.collateral_world import (
    CHIP,
    CRL,
    DAY,
    NOW,
    SNP,
    TDX,
    World,
    tally,
    world,
)
from tests.stores import sqlite_store
from verifiers.model import Need, Verdict


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def provide(there: World) -> None:
    """Everything that both machines need, as two rounds of wants bring it."""
    for _ in range(3):
        there.want(*there.missing(SNP), *there.missing(TDX))
        there.fetch_all()


# --- from a want to a verdict --------------------------------------------------------------------------


def test_what_a_request_missed_is_there_the_next_time(there: World) -> None:
    assert there.verify(SNP).verdict is Verdict.UNDECIDED
    provide(there)
    assert there.verify(SNP).verdict is Verdict.ACCEPTED
    assert there.verify(TDX).verdict is Verdict.ACCEPTED
    assert there.store.chores.tasks() == ()
    calls = there.lab.journal.count()
    there.verify(SNP)
    there.verify(TDX)
    assert there.fetch_all() == 0
    assert there.lab.journal.count() == calls, "nothing is fetched that is not due"


def test_a_want_is_noted_once_and_says_when_to_come_again(there: World) -> None:
    assert there.want(CHIP) == 10
    assert there.want(CHIP) == 10
    assert there.want(CRL) == 5
    assert len(there.store.chores.tasks()) == 2


def test_a_turin_report_asks_by_its_short_chip_id(there: World) -> None:
    turin = SnpMachine(product="Turin", at=NOW)
    there.want(*there.missing(turin))
    there.fetch_all()
    there.want(*there.missing(turin))
    there.fetch_all()
    assert there.verify(turin).verdict is Verdict.ACCEPTED
    assert "fmcSPL=" in there.lab.journal.entries("amd.vcek")[0].target


def test_a_report_that_does_not_say_its_product_is_tried_as_both(there: World) -> None:
    pairs = tuple(pair for pair in CHIP.key if pair[0] != "product")
    there.lab.set("amd.vcek", "error", status=404, product="Milan")
    there.want(Need("amd.vcek", pairs))
    there.fetch_all()
    assert [e.key["product"] for e in there.lab.journal.entries("amd.vcek")] == ["Milan", "Genoa"]
    assert [h.slot.variant for h in there.held("amd.vcek")] == ["Genoa"]


def test_nothing_is_wanted_that_nobody_can_answer(there: World) -> None:
    vlek = SnpMachine(signing_key="VLEK", at=NOW)
    assert there.want(*(n for n in there.missing(vlek) if n.kind == "amd.vlek")) is None
    for key in (
        (("chip_id", "../../x"), *(p for p in CHIP.key if p[0] != "chip_id")),
        (*(p for p in CHIP.key if p[0] != "blSPL"), ("blSPL", "256")),
        (*CHIP.key, ("host", "evil.example")),
    ):
        assert there.want(Need("amd.vcek", tuple(sorted(key)))) is None
    assert there.store.chores.tasks() == ()


# --- one call, whoever wants it ------------------------------------------------------------------------


def test_many_threads_and_two_stores_make_one_call(there: World, tmp_path: Path) -> None:
    there.want(CHIP)
    there.lab.set("amd.vcek", "slow", before_s=0.3)
    with sqlite_store(tmp_path, clock=there.clock, seed="other") as other:
        engines = [there.another(f"t{n}", store=other if n % 2 else None) for n in range(6)]
        threads = [threading.Thread(target=refresher.tick, args=(engine,)) for engine in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert there.lab.journal.count("amd.vcek") == 1
    assert len(there.held("amd.vcek")) == 1


def test_a_plan_made_before_somebody_else_was_done_makes_no_call(there: World) -> None:
    provide(there)
    there.clock.move(hours=25)
    there.want(Need(CHIP.kind, tuple((k, "ff" * 64 if k == "chip_id" else v) for k, v in CHIP.key)))
    plan = there.engine.actions()
    assert len(plan) == 6 and {a.wanted for a in plan} == {True, False}
    there.fetch_all(there.another("two"))
    calls = there.lab.journal.count()
    assert [there.engine.run(action) for action in plan] == [PUT_OFF] * 6
    assert there.lab.journal.count() == calls


def test_a_lease_of_the_dead_ends(there: World) -> None:
    there.want(CHIP)
    (action,) = there.engine.actions()
    dead = there.another("dead")
    there.store.chores.change_task(action.name, lambda t: dead._take(t, action, there.clock.now()))
    assert there.engine.run(action) == PUT_OFF
    there.clock.move(seconds=121)
    assert there.engine.run(action) == "ok"
    assert there.lab.journal.count("amd.vcek") == 1


# --- keeping fresh, outages ----------------------------------------------------------------------------


def test_what_was_needed_once_is_kept_fresh_without_anyone_asking(there: World) -> None:
    provide(there)
    for _ in range(10):
        there.clock.move(days=5)
        assert there.fetch_all() >= 5
        assert there.verify(SNP).verdict is Verdict.ACCEPTED
        assert there.verify(TDX).verdict is Verdict.ACCEPTED
    assert there.lab.journal.count("amd.vcek") == 1, "certificates of chips are not asked for again"


def test_what_is_configured_is_there_before_anyone_asks(tmp_path: Path) -> None:
    keep = ("amd:Genoa", "amd:Milan:vlek", f"intel:tdx:{TDX.fmspc.hex().upper()}")
    with world(tmp_path, keep=keep) as there:
        there.fetch_all()
        assert there.verify(TDX).verdict is Verdict.ACCEPTED
        assert sorted(h.slot.key for h in there.held("amd.crl")) == [
            "kind=vcek product=Genoa",
            "kind=vlek product=Milan",
        ]


def test_a_day_of_outage_loses_nothing_that_is_valid_and_then_fails_closed(there: World) -> None:
    provide(there)
    there.lab.set("*", "refused")
    ends = min(h.ends for h in there.store.collateral.held() if h.slot.kind.endswith("crl"))
    for _ in range(24):
        there.clock.move(hours=1)
        there.fetch_all(most=3)
        assert there.verify(SNP).verdict is Verdict.ACCEPTED
        assert there.verify(TDX).verdict is Verdict.ACCEPTED
    states = {host.name: host.state(there.clock.now()) for host in there.store.chores.hosts()}
    assert {"open", "trying"} & set(states.values())
    assert there.lab.journal.count() < 40
    there.clock.at = ends - timedelta(seconds=1)
    assert there.verify(SNP).verdict is Verdict.ACCEPTED
    there.clock.at = ends
    assert there.verify(SNP).verdict is not Verdict.ACCEPTED
    assert there.verify(TDX).verdict is not Verdict.ACCEPTED
    there.lab.clear()
    there.clock.move(hours=1)
    there.fetch_all()
    assert there.verify(SNP).verdict is Verdict.ACCEPTED
    assert there.verify(TDX).verdict is Verdict.ACCEPTED


def test_a_circuit_that_is_open_asks_nobody(there: World) -> None:
    for n in range(20):
        there.want(Need(CHIP.kind, tuple((k, f"{n:0128x}" if k == "chip_id" else v) for k, v in CHIP.key)))
    there.lab.set("kds", "refused")
    there.fetch_all()
    (host,) = there.store.chores.hosts()
    assert (host.failures, host.state(there.clock.now())) == (3, "open")
    there.lab.clear()
    there.clock.move(minutes=2)
    assert host.state(there.clock.now()) == "trying"
    there.fetch_all()
    (host,) = there.store.chores.hosts()
    assert (host.failures, host.state(there.clock.now())) == (0, "closed")


# --- throttling and quota ------------------------------------------------------------------------------


def test_a_vendor_that_asks_for_a_pause_gets_it(there: World) -> None:
    there.lab.set("amd.vcek", "throttled", retry_after=300)
    there.want(CHIP)
    there.fetch_all()
    assert there.lab.journal.count() == 1
    assert 290 <= (there.want(CHIP) or 0) <= 301
    there.want(CRL)
    there.clock.move(seconds=200)
    assert there.fetch_all() == 0, "the pause holds for the whole host"
    there.lab.clear()
    there.clock.move(seconds=200)
    there.fetch_all()
    assert there.store.chores.tasks() == () and there.held("amd.crl")


def test_kds_is_asked_once_in_ten_seconds(tmp_path: Path) -> None:
    with world(tmp_path, amd_seconds=10) as there:
        for n in range(12):
            there.want(
                Need(CHIP.kind, tuple((k, f"{n:0128x}" if k == "chip_id" else v) for k, v in CHIP.key))
            )
        for _ in range(60):
            refresher.tick(there.engine)
            there.clock.move(seconds=1)
        assert there.lab.journal.count("amd.vcek") == 7, "two at once, then one for each ten seconds"


def test_a_refresh_of_a_chip_that_failed_shows_beside_what_is_held(there: World) -> None:
    there.want(CHIP)
    there.fetch_all()
    (held,) = there.held("amd.vcek")
    there.clock.at = held.ends - DAY
    there.lab.set("amd.vcek", "error", status=404)
    there.fetch_all()
    found = overview(there.view(), there.clock.now())
    (row,) = [row for row in found["collateral"] if row["kind"] == "amd.vcek"]
    assert (row["failures"], row["last_error"]) == (1, "not-found")


# --- what vendors get wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "need", "fault", "outcome"),
    [
        pytest.param("amd.vcek", CHIP, "forged", "not-genuine", id="vcek-forged"),
        pytest.param("amd.vcek", CHIP, "other-root", "not-genuine", id="vcek-other-root"),
        pytest.param("amd.vcek", CHIP, "wrong-subject", "not-genuine", id="vcek-of-another-chip"),
        pytest.param("amd.vcek", CHIP, "stale", "too-old", id="vcek-expired"),
        pytest.param("amd.crl", CRL, "forged", "not-genuine", id="crl-forged"),
        pytest.param("amd.crl", CRL, "stale", "too-old", id="crl-expired"),
        pytest.param("amd.crl", CRL, "not-yet", "too-old", id="crl-of-the-future"),
        pytest.param("amd.crl", CRL, "wrong-subject", "not-genuine", id="crl-of-another-ark"),
        pytest.param("intel.pck-crl", Need("intel.pck-crl", (("ca", "platform"),)), "forged", "not-genuine",
                     id="pck-crl-forged"),
        pytest.param("intel.pck-crl", Need("intel.pck-crl", (("ca", "platform"),)), "wrong-subject",
                     "not-genuine", id="pck-crl-of-another-ca"),
        pytest.param("intel.tcb-info", Need("intel.tcb-info", (("fmspc", TDX.fmspc.hex().upper()),
                     ("tee", "tdx"))), "forged", "not-genuine", id="tcb-info-forged"),
        pytest.param("intel.tcb-info", Need("intel.tcb-info", (("fmspc", TDX.fmspc.hex().upper()),
                     ("tee", "tdx"))), "wrong-subject", "not-genuine", id="tcb-info-of-another"),
        pytest.param("intel.qe-identity", Need("intel.qe-identity", (("tee", "tdx"),)), "other-root",
                     "not-genuine", id="identity-other-root"),
        pytest.param("intel.qe-identity", Need("intel.qe-identity", (("tee", "tdx"),)), "wrong-subject",
                     "not-genuine", id="identity-of-another-enclave"),
    ],
)  # fmt: skip
def test_what_is_not_right_is_not_held(
    there: World, endpoint: str, need: Need, fault: str, outcome: str
) -> None:
    there.lab.set(endpoint, fault)
    there.want(need)
    there.fetch_all()
    assert [h for h in there.store.collateral.held() if h.slot.kind == endpoint] == []
    (task,) = there.store.chores.tasks()
    assert (task.outcome, task.failures) == (outcome, 1)
    assert there.store.ledger.tail("", 1)[0]["kind"] == "collateral.refused"
    assert tally(there.store)[f"sealgate_collateral_refusals {outcome}"] == 1
    there.lab.clear()
    there.clock.move(minutes=2)
    there.fetch_all()
    assert [h for h in there.store.collateral.held() if h.slot.kind == endpoint]


@pytest.mark.parametrize("endpoint", ["amd.crl", "intel.tcb-info", "intel.qe-identity", "intel.pck-crl"])
def test_a_vendor_that_goes_back_is_refused_and_reported_once(there: World, endpoint: str) -> None:
    there.clock.move(days=40)
    provide(there)
    before = {h.slot: h.sha256 for h in there.store.collateral.held()}
    there.lab.set(endpoint, "older")
    there.clock.move(hours=25)
    for _ in range(3):
        there.fetch_all()
        there.clock.move(hours=2)
    now = {h.slot: h.sha256 for h in there.store.collateral.held() if h.slot.kind == endpoint}
    assert now == {slot: sha for slot, sha in before.items() if slot.kind == endpoint}
    entries = [e for e in there.store.ledger.tail("", 100) if e["kind"] == "collateral.refused"]
    assert [e["body"]["what"] for e in entries] == ["rolled-back"]
    assert tally(there.store)["sealgate_collateral_refusals rolled-back"] >= 2
    assert there.verify(SNP).verdict is Verdict.ACCEPTED
    assert there.verify(TDX).verdict is Verdict.ACCEPTED


def test_a_cold_cache_is_not_fed_the_oldest(tmp_path: Path) -> None:
    """Within the vendor's own window, and older than we allow."""
    with world(tmp_path, maximum_age_days={"amd.crl": 10}) as there:
        there.want(CRL)
        there.lab.lifetime("amd.crl", 60 * DAY)
        there.lab.set("amd.crl", "older")
        there.fetch_all()
        held = there.held("amd.crl")
        assert not held or NOW - held[0].issued < 10 * DAY


def test_revocation_arrives_by_itself(there: World) -> None:
    provide(there)
    there.lab.set("amd.crl", "revoked", who="ask")
    assert there.verify(SNP).verdict is Verdict.ACCEPTED
    there.clock.move(hours=25)
    there.fetch_all()
    assert there.verify(SNP).verdict is Verdict.REFUSED
    there.lab.clear()
    there.lab.reissue()
    there.clock.move(hours=25)
    there.fetch_all()
    assert there.verify(SNP).verdict is Verdict.REFUSED, "who was on the list before stays revoked"


# --- update channels -----------------------------------------------------------------------------------


def test_early_documents_are_held_beside_and_count_for_nothing(tmp_path: Path) -> None:
    with world(tmp_path, forecast=True) as there:
        provide(there)
        numbers = {h.slot.channel: h.number for h in there.held("intel.tcb-info")}
        assert numbers["early"] > numbers["standard"]
        (used,) = {h.sha256 for h in there.held("intel.tcb-info") if h.slot.channel == "standard"}
        assert there.verify(TDX).used["tcb_info"] == used
        there.lab.promote()
        there.clock.move(hours=25)
        there.fetch_all()
        after = {h.slot.channel: h.number for h in there.held("intel.tcb-info")}
        assert after["standard"] == numbers["early"]


def test_our_own_maximum_age_withholds_what_its_vendor_calls_current(tmp_path: Path) -> None:
    with world(tmp_path, maximum_age_days={"amd.crl": 10}) as there:
        provide(there)
        there.lab.set("*", "refused")
        issued = there.held("amd.crl")[0].issued
        there.clock.at = issued + 10 * DAY - timedelta(seconds=1)
        assert there.verify(SNP).verdict is Verdict.ACCEPTED
        there.clock.at = issued + 10 * DAY
        found = there.verify(SNP)
        assert any(check.id == "snp.revocation" and check.code == "collateral.amd-crl-missing"
                   for check in found.checks)  # fmt: skip
        (told,) = [check for check in found.checks if check.id == "collateral.max-age"]
        assert "maximum age 10 days" in told.found and told.code == "collateral.too-old"


def test_the_clock_at_every_boundary(there: World) -> None:
    provide(there)
    crl = there.held("amd.crl")[0]
    info = there.held("intel.tcb-info")[0]
    second = timedelta(seconds=1)
    for held, machine in ((crl, SNP), (info, TDX)):
        for at, good in (
            (held.issued - second, False), (held.issued, True), (held.issued + second, True),
            (held.ends - second, True), (held.ends, False), (held.ends + second, False),
        ):  # fmt: skip
            there.clock.at = at
            found = {c.id: c.outcome.value for c in there.verify(machine).checks}
            check = "snp.revocation" if machine is SNP else "dcap.tcb-info"
            assert (found[check] == "passed") is good, (held.slot, at)


def test_another_platform_is_another_document(there: World) -> None:
    provide(there)
    other = TdxMachine(seed="other", fmspc=bytes.fromhex("5EA16A7E0001"), at=NOW)
    there.lab.know(other)
    there.want(*there.missing(other))
    there.fetch_all()
    assert there.verify(other).verdict is Verdict.ACCEPTED
    assert len(there.held("intel.tcb-info")) == 2
