"""`sealgate reference measure`: what it prints, writes and refuses."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.policybook import read
from policies.foundry import igvm, igvmfile, initdata, rtmr, snp, tdvf
from policies.foundry.errors import FoundryReason
from policies.foundry.kernelhashes import DirectBoot
from policies.foundry.snp import Launch
from policies.foundry.vmsa import Vmm
from policies.model import ReferenceSet
from tests import firmware as fw
from tests import igvmfiles, kernels
from tests.unit.gateway.cli.world import run, tdx_files
from tests.unit.gateway.cli.world import snp as machine

SNP = ("reference", "measure", "snp")
TDX = ("reference", "measure", "tdx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"ovmf": fw.ovmf(), "svsm": fw.svsm(), "tdvf": fw.tdvf(), "kernel": b"k", "initrd": b"i"}
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    return tmp_path


def qemu(folder: Path, *more: object) -> tuple[object, ...]:
    return (*SNP, "--vmm", "qemu", "--firmware", folder / "ovmf", *more)


FAMILY = ("--vcpus", "1-2", "--cpu", "EPYC-Milan,EPYC-Genoa", "--guest-features", "0x21")


def test_json_is_what_scripts_rely_on(folder: Path) -> None:
    boot = ("--kernel", folder / "kernel", "--initrd", folder / "initrd", "--append", "quiet")
    done = run(*qemu(folder, *boot, *FAMILY, "--json"))
    launch = Launch(vmm=Vmm.QEMU, firmware=fw.ovmf(), boot=DirectBoot(b"k", b"i", "quiet"))
    family = snp.family(launch, range(1, 3), ("EPYC-Milan", "EPYC-Genoa"), (0x21,))
    assert done.json == {
        "measurements": [
            {
                "measurement": member.measurement.hex(),
                "vcpus": member.vcpus,
                "cpu": member.cpu,
                "guest_features": "0x21",
            }
            for member in family
        ]
    }
    assert len(done.json["measurements"]) == 4


def test_a_reference_set_is_a_valid_document(folder: Path) -> None:
    more = ("--name", "guests", "--owner", "asha@acme.example", "--valid-days", "30", "--set-version", 7)
    done = run(*qemu(folder, *FAMILY, *more))
    (found,) = read(done.out.encode(), "set")
    assert isinstance(found, ReferenceSet)
    assert (found.name, found.version, found.owner) == ("guests", 7, "asha@acme.example")
    assert (found.valid_until - found.valid_from).days == 30
    assert dict(found.provenance)["firmware"] == f"sha256:{hashlib.sha256(fw.ovmf()).hexdigest()}"
    rows = run(*qemu(folder, *FAMILY, "--json")).json["measurements"]
    assert [entry.claims["snp.measurement"] for entry in found.entries] == [
        bytes.fromhex(row["measurement"]) for row in rows
    ]


def test_launches_that_cannot_be_told_apart_share_an_entry(folder: Path) -> None:
    options = (
        "--vmm",
        "gce",
        "--firmware",
        folder / "ovmf",
        *FAMILY,
        "--name",
        "a",
        "--owner",
        "me@a.example",
    )
    (found,) = read(run(*SNP, *options).out.encode(), "set")
    assert isinstance(found, ReferenceSet) and len(found.entries) == 2


def test_a_set_is_written_once(folder: Path) -> None:
    more = ("--name", "guests", "--owner", "me@a.example", "--out", folder / "set.yaml")
    assert run(*qemu(folder, *FAMILY, *more)).code == 0
    assert run("reference", "check", folder / "set.yaml").code == 0
    again = run(*qemu(folder, *FAMILY, *more))
    assert again.code == 2 and "file exists" in again.err


def test_a_report_that_does_not_match_is_explained(folder: Path) -> None:
    launch = Launch(vmm=Vmm.QEMU, firmware=fw.ovmf())
    (real,) = snp.family(launch, range(5, 6), ("EPYC-Milan",), (0x21,))
    (folder / "report.bin").write_bytes(machine().report(bytes(64), measurement=real.measurement))
    done = run(*qemu(folder, *FAMILY, "--match", folder / "report.bin", "--json"))
    assert done.code == 1 and done.json["in_family"] is False
    assert done.json["explanation"]["differences"] == [{"input": "vCPUs", "given": "1-2", "found": "5"}]
    text = run(*qemu(folder, *FAMILY, "--explain", real.measurement.hex()))
    assert text.code == 1 and "vCPUs: given 1-2, launched with 5" in text.out
    (member,) = snp.family(launch, range(2, 3), ("EPYC-Genoa",), (0x21,))
    inside = run(*qemu(folder, *FAMILY, "--explain", member.measurement.hex()))
    assert inside.code == 0 and inside.out.startswith("in the family: 2 vCPU, EPYC-Genoa")
    other = run(*qemu(folder, *FAMILY, "--explain", "00" * 48))
    assert other.code == 1 and "not explained" in other.out


def test_tdx(folder: Path) -> None:
    done = run(*TDX, "--firmware", folder / "tdvf", "--json")
    (row,) = done.json["measurements"]
    assert row["mr_td"] == tdvf.mr_td(tdvf.parse(fw.tdvf()), tdvf.PageOrder.SINGLE_PASS).hex()
    assert row["rtmr0"] is row["rtmr1"] is row["rtmr2"] is None
    assert done.json["not_predicted"].keys() == {"rtmr0", "rtmr1", "rtmr2"}
    boot = ("--kernel", folder / "kernel", "--initrd", folder / "initrd", "--append", "quiet")
    other = run(*TDX, "--firmware", folder / "tdvf", "--page-order", "two-pass", *boot, "--json").json
    assert other["measurements"][0]["mr_td"] != row["mr_td"]
    assert len(other["measurements"][0]["rtmr2"]) == 96
    assert other["not_predicted"].keys() == {"rtmr0", "rtmr1"}
    named = ("--name", "tds", "--owner", "me@a.example")
    (found,) = read(run(*TDX, "--firmware", folder / "tdvf", *boot, *named).out.encode(), "set")
    assert isinstance(found, ReferenceSet)
    assert found.entries[0].claims.keys() == {"tdx.mr_td", "tdx.rtmr2"}


def td_files(folder: Path) -> tuple[object, ...]:
    """Firmware with an empty variable store, a kernel that has one place, ACPI blobs."""
    rows = [(0, 4096, (1 << 32) - 8192, 4096, 1, 0), (4096, 4096, (1 << 32) - 4096, 4096, 0, 1)]
    raw = fw.tdvf([*rows, (0, 0, 0x809000, 0x2000, 2, 0)])
    (folder / "tdvf").write_bytes(kernels.variable_store() + raw[4096:])
    (folder / "kernel").write_bytes(kernels.kernel())
    acpi: list[object] = []
    for name in ("loader", "rsdp", "tables"):
        (folder / name).write_bytes(name.encode())
        acpi += [f"--acpi-{name}", folder / name]
    return (*TDX, "--firmware", folder / "tdvf", "--event-order", "pre-2025-05", *acpi)


def test_tdx_registers_of_several_sizes_of_memory(folder: Path) -> None:
    launch = td_files(folder)
    boot = ("--kernel", folder / "kernel", "--initrd", folder / "initrd", "--append", "quiet")
    more = (*launch, *boot, "--kernel-setup", "patched", "--memory", "2048,4096")
    found = run(*more, "--json").json
    sections = tdvf.parse((folder / "tdvf").read_bytes())
    acpi = rtmr.Acpi(*(hashlib.sha384(name).digest() for name in (b"loader", b"rsdp", b"tables")))
    for row, memory in zip(found["measurements"], (2 << 30, 4 << 30), strict=True):
        assert row["memory_mib"] == memory >> 20
        assert row["rtmr0"] == rtmr.predicted_rtmr0(sections, memory, acpi).hex()
        assert row["rtmr1"] == rtmr.predicted_rtmr1(kernels.kernel(), 1, memory).hex()
        assert row["rtmr2"] == rtmr.rtmr2("quiet", b"i").hex()
    assert found["not_predicted"] == {}
    (document,) = read(run(*more, "--name", "tds", "--owner", "me@a.example").out.encode(), "set")
    assert isinstance(document, ReferenceSet)
    assert [entry.id for entry in document.entries] == ["td.2048-mib", "td.4096-mib"]
    assert document.entries[0].claims.keys() == {"tdx.mr_td", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2"}
    assert dict(document.provenance).keys() >= {"acpi_loader", "acpi_rsdp", "acpi_tables", "kernel"}


def test_tdx_registers_that_are_not_known_say_why(folder: Path) -> None:
    launch = td_files(folder)
    boot = ("--kernel", folder / "kernel")
    found = run(*launch, *boot, "--kernel-setup", "patched", "--json").json["not_predicted"]
    assert "give --memory:" in found["rtmr0"] and "give --memory:" in found["rtmr1"]
    assert run(*launch, *boot, "--kernel-setup", "unpatched", "--json").json["measurements"][0]["rtmr1"]
    raw = (folder / "tdvf").read_bytes()
    (folder / "tdvf").write_bytes(kernels.variable_store(first=b"\xaa\x55") + raw[4096:])
    keys = run(*launch, "--memory", "2048", "--json").json
    assert keys["measurements"][0]["rtmr0"] is None and "foundry.uncertain" in keys["not_predicted"]["rtmr0"]
    assert "not predicted: firmware: variable store" in run(*launch, "--memory", "2048").out
    (folder / "kernel").write_bytes(b"k")
    assert "foundry.malformed" in run(*launch, *boot, "--kernel-setup", "unpatched").err
    for memory, message in (("2g", "--memory: expected MiB"), ("1,1", "each size once"), ("1", "64 to")):
        done = run(*launch, "--memory", memory)
        assert done.code == 2 and message in done.err
    assert "--acpi-tables together" in run(*launch[:-2]).err


def test_digests_beside_the_measurement(tmp_path: Path) -> None:
    document = b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n'
    (tmp_path / "initdata.toml").write_bytes(document)
    found = run("reference", "init-data", tmp_path / "initdata.toml", "--json").json
    assert found["snp.host_data"] == hashlib.sha256(document).hexdigest()
    assert found["tdx.mr_config_id"] == hashlib.sha256(document).hexdigest() + "00" * 16
    assert run("reference", "id-key", tmp_path / "initdata.toml").code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--vcpus", "0", "--cpu", "EPYC", "--guest-features", "1"), "--vcpus: expected N or N-M"),
        (("--vcpus", "4-2", "--cpu", "EPYC", "--guest-features", "1"), "smaller number first"),
        (("--vcpus", "1", "--guest-features", "1"), "--cpu: expected one of"),
        (("--vcpus", "1", "--cpu", "EPYC"), "--guest-features: expected SEV_FEATURES"),
        (("--vcpus", "1", "--cpu", "EPYC,EPYC", "--guest-features", "1"), "each name once"),
        (("--vcpus", "1", "--cpu", "EPYC", "--guest-features", "1,0x1"), "each value once"),
        (("--vcpus", "1", "--cpu", "EPYC", "--guest-features", "one"), "expected hex"),
        (("--vcpus", "1", "--cpu", "Skylake", "--guest-features", "1"), FoundryReason.UNSUPPORTED),
        (("--vcpus", "1", "--cpu", "EPYC", "--guest-features", "3"), FoundryReason.UNCERTAIN),
        ((*FAMILY, "--append", "quiet"), "--append: expected --kernel"),
        ((*FAMILY, "--name", "a"), "both --name and --owner"),
        ((*FAMILY, "--out", "a"), "give --name and --owner"),
        ((*FAMILY, "--name", "A", "--owner", "me@a.example"), "policy.identifier"),
        ((*FAMILY, "--explain", "00"), "96 hexadecimal digits"),
        ((*FAMILY, "--igvm", "file"), "--vmm igvm and --igvm FILE together"),
        ((*FAMILY, "--loader", "qemu"), "--loader with them only"),
        ((*FAMILY, "--corim", "a"), "give --name and --owner"),
        ((*FAMILY, "--name", "a", "--owner", "me@a.example", "--corim", "a"), "--corim and --key together"),
        ((*FAMILY, "--name", "a", "--owner", "me@a.example", "--key", "a"), "--corim and --key together"),
    ],
)
def test_what_is_refused_says_what_was_expected(folder: Path, options: tuple[str, ...], message: str) -> None:
    done = run(*qemu(folder, *options))
    assert done.code == 2 and done.out == "" and message in done.err


def test_a_signed_corim_beside_the_set(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pub").write_bytes(public)
    named = ("--name", "guests", "--owner", "me@a.example", "--key", folder / "key.pem")
    files = ("--out", folder / "set.yaml", "--corim", folder / "set.corim")
    done = run(*qemu(folder, *FAMILY, *named, *files))
    assert done.code == 0 and "does not carry: provenance firmware" in done.err
    more = ("--signer", folder / "key.pub", "--owner", "me@a.example", "--out", folder / "back.yaml")
    assert run("reference", "import", folder / "set.corim", *more).code == 0
    (made,) = read((folder / "set.yaml").read_bytes(), "set")
    (back,) = read((folder / "back.yaml").read_bytes(), "back")
    assert isinstance(made, ReferenceSet) and isinstance(back, ReferenceSet)
    assert [entry.claims for entry in back.entries] == [entry.claims for entry in made.entries]
    again = run(*qemu(folder, *FAMILY, *named, "--corim", folder / "set.corim"))
    assert again.code == 2 and "file exists" in again.err


def igvm_files(folder: Path) -> None:
    (folder / "guest.igvm").write_bytes(igvmfiles.build(igvmfiles.guest()))
    unsorted = igvmfiles.guest(igvmfiles.page(0, b"x" * 4096))
    (folder / "unsorted.igvm").write_bytes(igvmfiles.build(unsorted))


def test_igvm(folder: Path) -> None:
    igvm_files(folder)
    launch = (*SNP, "--vmm", "igvm", "--igvm", folder / "guest.igvm", "--vcpus", "1-3")
    found = run(*launch, "--json").json
    image = igvmfile.parse((folder / "guest.igvm").read_bytes())
    digest = igvm.digest(image, igvm.LOADERS[igvm.Loader.CLOUD_HYPERVISOR]).hex()
    assert [(row["measurement"], row["vcpus"]) for row in found["measurements"]] == [
        (digest, number) for number in (1, 2, 3)
    ]
    assert found["measurements"][0]["guest_features"] == "0x1" and found["measurements"][0]["cpu"] is None
    assert found["igvm"]["loaders"] == ["cloud-hypervisor", "hyper-v"]
    assert "not checked against evidence" in found["igvm"]["checked"]
    assert "not checked against evidence" in run(*launch).out
    (document,) = read(run(*launch, "--name", "a", "--owner", "me@a.example").out.encode(), "set")
    assert isinstance(document, ReferenceSet)
    assert document.entries[0].claims == {"snp.measurement": bytes.fromhex(digest)}
    assert "not checked" in dict(document.provenance)["checked"]


def test_igvm_whose_loader_matters(folder: Path) -> None:
    igvm_files(folder)
    launch = (*SNP, "--vmm", "igvm", "--igvm", folder / "unsorted.igvm", "--vcpus", "1")
    done = run(*launch)
    assert done.code == 2 and "foundry.uncertain" in done.err and "cloud-hypervisor, hyper-v" in done.err
    rows = {name: run(*launch, "--loader", name, "--json").json for name in ("cloud-hypervisor", "hyper-v")}
    digests = {name: value["measurements"][0]["measurement"] for name, value in rows.items()}
    assert digests["cloud-hypervisor"] != digests["hyper-v"]
    inside = run(*launch, "--explain", digests["hyper-v"])
    assert inside.code == 0 and "in the family: loaded by hyper-v" in inside.out
    other = run(*launch, "--loader", "hyper-v", "--explain", digests["cloud-hypervisor"], "--json")
    assert other.code == 1 and other.json["explanation"]["differences"] == [
        {"input": "loader", "given": "hyper-v", "found": "cloud-hypervisor"}
    ]
    assert run(*launch, "--explain", "00" * 48).code == 1
    assert "--cpu: expected none" in run(*launch, "--cpu", "EPYC").err
    (folder / "unsorted.igvm").write_bytes(b"IGVM")
    assert "foundry.malformed" in run(*launch).err


def test_other_refusals(folder: Path) -> None:
    (folder / "quote.bin").write_bytes(tdx_files()["quote.bin"])
    done = run(*qemu(folder, *FAMILY, "--match", folder / "quote.bin"))
    assert done.code == 2 and "expected SEV-SNP evidence" in done.err
    assert run(*SNP, "--vmm", "igvm", "--vcpus", "1").code == 2  # no file
    assert "--firmware: expected" in run(*SNP, "--vmm", "qemu", "--vcpus", "1").err
    assert run(*TDX, "--firmware", folder / "ovmf").code == 2
    svsm = ("--vmm", "svsm", "--firmware", folder / "ovmf", "--svsm", folder / "svsm", "--vcpus", "1")
    assert "foundry.missing" in run(*SNP, *svsm, "--cpu", "EPYC").err
    assert json.loads(run(*SNP, *svsm, "--cpu", "EPYC", "--vars-size", 4096, "--json").out)


@pytest.mark.parametrize("template", [False, True], ids=["pod", "deployment"])
def test_init_data_of_a_pod(tmp_path: Path, template: bool) -> None:
    document = b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n'
    packed = base64.b64encode(gzip.compress(document)).decode()
    indent = "    " if template else ""
    text = "kind: Any\n" + ("spec:\n  template:\n" if template else "")
    text += f"{indent}metadata:\n{indent}  annotations:\n{indent}    {initdata.ANNOTATION}: {packed}\n"
    (tmp_path / "pod.yaml").write_text(text)
    found = run("reference", "init-data", "--pod", tmp_path / "pod.yaml", "--json").json
    assert found["digest"] == hashlib.sha256(document).hexdigest()
    (tmp_path / "pod.yaml").write_text("kind: Pod\n")
    done = run("reference", "init-data", "--pod", tmp_path / "pod.yaml")
    assert done.code == 2 and "expected one annotation" in done.err
