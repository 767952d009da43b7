"""The SEV-SNP launch digest of an IGVM file, by the rules of who loads it.

The file gives everything that is measured, save areas too. Loaders differ in order and in zero pages; each
is a row of `LOADERS`. Not checked against evidence of a real launch. The file's own ID block, where there is
one, says what its author computed: firmware launches nothing else with it, and nothing else is stated here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha384
from itertools import pairwise
from types import MappingProxyType

from policies.foundry import gctx
from policies.foundry.errors import FoundryError, FoundryReason, malformed
from policies.foundry.gctx import PageType
from policies.foundry.guidtable import PAGE
from policies.foundry.igvmfile import (
    LARGE_PAGE,
    Header,
    PageData,
    PageKind,
    Parameters,
    Range,
    SnpImage,
    VpContext,
)
from policies.foundry.snp import SevFeature

MAX_PAGES = 1 << 18
"""Pages that are added (1 GiB): each costs a hash or two."""

_SAVE_AREA = 0x670
_FEATURES_AT = 0x3B0
_ZERO_PAGE = sha384(bytes(PAGE)).digest()
_KINDS: Mapping[PageKind, PageType] = MappingProxyType(
    {
        PageKind.NORMAL: PageType.NORMAL,
        PageKind.SECRETS: PageType.SECRETS,
        PageKind.CPUID_DATA: PageType.CPUID,
        PageKind.CPUID_XF: PageType.CPUID,
    }
)


class Loader(enum.StrEnum):
    """Values are words of the command line."""

    CLOUD_HYPERVISOR = "cloud-hypervisor"
    HYPER_V = "hyper-v"
    QEMU = "qemu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """by_address: pages are added by ascending address, else in the order of the file.

    native_zero: a page without data is of the type ZERO, else NORMAL. kvm: the save area is measured last, at
    KVM's address. small_only: no 2 MiB pages, no parameter areas of more than one page, no second CPUID page,
    no error ranges.
    """

    by_address: bool = False
    native_zero: bool = False
    kvm: bool = False
    small_only: bool = False


LOADERS: Mapping[Loader, Rules] = MappingProxyType(
    {
        Loader.CLOUD_HYPERVISOR: Rules(by_address=True, small_only=True),
        Loader.HYPER_V: Rules(),
        Loader.QEMU: Rules(native_zero=True, kvm=True),
    }
)
UNNAMED = (Loader.CLOUD_HYPERVISOR, Loader.HYPER_V)
"""Who may have loaded it when nobody said who; they must agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IgvmLaunch:
    """loaders: all that give this measurement, of those asked for. confirmed: the file's ID block has it too.

    features: SEV_FEATURES of its save area. policy: the guest policy that the file asks for.
    """

    measurement: bytes
    loaders: tuple[Loader, ...]
    confirmed: bool
    features: int
    policy: int | None


@dataclass(frozen=True, slots=True)
class _Step:
    gpa: int
    kind: PageType
    contents: bytes


def measure(image: SnpImage, loader: Loader | None, vcpus: range) -> IgvmLaunch:
    """The measurement, the same for each number of `vcpus`.

    loader: None if it is not known; then the measurement must be the same with Cloud Hypervisor and Hyper-V,
    or the ID block must say which. Raises FoundryError: UNCERTAIN when it is not, or the ID block has none
    of them; UNSUPPORTED, MALFORMED, TOO_MUCH.
    """
    digests: dict[Loader, bytes] = {}
    refused: list[FoundryError] = []
    for each in UNNAMED if loader is None else (loader,):
        try:
            digests[each] = digest(image, LOADERS[each])
        except FoundryError as error:
            refused.append(error)
    if not digests:
        raise refused[0]
    if image.id_block is not None:
        wanted = image.id_block.ld
        confirmed = {name: value for name, value in digests.items() if value == wanted}
        if not confirmed:
            found = ", ".join(f"{value.hex()} ({name.value})" for name, value in digests.items())
            raise _uncertain("IGVM file: ID block", f"LD {wanted.hex()}", found)
        digests = confirmed
    if len(set(digests.values())) > 1:
        names = ", ".join(name.value for name in digests)
        raise _uncertain(
            "IGVM file: loader", "one that is named", f"{names}: they measure this file differently"
        )
    if loader is Loader.QEMU and image.id_block is None and vcpus != range(1, 2):
        raise _uncertain(
            "vCPUs", "1 with QEMU: save areas of others are not in the file", f"{vcpus[0]}-{vcpus[-1]}"
        )
    return IgvmLaunch(
        measurement=next(iter(digests.values())),
        loaders=tuple(digests),
        confirmed=image.id_block is not None,
        features=int.from_bytes(_save_area(image).vmsa[_FEATURES_AT : _FEATURES_AT + 8], "little"),
        policy=image.policy,
    )


def digest(image: SnpImage, rules: Rules) -> bytes:
    """The launch digest by these rules, 48 bytes. Raises FoundryError as `measure`."""
    _check_save_area(_save_area(image), rules)
    steps: list[_Step] = []
    for step in _steps(image, rules):
        steps.append(step)
        if len(steps) > MAX_PAGES:
            raise FoundryError(
                FoundryReason.TOO_MUCH, "IGVM file", expected=f"at most {MAX_PAGES} pages", found="more"
            )
    seen = sorted(step.gpa for step in steps)
    for low, high in pairwise(seen):
        if low == high:
            raise malformed("IGVM file", expected="each page once", found=f"two at {low:#x}")
    if rules.by_address:
        steps.sort(key=lambda step: step.gpa)
    if rules.kvm:
        steps.sort(key=lambda step: step.kind is PageType.VMSA)
    value = gctx.START
    for step in steps:
        value = gctx.extend(value, step.kind, step.gpa, step.contents)
    return value


def _steps(image: SnpImage, rules: Rules) -> Iterator[_Step]:
    none = bytes(48)
    for item in image.directives:
        match item:
            case PageData():
                yield from _page_steps(item, rules)
            case Parameters(gpa, size):
                if rules.small_only and size > PAGE:
                    raise _uncertain("IGVM file: parameter area", "one page", f"{size // PAGE}")
                for at in range(0, size, PAGE):
                    yield _Step(gpa + at, PageType.UNMEASURED, none)
            case VpContext(gpa, _, vmsa):
                yield _Step(gpa, PageType.VMSA, sha384(vmsa).digest())
            case Range(header):
                if header is Header.ERROR_RANGE and (rules.small_only or rules.kvm):
                    raise _unsupported("IGVM file", "no ERROR_RANGE with this loader", "one")


def _page_steps(page: PageData, rules: Rules) -> Iterator[_Step]:
    if rules.small_only and (page.large or page.kind is PageKind.CPUID_XF):
        raise _unsupported(
            f"IGVM file: page at {page.gpa:#x}", "4096 bytes, no CPUID_XF, with this loader", "another"
        )
    kind = _KINDS[page.kind]
    if kind is PageType.NORMAL and page.unmeasured:
        kind = PageType.UNMEASURED
    elif kind is PageType.NORMAL and page.data is None and rules.native_zero:
        kind = PageType.ZERO
    for at in range(0, LARGE_PAGE if page.large else PAGE, PAGE):
        contents = bytes(48)
        if kind is PageType.NORMAL:
            contents = _ZERO_PAGE if page.data is None else sha384(page.data[at : at + PAGE]).digest()
        yield _Step(page.gpa + at, kind, contents)


def _save_area(image: SnpImage) -> VpContext:
    found = [item for item in image.directives if isinstance(item, VpContext)]
    if len(found) != 1 or found[0].vp_index != 0:
        indexes = ", ".join(str(item.vp_index) for item in found[:8]) or "none"
        raise _unsupported("IGVM file: VP_CONTEXT", "one, for the processor 0", indexes)
    return found[0]


def _check_save_area(context: VpContext, rules: Rules) -> None:
    where = "IGVM file: save area"
    if any(context.vmsa[_SAVE_AREA:]):
        raise _uncertain(
            where, f"zeros behind its {_SAVE_AREA:#x} bytes", "others, that not all loaders copy"
        )
    features = int.from_bytes(context.vmsa[_FEATURES_AT : _FEATURES_AT + 8], "little")
    if not features & SevFeature.SNP_ACTIVE:
        raise malformed(f"{where}: SEV_FEATURES", expected="bit 0 (SNP active)", found=f"{features:#x}")
    if rules.kvm and context.gpa != gctx.VMSA_GPA:
        raise _unsupported(f"{where}: address", f"{gctx.VMSA_GPA:#x} with QEMU", f"{context.gpa:#x}")


def _uncertain(where: str, expected: str, found: str) -> FoundryError:
    return FoundryError(FoundryReason.UNCERTAIN, where, expected=expected, found=found)


def _unsupported(where: str, expected: str, found: object) -> FoundryError:
    return FoundryError(FoundryReason.UNSUPPORTED, where, expected=expected, found=found)
