"""`sealgate verify`: judge one piece of evidence, offline.

Exit code: 0 accepted, 1 refused, 2 malformed input or wrong usage, 3 undecided. A definite failure outranks
a missing input. No socket is opened, unless --fetch says so and something is missing, or `--replay ID`
asks the gateway that has it.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from gateway.adapters import SystemClock
from gateway.cli import files, offline, options, render, result
from gateway.cli.errors import InputError
from gateway.cli.files import Gathered
from gateway.cli.remote import admin_options
from gateway.client import Client
from policies.appraise import Appraisal
from verifiers.carriers import TYPES
from verifiers.model import AnchorSet, Binding, ReportData, Unbound, Verdict

if TYPE_CHECKING:
    from gateway.collateral.direct import Fetched

EXIT = MappingProxyType({Verdict.ACCEPTED: 0, Verdict.REFUSED: 1, Verdict.MALFORMED: 2, Verdict.UNDECIDED: 3})


@click.command(short_help="Judge evidence offline: genuine, current, safe, mine?")
@click.argument("evidence", metavar="[EVIDENCE]", required=False)
@click.option("--type", "kind", type=click.Choice(TYPES), metavar="TYPE", help="Open EVIDENCE as this.")
@click.option("--event-log", metavar="FILE", help="The log that came with a TDX quote (CCEL data).")
@click.option("--collateral", multiple=True, metavar="PATH", help="File or folder; may be repeated.")
@click.option("--at", metavar="RFC3339", help="Judge as of this time. Default: now.")
@click.option("--report-data", metavar="HEX", help="The 64 bytes that REPORT_DATA must equal (128 digits).")
@click.option("--policy", metavar="PATH", help="Release policy: file, or folder of documents.")
@click.option(
    "--require", default="", metavar="LIST", help="identity,freshness,revocation: must be answered."
)
@click.option("--reference", multiple=True, metavar="FILE", help="Reference values; may be repeated.")
@click.option("--replay", metavar="ID|FILE", help="Judge a stored attempt again: its id, or a replay bundle.")
@click.option(
    "--with-collateral", type=click.Choice(["then", "now"]), default="then", help="--replay: whose."
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="--replay: the gateway's folder; else it is asked."
)
@click.option("--fetch", is_flag=True, help="Fetch missing collateral from the vendors.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Whom --fetch asks: [collateral]."
)
@click.option("--development", is_flag=True, help="Accept SIMULATED hardware too, and mark it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@admin_options
def verify(
    evidence: str | None,
    kind: str | None,
    event_log: str | None,
    collateral: tuple[str, ...],
    at: str | None,
    report_data: str | None,
    policy: str | None,
    require: str,
    reference: tuple[str, ...],
    replay: str | None,
    with_collateral: str,
    data: Path | None,
    fetch: bool,
    config_file: Path | None,
    development: bool,
    as_json: bool,
    client: Client,
) -> None:
    """Judge EVIDENCE: is it genuine, is its platform current and safe, and is it mine?

    EVIDENCE is a file, a configfs-tsm folder (outblob, auxblob, provider, event_log), or - for standard
    input: an SNP report, alone or with its certificate table, a TDX or SGX quote, an Azure HCL report,
    evidence JSON as KBS clients send it, a tsm-report or a CMW. It is recognised by its content.

    With --replay, judge a stored attempt again, from everything it was decided on then, and say what differs.

    \b
    Exit code: 0 accepted, 1 refused, 2 malformed or usage, 3 undecided.
    """
    now: datetime | None = None
    if replay is not None:
        from gateway.cli.replay import Source, repeat  # brings the store and the server along

        source = Source(replay=replay, collateral=with_collateral, files=collateral, data=data, client=client)
        alone = evidence, kind, event_log, report_data, policy, require, reference, fetch, development
        _require_alone(*alone, config_file)
        raise SystemExit(EXIT[repeat(source, at, as_json)])
    try:
        if evidence is None:
            raise InputError("expected EVIDENCE, or --replay")
        now = options.moment(at, "--at") if at is not None else SystemClock().now()
        required = options.requirements(require, "--require")
        binding: Binding = Unbound("no --report-data was given")
        if report_data is not None:
            binding = ReportData(options.report_data(report_data, "--report-data"))
        opened = files.add_event_log(files.open_evidence(evidence, kind), event_log)
        gathered = files.gather(collateral)
        documents = offline.read_documents(policy, reference)
        anchors = AnchorSet.VENDOR_AND_SIMULATED if development else AnchorSet.VENDOR

        def judge(given: Gathered) -> Appraisal:
            return offline.judge(opened, given, documents, binding, now, required=required, anchors=anchors)

        appraisal = judge(gathered)
        fetched: list[Fetched] = []
        if fetch and appraisal.verification.missing:
            from gateway.cli import fetching  # what opens sockets is loaded when one is asked for

            asked = fetching.asking(config_file, development)
            appraisal, fetched = fetching.complete(judge, gathered, asked, silent=as_json)
    except InputError as error:
        if as_json:
            click.echo(json.dumps(result.malformed(error.reason, now), indent=2))
        raise
    if as_json:
        click.echo(json.dumps(result.to_json(appraisal, opened, gathered.ignored, fetched), indent=2))
    else:
        render.show(appraisal, opened, gathered.ignored, documents, given=evidence, fetched=fetched)
    raise SystemExit(EXIT[appraisal.verdict])


def _require_alone(*others: object) -> None:
    """A stored attempt brings its own evidence, binding, policies and requirements."""
    if any(others):
        raise InputError(
            "--replay: expected none of EVIDENCE, --type, --event-log, --report-data, --policy, --require, "
            "--reference, --fetch, --config and --development: the attempt brings them"
        )
