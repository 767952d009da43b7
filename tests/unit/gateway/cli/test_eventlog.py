"""Event logs on the command line: `verify --event-log`, carriers that bring one, `inspect`, policies."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from gateway.simulator import logwrite
from gateway.simulator.guest import SimulatedGuest
from gateway.simulator.intel import TdxMachine
from gateway.simulator.logwrite import LogEntry, aael
from gateway.simulator.seeds import EPOCH
from tests.unit.gateway.cli.world import DATA, Ran, intel_collateral, run, snp_files, verify, write

PULL = aael("a.example", "PullImage", "one")
MACHINE = TdxMachine(log=(*logwrite.BOOT, PULL), fields={"mr_config_id": b"w" * 32 + bytes(16)})
LOG = MACHINE.event_log()
EDITED = logwrite.write((*logwrite.BOOT[:-1], PULL))
"""Without the last entry of RTMR1."""
HIDDEN = logwrite.write((*logwrite.BOOT, LogEntry(register=3, type=6, data=b"", measured=PULL.data)))
"""The entry of RTMR3 without its text."""

POLICY = f"""\
sealgate: reference-values/1
name: guests
version: 1
owner: platform@acme.example
valid: {{from: {EPOCH.year - 1}-01-01T00:00:00Z, until: {EPOCH.year + 1}-01-01T00:00:00Z}}
entries:
  - id: image
    tdx.mr_td: sha384:{MACHINE.good["mr_td"].hex()}
    tdx.rtmr0: sha384:{MACHINE.good["rtmr0"].hex()}
    tdx.rtmr1: sha384:{MACHINE.good["rtmr1"].hex()}
    tdx.rtmr2: sha384:{MACHINE.good["rtmr2"].hex()}
---
sealgate: release-policy/1
name: db
version: 1
tenant: acme
owner: security@acme.example
secrets: [db/password]
uses:
  baselines: {{intel-tdx: 1}}
  references: {{guests: 1}}
lease: {{lasts: 12h, renew_every: 1h, on_change: re-evaluate}}
allow:
  - id: pod
    when: {{evidence.type: {{equals: tdx}}}}
    require:
      - guest: {{in_set: guests}}
      - init_data.digest: {{equals: sha256:{(b"w" * 32).hex()}}}
      - tdx.event_log.secure_boot: {{equals: true}}
      - tdx.event_log.aael: {{subset_of: ["a.example PullImage one", "a.example PullImage two"]}}
"""  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"quote.bin": MACHINE.quote(DATA), "policy.yaml": POLICY.encode()}
    logs = {"log.bin": LOG, "edited.bin": EDITED, "cut.bin": LOG[:300]}
    collateral = write(tmp_path_factory.mktemp("tdx") / "collateral", intel_collateral(MACHINE))
    return write(collateral.parent, files | logs)


def judge(folder: Path, evidence: object, *more: object) -> Ran:
    return verify(evidence, "--collateral", folder / "collateral", "--development", *more)


def outcome(ran: Ran) -> tuple[int, str | None, str]:
    found = ran.json
    check = next(check for check in found["checks"] if check["id"] == "tdx.event-log")
    return ran.code, found["reason"], check["outcome"]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("log.bin", (0, None, "passed")),
        ("edited.bin", (1, "tdx.event-log", "failed")),
        ("cut.bin", (1, "tdx.event-log-malformed", "failed")),
        (None, (0, None, "not_checked")),
    ],
)
def test_a_log_beside_a_quote(folder: Path, log: str | None, expected: tuple[int, str | None, str]) -> None:
    options = ("--event-log", folder / log) if log else ()
    ran = judge(folder, folder / "quote.bin", *options, "--json")
    assert outcome(ran) == expected
    assert ("tdx.event-log" in ran.json["unchecked"]) is (log is None)
    assert ran.json["claims"]["event_log_replayed"] is (True if log == "log.bin" else None)
    assert ("event_log_aael" in ran.json["provenance"].get("replayed", ())) is (log == "log.bin")


def test_people_read_which_register_differs(folder: Path) -> None:
    ran = judge(folder, folder / "quote.bin", "--event-log", folder / "edited.bin")
    words = " ".join(ran.out.split())
    assert ran.out.splitlines()[0].endswith("tdx.event-log")
    wanted, got = MACHINE.good["rtmr1"], logwrite.registers((*logwrite.BOOT[:-1], PULL))[1]
    assert isinstance(wanted, bytes)
    assert f"RTMR1: {wanted.hex()} in the quote, {got.hex()} from the log" in words
    good = judge(folder, folder / "quote.bin", "--event-log", folder / "log.bin")
    assert "✓ event log replays to RTMR0–3" in good.out


def carried(how: str, log: bytes, folder: Path) -> Path:
    quote = MACHINE.quote(DATA)
    if how == "tsm folder":
        SimulatedGuest(MACHINE, log).write_tsm_entry(folder, DATA)
        return folder
    if how == "envelope":
        value = SimulatedGuest(MACHINE, log).evidence(DATA)
    else:
        value = {"quote": base64.b64encode(quote).decode(), "cc_eventlog": base64.b64encode(log).decode()}
    return write(folder, {"evidence.json": json.dumps(value).encode()}) / "evidence.json"


@pytest.mark.parametrize("how", ["tsm folder", "envelope", "kbs"])
def test_carriers_that_bring_a_log(folder: Path, how: str, tmp_path: Path) -> None:
    good, edited = carried(how, LOG, tmp_path / "good"), carried(how, EDITED, tmp_path / "edited")
    assert outcome(judge(folder, good, "--json")) == (0, None, "passed")
    assert outcome(judge(folder, edited, "--json")) == (1, "tdx.event-log", "failed")
    twice = judge(folder, good, "--event-log", folder / "log.bin")
    assert (twice.code, "evidence.duplicate" in twice.err) == (2, True)


def test_other_evidence_takes_no_log(folder: Path, tmp_path: Path) -> None:
    report = write(tmp_path, snp_files()) / "report.bin"
    ran = judge(folder, report, "--event-log", folder / "log.bin")
    assert (ran.code, "none with evidence of type sev-snp" in ran.err) == (2, True)
    absent = judge(folder, folder / "quote.bin", "--event-log", folder / "absent.bin")
    assert (absent.code, "no such file" in absent.err) == (2, True)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (LOG, (0, "accepted")),
        (None, (3, "undecided")),
        (HIDDEN, (3, "undecided")),
    ],
    ids=["with-a-log", "without", "text-hidden"],
)
def test_a_policy_over_replayed_events(
    folder: Path, tmp_path: Path, log: bytes | None, expected: tuple[int, str]
) -> None:
    """Missing never allows: neither without a log, nor with one whose text no digest binds."""
    options: tuple[object, ...] = ("--policy", folder / "policy.yaml", "--report-data", DATA.hex(), "--json")
    if log is not None:
        options = (*options, "--event-log", write(tmp_path, {"log.bin": log}) / "log.bin")
    ran = judge(folder, folder / "quote.bin", *options)
    assert (ran.code, ran.json["verdict"]) == expected


def test_an_event_that_the_policy_does_not_name_is_refused(folder: Path, tmp_path: Path) -> None:
    machine = TdxMachine(log=(*MACHINE.log, aael("a.example", "PullImage", "three")), fields=MACHINE.fields)
    files = {"quote.bin": machine.quote(DATA), "log.bin": machine.event_log()}
    here = write(tmp_path, files)
    options = (
        "--policy",
        folder / "policy.yaml",
        "--report-data",
        DATA.hex(),
        "--event-log",
        here / "log.bin",
    )
    ran = judge(folder, here / "quote.bin", *options, "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "refused")
    check = next(check for check in ran.json["checks"] if "three" in check["found"])
    assert check["outcome"] == "failed"


def test_inspect_shows_entries_in_columns_and_what_is_not_verified(folder: Path) -> None:
    ran = run("inspect", folder / "log.bin")
    lines = ran.out.splitlines()
    assert ran.out.startswith("NOT VERIFIED   event log")
    assert any(
        "RTMR2  EV_IPL " in line and "quiet ro (label 'kernel_cmdline' not verified)" in line
        for line in lines
    )
    assert any(
        "EV_EFI_PLATFORM_FIRMWARE_BLOB2" in line and "not verified: simulated" in line for line in lines
    )
    assert any(line.endswith("LEAA a.example PullImage one") for line in lines)
    found = run("inspect", folder / "log.bin", "--json").json
    values = {field["name"]: field["value"] for field in found["parts"][1]["fields"]}
    assert (found["verified"], found["what"], len(found["parts"][0]["fields"])) == (False, "event log", 18)
    assert values == {f"RTMR{n}": r.hex() for n, r in enumerate(logwrite.registers(MACHINE.log))}


def test_inspect_of_a_damaged_log_says_where(folder: Path) -> None:
    ran = run("inspect", folder / "cut.bin")
    assert (ran.code, "event log.event 2.data: expected 53 bytes at offset" in ran.err) == (2, True)


def test_inspect_of_evidence_shows_its_log(tmp_path: Path) -> None:
    parts = run("inspect", carried("envelope", LOG, tmp_path / "good"), "--json").json["parts"]
    titles = [part["title"] for part in parts]
    at = titles.index("Replays to")
    assert titles[at - 1].startswith("Event log, format tcg2, 18 events in ")
    bad = run("inspect", carried("envelope", b"log", tmp_path / "bad"), "--json").json["parts"]
    unreadable = next(part for part in bad if part["title"] == "Event log")
    assert unreadable["fields"][0]["name"] == "unreadable"


def test_the_claim_table_says_whose_word_each_is() -> None:
    found = run("policy", "claims", "event_log", "--json").json
    assert {row["provenance"] for row in found} == {"replayed"} and len(found) == 4
    assert "WHOSE WORD" in run("policy", "claims", "rtmr").out
