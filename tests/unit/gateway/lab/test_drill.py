"""A drill says what it saw, and a line that ends otherwise than promised is a failure."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner

from gateway.cli.drill import drill
from gateway.lab.drill import lines, run
from gateway.lab.drill.ground import RELEASED, Ground, prepared
from gateway.lab.drill.lines import CLOSED, KEPT, LINES, RECOVERED, Line, for_want_of_collateral
from gateway.simulator import seeds

DAY = timedelta(days=1)


def test_names_are_unique_and_every_line_says_what_it_must() -> None:
    assert len({line.name for line in LINES}) == len(LINES)
    assert all(line.expected and line.title for line in LINES)
    assert 5 <= sum(line.short for line in LINES) <= 12


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("collateral.crl-expired", True),
        ("snp collateral.crl-expired, tdx collateral.tcb-missing", True),
        ("snp released, tdx collateral.tcb-missing", False),
        ("snp snp.revoked, tdx collateral.tcb-missing", False),
        (RELEASED, False),
    ],
)
def test_failing_closed_is_for_want_of_collateral_only(told: str, expected: bool) -> None:
    assert for_want_of_collateral(told) is expected


def test_warm_ground_releases_without_a_vendor_call_and_old_ground_does_not_release() -> None:
    with prepared(seeds.EPOCH) as ground:
        assert for_want_of_collateral(ground.both())
        ground.refresh()
        calls = ground.lab.journal.count()
        assert calls == 5
        assert [ground.both() for _ in range(3)] == [RELEASED] * 3
        assert ground.lab.journal.count() == calls
        ground.clock.at += 31 * DAY
        assert for_want_of_collateral(ground.both())
        ground.refresh()
        assert ground.both() == RELEASED


def wrong(ground: Ground) -> tuple[str, ...]:
    return ("something else",)


def broken(ground: Ground) -> tuple[str, ...]:
    raise RuntimeError("a bug\nof two lines")


@pytest.mark.parametrize(
    ("play", "says"), [(wrong, "something else"), (broken, "broke off: RuntimeError: a bug of two lines")]
)
def test_what_is_not_as_promised_is_shown_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch, play: lines.Play, says: str
) -> None:
    good = next(line for line in LINES if line.name == "cold")
    made = (Line(name="x", title="a trial", expected=("as promised",), play=play, short=True), good)
    monkeypatch.setattr(run, "LINES", made)
    done = CliRunner().invoke(drill, ["--short"])
    assert done.exit_code == 1
    assert says in done.output and "promised: as promised" in done.output
    assert "1 of 2 lines ended as promised" in done.output
    done = CliRunner().invoke(drill, ["--short", "--json"])
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert (told["good"], [row["as_promised"] for row in told["rows"]]) == (False, [False, True])


def test_an_outage_line_tells_a_fault_that_changes_nothing_from_one_that_matters() -> None:
    """The same play, and only the fault differs: the words follow what happened."""
    (row,) = run.play([replace(LINES[0], play=lines.outage("amd.crl", "warning"))], lambda _: None)
    assert row.got == ("refreshed", KEPT, KEPT, RECOVERED)
    assert not row.as_promised
    (row,) = run.play([replace(LINES[0], play=lines.outage("amd.crl", "error"))], lambda _: None)
    assert row.got[:2] == ("nothing came", KEPT)
    assert row.got[2] == "snp collateral.crl-expired, tdx released"
    assert CLOSED not in row.got
