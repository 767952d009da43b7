"""`sealgate reference measure`: what a launch will measure, computed from its inputs. Nothing is launched."""

from __future__ import annotations

import re

import click

from gateway.cli import files, measure_igvm, measure_tdx
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.measure_output import Inputs, Publication, direct_boot, publish, published, read_boot
from gateway.cli.remote import show, table
from policies.foundry import document, explaining, snp
from policies.foundry.guidtable import MAX_IMAGE
from policies.foundry.igvm import Loader
from policies.foundry.snp import Launch, Measurement
from policies.foundry.vmsa import MONITORS, Vmm
from verifiers.sevsnp.abi import SnpReport

IGVM = "igvm"
_COUNT = re.compile(r"([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?\Z", re.ASCII)
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{1,16})\Z", re.ASCII)
_DIGEST = re.compile(r"(?:sha384:)?([0-9a-fA-F]{96})\Z", re.ASCII)


@click.group()
def measure() -> None:
    """Predict launch measurements from firmware, kernel and machine.

    What cannot be computed with certainty is refused, never guessed.
    """


@measure.command(name="snp")
@click.option(
    "--vmm",
    type=click.Choice([*(vmm.value for vmm in Vmm), IGVM]),
    required=True,
    help="Who launches the guest.",
)
@click.option("--firmware", help="OVMF image.")
@click.option("--svsm", "svsm_file", help="SVSM image, with --vmm svsm.")
@click.option("--vars-size", type=int, help="Bytes of the variable store, with --vmm svsm.")
@click.option("--igvm", "igvm_file", help="IGVM file, with --vmm igvm.")
@click.option(
    "--loader", type=click.Choice([loader.value for loader in Loader]), help="Who loads the IGVM file."
)
@direct_boot
@click.option("--vcpus", required=True, help="N or N-M.")
@click.option("--cpu", help="QEMU's names, separated by commas.")
@click.option("--guest-features", help="SEV_FEATURES in hex, separated by commas; 1 with an SVSM.")
@click.option("--explain", "wanted", metavar="HEX", help="Which input explains this measurement?")
@click.option("--match", "report", metavar="REPORT", help="As --explain, with the measurement of a report.")
@published
def snp_command(
    vmm: str,
    firmware: str | None,
    svsm_file: str | None,
    vars_size: int | None,
    igvm_file: str | None,
    loader: str | None,
    kernel: str | None,
    initrd: str | None,
    append: str | None,
    vcpus: str,
    cpu: str | None,
    guest_features: str | None,
    wanted: str | None,
    report: str | None,
    as_json: bool,
    publication: Publication,
) -> None:
    """SEV-SNP: MEASUREMENT for every vCPU count, CPU model and set of guest features.

    \b
      sealgate reference measure snp --vmm qemu --firmware OVMF.fd --kernel vmlinuz --initrd initrd \\
        --append "console=ttyS0" --vcpus 1-64 --cpu EPYC-Milan,EPYC-Genoa --guest-features 1,21

    With --explain or --match, exit code 1 means that the measurement is not in the family.
    """
    if (vmm == IGVM) != (igvm_file is not None) or (loader is not None and igvm_file is None):
        raise InputError("expected --vmm igvm and --igvm FILE together, and --loader with them only")
    if igvm_file is not None:
        others = {"--firmware": firmware, "--svsm": svsm_file, "--vars-size": vars_size, "--cpu": cpu}
        others |= {"--kernel": kernel, "--initrd": initrd, "--append": append}
        measure_igvm.refuse(others | {"--guest-features": guest_features})
        wanted_value = None if wanted is report is None else _target(wanted, report)
        measure_igvm.run(igvm_file, loader, _counts(vcpus), wanted_value, as_json, publication)
        return
    if firmware is None:
        raise InputError("--firmware: expected an OVMF image, found none")
    monitor = Vmm(vmm)
    inputs = Inputs()
    inputs.provenance["monitor"] = monitor.value
    launch = Launch(
        vmm=monitor,
        firmware=inputs.file("firmware", firmware, MAX_IMAGE),
        boot=read_boot(inputs, kernel, initrd, append),
        svsm=None if svsm_file is None else inputs.file("svsm", svsm_file, MAX_IMAGE),
        vars_size=vars_size,
    )
    counts, cpus = _counts(vcpus), _cpus(cpu, monitor)
    features = _features(guest_features, monitor)
    with reading(one_line(firmware)):
        if wanted is not None or report is not None:
            target = _target(wanted, report)
            found = explaining.explain(target, launch, counts, cpus, features)
            show(_explained_json(target, found), as_json, lambda: _explained_text(target, found))
            click.get_current_context().exit(0 if found is not None and not found.differences else 1)
        family = list(snp.family(launch, counts, cpus, features))
    if publication.name is not None:
        publish(publication, document.snp_rows(family), inputs.provenance)
        return
    rows = [_row(member) for member in family]
    show({"measurements": rows}, as_json, lambda: table(list(rows[0]), [list(r.values()) for r in rows], ""))


measure.add_command(measure_tdx.tdx)


def _counts(text: str) -> range:
    found = _COUNT.match(text)
    if found is None:
        raise InputError(f"--vcpus: expected N or N-M, found {one_line(text[:40])!r}")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise InputError(f"--vcpus: expected the smaller number first, found {text}")
    return range(first, last + 1)


def _cpus(text: str | None, vmm: Vmm) -> tuple[str, ...]:
    if text is None and MONITORS[vmm].rdx is None:
        raise InputError(f"--cpu: expected one of {', '.join(snp.CPUS)}, found none")
    # Where the model is not measured, one stands for all.
    names = tuple(word.strip() for word in (text or "EPYC").split(","))
    if len(set(names)) != len(names):
        raise InputError("--cpu: expected each name once")
    return names


def _features(text: str | None, vmm: Vmm) -> tuple[int, ...]:
    if text is None:
        if vmm is Vmm.SVSM:
            return (1,)
        raise InputError(
            "--guest-features: expected SEV_FEATURES in hex (1, or 21 with debug swap), found none: it is "
            "measured, and kernels differ"
        )
    values = []
    for word in text.split(","):
        found = _HEX.match(word.strip())
        if found is None:
            raise InputError(f"--guest-features: expected hex, found {one_line(word[:40])!r}")
        values.append(int(found[1], 16))
    if len(set(values)) != len(values):
        raise InputError("--guest-features: expected each value once")
    return tuple(values)


def _target(wanted: str | None, report: str | None) -> bytes:
    """The measurement that is to be explained."""
    if wanted is not None and report is not None:
        raise InputError("expected --explain or --match, found both")
    if report is not None:
        evidence = files.open_evidence(report, None).evidence
        if not isinstance(evidence, SnpReport):
            raise InputError(f"{report}: expected SEV-SNP evidence, found {evidence.kind.value}")
        return evidence.measurement
    found = _DIGEST.match(wanted or "")
    if found is None:
        raise InputError("--explain: expected 96 hexadecimal digits (48 bytes)")
    return bytes.fromhex(found[1])


def _row(member: Measurement) -> dict[str, object]:
    return {
        "measurement": member.measurement.hex(),
        "vcpus": member.vcpus,
        "cpu": member.cpu,
        "guest_features": f"{member.guest_features:#x}",
    }


def _explained_json(wanted: bytes, found: explaining.Explanation | None) -> dict[str, object]:
    explanation = found and {
        **_row(found.found),
        "differences": [{"input": d.input, "given": d.given, "found": d.found} for d in found.differences],
    }
    in_family = found is not None and not found.differences
    return {"wanted": wanted.hex(), "in_family": in_family, "explanation": explanation}


def _explained_text(wanted: bytes, found: explaining.Explanation | None) -> str:
    if found is None:
        return (
            f"{wanted.hex()}: not explained. No monitor, CPU model, guest features or vCPU count up to "
            f"{explaining.SEARCHED_VCPUS[-1]} gives it, with or without kernel hashes: another firmware, "
            "kernel, initrd or command line was launched."
        )
    member = found.found
    what = f"{member.vcpus} vCPU, {member.cpu}, guest features {member.guest_features:#x}"
    lines = [f"{'other than given' if found.differences else 'in the family'}: {what}"]
    for item in found.differences:
        lines.append(f"  {item.input}: given {one_line(item.given)}, launched with {one_line(item.found)}")
    return "\n".join(lines)
