"""`verify --fetch` and `collateral fetch --out` against the vendor lab: what is missing is fetched, politely,
vetted, and never from anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.lab import Lab
from gateway.simulator.seeds import EPOCH
from tests.stores import FakeClock
from tests.unit.gateway.cli.world import DATA, Ran, run, snp, snp_files, tdx, verify, write


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(FakeClock(EPOCH)) as made:
        yield made


@pytest.fixture
def config(lab: Lab, tmp_path: Path) -> Path:
    path = tmp_path / "sealgate.toml"
    path.write_text(
        f'development = true\n[collateral]\namd = "{lab.urls.kds}"\nintel = "{lab.urls.pcs}"\n'
        f'intel_certificates = "{lab.urls.certificates}"\namd_seconds = 0\n'
    )
    return path


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return write(tmp_path / "snp", {"report.bin": snp().report(DATA)}) / "report.bin"


@pytest.fixture
def quote(tmp_path: Path) -> Path:
    return write(tmp_path / "tdx", {"quote.bin": tdx().quote(DATA)}) / "quote.bin"


def fetching(evidence: Path, config: Path, *more: object) -> Ran:
    return verify(evidence, "--development", "--fetch", "--config", config, *more)


def outcomes(ran: Ran) -> dict[str, str]:
    return {each["kind"]: each["outcome"] for each in ran.json["fetched"]}


def test_what_is_missing_is_fetched_once_and_decides(
    report: Path, quote: Path, config: Path, lab: Lab
) -> None:
    assert verify(report, "--development").code == 3
    ran = fetching(report, config, "--json", "--require", "revocation")
    assert (ran.code, ran.json["verdict"], ran.json["missing"]) == (0, "accepted", [])
    assert outcomes(ran) == {"amd.vcek": "ok", "amd.crl": "ok"}
    assert lab.journal.count() == 2
    ran = fetching(quote, config, "--json")
    assert ran.code == 0
    assert set(outcomes(ran).values()) == {"ok"}
    assert {"intel.root-crl", "intel.pck-crl", "intel.tcb-info", "intel.qe-identity"} <= outcomes(ran).keys()


def test_what_is_at_hand_is_not_fetched(config: Path, lab: Lab, tmp_path: Path) -> None:
    folder = write(tmp_path / "all", snp_files())
    assert fetching(folder / "report.bin", config, "--collateral", folder).code == 0
    assert lab.journal.count() == 0


@pytest.mark.parametrize(
    ("fault", "settings", "outcome"),
    [
        ("throttled", {"retry_after": 600}, "throttled"),
        ("error", {"status": 404}, "not-found"),
        ("error", {"status": 500}, "unavailable"),
        ("forged", {}, "not-genuine"),
        ("other-root", {}, "not-genuine"),
    ],
)
def test_a_vendor_that_does_not_serve_leaves_it_undecided_and_is_named(
    report: Path, config: Path, lab: Lab, fault: str, settings: dict[str, Any], outcome: str
) -> None:
    lab.set("amd.vcek", fault, **settings)
    ran = fetching(report, config, "--json")
    assert (ran.code, ran.json["verdict"], ran.json["reason"]) == (3, "undecided", "collateral.vcek-missing")
    assert outcomes(ran)["amd.vcek"] == outcome
    assert lab.journal.count("amd.vcek") == 1, "asked once, not again and again"
    shown = fetching(report, config).out
    assert "✗ amd/milan/vcek/" in shown
    assert outcome in shown
    assert "Get it" not in shown


def test_who_asked_for_a_pause_is_not_asked_for_the_next_thing(report: Path, config: Path, lab: Lab) -> None:
    lab.set("amd.vcek", "throttled", retry_after=600)
    ran = fetching(report, config, "--json")
    assert outcomes(ran) == {"amd.vcek": "throttled", "amd.crl": "throttled"}
    assert lab.journal.count() == 1


def test_forged_collateral_is_not_written_nor_used(config: Path, lab: Lab, tmp_path: Path) -> None:
    lab.set("amd.crl", "forged")
    ran = run("collateral", "fetch", "amd/milan/crl", "--out", tmp_path / "out", "--config", config)
    assert ran.code == 1
    assert "not-genuine" in ran.out
    assert list((tmp_path / "out").iterdir()) == []


def test_nobody_is_asked_whom_the_configuration_does_not_name(report: Path, config: Path, lab: Lab) -> None:
    ran = verify(report, "--development", "--fetch")
    assert (ran.code, lab.journal.count()) == (2, 0)
    assert "in development mode no others are asked" in ran.err
    config.write_text(config.read_text() + "offline = true\n")
    ran = fetching(report, config, "--json")
    assert (ran.code, lab.journal.count(), ran.json["reason"]) == (2, 0, "input.configuration")


def test_fetched_files_serve_an_offline_verification(
    report: Path, quote: Path, config: Path, lab: Lab, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run(
        "collateral", "fetch", "--for", report, "--for", quote, "--out", out, "--config", config, "--json"
    )
    assert done.code == 0
    calls = lab.journal.count()
    for evidence in (report, quote):
        assert verify(evidence, "--development", "--collateral", out, "--require", "revocation").code == 0
    assert lab.journal.count() == calls
    assert set(done.json["files"]) == {path.name for path in out.iterdir()}


def test_names_choose_among_what_evidence_needs(report: Path, config: Path, lab: Lab, tmp_path: Path) -> None:
    args = ("collateral", "fetch", "amd/vcek", "--for", report, "--out", tmp_path / "out", "--config", config)
    assert run(*args).code == 0
    assert (lab.journal.count(), lab.journal.count("amd.vcek")) == (1, 1)


def test_a_certificate_that_evidence_brings_is_not_fetched(config: Path, lab: Lab, tmp_path: Path) -> None:
    folder = write(tmp_path / "ext", {"report.bin": snp().extended_report(DATA)})
    args = ("--for", folder / "report.bin", "--out", tmp_path / "out", "--config", config)
    assert run("collateral", "fetch", *args).code == 0
    assert lab.journal.count("amd.vcek") == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("amd/milam/crl",), "did you mean amd/milan/crl"),
        (("amd/vcek",), "expected --for EVIDENCE"),
        ((), "expected NAMEs or --for EVIDENCE"),
    ],
)
def test_wrong_usage_is_one_line(args: tuple[str, ...], said: str, config: Path, tmp_path: Path) -> None:
    ran = run("collateral", "fetch", *args, "--out", tmp_path / "out", "--config", config)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


def test_undecided_says_what_is_needed_and_the_commands_that_get_it(report: Path) -> None:
    ran = verify(report, "--development")
    assert ran.code == 3
    assert "Needed       ? VCEK for chip" in ran.out
    assert f"Get it       sealgate verify --fetch {report}" in ran.out
    vlek = write(report.parent, {"vlek.bin": snp("Milan", "VLEK").report(DATA)}) / "vlek.bin"
    assert "VLEK certificate of the provider: it comes with the evidence" in verify(vlek, "--development").out
