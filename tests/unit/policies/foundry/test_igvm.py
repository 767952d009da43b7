"""IGVM files: the digest a second time by hand, what loaders differ in, and everything that is refused."""

from __future__ import annotations

import hashlib

import pytest

from policies.foundry import gctx, igvm, igvmfile, snp, vmsa
from policies.foundry.errors import FoundryError, FoundryReason
from policies.foundry.gctx import PageType
from policies.foundry.igvm import Loader
from policies.foundry.snp import Launch
from policies.foundry.vmsa import Vmm
from tests import firmware as fw
from tests import igvmfiles as f

ONE = range(1, 2)
LARGE = 2 << 20


def by_hand(*pages: tuple[int, int, bytes | None]) -> bytes:
    """(page type, address, contents or None where they do not count), as PAGE_INFO is written."""
    digest = bytes(48)
    for kind, gpa, data in pages:
        contents = bytes(48) if data is None else hashlib.sha384(data).digest()
        digest = hashlib.sha384(
            digest + contents + b"\x70\0" + bytes((kind, 0, 0, 0, 0, 0)) + gpa.to_bytes(8, "little")
        ).digest()
    return digest


def measured(items: list[f.Item], loader: Loader | None = None, vcpus: range = ONE) -> igvm.IgvmLaunch:
    return igvm.measure(igvmfile.parse(f.build(items)), loader, vcpus)


def refusal(items: list[f.Item], loader: Loader | None = None, vcpus: range = ONE) -> FoundryError:
    with pytest.raises(FoundryError) as caught:
        measured(items, loader, vcpus)
    return caught.value


GUEST = by_hand(
    (1, 0x1000, b"\1" * 4096),
    (1, 0x2000, bytes(4096)),
    (5, 0x3000, None),
    (6, 0x4000, None),
    (4, 0x5000, None),
    (4, 0x6000, None),
    (2, f.KVM_VMSA, f.vmsa()),
)


def test_every_directive_in_order() -> None:
    found = measured(f.guest(), vcpus=range(1, 65))
    assert found.measurement == GUEST
    assert found.loaders == (Loader.CLOUD_HYPERVISOR, Loader.HYPER_V)
    assert (found.confirmed, found.features, found.policy) == (False, 1, 0x30000)


def test_qemu_has_zero_pages_and_its_save_area_last() -> None:
    items = f.guest()
    items = [*items[:4], items[-1], *items[4:-1]]
    assert measured(items, Loader.QEMU).measurement == by_hand(
        (1, 0x1000, b"\1" * 4096),
        (3, 0x2000, None),
        (5, 0x3000, None),
        (6, 0x4000, None),
        (4, 0x5000, None),
        (4, 0x6000, None),
        (2, f.KVM_VMSA, f.vmsa()),
    )


def test_pages_in_another_order_need_a_loader() -> None:
    items = f.guest(f.page(0, b"\4" * 4096), gpa=0x7000)
    assert refusal(items).reason == FoundryReason.UNCERTAIN
    by_address = measured(items, Loader.CLOUD_HYPERVISOR).measurement
    in_order = measured(items, Loader.HYPER_V).measurement
    middle = ((1, 0x1000, b"\1" * 4096), (1, 0x2000, bytes(4096)), (5, 0x3000, None), (6, 0x4000, None))
    middle = (*middle, (4, 0x5000, None), (4, 0x6000, None))
    zero, last = (1, 0, b"\4" * 4096), (2, 0x7000, f.vmsa())
    assert by_address == by_hand(zero, *middle, last)
    assert in_order == by_hand(*middle, zero, last)
    confirmed = measured([*items[:-1], f.id_block(in_order), items[-1]])
    assert (confirmed.measurement, confirmed.loaders) == (in_order, (Loader.HYPER_V,))


def test_the_same_pages_by_firmware_and_by_file() -> None:
    """An OVMF launch of QEMU written as an IGVM file has the digest of the known answers' code path."""
    image = fw.ovmf()
    (expected,) = snp.family(Launch(vmm=Vmm.QEMU, firmware=image), range(1, 2), ("EPYC-v4",), (1,))
    base = (1 << 32) - len(image)
    pages = [f.page(base + at, image[at : at + 4096]) for at in range(0, len(image), 4096)]
    kinds = {fw.SECRETS: f.SECRETS, fw.CPUID: f.CPUID}
    for gpa, size, kind in fw.SECTIONS:
        pages += [f.page(at, kind=kinds.get(kind, f.NORMAL)) for at in range(gpa, gpa + size, 4096)]
    save = vmsa.real_mode(Vmm.QEMU, vmsa.RESET, snp.CPUS["EPYC-v4"], 1)
    items = [f.platform(), *pages, f.context(f.KVM_VMSA, save)]
    assert measured(items, Loader.QEMU).measurement == expected.measurement


def test_large_pages_are_measured_as_small_ones() -> None:
    data = b"".join(bytes([n & 0xFF]) * 4096 for n in range(512))
    items = [f.platform(), f.page(LARGE, data, flags=1), f.context(f.KVM_VMSA, f.vmsa())]
    small = [(1, LARGE + n * 4096, data[n * 4096 : (n + 1) * 4096]) for n in range(512)]
    expected = by_hand(*small, (2, f.KVM_VMSA, f.vmsa()))
    assert measured(items, Loader.HYPER_V).measurement == expected
    assert refusal(items, Loader.CLOUD_HYPERVISOR).reason == FoundryReason.UNSUPPORTED


def test_other_platforms_are_left_out() -> None:
    items = f.guest()
    items.insert(1, f.platform(mask=2, kind=3))
    items.insert(-1, f.page(0x900000, b"\5" * 4096, mask=2))
    items.insert(-1, f.context(0, f.vmsa(), vp_index=5, mask=2))
    assert measured(items).measurement == GUEST
    items.insert(-1, f.page(0x901000, b"\5" * 4096, mask=3))
    assert measured(items).measurement != GUEST


def test_the_id_block_must_agree() -> None:
    items = f.guest()
    good = measured([*items[:-1], f.id_block(GUEST), items[-1]], vcpus=range(1, 9))
    assert (good.measurement, good.confirmed) == (GUEST, True)
    assert refusal([*items[:-1], f.id_block(bytes(48)), items[-1]]).reason == FoundryReason.UNCERTAIN


HEAD = [f.platform(), f.policy()]
LAST = f.context(0x10000, f.vmsa())


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        pytest.param([f.platform(kind=3), LAST], FoundryReason.MISSING, id="not-for-snp"),
        pytest.param([f.platform(version=2), LAST], FoundryReason.UNSUPPORTED, id="platform-version"),
        pytest.param([f.platform(mask=3), LAST], FoundryReason.MALFORMED, id="two-bits"),
        pytest.param([f.platform(), f.platform(mask=2), LAST], FoundryReason.UNSUPPORTED, id="two-snp"),
        pytest.param([f.platform(), f.platform(kind=3), LAST], FoundryReason.MALFORMED, id="mask-twice"),
        pytest.param([*HEAD, f.policy(), LAST], FoundryReason.MALFORMED, id="two-policies"),
        pytest.param([f.platform(), LAST, f.policy()], FoundryReason.MALFORMED, id="order-of-sections"),
        pytest.param([*HEAD, f.page(0x1000, mask=4), LAST], FoundryReason.MALFORMED, id="undeclared-mask"),
        pytest.param([*HEAD, f.page(0x1000, mask=0), LAST], FoundryReason.MALFORMED, id="no-mask"),
        pytest.param([*HEAD, f.Item(0x306, bytes(8)), LAST], FoundryReason.UNSUPPORTED, id="type"),
        pytest.param([*HEAD, f.Item(0x80000302, bytes(24)), LAST], FoundryReason.UNSUPPORTED, id="skippable"),
        pytest.param([*HEAD, f.Item(f.PAGE_DATA, bytes(16)), LAST], FoundryReason.MALFORMED, id="length"),
        pytest.param(
            [*HEAD, f.Item(f.RELOCATABLE, b"\1".ljust(48, b"\0")), LAST],
            FoundryReason.UNSUPPORTED,
            id="relocatable",
        ),
        pytest.param([*HEAD, f.page(0x1001), LAST], FoundryReason.MALFORMED, id="address"),
        pytest.param([*HEAD, f.page(1 << 52), LAST], FoundryReason.MALFORMED, id="beyond-memory"),
        pytest.param([*HEAD, f.page(0x1000, flags=1), LAST], FoundryReason.MALFORMED, id="large-address"),
        pytest.param([*HEAD, f.page(0x1000, flags=4), LAST], FoundryReason.UNSUPPORTED, id="shared"),
        pytest.param([*HEAD, f.page(0x1000, kind=4), LAST], FoundryReason.UNSUPPORTED, id="page-kind"),
        pytest.param([*HEAD, f.page(0x1000), f.page(0x1000), LAST], FoundryReason.MALFORMED, id="page-twice"),
        pytest.param([*HEAD, f.page(0x1000, kind=f.CPUID_XF), LAST], None, id="second-cpuid-page"),
        pytest.param([*HEAD, f.area(size=4097), LAST], FoundryReason.MALFORMED, id="area-size"),
        pytest.param([*HEAD, f.area(size=1 << 40), LAST], FoundryReason.TOO_MUCH, id="area-huge"),
        pytest.param([*HEAD, f.area(), f.area(), LAST], FoundryReason.MALFORMED, id="area-twice"),
        pytest.param([*HEAD, f.insert(0x1000), LAST], FoundryReason.MALFORMED, id="area-unknown"),
        pytest.param(
            [*HEAD, f.area(), f.insert(0x1000), f.insert(0x2000), LAST],
            FoundryReason.MALFORMED,
            id="inserted",
        ),
        pytest.param([*HEAD, f.vp_count(), LAST], FoundryReason.MALFORMED, id="parameter-area"),
        pytest.param([*HEAD, f.area(), f.vp_count(offset=4096), LAST], FoundryReason.MALFORMED, id="offset"),
        pytest.param([*HEAD, f.id_block(GUEST, version=2), LAST], FoundryReason.UNSUPPORTED, id="id-version"),
        pytest.param(
            [*HEAD, f.id_block(GUEST), f.id_block(GUEST), LAST], FoundryReason.MALFORMED, id="two-id-blocks"
        ),
        pytest.param(HEAD, FoundryReason.UNSUPPORTED, id="no-save-area"),
        pytest.param([*HEAD, LAST, LAST], FoundryReason.UNSUPPORTED, id="two-save-areas"),
        pytest.param(
            [*HEAD, f.context(0x10000, f.vmsa(), vp_index=1)], FoundryReason.UNSUPPORTED, id="other-processor"
        ),
        pytest.param([*HEAD, f.context(0x10000, f.vmsa(features=0))], FoundryReason.MALFORMED, id="features"),
        pytest.param(
            [*HEAD, f.context(0x10000, f.vmsa()[:-1] + b"\1")], FoundryReason.UNCERTAIN, id="behind-save-area"
        ),
    ],
)
def test_what_is_refused(items: list[f.Item], reason: str | None) -> None:
    if reason is None:  # one of the two loaders takes it, and is named
        assert measured(items).loaders == (Loader.HYPER_V,)
        return
    assert refusal(items).reason == reason


@pytest.mark.parametrize(
    ("items", "loader", "reason"),
    [
        pytest.param(
            [*HEAD, f.area(size=8192), f.insert(0x1000), LAST],
            Loader.CLOUD_HYPERVISOR,
            FoundryReason.UNCERTAIN,
            id="large-area",
        ),
        pytest.param(
            [*HEAD, f.required(0x1000, 4096, f.ERROR_RANGE), LAST],
            Loader.CLOUD_HYPERVISOR,
            FoundryReason.UNSUPPORTED,
            id="error-range",
        ),
        pytest.param([*HEAD, LAST], Loader.QEMU, FoundryReason.UNSUPPORTED, id="kvm-address"),
    ],
)
def test_what_a_loader_does_not_take(items: list[f.Item], loader: Loader, reason: str) -> None:
    assert refusal(items, loader).reason == reason


def test_qemu_measures_processors_that_are_not_in_the_file() -> None:
    assert refusal(f.guest(), Loader.QEMU, range(1, 3)).reason == FoundryReason.UNCERTAIN


def test_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(igvm, "MAX_PAGES", 5)
    assert refusal(f.guest()).reason == FoundryReason.TOO_MUCH
    monkeypatch.setattr(igvmfile, "MAX_HEADERS", 5)
    with pytest.raises(FoundryError) as caught:
        igvmfile.parse(f.build(f.guest()))
    assert caught.value.reason == FoundryReason.TOO_MUCH


WHOLE = f.build([*f.guest()[:-1], f.id_block(GUEST), f.guest()[-1]])


def test_a_file_cut_at_any_length_is_refused() -> None:
    end = 24 + int.from_bytes(WHOLE[12:16], "little")
    for size in [*range(end + 1), *range(end, len(WHOLE), 997), len(WHOLE) - 1]:
        with pytest.raises(FoundryError):
            igvmfile.parse(WHOLE[:size])
    with pytest.raises(FoundryError):
        igvmfile.parse(WHOLE + b"\0")


def test_headers_cut_at_any_length_are_refused_with_a_good_checksum_too() -> None:
    """The size of the variable headers is wrong in each; only the whole has a save area and reads."""
    whole = f.build(f.guest())
    size = int.from_bytes(whole[12:16], "little")
    for less in range(8, size, 8):
        cut = whole[:12] + (size - less).to_bytes(4, "little") + whole[16:]
        with pytest.raises(FoundryError):
            igvm.measure(igvmfile.parse(f.sealed(cut)), None, ONE)


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, b"MVGI", FoundryReason.MALFORMED),
        (4, b"\2\0\0\0", FoundryReason.UNSUPPORTED),
        (8, b"\x20\0\0\0", FoundryReason.UNSUPPORTED),
        (12, b"\xff\xff\xff\xff", FoundryReason.MALFORMED),
        (12, b"\0\0\0\0", FoundryReason.MALFORMED),
        (16, b"\0\0\0\0", FoundryReason.MALFORMED),
        (20, b"\0\0\0\0", FoundryReason.MALFORMED),
    ],
)
def test_the_fixed_header(at: int, value: bytes, reason: str) -> None:
    with pytest.raises(FoundryError) as caught:
        igvmfile.parse(WHOLE[:at] + value + WHOLE[at + len(value) :])
    assert caught.value.reason == reason


def test_data_must_lie_in_the_file() -> None:
    for offset in (1, 24, len(WHOLE) - 4095):
        item = f.Item(f.PAGE_DATA, f.le((0x1000, 8), (1, 4), (offset, 4), (0, 8)))
        assert refusal([*HEAD, item, LAST]).reason == FoundryReason.MALFORMED


def test_page_types_are_those_of_the_firmware() -> None:
    assert [kind.value for kind in PageType] == [1, 2, 3, 4, 5, 6] and gctx.VMSA_GPA == f.KVM_VMSA
