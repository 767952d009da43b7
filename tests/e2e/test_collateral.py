"""Collateral as guests and administrators meet it: a whole gateway in front of the vendor lab."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters import SystemClock
from gateway.client import Client, Refused
from gateway.lab import Lab
from tests.e2e.support import NOW, PATH, SECRET, SNP, TDX, Server, documents, refusal, serving

PATIENCE = 60


@contextmanager
def gateway(folder: Path, more: str = "") -> Iterator[tuple[Server, Lab]]:
    """With policies and a secret, and no collateral at all."""
    with Lab(SystemClock()) as lab:
        file = folder / "sealgate.toml"
        file.write_text(
            f'[collateral]\namd = "{lab.urls.kds}"\nintel = "{lab.urls.pcs}"\n'
            f'intel_certificates = "{lab.urls.certificates}"\namd_seconds = 0\n{more}'
        )
        with serving(folder, "--config", str(file)) as server:
            server.admin.ask("POST", "/v1/admin/policies", documents(), "application/yaml")
            server.admin.ask("PUT", f"/v1/admin/secrets/{PATH}", SECRET, "application/octet-stream")
            yield server, lab


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Lab]]:
    with gateway(tmp_path_factory.mktemp("collateral")) as made:
        yield made


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found or time.monotonic() > end:
            return found
        time.sleep(0.2)


def released(server: Server, machine: Any) -> bool:
    try:
        return bool(server.guest(machine).get([PATH])[PATH].secret == SECRET)
    except Refused as error:
        assert error.problem["verdict"] == "undecided", error.problem
        assert error.problem["retry_after"] >= 5, error.problem
        return False


def test_a_guest_that_comes_again_finds_what_was_missing(both: tuple[Server, Lab]) -> None:
    server, lab = both
    assert released(server, SNP) is False
    assert until(lambda: released(server, SNP))
    assert until(lambda: released(server, TDX))
    calls = lab.journal.count()
    for machine in (SNP, TDX, SNP, TDX):
        assert released(server, machine)
    assert lab.journal.count() == calls, "no vendor call once warm"
    assert lab.journal.count("amd.crl") == 1


def test_the_status_says_what_is_held_and_what_depends_on_it(both: tuple[Server, Lab]) -> None:
    server, _ = both
    assert until(lambda: released(server, TDX)) and until(lambda: released(server, SNP))
    found = server.admin.get("/v1/admin/collateral")
    rows = {row["kind"]: row for row in found["collateral"]}
    assert {
        "amd.crl",
        "intel.tcb-info",
        "intel.qe-identity",
        "intel.pck-crl",
        "intel.root-crl",
    } <= rows.keys()
    crl = rows["amd.crl"]
    assert (crl["state"], crl["source"], crl["simulated"], crl["failures"]) == ("current", "vendor", True, 0)
    assert crl["depends"] == "every SEV-SNP Genoa machine that signs with a VCEK"
    assert crl["fetched"] <= crl["next_refresh"] <= crl["usable_until"]
    assert found["offline"] is False and found["first_to_end"]["at"]
    assert {host["circuit"] for host in found["hosts"]} == {"closed"}
    assert found["tallies"]["sealgate_collateral_fetches amd ok"] >= 1
    raw = Client(url=server.url, token=server.token)
    with pytest.raises(Refused) as caught:
        raw.get("/v1/admin/collateral/objects/" + "0" * 64)
    assert caught.value.reason == "request.not-found"


def test_the_metrics_are_the_stores_whoever_answers(both: tuple[Server, Lab]) -> None:
    import http.client
    from urllib.parse import urlsplit

    server, _ = both
    assert until(lambda: released(server, SNP))
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    assert 'sealgate_collateral_fetches_total{vendor="amd",outcome="ok"}' in text
    assert 'state="closed"} 1' in text
    assert "sealgate_collateral_seconds_to_first_end " in text
    assert "sealgate_collateral_wants " in text


def test_an_administrator_fetches_removes_and_prunes(both: tuple[Server, Lab]) -> None:
    server, lab = both
    before = lab.journal.count("amd.crl", product="Turin")
    asked = server.admin.post("/v1/admin/collateral/fetch", {"names": ["amd:Turin"]})["asking"]
    assert [each["key"] for each in asked] == ["kind=vcek product=Turin"]
    assert until(lambda: lab.journal.count("amd.crl", product="Turin") == before + 1)

    def turin() -> list[dict[str, Any]]:
        rows = server.admin.get("/v1/admin/collateral")["collateral"]
        return [row for row in rows if row["key"] == "kind=vcek product=Turin"]

    (row,) = until(turin)
    query = {"key": row["key"], "simulated": "true"}
    gone = server.admin.ask("DELETE", "/v1/admin/collateral/amd.crl", query=query)
    assert gone["removed"]["key"] == row["key"] and turin() == []
    with pytest.raises(Refused) as caught:
        server.admin.ask("DELETE", "/v1/admin/collateral/amd.crl", query=query)
    assert caught.value.reason == "request.not-found"
    assert server.admin.ask("POST", "/v1/admin/collateral/prune")["pruned"]["slots"] == 0
    kinds = [e["kind"] for e in server.admin.get("/v1/admin/ledger", scope="gateway", limit="50")["entries"]]
    assert {"collateral.fetch-now", "collateral.remove", "collateral.prune", "collateral.fetch"} <= set(kinds)


@pytest.mark.parametrize("names", [["amd:Rome"], ["http://evil.example/"], [7], "amd:Milan"])
def test_only_known_names_are_fetched(both: tuple[Server, Lab], names: Any) -> None:
    server, _ = both
    with pytest.raises(Refused) as caught:
        server.admin.post("/v1/admin/collateral/fetch", {"names": names})
    assert caught.value.status == 400


def test_an_import_that_goes_back_is_refused(both: tuple[Server, Lab]) -> None:
    server, _ = both
    assert until(lambda: released(server, SNP))
    with pytest.raises(Refused) as caught:
        server.admin.ask("POST", "/v1/admin/collateral", SNP.crl(number=0), "application/octet-stream")
    assert (caught.value.status, caught.value.reason) == (409, "collateral.rollback")
    old = SNP.crl(number=2**40, this_update=NOW.replace(year=NOW.year - 3))
    with pytest.raises(Refused) as caught:
        server.admin.ask("POST", "/v1/admin/collateral", old, "application/octet-stream")
    assert (caught.value.status, caught.value.reason) == (422, "collateral.too-old")
    assert released(server, SNP)


def test_offline_nothing_is_asked_and_nothing_is_promised(tmp_path: Path) -> None:
    with gateway(tmp_path, "offline = true\n") as (server, lab):
        problem = refusal(server.guest(SNP).get, [PATH]).problem
        assert problem["verdict"] == "undecided" and "retry_after" not in problem
        with pytest.raises(Refused) as caught:
            server.admin.post("/v1/admin/collateral/fetch", {"names": ["amd:Genoa"]})
        assert caught.value.reason == "request.forbidden"
        assert server.admin.get("/v1/admin/collateral")["offline"] is True
        assert lab.journal.count() == 0
