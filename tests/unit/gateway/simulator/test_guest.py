"""The simulated guest answers in the forms that carriers read."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import Machine, SimulatedGuest
from gateway.simulator.intel import SgxMachine, TdxMachine
from verifiers.carriers import open_envelope, open_evidence
from verifiers.dcap.quote import Quote
from verifiers.model import ReportData, Verdict
from verifiers.registry import verify
from verifiers.sevsnp.abi import SnpReport
from verifiers.tdx import abi as tdx_abi

DATA = bytes(range(64))
MACHINES = [
    pytest.param(SnpMachine(), "sev-snp", id="snp"),
    pytest.param(SnpMachine(product="Turin", signing_key="VLEK"), "sev-snp", id="snp-vlek"),
    pytest.param(TdxMachine(), "tdx", id="tdx"),
    pytest.param(TdxMachine(version=5), "tdx", id="tdx-5"),
    pytest.param(SgxMachine(), "sgx", id="sgx"),
]


@pytest.mark.parametrize(("machine", "kind"), MACHINES)
def test_the_envelope_opens_and_verifies(machine: Machine, kind: str) -> None:
    envelope = SimulatedGuest(machine).evidence(DATA)
    assert envelope["type"] == kind
    opened = open_envelope(json.loads(json.dumps(envelope)))
    found = verify(opened.evidence, machine.endorsements(), ReportData(DATA), machine.at)
    assert (found.verdict, found.simulated) == (Verdict.ACCEPTED, True)


def test_snp_brings_leaf_issuer_and_root() -> None:
    machine = SnpMachine()
    opened = open_envelope(SimulatedGuest(machine).evidence(DATA))
    assert set(opened.certificates) == {machine.leaf, machine.ask(), machine.ark()}


def test_overrides_reach_the_evidence() -> None:
    snp = open_envelope(SimulatedGuest(SnpMachine()).evidence(DATA, vmpl=3)).evidence
    tdx = open_envelope(SimulatedGuest(TdxMachine()).evidence(DATA, rtmr3=b"\x07" * 48)).evidence
    assert isinstance(snp, SnpReport)
    assert isinstance(tdx, Quote)
    assert (snp.vmpl, tdx_abi.parse(tdx).rtmr3) == (3, b"\x07" * 48)


def test_a_tsm_entry_looks_like_the_kernels(tmp_path: Path) -> None:
    machine = SnpMachine()
    entry = tmp_path / "report0"
    SimulatedGuest(machine).write_tsm_entry(entry, DATA, generation=3)
    assert {path.name for path in entry.iterdir()} == {
        "inblob",
        "outblob",
        "auxblob",
        "provider",
        "generation",
    }
    assert (entry / "provider").read_text() == "sev_guest\n"
    assert (entry / "generation").read_text() == "3\n"
    assert (entry / "inblob").read_bytes() == DATA
    assert (entry / "auxblob").read_bytes() == machine.certificate_table()
    report = open_evidence((entry / "outblob").read_bytes()).evidence
    assert isinstance(report, SnpReport)
    assert report.report_data == DATA


@pytest.mark.parametrize("machine", [TdxMachine(), SgxMachine()], ids=["tdx", "sgx"])
def test_a_quote_has_no_auxblob(machine: Machine, tmp_path: Path) -> None:
    SimulatedGuest(machine).write_tsm_entry(tmp_path, DATA)
    assert not (tmp_path / "auxblob").exists()
    assert (tmp_path / "provider").read_text() == "tdx_guest\n"


def ask(entry: Path, report_data: bytes, generation: str) -> bytes:
    """What a client does: write, wait for its own generation, read."""
    entry.mkdir(exist_ok=True)
    (entry / "inblob").write_bytes(report_data)
    outblob = entry / "outblob"
    for _ in range(2000):
        if outblob.exists() and (entry / "generation").read_text() == generation:
            raw = outblob.read_bytes()
            if report_data in raw:
                return raw
        time.sleep(0.005)
    raise AssertionError("nobody answered within ten seconds")


def test_while_answering_every_new_entry_and_every_write_is_answered(tmp_path: Path) -> None:
    guest = SimulatedGuest(SnpMachine())
    with guest.answering_tsm(tmp_path / "report", vmpl=2) as root:
        for name in ("one", "two"):
            report = open_evidence(ask(root / name, DATA, "1\n")).evidence
            assert isinstance(report, SnpReport)
            assert (report.report_data, report.vmpl) == (DATA, 2)
        assert ask(root / "one", DATA[::-1], "2\n")[0x50:0x90] == DATA[::-1]


def test_short_report_data_is_not_answered(tmp_path: Path) -> None:
    with SimulatedGuest(SnpMachine()).answering_tsm(tmp_path) as root:
        (root / "one").mkdir()
        (root / "one" / "inblob").write_bytes(DATA[:63])
        ask(root / "two", DATA, "1\n")
        assert not (root / "one" / "outblob").exists()
