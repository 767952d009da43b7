"""Predicted measurements as a `reference-values/1` document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.foundry.snp import Measurement


@dataclass(frozen=True, slots=True)
class Row:
    """id: unique in the set. claims: measured values by claim name. note: what it is for, for people."""

    id: str
    claims: Mapping[str, bytes]
    note: str


def snp_rows(family: Sequence[Measurement]) -> list[Row]:
    """One row for each measurement: launches that cannot be told apart share it."""
    shared: dict[bytes, list[Measurement]] = {}
    for member in family:
        shared.setdefault(member.measurement, []).append(member)
    rows = []
    for digest, members in shared.items():
        first = members[0]
        cpus = ", ".join(dict.fromkeys(member.cpu for member in members))
        rows.append(
            Row(
                f"{first.cpu.lower()}.{first.vcpus}-vcpu.{first.guest_features:#x}",
                {"snp.measurement": digest},
                f"{first.vcpus} vCPU, {cpus}, guest features {first.guest_features:#x}",
            )
        )
    return rows


def write(
    rows: Sequence[Row],
    *,
    name: str,
    version: int,
    owner: str,
    start: datetime,
    days: int,
    provenance: Mapping[str, str],
) -> str:
    """The document as YAML. start: aware, UTC, whole seconds; it is valid for `days` from then.

    The caller loads it before anyone relies on it: names and owner are checked there, as in any document.
    """
    end = start + timedelta(days=days)
    lines = [
        "sealgate: reference-values/1",
        f"name: {_text(name)}",
        f"version: {version}",
        f"owner: {_text(owner)}",
        f"valid: {{from: {_time(start)}, until: {_time(end)}}}",
        "provenance:",
        *(f"  {key}: {_text(value)}" for key, value in provenance.items()),
        "entries:",
    ]
    for row in rows:
        lines.append(f"  - id: {row.id}")
        lines += [f"    {claim}: sha384:{value.hex()}" for claim, value in row.claims.items()]
        lines.append(f"    note: {_text(row.note)}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
