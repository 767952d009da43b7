"""Known answers of launch measurements: every row of the fact sheets, computed from the recorded firmware."""

from __future__ import annotations

import hashlib
import json

import pytest

from policies.foundry import idblock, initdata, rtmr, snp, tdhob, tdvf
from policies.foundry.errors import FoundryError, FoundryReason
from policies.foundry.guidtable import guid
from policies.foundry.kernelhashes import DirectBoot
from policies.foundry.snp import Launch
from policies.foundry.tdvf import Attribute, PageOrder, Section, SectionType
from policies.foundry.vmsa import Vmm
from tests.support import load_manifest, needs_vectors, vector_bytes
from verifiers.eventlog import reading
from verifiers.eventlog.log import DSTACK_RUNTIME
from verifiers.eventlog.replay import replay

C = "console=ttyS0 loglevel=7"
FIRMWARE = {
    "A": "measurement-ovmf/ovmf_AmdSev_suffix.bin",
    "X": "measurement-ovmf/ovmf_OvmfX64_suffix.bin",
}
SNP = [
    (
        "qemu",
        "A",
        1,
        0x21,
        "",
        "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef98a7ef198",
    ),
    (
        "qemu",
        "A",
        1,
        0x1,
        "",
        "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a9079397fa3852819b5",
    ),
    (
        "qemu",
        "A",
        1,
        0x21,
        C,
        "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895dfe778d0228977",
    ),
    (
        "qemu",
        "A",
        1,
        0x1,
        C,
        "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa",
    ),
    (
        "qemu",
        "A",
        1,
        0x21,
        None,
        "e1e1ca029dd7973ab9513295be68198472dcd4fc834bd9af9b63f6e8a1674dbf281a9278a4a2ebe0eed9f22adbcd0e2b",
    ),
    (
        "qemu",
        "A",
        1,
        0x1,
        None,
        "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ecabe033c48dd6f6db5d6d76e7c5df632d",
    ),
    (
        "qemu",
        "A",
        4,
        0x21,
        "",
        "4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698e2414a631942",
    ),
    (
        "qemu",
        "A",
        4,
        0x1,
        "",
        "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36e23046ad5",
    ),
    (
        "qemu",
        "X",
        1,
        0x21,
        None,
        "28797ae0afaba4005a81e629acebfb59e6687949d6be44007cd5506823b0dd66f146aaae26ff291eed7b493d8a64c385",
    ),
    (
        "qemu",
        "X",
        1,
        0x1,
        None,
        "da0296de8193586a5512078dcd719eccecbd87e2b825ad4148c44f665dc87df21e5b49e21523a9ad993afdb6a30b4005",
    ),
    (
        "ec2",
        "A",
        1,
        0x21,
        "",
        "0ce9ccc06bab55eebe8abc234f3df6514883977a68a591b71052498ab52b2f1aa415db338033946ef93aa8278c0d67fb",
    ),
    (
        "ec2",
        "A",
        1,
        0x1,
        "",
        "0883bd0eeb716e65b7b977a321c278d1e51b33b5c655fab985443bbcc65c086b9c15e8a0bd8811050dec7e24964e5056",
    ),
    (
        "ec2-rdx0",
        "A",
        1,
        0x21,
        "",
        "6ae80856486b1396af8c82a40351d6ed76a20c785e9c7fa4ffa27c22d5d6313b4b3b458cd3c9968e6f89fb5d8450d7a6",
    ),
    (
        "ec2-rdx0",
        "A",
        1,
        0x1,
        "",
        "7d3756157c805bf6adf617064c8552e8c1688fa1c8756f11cbf56ba5d25c9270fb69c0505c1cbe1c5c66c0e34c6ed3be",
    ),
    (
        "gce",
        "A",
        1,
        0x1,
        "",
        "5da7106cf14cf46b1725ebab123eb9e53bd46a1e9f400cd0c08e7827b04b688ea8b4e403c8404efed4397ea5d5d0722e",
    ),
    (
        "gce",
        "A",
        4,
        0x1,
        "",
        "5c5debf100fc339f90276e761ee1f1658d08922c3b20e2a2e6c7a6c3370b2452a15a00eae11886a93d6fd1e7ab81e29d",
    ),
]
SVSM = [
    (4, "27d154c27b7b359c935e250ec6fee72aa0ae8c1225e3b0e1cf46a9567e938066d7d6f94bbdc4a857818bdb79277a44b2"),
    (2, "9b94745036aafddf4f7f8b00c7513abb5b7703178cb95aaa57928bd963d68d3bfcb715d6019b9167ee2517b11b0d9be7"),
]
KEYS = [
    (
        "id-block-python/id_key_test.pub.pem",
        "870b7e35c53f8a72d0d322f75ab2af8262792aaf6579622ce4131c3f21f289e77cb0560a5e3b90b3932e674ec709cb14",
    ),
    (
        "id-block-python/author_key_test.pub.pem",
        "63111c34bbfc0a4938f9a009bd074980d8172323e61599c9fd336da8673248e1dca98d0be8f76376a106b8afd4c0a057",
    ),
    (
        "id-block/test_id_key.pub.pem",
        "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a644820773fe2",
    ),
    (
        "id-block/test_auth_key.pub.pem",
        "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a4284a1b36c5f",
    ),
]
TDX = {entry["id"]: entry for entry in load_manifest("tdx").get("known_answers", [])}
MEASURED, PLAIN = Attribute.MR_EXTEND, Attribute(0)


def one(launch: Launch, vcpus: int, features: int) -> str:
    (found,) = snp.family(launch, range(vcpus, vcpus + 1), ("EPYC-v4",), (features,))
    return found.measurement.hex()


@needs_vectors("sev-snp")
@pytest.mark.parametrize(("vmm", "firmware", "vcpus", "features", "append", "digest"), SNP)
def test_snp(vmm: str, firmware: str, vcpus: int, features: int, append: str | None, digest: str) -> None:
    boot = None if append is None else DirectBoot(b"", b"", append)
    launch = Launch(vmm=Vmm(vmm), firmware=vector_bytes("sev-snp", FIRMWARE[firmware]), boot=boot)
    assert one(launch, vcpus, features) == digest


@needs_vectors("sev-snp")
def test_snp_firmware_that_would_not_check_the_kernel() -> None:
    firmware = vector_bytes("sev-snp", FIRMWARE["X"])
    with pytest.raises(FoundryError) as caught:
        one(Launch(vmm=Vmm.QEMU, firmware=firmware, boot=DirectBoot(b"", b"", "")), 1, 0x21)
    assert caught.value.reason == FoundryReason.MISSING


@needs_vectors("sev-snp")
def test_snp_firmware_alone() -> None:
    firmware = vector_bytes("sev-snp", FIRMWARE["A"])
    found = snp.gctx.pages(snp.gctx.START, firmware, (1 << 32) - len(firmware))
    assert found.hex().startswith("086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2")
    assert found.hex().endswith("c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b74")


@needs_vectors("sev-snp")
@pytest.mark.parametrize(("vcpus", "digest"), SVSM)
def test_snp_with_an_svsm(vcpus: int, digest: str) -> None:
    launch = Launch(
        vmm=Vmm.SVSM,
        firmware=vector_bytes("sev-snp", "measurement-svsm/svsm_ovmf.fd"),
        svsm=vector_bytes("sev-snp", "measurement-svsm/svsm.bin"),
        vars_size=540672,
    )
    assert one(launch, vcpus, 1) == digest


@needs_vectors("sev-snp")
@pytest.mark.parametrize(("name", "digest"), KEYS)
def test_id_keys(name: str, digest: str) -> None:
    assert idblock.key_digest(vector_bytes("sev-snp", name), name).hex() == digest


@needs_vectors("sev-snp")
def test_id_keys_stand_in_the_recorded_id_auth() -> None:
    auth = vector_bytes("sev-snp", "id-block/test_auth_block.bin")
    for name, at in (("id", 0x240), ("auth", 0x880)):
        key = idblock.public_key(vector_bytes("sev-snp", f"id-block/test_{name}_key.pub.pem"), name)
        assert auth[at : at + idblock.KEY_SIZE] == key


@needs_vectors("tdx")
@pytest.mark.parametrize("order", PageOrder)
@pytest.mark.parametrize("name", ["mrtd-one-page-measured", "mrtd-plus-unmeasured", "mrtd-two-pages"])
def test_mr_td(name: str, order: PageOrder) -> None:
    page = (bytes(i & 0xFF for i in range(4096)), 0xFFFFF000, 4096, MEASURED)
    pages = {
        "mrtd-one-page-measured": [page],
        "mrtd-plus-unmeasured": [page, (b"", 0x809000, 8192, PLAIN)],
        "mrtd-two-pages": [
            (bytes(7 * i & 0xFF for i in range(8192)), 0xFFFFE000, 8192, MEASURED),
            (b"", 0x80B000, 4096, PLAIN),
        ],
    }[name]
    sections = [
        Section(data=data, gpa=gpa, memory_size=size, type=SectionType.BFV, attributes=bits)
        for data, gpa, size, bits in pages
    ]
    assert tdvf.mr_td(sections, order).hex() == TDX[name][order.replace("-", "_")]


@needs_vectors("tdx")
@pytest.mark.parametrize(
    ("name", "digest"),
    [
        (
            "efi-var-secureboot-absent",
            rtmr.variable(guid("8BE4DF61-93CA-11D2-AA0D-00E098032B8C"), "SecureBoot", b""),
        ),
        ("separator", rtmr.SEPARATOR),
        ("boot-option-action", rtmr.BOOT_OPTION),
        ("exit-boot-invocation", rtmr.EXIT_BOOT_INVOCATION),
        ("exit-boot-success", rtmr.EXIT_BOOT_SUCCESS),
        ("cmdline-utf16", rtmr.command_line("console=hvc0 root=/dev/vda1")),
        ("rtmr-extend", rtmr.replay([rtmr.hashlib.sha384(b"abc").digest()])),
    ],
)
def test_rtmr_events(name: str, digest: bytes) -> None:
    assert digest.hex() == TDX[name]["value"]


@needs_vectors("tdx")
def test_every_tdx_answer_has_a_test_but_the_one_that_needs_an_image() -> None:
    tested = {"mrtd-one-page-measured", "mrtd-plus-unmeasured", "mrtd-two-pages", "efi-var-secureboot-absent"}
    tested |= {"separator", "boot-option-action", "exit-boot-invocation", "exit-boot-success"}
    tested |= {"cmdline-utf16", "rtmr-extend"}
    assert TDX.keys() - tested == {"dstack-0.5.5-default"}


@needs_vectors("tdx")
def test_registers_of_a_recorded_launch() -> None:
    """OVMF on QEMU 9.2, 64 GiB, kernel started directly. Its log, which replays to its quote, gives what is
    not at hand (variable store, ACPI, kernel); memory list, order and all other events are computed."""
    reply = json.loads(vector_bytes("tdx", "eventlogs/dstack-quote-report.json"))
    log = reading.parse(reply["event_log"].encode())
    recorded = [
        [e.digest for e in log.events if e.index == n + 1 and e.type != DSTACK_RUNTIME] for n in range(3)
    ]
    quoted = replay(log.events)
    memory = json.loads(reply["vm_config"])["memory_size"]
    sections = [
        Section(data=b"", gpa=gpa, memory_size=size, type=kind, attributes=PLAIN)
        for gpa, size, kind in (
            (0x809000, 0x2000, SectionType.TD_HOB),
            (0x80B000, 0x2000, SectionType.TEMP_MEM),
            (0x810000, 0x10000, SectionType.TEMP_MEM),
            (0x800000, 0x6000, SectionType.TEMP_MEM),
        )
    ]
    hob = hashlib.sha384(tdhob.build(sections, memory)).digest()
    assert hob == recorded[0][0]
    assert rtmr.rtmr0(hob, recorded[0][1], rtmr.Acpi(*recorded[0][8:11])) == quoted[0]
    assert rtmr.rtmr1(recorded[1][0]) == quoted[1]
    assert rtmr.replay(recorded[2]) == quoted[2]


@needs_vectors("kbs")
def test_init_data() -> None:
    rows = json.loads(vector_bytes("kbs", "initdata/derived.json"))["rows"]
    assert {row["algorithm"] for row in rows} >= {"sha256", "sha384", "sha512"}
    for row in rows:
        found = initdata.read(row["toml"].encode())
        assert found.digest.hex() == row["digest_hex"]
        assert found.fields["snp.host_data"].hex() == row["snp_host_data_hex"]
        assert found.fields["tdx.mr_config_id"].hex() == row["tdx_mrconfigid_hex"]
