"""`sealgate inspect` shows every field and judges nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.simulator.quotewrite import pem
from tests.support import VECTORS, needs_vectors
from tests.unit.gateway.cli.world import DATA, run, snp, snp_files, tdx_files, write
from tests.unit.verifiers.carriers import samples
from verifiers.sevsnp import abi

EVERYTHING = samples.everything()


def test_every_field_of_a_report_with_its_offset(tmp_path: Path) -> None:
    folder = write(tmp_path, snp_files())
    found = run("inspect", folder / "report.bin", "--json").json
    assert (found["verified"], found["what"]) == (False, "evidence")
    fields = found["parts"][1]["fields"]
    assert [(f["name"], f["offset"]) for f in fields] == [(f.name, f.offset) for f in abi.LAYOUT]
    values = {f["name"]: f["value"] for f in fields}
    assert values["REPORT_DATA"] == DATA.hex()
    notes = {f["name"]: f["note"] for f in fields}
    assert notes["REPORTED_TCB"] == "4.0.24.219 as Milan has it"
    assert notes["POLICY"] == "ABI 0.0 SMT RESERVED_MB1"


def test_it_never_says_that_anything_is_good(tmp_path: Path) -> None:
    folder = write(tmp_path, {**snp_files(), **tdx_files()})
    for name in ("report.bin", "quote.bin", "vcek.der", "crl.der", "tcb_info", "qe_identity", "chain.pem"):
        ran = run("inspect", folder / name)
        assert ran.code == 0
        assert ran.out.startswith("NOT VERIFIED")
        assert "✓" not in ran.out


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_carrier(tmp_path: Path, name: str) -> None:
    raw, carrier = EVERYTHING[name]
    path = write(tmp_path, {"f": raw}) / "f"
    found = run("inspect", path, "--json").json
    head = {f["name"]: f["value"] for f in found["parts"][0]["fields"]}
    assert head["carrier"] == carrier
    assert run("inspect", path).code == 0


def test_certificates_with_names_dates_and_extensions(tmp_path: Path) -> None:
    path = write(tmp_path, {"f": pem([snp().leaf, snp().ask()])}) / "f"
    leaf, ask = run("inspect", path, "--json").json["parts"]
    values = {f["name"]: f["value"] for f in leaf["fields"]}
    assert values["subject"].startswith("CN=SEV-VCEK,")
    assert values["issuer"].startswith("CN=SEV-Milan,")
    assert (values["TCB"], values["hwID"]) == ("4.0.24.219", snp().hwid.hex())
    assert values.keys() >= {"serial", "not before", "not after", "key", "SHA-256", "productName"}
    assert {f["name"]: f["value"] for f in ask["fields"]}["use"].startswith("CA")


def test_a_damaged_certificate_beside_evidence_is_shown_as_such(tmp_path: Path) -> None:
    machine = snp()
    table = machine.certificate_table({"VCEK": b"\x30\x03\x02\x01\x00"})
    path = write(tmp_path, {"f": machine.report(DATA) + table}) / "f"
    parts = run("inspect", path, "--json").json["parts"]
    assert parts[-1]["fields"][0]["name"] == "unreadable"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "evidence.empty"),
        (b"hello world", "evidence.unrecognised"),
        (b"\x30\x82\x05\x00\x00", "collateral.certificate-malformed"),
        (b"{}", "evidence.unrecognised"),
        (b'{"a":1,"a":1}', "evidence.duplicate"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, raw: bytes, reason: str) -> None:
    ran = run("inspect", write(tmp_path, {"f": raw}) / "f")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.strip().endswith(f"[{reason}]")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert run("inspect", tmp_path / "nothing").err.strip().endswith("[input.unreadable]")


@needs_vectors("tdx")
@pytest.mark.parametrize(
    "name", sorted(p.name for p in (VECTORS / "tdx" / "collateral").glob("*") if "evalnums" not in p.name)
)
def test_real_collateral(name: str) -> None:
    ran = run("inspect", VECTORS / "tdx" / "collateral" / name, "--json")
    assert (ran.code, ran.json["what"], bool(ran.json["parts"])) == (0, "collateral", True)
    assert "unreadable" not in ran.out


@needs_vectors("tdx")
@pytest.mark.parametrize("name", sorted(p.name for p in (VECTORS / "tdx" / "quotes").glob("*")))
def test_real_quotes(name: str) -> None:
    ran = run("inspect", VECTORS / "tdx" / "quotes" / name, "--json")
    titles = [part["title"] for part in ran.json["parts"]]
    assert (ran.code, titles[0], titles[1].startswith("Quote header")) == (0, "Carrier", True)
