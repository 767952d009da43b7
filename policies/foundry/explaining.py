"""A report shows another measurement than predicted: which input, changed, gives the one that it shows?

Looks through what launches differ in by experience: monitor, kernel hashes, initrd, spaces around the
command line, CPU model, guest features, vCPU count. When none of these explains it, files differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from policies.foundry import snp
from policies.foundry.errors import FoundryError
from policies.foundry.kernelhashes import DirectBoot
from policies.foundry.snp import CPUS, Launch, SevFeature
from policies.foundry.vmsa import MONITORS, Vmm

SEARCHED_VCPUS = range(1, 257)
FEATURES = (SevFeature.SNP_ACTIVE, SevFeature.SNP_ACTIVE | SevFeature.DEBUG_SWAP)
"""What kernels set by default: without and with debug swap."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One input: as it was given, and as the measurement says that it was."""

    input: str
    given: str
    found: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A launch that gives exactly the wanted measurement. differences: () when it is in the family."""

    found: snp.Measurement
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Variant:
    launch: Launch
    differences: tuple[Difference, ...]


def explain(
    wanted: bytes, launch: Launch, vcpus: range, cpus: Sequence[str], features: Sequence[int]
) -> Explanation | None:
    """The launch with this measurement: one of the given family, else one that differs from it.

    wanted: 48 bytes. None when no launch has it; two cannot have it, since all that is varied is hashed.
    Models of one CPUID signature cannot be told apart: the first given one, or else QEMU's shortest name,
    stands for all. Raises FoundryError as `snp.family`.
    """
    for member in snp.family(launch, vcpus, cpus, features):
        if member.measurement == wanted:
            return Explanation(member, ())
    found = (e for variant in _variants(launch) for e in _search(variant, wanted, vcpus, cpus, features))
    return next(found, None)


def _search(
    variant: _Variant, wanted: bytes, vcpus: range, cpus: Sequence[str], features: Sequence[int]
) -> Iterator[Explanation]:
    launch = variant.launch
    tried = (1,) if launch.vmm is Vmm.SVSM else tuple(dict.fromkeys((*features, *FEATURES)))
    counts = range(1, max(SEARCHED_VCPUS.stop, vcpus.stop))
    try:
        members = snp.family(launch, counts, _models(launch.vmm, cpus), tried)
    except FoundryError:
        return  # this variant cannot exist: no place for hashes, for example
    for member in members:
        if member.measurement == wanted:
            yield Explanation(
                member, (*variant.differences, *_of_member(member, launch, vcpus, cpus, features))
            )


def _models(vmm: Vmm, cpus: Sequence[str]) -> tuple[str, ...]:
    """One name for each CPUID signature; one at all where the signature is not measured."""
    by_signature: dict[int, str] = {}
    for name in (*cpus, *CPUS):
        by_signature.setdefault(CPUS[name], name)
    names = tuple(by_signature.values())
    return names if MONITORS[vmm].rdx is None else names[:1]


def _of_member(
    member: snp.Measurement, launch: Launch, vcpus: range, cpus: Sequence[str], features: Sequence[int]
) -> Iterator[Difference]:
    if member.vcpus not in vcpus:
        given = str(vcpus[0]) if len(vcpus) == 1 else f"{vcpus[0]}-{vcpus[-1]}"
        yield Difference("vCPUs", given, str(member.vcpus))
    if MONITORS[launch.vmm].rdx is None and CPUS[member.cpu] not in {CPUS[name] for name in cpus}:
        yield Difference("CPU model", ", ".join(cpus), member.cpu)
    if member.guest_features not in features:
        given = ", ".join(f"{value:#x}" for value in features)
        yield Difference("guest features", given, f"{member.guest_features:#x}")


def _variants(launch: Launch) -> Iterator[_Variant]:
    """The launch itself, with another monitor, with another way to boot, and with both."""
    others = (
        [launch.vmm] if launch.vmm is Vmm.SVSM else [launch.vmm, *(v for v in Vmm if v is not launch.vmm)]
    )
    for vmm in others:
        if vmm is Vmm.SVSM and launch.svsm is None:
            continue
        monitor = () if vmm is launch.vmm else (Difference("monitor", launch.vmm.value, vmm.value),)
        for boot, changed in _boots(launch.boot):
            yield _Variant(replace(launch, vmm=vmm, boot=boot), (*monitor, *changed))


def _boots(boot: DirectBoot | None) -> Iterator[tuple[DirectBoot | None, tuple[Difference, ...]]]:
    yield boot, ()
    if boot is None:
        return
    yield None, (Difference("kernel hashes", "on", "off: kernel, initrd and command line are not measured"),)
    if boot.initrd:
        yield replace(boot, initrd=b""), (Difference("initrd", "one", "none"),)
    texts = dict.fromkeys((boot.append.strip(), boot.append + "\n", boot.append + " ", ""))
    for text in texts:
        if text != boot.append:
            yield replace(boot, append=text), (Difference("command line", repr(boot.append), repr(text)),)
