"""`sealgate reference measure tdx`: MRTD and the runtime registers, each only as far as it is known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from gateway.cli.errors import InputError, describe, one_line, reading
from gateway.cli.measure_output import Inputs, Publication, direct_boot, publish, published, read_boot
from gateway.cli.remote import show
from policies.foundry import rtmr, tdvf
from policies.foundry.document import Row
from policies.foundry.errors import FoundryError, FoundryReason
from policies.foundry.guidtable import MAX_IMAGE
from policies.foundry.kernelhashes import DirectBoot
from policies.foundry.rtmr import Acpi
from policies.foundry.tdvf import PageOrder, Section

MAX_ACPI = 1 << 20
"""Bytes of one ACPI blob."""
OLD_EVENTS = "pre-2025-05"
PATCHED, UNPATCHED = "patched", "unpatched"
_MEMORY = re.compile(r"[1-9]\d{0,8}\Z", re.ASCII)
_KEPT = (FoundryReason.UNCERTAIN, FoundryReason.UNSUPPORTED)
"""Why one register stays null while the others are predicted; what else is wrong ends the command."""


@dataclass(frozen=True, slots=True)
class Register:
    """value: 48 bytes, or None with `why`."""

    value: bytes | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the command line says beside firmware and kernel. memory: MiB. acpi: loader, RSDP, tables."""

    page_order: PageOrder
    memory: tuple[int, ...]
    events: str | None
    kernel_setup: str | None
    acpi: tuple[str | None, str | None, str | None]


@click.command(name="tdx")
@click.option("--firmware", required=True, help="TDVF image (OVMF with TDX).")
@click.option(
    "--page-order",
    type=click.Choice([order.value for order in PageOrder]),
    default=PageOrder.SINGLE_PASS.value,
    show_default=True,
    help="single-pass: QEMU 9 and later; two-pass: TDX forks of QEMU 8.",
)
@direct_boot
@click.option("--memory", help="MiB of the guest, separated by commas. For RTMR0, and RTMR1 with patched.")
@click.option(
    "--event-order",
    "events",
    type=click.Choice([OLD_EVENTS]),
    help="Say that OVMF is from before May 2025: the only order of events known. For RTMR0 and RTMR1.",
)
@click.option(
    "--kernel-setup",
    type=click.Choice([PATCHED, UNPATCHED]),
    help="patched: QEMU before 10 changes the kernel's setup header; later ones need not. For RTMR1.",
)
@click.option("--acpi-loader", help="etc/table-loader of such a guest's fw_cfg. For RTMR0, as the next two.")
@click.option("--acpi-rsdp", help="etc/acpi/rsdp.")
@click.option("--acpi-tables", help="etc/acpi/tables.")
@published
def tdx(
    firmware: str,
    page_order: str,
    kernel: str | None,
    initrd: str | None,
    append: str | None,
    memory: str | None,
    events: str | None,
    kernel_setup: str | None,
    acpi_loader: str | None,
    acpi_rsdp: str | None,
    acpi_tables: str | None,
    as_json: bool,
    publication: Publication,
) -> None:
    """TDX: MRTD from the firmware; RTMR2 from the exact command line and the initrd; RTMR0 and RTMR1 of older
    OVMF.

    What depends on something that was not given, or is not known, is null in JSON, with the reason.
    """
    machine = Machine(
        page_order=PageOrder(page_order),
        memory=_memory(memory),
        events=events,
        kernel_setup=kernel_setup,
        acpi=(acpi_loader, acpi_rsdp, acpi_tables),
    )
    inputs = Inputs()
    inputs.provenance["page_order"] = page_order
    image = inputs.file("firmware", firmware, MAX_IMAGE)
    boot = read_boot(inputs, kernel, initrd, append)
    known = boot if boot is None or append is not None else None
    run(inputs, firmware, image, boot, known, initrd is not None, machine, as_json, publication)


def run(
    inputs: Inputs,
    name: str,
    image: bytes,
    boot: DirectBoot | None,
    line: DirectBoot | None,
    has_initrd: bool,
    machine: Machine,
    as_json: bool,
    publication: Publication,
) -> None:
    """Print or publish. line: `boot` if its command line is the exact one. Raises InputError."""
    with reading(one_line(name)):
        sections = tdvf.parse(image)
        mr_td = Register(tdvf.mr_td(sections, machine.page_order))
    acpi = _acpi(inputs, machine.acpi)
    rows = []
    for memory in machine.memory or (None,):
        rows.append(
            {
                "mr_td": mr_td,
                "rtmr0": _rtmr0(sections, memory, acpi, machine),
                "rtmr1": _rtmr1(boot, memory, machine),
                "rtmr2": _rtmr2(line, has_initrd),
            }
        )
    if publication.name is not None:
        _publish(inputs, rows, machine, publication)
        return
    missing = {key: found.why for key, found in rows[0].items() if found.value is None}
    shown = []
    for memory, row in zip(machine.memory or (None,), rows, strict=True):
        values = {key: None if found.value is None else found.value.hex() for key, found in row.items()}
        shown.append({**values, "page_order": machine.page_order.value, "memory_mib": memory})
    show({"measurements": shown, "not_predicted": missing}, as_json, lambda: _text(rows, missing, machine))


def _text(rows: Sequence[dict[str, Register]], missing: dict[str, str], machine: Machine) -> str:
    lines = []
    for number, row in enumerate(rows):
        if len(rows) > 1:
            lines.append(f"memory {machine.memory[number]} MiB")
        lines += [f"{key:6}  {found.value.hex()}" for key, found in row.items() if found.value is not None]
    return "\n".join([*lines, *(f"{key:6}  not predicted: {why}" for key, why in missing.items())])


def _publish(
    inputs: Inputs, rows: Sequence[dict[str, Register]], machine: Machine, publication: Publication
) -> None:
    named: dict[tuple[bytes, ...], Row] = {}
    for memory, row in zip(machine.memory or (None,), rows, strict=True):
        claims = {f"tdx.{key}": found.value for key, found in row.items() if found.value is not None}
        several = len(rows) > 1
        identifier = f"td.{memory}-mib" if several else "td"
        note = f"pages added in {machine.page_order.value}" + (f", {memory} MiB" if several else "")
        named.setdefault(tuple(claims.values()), Row(identifier, claims, note))
    publish(publication, list(named.values()), inputs.provenance)


def _rtmr0(
    sections: tuple[Section, ...], memory: int | None, acpi: Acpi | None, machine: Machine
) -> Register:
    missing = [
        option
        for option, given in (
            ("--event-order", machine.events),
            ("--memory", memory),
            ("--acpi-loader, --acpi-rsdp and --acpi-tables", acpi),
        )
        if given is None
    ]
    if missing or memory is None or acpi is None:
        return Register(None, f"give {' and '.join(missing)}: what the exact machine looks like is measured")
    return _tried(lambda: rtmr.predicted_rtmr0(sections, memory << 20, acpi), "firmware")


def _rtmr1(boot: DirectBoot | None, memory: int | None, machine: Machine) -> Register:
    missing = [
        option
        for option, given in (
            ("--kernel", boot),
            ("--event-order", machine.events),
            ("--kernel-setup", machine.kernel_setup),
            ("--memory", memory if machine.kernel_setup == PATCHED else 0),
        )
        if given is None
    ]
    if missing or boot is None:
        return Register(None, f"give {' and '.join(missing)}: the kernel is measured as it was started")
    size = memory << 20 if memory is not None and machine.kernel_setup == PATCHED else None
    return _tried(lambda: rtmr.predicted_rtmr1(boot.kernel, len(boot.initrd), size), "kernel")


def _rtmr2(line: DirectBoot | None, has_initrd: bool) -> Register:
    if line is None or not has_initrd:
        return Register(None, "give --kernel, --initrd and the exact --append")
    return _tried(lambda: rtmr.rtmr2(line.append, line.initrd), "command line")


def _tried(compute: Callable[[], bytes], name: str) -> Register:
    """The register, or why it is not known. Raises InputError for an input that is malformed."""
    try:
        return Register(compute())
    except FoundryError as error:
        if error.reason not in _KEPT:
            raise InputError(describe(error, name), error.reason) from None
        return Register(None, f"{describe(error, name)} [{error.reason}]")


def _acpi(inputs: Inputs, names: tuple[str | None, str | None, str | None]) -> Acpi | None:
    given = [name for name in names if name is not None]
    if not given:
        return None
    if len(given) < len(names):
        raise InputError("expected --acpi-loader, --acpi-rsdp and --acpi-tables together")
    kinds = ("acpi_loader", "acpi_rsdp", "acpi_tables")
    blobs = [inputs.file(kind, name, MAX_ACPI) for kind, name in zip(kinds, given, strict=True)]
    return Acpi(*(hashlib.sha384(blob).digest() for blob in blobs))


def _memory(text: str | None) -> tuple[int, ...]:
    words = [] if text is None else [word.strip() for word in text.split(",")]
    for word in words:
        if not _MEMORY.match(word):
            raise InputError(f"--memory: expected MiB, found {one_line(word[:40])!r}")
    if len(set(words)) != len(words):
        raise InputError("--memory: expected each size once")
    return tuple(map(int, words))
