"""What evidence names may be made up: wants of strangers cost their own client, end, and hold up nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.collateral import refresher
from gateway.collateral.status import overview
from tests.integration.collateral_world import CHIP, CRL, World, world
from verifiers.model import Need


@pytest.fixture
def there(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def chip(n: int) -> Need:
    return Need(CHIP.kind, tuple((k, f"{n:0128x}" if k == "chip_id" else v) for k, v in CHIP.key))


def unnamed(n: int) -> Need:
    """A made-up chip in a report of version 2, which does not say its product."""
    pairs = (pair for pair in CHIP.key if pair[0] != "product")
    return Need(CHIP.kind, tuple((k, f"{n:0128x}" if k == "chip_id" else v) for k, v in pairs))


def test_made_up_chips_spend_their_own_clients_budget_only(there: World) -> None:
    waits = [there.want(chip(n), client="198.51.100.9") for n in range(40)]
    assert waits[:32] == [10] * 32 and all(w is not None and w > 10 for w in waits[32:])
    assert len(there.store.chores.tasks()) == 32
    assert there.want(chip(1000), client="192.0.2.7") == 10
    plan = [action.name.key for action in there.engine.actions()]
    assert f"{1000:0128x}" in "".join(plan[:2]), "clients take turns"
    assert there.want(CRL, client="198.51.100.9") == 5, "what there is one of costs nothing"


def test_made_up_chips_that_ask_at_two_places_keep_nobody_waiting(tmp_path: Path) -> None:
    with world(tmp_path, amd_seconds=10) as there:
        there.want(CRL)
        refresher.tick(there.engine)
        for n in (1, 2):
            there.lab.set("amd.vcek", "error", status=404, chip_id=f"{n:0128x}")
            there.want(unnamed(n), client=f"198.51.100.{n}")
        refresher.tick(there.engine)
        there.want(CHIP)
        for _ in range(60):
            there.clock.move(seconds=1)
            refresher.tick(there.engine)
        made_up = [e for e in there.lab.journal.entries("amd.vcek") if e.key["chip_id"].startswith("0" * 99)]
        assert there.held("amd.vcek"), "an ordinary stranger gets its turn"
        assert sorted((e.key["chip_id"][-1], e.key["product"]) for e in made_up) == [
            ("1", "Genoa"), ("1", "Milan"), ("2", "Genoa"), ("2", "Milan"),
        ]  # fmt: skip
        assert {(t.outcome, t.asked) for t in there.store.chores.tasks()} == {("not-found", 0)}


def test_a_fault_at_the_second_place_does_not_begin_at_the_first_again(there: World) -> None:
    there.lab.set("amd.vcek", "error", status=404, product="Milan")
    rule = there.lab.set("amd.vcek", "error", status=503, product="Genoa")
    there.want(unnamed(1))
    there.fetch_all()
    there.lab.unset(rule)
    there.clock.move(minutes=1)
    there.fetch_all()
    asked = [e.key["product"] for e in there.lab.journal.entries("amd.vcek")]
    assert asked == ["Milan", "Genoa", "Genoa"]


def test_a_copy_with_another_product_does_not_stand_in_the_way_of_the_right_one(there: World) -> None:
    wrong = Need(CHIP.kind, tuple((k, "Milan" if k == "product" else v) for k, v in CHIP.key))
    there.lab.set("amd.vcek", "error", status=404, product="Milan")
    there.want(wrong, client="198.51.100.9")
    there.fetch_all()
    assert there.want(wrong) is None and there.held("amd.vcek") == []
    assert there.want(CHIP) == 10
    there.fetch_all()
    assert [h.slot.variant for h in there.held("amd.vcek")] == ["Genoa"]


def test_what_a_vendor_does_not_have_is_not_asked_for_again_and_again(there: World) -> None:
    there.lab.sold(())
    there.want(CHIP)
    there.fetch_all()
    assert there.want(CHIP) is None
    for _ in range(5):
        there.clock.move(hours=1)
        there.fetch_all()
    assert there.lab.journal.count("amd.vcek") == 1
    there.lab.sold(None)
    there.clock.move(hours=3)
    there.fetch_all()
    assert there.held("amd.vcek")


def test_a_month_of_made_up_chips_leaves_nothing_behind(there: World) -> None:
    there.lab.set("amd.vcek", "error", status=404)
    chores, most = there.store.chores, 0
    for hour in range(30 * 24):
        there.want(chip(hour // 6), client="198.51.100.9")
        there.want(chip(9999), client="198.51.100.9")
        there.fetch_all()
        chores.tidy(there.clock.now())
        most = max(most, len(chores.tasks()))
        there.clock.move(minutes=59)
    asked = [e.key["chip_id"] for e in there.lab.journal.entries("amd.vcek")]
    assert max(asked.count(f"{n:0128x}") for n in range(120)) == 2
    assert 40 <= asked.count(f"{9999:0128x}") <= 60, "asked again after a day, twice each time"
    assert most <= 12
    there.clock.move(days=3)
    chores.tidy(there.clock.now())
    assert chores.tasks() == ()


def test_what_was_given_up_is_no_want_and_may_be_wanted_after_a_day(there: World) -> None:
    rule = there.lab.set("amd.vcek", "error", status=404)
    there.want(CHIP)
    for _ in range(2):
        there.fetch_all()
        there.clock.move(hours=8)
    (task,) = there.store.chores.tasks()
    assert (task.outcome, task.wanted, task.failures) == ("given-up", None, 2)
    assert overview(there.view(), there.clock.now())["wants"] == []
    there.lab.unset(rule)
    assert there.want(CHIP) is None and there.fetch_all() == 0
    there.clock.move(hours=17)
    assert there.want(CHIP) == 10
    there.fetch_all()
    assert there.held("amd.vcek") and there.store.chores.tasks() == ()


def test_wants_that_nobody_answers_end_and_one_client_has_so_many(there: World) -> None:
    there.lab.set("kds", "refused")
    waits = []
    for n in range(100):
        waits.append(there.want(chip(n), client="198.51.100.9"))
        if n >= 30:
            there.clock.move(minutes=20)
    assert len(there.store.chores.tasks()) == 64
    assert waits[64:] == [3600] * 36
    assert there.want(chip(1000), client="192.0.2.7") == 10
    assert there.want(CRL, client="198.51.100.9") == 5, "what there is one of is not counted"
    there.clock.move(days=1)
    there.fetch_all(most=3)
    there.clock.move(days=1, seconds=1)
    there.fetch_all(most=3)
    assert len(there.store.chores.tasks()) == 66
    there.store.chores.tidy(there.clock.now())
    assert there.store.chores.tasks() == ()
