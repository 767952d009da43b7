"""`sealgate sim`: evidence and collateral of simulated machines, as files.

For trying out policies, pipelines and other tools without the hardware. What is written chains to the
simulator's roots only, which count in development mode and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.adapters import SystemClock
from gateway.cli import options
from gateway.cli.errors import InputError
from gateway.cli.vendor import fault, vendor
from gateway.simulator import inteldocs, keys, quotewrite, seeds, snpreport, spelling
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import Machine
from gateway.simulator.intel import SgxMachine, TdxMachine

Command = TypeVar("Command", bound=Callable[..., Any])

SNP_SETTINGS = ("tcb", "version", "csp_id")
INTEL_SETTINGS = ("level", "ca")
"""What --set also takes: facts about the machine, which its certificates then state too."""


@click.group()
def sim() -> None:
    """Mint SIMULATED evidence and its collateral, for trials without TEE hardware.

    Everything is well formed and properly signed, under roots that only a gateway in development mode
    believes. Elsewhere it is refused with evidence.simulated.
    """


sim.add_command(vendor)
sim.add_command(fault)


def common(command: Command) -> Command:
    """The options that all kinds share."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--at", metavar="RFC3339", help="When the machine lives. Default: now."),
        click.option("--seed", default=seeds.SEED, show_default=True, help="Which machine."),
        click.option(
            "--set", "settings", metavar="FIELD=VALUE", multiple=True, help="Differ from good here."
        ),
        click.option(
            "--report-data", metavar="HEX", default="00" * 64, help="128 digits (64 bytes). Default: zeros."
        ),
        click.option(
            "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write."
        ),
    ):
        command = option(command)
    return command


@sim.command()
@click.option("--product", type=click.Choice(keys.PRODUCTS), default="Genoa", show_default=True)
@click.option("--key", type=click.Choice(("vcek", "vlek")), default="vcek", show_default=True)
@common
def snp(
    product: str,
    key: str,
    out: Path,
    report_data: str,
    settings: tuple[str, ...],
    seed: str,
    at: str | None,
    as_json: bool,
) -> None:
    """A SEV-SNP report with its certificates and CRL.

    --set takes every field of the report (policy, vmpl, measurement, host_data, reported_tcb …), and tcb,
    version and csp_id for the machine: a tcb is certified too, a reported_tcb alone contradicts the VCEK.

    \b
    A debug guest on firmware that is too old:
      sealgate sim snp --out old --product Milan --set tcb=3.0.8.115 --set policy=0xB0000
    """
    machine_facts: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for name, text in assignments(settings, {*snpreport.FIELDS} - {"report_data"} | {*SNP_SETTINGS}):
        match name:
            case "tcb":
                machine_facts[name] = spell(spelling.tcb, text)
            case "csp_id":
                machine_facts[name] = text
            case "version":
                machine_facts[name] = spell(spelling.snp_value, name, text)
            case _:
                overrides[name] = spell(spelling.snp_value, name, text)
    tcb = machine_facts.get("tcb")
    if tcb is not None and (tcb.fmc is None) == (product == "Turin"):
        wanted = "five components, fmc first" if product == "Turin" else "four components"
        raise InputError(f"--set: tcb: {product} has {wanted}, found {5 if tcb.fmc is not None else 4}")
    machine = SnpMachine(product=product, signing_key=key.upper(), seed=seed, at=moment(at), **machine_facts)
    data = options.report_data(report_data, "--report-data")
    report = machine.report(data, **overrides)
    issuer = "ask" if key == "vcek" else "asvk"
    files = {
        "report.bin": report,
        "extended-report.bin": report + machine.certificate_table(),
        f"{key}.der": machine.leaf,
        f"{issuer}.der": machine.intermediate(),
        "ark.der": machine.ark(),
        "crl.der": machine.good_crl,
    }
    finish(machine, out, files, as_json, {"type": "sev-snp", "product": product, "signing_key": key.upper()})


@sim.command()
@click.option(
    "--version", type=click.Choice(("4", "5")), default="4", show_default=True, help="Quote version."
)
@click.option("--body", type=click.Choice(tuple(quotewrite.TD_BODIES)), help="TD report; 1.0 in version 4.")
@common
def tdx(
    version: str,
    body: str | None,
    out: Path,
    report_data: str,
    settings: tuple[str, ...],
    seed: str,
    at: str | None,
    as_json: bool,
) -> None:
    """A TDX quote with the collateral that Intel's PCS would serve for it, and the guest's event log.

    --set takes every field of the TD report and of the header (td_attributes, mr_td, rtmr3 …), and level
    (Next, UpToDate, OutOfDate, Revoked) for the platform, whose certificate then says so too. Next is what
    the coming TCB recovery asks for.

    \b
    A debug TD on a platform whose firmware is out of date:
      sealgate sim tdx --out td --set level=OutOfDate --set td_attributes=0x10000001
    """
    if version == "4" and body not in (None, "1.0"):
        raise InputError(f"--body: expected 1.0 in a version 4 quote, found {body}")
    layout = quotewrite.TD_BODIES[body or ("1.5" if version == "5" else "1.0")][2]
    facts, overrides = intel_settings(settings, layout)
    machine = TdxMachine(version=int(version), body=body, seed=seed, at=moment(at), **facts)
    quote = machine.quote(options.report_data(report_data, "--report-data"), **overrides)
    quoted(machine, quote, out, as_json)


@sim.command()
@common
def sgx(
    out: Path,
    report_data: str,
    settings: tuple[str, ...],
    seed: str,
    at: str | None,
    as_json: bool,
) -> None:
    """An SGX quote with the collateral that Intel's PCS would serve for it.

    --set takes every field of the enclave report and of the header (mr_enclave, mr_signer, isv_svn …), and
    level and ca (platform, processor) for the platform.

    \b
    A debug enclave:
      sealgate sim sgx --out enclave --set attributes=0700000000000000e700000000000000
    """
    facts, overrides = intel_settings(settings, quotewrite.ENCLAVE)
    machine = SgxMachine(seed=seed, at=moment(at), **facts)
    quoted(
        machine, machine.quote(options.report_data(report_data, "--report-data"), **overrides), out, as_json
    )


def assignments(settings: tuple[str, ...], known: set[str]) -> list[tuple[str, str]]:
    """Every --set in two, refusing names that are not `known`."""
    out = [spell(spelling.assignment, text) for text in settings]
    for name, _ in out:
        if name not in known:
            raise InputError(f"--set: {spelling.unknown(name, known)}")
    return out


def intel_settings(
    settings: tuple[str, ...], layout: quotewrite.Layout
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts about the machine, and overrides of fields."""
    facts: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    choices = {"level": tuple(inteldocs.SGX_SVNS), "ca": ("platform", "processor")}
    known = {*layout, *quotewrite.HEADER} - {"report_data"} | {*INTEL_SETTINGS}
    for name, text in assignments(settings, known):
        if name in choices:
            if text not in choices[name]:
                raise InputError(f"--set: {name}: expected {' or '.join(choices[name])}, found {text!r}")
            facts[name] = text
        else:
            overrides[name] = spell(spelling.quote_value, name, text, layout)
    return facts, overrides


def spell(reader: Callable[..., Any], *arguments: object) -> Any:
    """Call one of `spelling`'s readers; its complaint becomes ours."""
    try:
        return reader(*arguments)
    except spelling.SpellingError as error:
        raise InputError(f"--set: {error}") from None


def moment(at: str | None) -> datetime:
    given = SystemClock().now() if at is None else options.moment(at, "--at")
    return given.replace(microsecond=0)


def quoted(machine: TdxMachine | SgxMachine, quote: bytes, out: Path, as_json: bool) -> None:
    """Write a quote and its collateral."""
    collateral = machine.good_collateral
    files = {
        "quote.bin": quote,
        "tcb_info.json": collateral["tcb_info"],
        "qe_identity.json": collateral["qe_identity"],
        "pck_crl.der": collateral["pck_crl"],
        "root_crl.der": collateral["root_crl"],
        "tcb_signing_chain.pem": quotewrite.pem(machine.tcb_signing_chain()),
    }
    about = {"type": machine.TEE.lower(), "fmspc": machine.fmspc.hex().upper(), "signing_key": "PCK"}
    if isinstance(machine, TdxMachine):
        files["event_log.bin"] = machine.event_log(size=None)
    finish(machine, out, files, as_json, about)


def finish(
    machine: Machine, out: Path, files: Mapping[str, bytes], as_json: bool, about: Mapping[str, str]
) -> None:
    """Write the files and say what they are, and that they are simulated."""
    evidence = next(iter(files))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, raw in files.items():
            (out / name).write_bytes(raw)
    except OSError as error:
        raise InputError(f"--out {out}: expected a folder to write to, found {error.strerror}") from None
    at = machine.at.isoformat().replace("+00:00", "Z")
    if as_json:
        result = {
            "simulated": True,
            "evidence": dict(about),
            "at": at,
            "files": {name: str(out / name) for name in files},
        }
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"SIMULATED {' '.join(about.values())}, machine {machine.seed!r} at {at}")
    for name, raw in files.items():
        click.echo(f"  {len(raw):>6,} bytes  {out / name}")
    click.echo("Only a gateway in development mode believes it.")
    click.echo(f"Try it: sealgate verify {out / evidence} --collateral {out} --development")
