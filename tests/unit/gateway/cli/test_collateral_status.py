"""`collateral status`: what ended is red, what ends soon yellow; scripts learn it from the exit code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway.adapters import SystemClock
from gateway.cli import collateral_status
from gateway.client import Client
from tests.unit.gateway.cli.world import run

NOW = SystemClock().now()


def text(days: float) -> str:
    return (NOW + timedelta(days=days)).isoformat().replace("+00:00", "Z")


def row(days: float = 20, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "intel.tcb-info",
        "key": "fmspc=00806F050000 tee=tdx",
        "channel": "standard",
        "variant": "",
        "simulated": False,
        "state": "current" if days > 0 else "ended",
        "issued": text(-10),
        "ends": text(days),
        "usable_until": text(days),
        "source": "vendor",
        "next_refresh": text(1),
        "failures": 0,
        "last_error": "",
        "depends": "every TDX machine with FMSPC 00806F050000",
        **changes,
    }


def overview(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "offline": False, "channel": "standard", "generation": 1, "collateral": list(rows), "wants": [],
        "counted": {"intel.tcb-info": len(rows)}, "hosts": [], "first_to_end": None, "tallies": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"days": 7.01}, "good"),
        ({"days": 6.99}, "soon"),
        ({"days": -0.01}, "bad"),
        ({"days": 20, "failures": 1}, "soon"),
        ({"days": 20, "state": "too-old"}, "bad"),
        ({"days": 20, "state": "not-yet"}, "bad"),
    ],
)
def test_levels(changes: dict[str, Any], level: str) -> None:
    assert collateral_status.level(row(**changes), NOW) == level


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (timedelta(days=2, hours=5), "in 2 d"),
        (timedelta(hours=23, minutes=59), "in 23 h"),
        (timedelta(minutes=59), "in 59 min"),
        (timedelta(days=-3), "3 d ago"),
    ],
)
def test_gaps_in_words(gap: timedelta, said: str) -> None:
    assert collateral_status.left(NOW + gap, NOW) == said


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row(20)], 0),
        ([row(1)], 0),
        ([row(-1)], 1),
        ([row(-1, channel="early")], 0),
        ([row(-1, kind="amd.vcek", key="chip_id=ab blSPL=1")], 0),
    ],
    ids=["good", "soon", "ended", "ended-and-early", "ended-and-one-machine's"],
)
def test_the_exit_code_says_whether_something_that_counts_has_ended(
    rows: list[dict[str, Any]], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "get", lambda *_, **__: overview(*rows))
    assert run("collateral", "status").code == code
    assert run("collateral", "status", "--json").code == code


def test_what_ends_first_stands_first_and_an_own_age_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    own = row(3, ends=text(30), kind="intel.pck-crl", key="ca=platform", depends="every TDX machine")
    monkeypatch.setattr(Client, "get", lambda *_, **__: overview(row(20), own))
    lines = run("collateral", "status").out.splitlines()
    assert lines[1].split()[:3] == ["!", "intel.pck-crl", "platform"]
    assert "our age" in lines[1]
    assert "vendor" in lines[2]


def test_control_characters_of_a_gateway_reach_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "get", lambda *_, **__: overview(row(20, depends="\x1b[31mred\x07")))
    assert "\x1b" not in run("collateral", "status").out
