"""What `sealgate collateral verify` finds in a file, piece by piece, without a gateway or a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from gateway import config
from gateway.adapters import SystemClock
from gateway.cli import options
from gateway.cli.errors import InputError, reading
from gateway.cli.remote import credential, said, table
from gateway.cli.slotwords import what_for
from gateway.client import Client
from gateway.collateral import bundle, issuers, packing, ratchet, slots, status
from gateway.collateral.ages import Ages
from gateway.collateral.ratchet import Mark, Step
from gateway.errors import GatewayError
from gateway.ports import Slot
from verifiers import collateral as classifier
from verifiers import vetting
from verifiers.errors import AttestationError
from verifiers.model import AnchorSet
from verifiers.vetting import Vetted

NOT_GENUINE, OLDER = "not-genuine", "older"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked of a file. trusted: thumbprints; () when nobody said."""

    now: datetime
    anchors: AnchorSet
    ages: Ages
    channel: str
    trusted: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One object. state: "current", "ended", "too-old", "not-yet", "older" (than what the gateway holds) or
    "not-genuine"."""

    slot: Slot
    sha256: str
    state: str
    detail: str = ""
    issued: datetime | None = None
    until: datetime | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """signed: who by, None for a plain file. trusted: None when no key was named to compare with."""

    name: str
    findings: tuple[Finding, ...]
    signed: bundle.Head | None = None
    trusted: bool | None = None

    @property
    def good(self) -> bool:
        return self.trusted is not False and all(each.state == status.CURRENT for each in self.findings)

    @property
    def until(self) -> datetime | None:
        """When the first of it ends."""
        return min((each.until for each in self.findings if each.until is not None), default=None)


def terms(trust: str | None, at: str | None, config_file: Path | None, development: bool) -> Terms:
    """From options. Raises InputError."""
    try:
        loaded = config.load(config_file, development=development or None)
    except config.ConfigError as error:
        raise InputError(str(error), "input.configuration") from None
    settings = loaded.collateral
    return Terms(
        now=SystemClock().now() if at is None else options.moment(at, "--at"),
        anchors=AnchorSet.VENDOR_AND_SIMULATED if loaded.development else AnchorSet.VENDOR,
        ages=settings.ages(),
        channel=settings.channel,
        trusted=frozenset({*settings.bundle_keys, *([trust] if trust else [])}),
    )


def held(url: str | None, ca: Path | None, token_file: Path | None) -> Mapping[Slot, Mark]:
    """How far the slots of a gateway have come; nothing without a URL."""
    if url is None:
        return {}
    client = Client(url=url.rstrip("/"), ca=ca, token=credential(token_file))
    found = said(client.get)("/v1/admin/collateral", leaves="20000")["collateral"]
    return {
        Slot(row["kind"], row["key"], row["channel"], row["variant"], row["simulated"]): Mark(
            sha256=row["sha256"], issued=_time(row["issued"]), ends=_time(row["ends"]), number=row["number"]
        )
        for row in found
    }


def a_bundle(name: str, file: BinaryIO, asked: Terms, known: Mapping[Slot, Mark]) -> Report:
    """Raises GatewayError for a bundle that cannot be read, or was changed."""
    head = bundle.read_head(file)
    raws = {member.sha256: raw for member, raw in bundle.members(head, file)}
    pool = [raws[row.sha256] for row in head.rows if row.slot.kind == "intel.issuer"]
    pool += issuers.known(asked.anchors)
    findings = []
    for row in head.rows:
        origin = f"{row.source}, {row.fetched[:10]}"
        try:
            found = packing.vet(row, raws[row.sha256], pool, asked.anchors)
        except (AttestationError, GatewayError) as error:
            findings.append(
                Finding(
                    slot=row.slot, sha256=row.sha256, state="not-genuine", detail=str(error), origin=origin
                )
            )
            continue
        findings.append(_judge(row.slot, found, asked, known, origin))
    trusted = head.signer in asked.trusted if asked.trusted else None
    return Report(name=name, findings=tuple(findings), signed=head, trusted=trusted)


def a_file(name: str, raw: bytes, asked: Terms, known: Mapping[Slot, Mark]) -> Report:
    """Raises InputError for what is no collateral, or not genuine."""
    with reading(name):
        pieces = classifier.classify(raw, name)
        objects = vetting.everything(pieces, name, issuers.known(asked.anchors), asked.anchors).objects
    return Report(
        name=name,
        findings=tuple(
            _judge(slots.slot_of(each, asked.channel, None), each, asked, known, "") for each in objects
        ),
    )


def _judge(slot: Slot, found: Vetted, asked: Terms, known: Mapping[Slot, Mark], origin: str) -> Finding:
    until = asked.ages.end(found.kind, found.issued, found.ends)
    state, detail = status.CURRENT, ""
    if asked.now >= found.ends:
        state = status.ENDED
    elif asked.now < found.issued:
        state = status.NOT_YET
    elif asked.now >= until:
        state = status.TOO_OLD
    mark = known.get(slot)
    if mark is not None and ratchet.step(mark, found) is Step.BACK:
        error = ratchet.refused(slot, mark, found)
        state, detail = OLDER, f"expected {error.expected}, found {error.found} [{error.reason}]"
    return Finding(
        slot=slot,
        sha256=found.sha256,
        state=state,
        detail=detail,
        issued=found.issued,
        until=until,
        origin=origin,
    )


def to_json(report: Report) -> dict[str, Any]:
    head = report.signed
    return {
        "file": report.name,
        "bundle": head is not None,
        "signer": None if head is None else head.signer,
        "issuer": None if head is None else head.issuer,
        "created": None if head is None else head.created,
        "trusted": report.trusted,
        "until": _text(report.until),
        "good": report.good,
        "objects": [
            status.slot_json(each.slot)
            | {
                "sha256": each.sha256,
                "state": each.state,
                "detail": each.detail,
                "issued": _text(each.issued),
                "usable_until": _text(each.until),
                "origin": each.origin,
            }
            for each in report.findings
        ],
    }


def text(report: Report, asked: Terms) -> str:
    lines = [f"{report.name}: {len(report.findings)} objects"]
    head = report.signed
    if head is None:
        lines.append("  plain file: nobody signed it as a whole")
    else:
        compared = {
            True: "which is trusted",
            False: "✗ which is NOT the one that was named",
            None: "not compared: give --trust",
        }
        lines.append(f"  signed by  {head.signer}   {compared[report.trusted]}")
        lines.append(f"  made by    {head.issuer}, {head.created[:19]}Z")
    if report.until is not None:
        over = "" if report.until > asked.now else "   ✗ over"
        lines.append(f"  holds      until {_text(report.until)}, when the first of it ends{over}")
    rows = [_row(each) for each in report.findings]
    heads = ("", "KIND", "WHAT FOR", "STATE", "ISSUED", "USABLE UNTIL", "FROM", "")
    return "\n".join([*lines, *(f"  {line}" for line in table(heads, rows, "").splitlines())])


def _row(each: Finding) -> tuple[str, ...]:
    return (
        "✓" if each.state == status.CURRENT else "✗",
        each.slot.kind,
        what_for(status.slot_json(each.slot)),
        each.state,
        (_text(each.issued) or "–")[:10],
        (_text(each.until) or "–")[:10],
        each.origin or "–",
        each.detail,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _time(value: str) -> datetime:
    return datetime.fromisoformat(value.replace("Z", "+00:00"))
