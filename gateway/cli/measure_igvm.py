"""`sealgate reference measure snp --vmm igvm`: the file gives everything, only who loads it can differ."""

from __future__ import annotations

from collections.abc import Mapping

import click

from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.measure_output import Inputs, Publication, publish
from gateway.cli.remote import show, table
from policies.foundry import igvm, igvmfile
from policies.foundry.document import Row
from policies.foundry.errors import FoundryError
from policies.foundry.igvm import IgvmLaunch, Loader
from policies.foundry.igvmfile import SnpImage

_UNCHECKED = "not checked against evidence of a real launch: compare it with a report before you rely on it"
_CONFIRMED = "equal to what the file's ID block states; not checked against evidence of a real launch"


def refuse(others: Mapping[str, object]) -> None:
    """An IGVM file says all of this itself. Raises InputError."""
    for option, value in others.items():
        if value is not None:
            raise InputError(
                f"{option}: expected none with --vmm igvm, whose file gives everything, found one"
            )


def run(
    file: str, loader: str | None, vcpus: range, wanted: bytes | None, as_json: bool, publication: Publication
) -> None:
    """Print, publish or explain. wanted: a measurement to explain. Raises InputError."""
    inputs = Inputs()
    raw = inputs.file("igvm", file, igvmfile.MAX_FILE)
    named = None if loader is None else Loader(loader)
    with reading(one_line(file)):
        image = igvmfile.parse(raw)
        if wanted is not None:
            _explain(image, named, wanted, as_json)
            return
        found = igvm.measure(image, named, vcpus)
    names = ", ".join(found.loaders)
    checked = _CONFIRMED if found.confirmed else _UNCHECKED
    if publication.name is not None:
        provenance = {**inputs.provenance, "monitor": f"igvm, {names}", "checked": checked}
        note = f"IGVM file, {names}, guest features {found.features:#x}"
        publish(publication, [Row("igvm", {"snp.measurement": found.measurement}, note)], provenance)
        return
    rows = [
        {
            "measurement": found.measurement.hex(),
            "vcpus": number,
            "cpu": None,
            "guest_features": f"{found.features:#x}",
        }
        for number in vcpus
    ]
    about = {
        "loaders": list(found.loaders),
        "policy": None if found.policy is None else f"{found.policy:#x}",
        "id_block": found.confirmed,
        "checked": checked,
    }
    show({"measurements": rows, "igvm": about}, as_json, lambda: _text(found, vcpus, checked))


def _text(found: IgvmLaunch, vcpus: range, checked: str) -> str:
    counts = str(vcpus[0]) if len(vcpus) == 1 else f"{vcpus[0]}-{vcpus[-1]}"
    row = [found.measurement.hex(), counts, "any", f"{found.features:#x}"]
    lines = [table(["measurement", "vcpus", "cpu", "guest_features"], [row], "")]
    lines.append(f"loaded by {' or '.join(found.loaders)}; {checked}")
    return "\n".join(lines)


def _explain(image: SnpImage, named: Loader | None, wanted: bytes, as_json: bool) -> None:
    """Which loader gives this measurement; exit code 1 unless one that was meant."""
    meant = (named,) if named else igvm.UNNAMED
    gives = []
    for loader in Loader:
        try:
            if igvm.digest(image, igvm.LOADERS[loader]) == wanted:
                gives.append(loader)
        except FoundryError:
            continue  # this loader does not take the file
    inside = [loader for loader in gives if loader in meant]
    differences = [
        {"input": "loader", "given": " or ".join(meant), "found": loader.value}
        for loader in gives[:1]
        if not inside
    ]
    if inside:
        text = f"in the family: loaded by {' or '.join(inside)}"
    elif gives:
        text = f"other than given:\n  loader: given {' or '.join(meant)}, launched with {gives[0].value}"
    else:
        text = f"{wanted.hex()}: not explained. No loader gives it: another file was launched."
    value = {
        "wanted": wanted.hex(),
        "in_family": bool(inside),
        "explanation": {"loader": gives[0].value, "differences": differences} if gives else None,
    }
    show(value, as_json, lambda: text)
    click.get_current_context().exit(0 if inside else 1)
