"""The forecast over a real store: which machines there are, what is ahead of them, and what alerts see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import app, serve
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.forecast import fleet, gauges
from gateway.http import forecast as route
from gateway.http import handlers
from gateway.http.handlers import Site
from gateway.http.message import Call
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from policies.errors import PolicyError
from tests.e2e.support import INIT_DATA, NOW, SNP, TDX, snp_machine, tdx_machine
from tests.integration.test_replay import attempted, given, opened, out_of_date

BASELINE = """
sealgate: platform-baseline/1
name: {name}
version: 2
issued: 2026-01-01T00:00:00Z
review_by: 2027-02-01T00:00:00Z
applies_to: {{evidence.type: {{equals: sev-snp}}}}
rules:
  - id: snp.higher-floor
    floor: true
    when: {{snp.product: {{equals: Genoa}}}}
    require: {{snp.reported_tcb: {{at_least: {{bootloader: 11, tee: any, snp: any, microcode: any}}}}}}
    waivable: {{up_to: 90d}}
    fix: update the host's boot loader
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as made:
        yield made


def forecast(site: Site, days: int = 30, **more: Any) -> dict[str, Any]:
    return fleet.forecast(site.forecaster, site.gateway.clock.now(), days=days, **more)


def call(**query: str) -> Call:
    return Call(tenant="default", body=b"", params={}, query=query, who="a", wide=True)


def test_nobody_has_been_here(site: Site) -> None:
    found = forecast(site)
    assert (found["machines"], found["attempts"], found["ahead"]) == (0, 0, [])


def test_each_machine_counts_once_and_by_its_newest_accepted_evidence(site: Site) -> None:
    other = SnpMachine(at=NOW, seed="another machine", fields={"host_data": INIT_DATA})
    for machine in (SNP, TDX, other, SNP):
        attempted(site, machine)
    newest = attempted(site, SNP)
    attempted(site, snp_machine(policy=0xB0000))  # a debug guest on the same machine is not its fault
    found, attempts, left_out = fleet.machines(site.archive, NOW - timedelta(days=1))
    assert (attempts, left_out) == (6, 0)
    assert sorted(each.kind for each in found) == ["sev-snp", "sev-snp", "tdx"]
    assert {each.attempt for each in found if each.id == SNP.hwid.hex()} == {newest}
    assert {each.id for each in found if each.kind == "tdx"} == {TDX.ppid.hex()}
    assert forecast(site)["now"]["accepted"] == 3
    fewer = forecast(site, most=2)
    assert (fewer["machines"], fewer["left_out"]) == (2, 1)
    assert json.loads(route.forecast(site, call(limit="1")).body)["left_out"] == 2
    assert fleet.machines(site.archive, site.gateway.clock.now() + timedelta(seconds=1))[0] == []


def test_machines_behind_one_vlek_are_one(site: Site) -> None:
    for seed in ("one", "two"):
        attempted(site, SnpMachine(at=NOW, signing_key="VLEK", seed=seed, fields={"host_data": INIT_DATA}))
    (found,), attempts, _ = fleet.machines(site.archive, NOW - timedelta(days=1))
    assert (attempts, found.id.startswith("CN=cc-simulated.example at ")) == (2, True)


def test_what_intel_has_published_early_is_ahead(site: Site) -> None:
    attempted(site, TDX)
    attempted(site, SNP)
    assert forecast(site)["counts"]["early"] == 0
    given(site, out_of_date(), channel="early")
    found = forecast(site)
    assert found["counts"] == {"baseline": 0, "early": 1, "expiry": found["counts"]["expiry"]}
    (early,) = (each for each in found["ahead"] if each["when"] == "early")
    assert (early["type"], early["platform"]) == ("tdx", "5EA16A7E0000")
    assert early["machine"] == TDX.ppid.hex()[:16] + "…"
    assert early["now"] == {"verdict": "accepted", "reason": None}
    assert early["then"] == {"verdict": "refused", "reason": "tdx.tcb-status", "check": "tdx.tcb-status"}
    assert early["cause"].startswith("when Intel promotes TCB info evaluation 21 (now 20; early document of ")
    assert {(s["has"], s["needs"]) for s in early["short"]} == {(8, 9)}
    assert (
        attempted(site, TDX)
        and json.loads(site.gateway.appraisals.recent("default", 1)[0].record)["verdict"] == "accepted"
    ), "the early document counts for nothing"


def test_collateral_that_ends_within_thirty_days_is_ahead(site: Site) -> None:
    attempted(site, TDX)
    (expiry,) = (each for each in forecast(site)["ahead"] if each["when"] == "expiry")
    assert expiry["then"]["verdict"] == "undecided"
    assert expiry["from"] == (NOW + timedelta(days=29)).isoformat().replace("+00:00", "Z")


def test_a_baseline_that_is_not_active_yet(site: Site) -> None:
    attempted(site, SNP)
    added = forecast(site, baseline=BASELINE.format(name="ours").encode())
    assert added["counts"]["baseline"] == 1
    (ahead,) = (each for each in added["ahead"] if each["when"] == "baseline")
    assert ahead["then"]["reason"] == "snp.higher-floor"
    assert ahead["short"] == [
        {"component": "bootloader (reported_tcb)", "has": 10, "needs": 11, "raised_by": "BIOS of the host"}
    ]
    assert ahead["to_pass"] == ["update the host's boot loader"]
    replaced = forecast(site, baseline=BASELINE.format(name="amd-sev-snp").encode())
    assert replaced["counts"]["baseline"] == 1


@pytest.mark.parametrize("raw", [b"", b"a: [", b"sealgate: platform-baseline/9\n"])
def test_a_baseline_that_cannot_be_read(site: Site, raw: bytes) -> None:
    with pytest.raises((PolicyError, GatewayError)):
        forecast(site, baseline=raw or b"\n")


def test_who_is_refused_now_is_listed_apart(site: Site) -> None:
    attempted(site, tdx_machine(level="OutOfDate"))
    found = forecast(site)
    assert (found["ahead"], found["now"]["refused"]) == ([], 1)
    assert found["refused_now"][0]["now"]["reason"] == "tdx.tcb-status"


def test_evidence_that_is_gone_is_counted_and_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    attempted(site, SNP)
    monkeypatch.setattr(type(site.archive.appraisals), "get", lambda self, tenant, jti: None)
    found = forecast(site)
    assert (found["machines"], found["left_out"]) == (0, 1)


def test_more_attempts_than_one_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.store import appraisals

    monkeypatch.setattr(appraisals, "_BATCH", 2)
    names = [attempted(site, SNP) for _ in range(5)]
    for most, seen in ((99, 5), (4, 4), (3, 3), (0, 0)):
        rows = list(site.archive.appraisals.records(NOW - timedelta(days=1), most))
        assert [row[1] for row in rows] == names[::-1][:seen]


def test_alerts_see_it_once_an_hour(site: Site, tmp_path: Path) -> None:
    attempted(site, TDX)
    given(site, out_of_date(), channel="early")
    assert "sealgate_forecast" not in handlers.metrics(site, call()).body.decode()
    config = Config(data=tmp_path, development=True)
    _, store = app.open_archive(config)
    with store:
        now = site.gateway.clock.now()
        serve.look_ahead(config, store, now)
        told = handlers.metrics(site, call()).body.decode()
        assert 'sealgate_forecast_machines{when="early"} 1\n' in told
        assert 'sealgate_forecast_machines{when="expiry"} 1\n' in told
        assert "sealgate_forecast_machines_seen 1\n" in told
        assert f"sealgate_forecast_timestamp_seconds {int(now.timestamp())}\n" in told
        attempted(site, SNP)
        for hours, seen in ((0.99, 1), (1.01, 2)):
            serve.look_ahead(config, store, now + timedelta(hours=hours))
            assert f"machines_seen {seen}\n" in handlers.metrics(site, call()).body.decode()
        assert gauges.due(store.gauges, now - timedelta(days=1)), "a clock that was set back"


@pytest.mark.parametrize("days", ["0", "-1", "x", "99999999", "²"])
def test_days_are_a_number(site: Site, days: str) -> None:
    with pytest.raises(GatewayError):
        route.forecast(site, call(days=days))


def test_a_tdx_machine_of_another_family_is_undecided_and_not_ahead(site: Site) -> None:
    attempted(site, TdxMachine(at=NOW, fmspc=bytes.fromhex("5EA16A7E0001")))
    found = forecast(site)
    assert (found["now"]["undecided"], found["ahead"]) == (1, [])
