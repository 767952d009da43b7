"""`sealgate sim vendor` and `sealgate sim fault`: the vendor lab, for drills by hand."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.adapters import SystemClock
from gateway.cli.errors import InputError
from gateway.client import Client, ClientError, Refused
from gateway.lab import FaultError, Lab
from gateway.lab.faults import FAULTS, parse
from gateway.lab.names import HOSTS, patterns

_NOTICE = "SIMULATED vendors: only a gateway in development mode believes what they sign."
_EPILOG = "\b\nENDPOINT is one of\n  {}\n\b\nFAULT is one of\n  {}".format(
    "\n  ".join(patterns()), "\n  ".join(f"{name:15} {kind.says}" for name, kind in FAULTS.items())
)


@click.command(epilog=_EPILOG)
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Loopback only. Port 0 takes five free ports; else control has PORT, the vendors the next four.",
)
@click.option("--https", "ca_out", type=click.Path(path_type=Path, dir_okay=False),
              help="Speak TLS; write the certificate to trust to this file.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, metavar="ENDPOINT:FAULT[,NAME=VALUE]…",
              help="Start with this fault in force; may be given several times.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when ready.")
def vendor(listen: str, ca_out: Path | None, faults: tuple[str, ...], as_json: bool) -> None:
    """Run AMD's KDS and Intel's PCS on loopback, SIMULATED, healthy or faulty, until interrupted.

    Prints the base URLs for a gateway's [collateral] table. Faults can be changed while it runs, with
    `sealgate sim fault` or over the control route.

    \b
    AMD throttles, and Intel's CRLs are out of date:
      sealgate sim vendor --fault amd.vcek:throttled,retry_after=60 --fault intel.pck-crl:stale
    """
    address, port = address_of(listen)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    try:
        with Lab(SystemClock(), address=address, port=port, https=ca_out is not None) as lab:
            for text in faults:
                endpoint, fault, settings = parse(text)
                lab.set(endpoint, fault, **settings)
            if ca_out is not None:
                ca_out.write_bytes(lab.certificate_pem)
            click.echo(json.dumps(lab.state()) if as_json else _welcome(lab, ca_out))
            stop.wait()
            if not as_json:
                click.echo(f"stopped after {lab.journal.count()} requests")
    except FaultError as error:
        raise InputError(f"--fault: {error}") from None
    except ValueError as error:
        raise InputError(f"--listen: {error}") from None
    except OSError as error:
        raise InputError(f"--listen {listen}: {error.strerror or error}") from None


@click.command(epilog=_EPILOG)
@click.argument("fault", required=False, metavar="[ENDPOINT:FAULT[,NAME=VALUE]…]")
@click.option("--control", required=True, metavar="URL", help="What `sealgate sim vendor` printed.")
@click.option("--clear", is_flag=True, help="Take every fault back first.")
@click.option("--promote", is_flag=True, help="Intel's TCB recovery: standard serves what early did.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fault(fault: str | None, control: str, clear: bool, promote: bool, as_json: bool) -> None:
    """Change what is wrong with a running lab; without FAULT, show what is.

    \b
      sealgate sim fault --control http://127.0.0.1:40079 amd.crl:revoked,who=ask
      sealgate sim fault --control http://127.0.0.1:40079 --clear
    """
    client = Client(url=control)
    try:
        if clear:
            client.ask("DELETE", "/faults")
        if fault is not None:
            endpoint, name, settings = parse(fault)
            client.post("/faults", {"endpoint": endpoint, "fault": name, **settings})
        if promote:
            client.post("/vendor", {"promote": True})
        state = client.get("/")
    except FaultError as error:
        raise InputError(str(error)) from None
    except Refused as error:
        raise InputError(str(error.problem.get("error", error))) from None
    except ClientError as error:
        raise InputError(f"--control: {error}") from None
    if as_json:
        click.echo(json.dumps(state))
        return
    channels = state["channels"]
    click.echo(f"{_NOTICE}\n{state['requests']} requests so far")
    click.echo(f"evaluation numbers: standard {channels['standard']}, early {channels['early']}")
    for each in state["faults"]:
        rest = ", ".join(f"{k}={v}" for k, v in each.items() if k not in ("id", "endpoint", "fault"))
        click.echo(f"  {each['endpoint']:24} {each['fault']:15} {rest}")
    if not state["faults"]:
        click.echo("nothing is wrong")


def _welcome(lab: Lab, ca_out: Path | None) -> str:
    urls = lab.urls
    lines = [_NOTICE, "", "For the gateway's configuration:", "", "  [collateral]"]
    lines += [f'  amd = "{urls.kds}"', f'  intel = "{urls.pcs}"']
    lines += [f'  intel_certificates = "{urls.certificates}"']
    if ca_out is not None:
        lines.append(f'  ca_file = "{ca_out.resolve()}"')
    lines += [f'  # pccs = "{urls.pccs}"   instead of the two Intel lines', ""]
    lines += [f"  {name:13} {getattr(urls, name):27} {what}" for name, what in HOSTS.items()]
    lines.append(f"  {'control':13} {urls.control:27} sealgate sim fault --control {urls.control}")
    if rules := lab.book.rules():
        lines += ["", "In force: " + ", ".join(f"{rule.endpoint}:{rule.fault}" for rule in rules)]
    return "\n".join([*lines, "", "Interrupt (Ctrl-C) to stop."])


def address_of(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        port = parts.port
    except ValueError:
        port = None
        parts = urlsplit("")
    host = {"localhost": "127.0.0.1"}.get(str(parts.hostname), parts.hostname)
    if not host or port is None or not 0 <= port <= 65531:
        raise InputError(f"--listen: expected HOST:PORT, like 127.0.0.1:0, found {listen!r}")
    return host, port
