"""When something is fetched: a pure decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.collateral import slots
from gateway.collateral.ages import Ages
from gateway.collateral.chores import LEASE, NEVER, Host, Task, TaskName, bucket_wait
from gateway.collateral.schedule import OPERATOR, Rules, due, jitter, next_refresh
from gateway.collateral.settings import needs_of
from gateway.ports import HeldCollateral, Slot
from tests.stores import START as NOW
from verifiers.model import Need

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
RULES = Rules(ages=Ages(), refresh=DAY)
CRL = Slot("amd.crl", "kind=vcek product=Milan")
CRL_NEED = Need("amd.crl", (("kind", "vcek"), ("product", "Milan")))
INFO = Slot("intel.tcb-info", "fmspc=00806F050000 tee=tdx")
LEAF = Slot("amd.vcek", "blSPL=1 chip_id=00", variant="Genoa")


def held(
    slot: Slot = CRL, *, checked: datetime = NOW, issued: datetime = NOW, days: int = 30
) -> HeldCollateral:
    return HeldCollateral(
        slot=slot, sha256="0", previous=None, size=1, source="vendor", issued=issued,
        ends=issued + days * DAY, number=1, fetched=checked, checked=checked,
    )  # fmt: skip


def task(n: int = 0, **changes: object) -> Task:
    name = TaskName("amd.vcek", f"chip_id={n:02x}", "standard")
    made = Task(name=name, need=Need("amd.vcek", (("chip_id", f"{n:02x}"),)), wanted=NOW, client="a")
    return replace(made, **changes)  # type: ignore[arg-type]


def names(*args: object, rules: Rules = RULES, at: datetime = NOW) -> list[str]:
    collateral, tasks = args
    return [f"{a.name.kind} {a.name.channel}" for a in due(collateral, tasks, at, rules)]  # type: ignore[arg-type]


def refresh_of(slot: Slot, each: HeldCollateral, rules: Rules = RULES) -> datetime:
    return next_refresh(
        TaskName(slot.kind, slot.key, slot.channel), each.issued, each.ends, each.checked, rules
    )


@pytest.mark.parametrize("offset", [-SECOND, timedelta(0), SECOND])
def test_a_refresh_is_due_from_its_instant_on(offset: timedelta) -> None:
    each = held()
    when = refresh_of(CRL, each)
    assert 0.8 * DAY <= when - NOW <= DAY
    assert bool(due([each], [], when + offset, RULES)) is (offset >= timedelta(0))


def test_what_ends_soon_is_asked_for_sooner() -> None:
    short = held(days=1)
    assert refresh_of(CRL, short) <= NOW + 8 * HOUR
    own = Rules(ages=Ages({"amd.crl": 2 * HOUR}), refresh=DAY)
    assert refresh_of(CRL, held(), own) <= NOW + HOUR
    ended = held(days=-1)
    assert NOW < refresh_of(CRL, ended) <= NOW + 10 * timedelta(minutes=1), "not again and again at once"


def test_a_chips_certificate_is_asked_for_before_it_ends() -> None:
    leaf = held(LEAF, days=7 * 365)
    assert 24 * DAY <= leaf.ends - refresh_of(LEAF, leaf) <= 30 * DAY


def test_names_differ_in_when() -> None:
    found = {jitter(TaskName("amd.crl", f"{n}", "standard")) for n in range(50)}
    assert len(found) == 50 and all(0 <= each < 1 for each in found)


def test_what_somebody_is_at_or_what_is_put_off_is_left_out() -> None:
    one = task()
    assert len(due([], [one], NOW, RULES)) == 1
    assert due([], [replace(one, retry_at=NOW + SECOND)], NOW, RULES) == ()
    assert len(due([], [replace(one, retry_at=NOW)], NOW, RULES)) == 1
    taken = one.take("me", NOW)
    assert due([], [taken], NOW + LEASE - SECOND, RULES) == ()
    assert len(due([], [taken], NOW + LEASE, RULES)) == 1
    assert taken.take("you", NOW).lease == "me" and taken.take("you", NOW + LEASE).lease == "you"


def test_urgent_first_and_then_clients_in_turns() -> None:
    wants = [task(n, client="many", wanted=NOW - HOUR) for n in range(5)] + [task(9, client="one")]
    old = [held(days=20, checked=NOW - 2 * DAY), held(INFO, days=10, checked=NOW - 2 * DAY)]
    found = [a.name.key for a in due(old, wants, NOW, RULES)]
    assert found[:2] == [INFO.key, CRL.key]
    assert found[2:4] == ["chip_id=00", "chip_id=09"]


def test_what_was_tried_comes_after_what_never_was() -> None:
    tried = [task(1, client="a", failures=1), task(2, client="b", asked=1)]
    forced = task(3, client=OPERATOR, failures=1)
    shared = replace(task(4, client="c", failures=1), name=TaskName("amd.crl", "kind=vcek", "standard"))
    fresh = [task(n, client="d", wanted=NOW + n * SECOND) for n in (5, 6)]
    found = [a.name.key[-2:] for a in due([], [*tried, forced, shared, *fresh], NOW + HOUR, RULES)]
    assert found == ["ek", "03", "05", "06", "01", "02"]


def test_each_channel_that_is_kept_is_asked_for() -> None:
    both = replace(RULES, channels=(slots.STANDARD, slots.EARLY))
    info = held(INFO)
    assert names([info], [], rules=both) == ["intel.tcb-info early"], "the standard one is fresh"
    later = NOW + 2 * DAY
    assert sorted(names([info], [], rules=both, at=later)) == [
        "intel.tcb-info early",
        "intel.tcb-info standard",
    ]
    assert names([held(CRL)], [], rules=both, at=later) == ["amd.crl standard"]
    early = replace(RULES, channels=(slots.EARLY,))
    assert names([info], [], rules=early, at=later) == ["intel.tcb-info early"]


def test_what_is_to_be_kept_is_asked_for_once_it_is_missing() -> None:
    keep = replace(RULES, keep=needs_of("amd:Milan") or ())
    assert names([], [], rules=keep) == ["amd.crl standard"]
    assert names([held()], [], rules=keep) == []


def test_an_administrator_does_not_wait_for_the_schedule() -> None:
    name = TaskName(CRL.kind, CRL.key, CRL.channel)
    forced = Task(name=name, need=CRL_NEED, wanted=NOW, client=OPERATOR)
    assert names([held()], [forced]) == ["amd.crl standard"]
    assert names([held()], [replace(forced, client="a guest")]) == []


def test_nothing_is_asked_that_the_slot_does_not_name() -> None:
    for slot in (Slot("amd.vlek", "x=1"), Slot("intel.pck", "asked=00"), Slot("intel.issuer", "role=root")):
        assert names([held(slot, days=-400)], []) == []


# --- patience ------------------------------------------------------------------------------------------


def test_failures_wait_longer_each_time_and_absence_for_hours() -> None:
    one, waits = task(), []
    for _ in range(9):
        one = one.failed("unavailable", NOW, timedelta(0), 0.0)
        waits.append((one.retry_at - NOW).total_seconds())
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    absent = task().failed("not-found", NOW, timedelta(0), 0.0)
    assert absent.retry_at - NOW == 6 * HOUR
    assert task().failed("throttled", NOW, HOUR, 0.0).retry_at == NOW + HOUR


def test_a_circuit_opens_at_the_third_failure_and_one_request_finds_out() -> None:
    host = Host(name="h")
    for state in ("closed", "closed", "open"):
        host = host.broke("unavailable", NOW, 0.0)
        assert host.state(NOW) == state
    assert host.wait(NOW, SECOND, 10) == 30 * SECOND
    later = NOW + 30 * SECOND
    assert host.state(later) == "trying"
    tried = host.spend(later, SECOND)
    assert tried.state(later) == "open", "for everybody else"
    assert tried.answered("ok", later).state(later) == "closed"
    assert tried.broke("unavailable", later, 0.0).wait(later, SECOND, 10) == 60 * SECOND


def test_a_bucket_has_its_burst_and_then_its_pace() -> None:
    host, gone = Host(name="h"), []
    for second in range(40):
        at = NOW + second * SECOND
        while not host.wait(at, 10 * SECOND, 2):
            gone.append(second)
            host = host.spend(at, 10 * SECOND)
    assert gone == [0, 0, 10, 20, 30]
    assert bucket_wait(NEVER, NOW, 10 * SECOND, 2) == timedelta(0)
