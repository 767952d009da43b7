"""Evidence and collateral from files, folders and standard input: bounded reads, nothing else.

A file that is named must be what it is named for, or the command fails. In a folder, what is not
collateral is left aside and listed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.errors import InputError, one_line, reading
from verifiers import carriers, collateral
from verifiers.collateral import Collateral
from verifiers.errors import AttestationError, EvidenceFormatError, Reason
from verifiers.eventlog.log import MAX_LOG

MAX_FILES = 1000
"""Files in one collateral folder."""
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Gathered:
    """Collateral from all places, and the files that were left aside with why."""

    collateral: Collateral
    ignored: tuple[str, ...]


def bounded(path: Path, limit: int) -> bytes:
    """The file's bytes, at most `limit`. Raises OSError, EvidenceFormatError(EVIDENCE_TOO_LARGE)."""
    with path.open("rb") as file:
        raw = file.read(limit + 1)
        size = max(len(raw), path.stat().st_size if path.is_file() else 0)
    if len(raw) > limit:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE, path.name, expected=f"at most {limit} bytes", found=f"{size} bytes"
        )
    return raw


def open_evidence(name: str, forced: str | None) -> carriers.Opened:
    """Evidence from a file, a configfs-tsm folder, or "-" for standard input. Raises InputError."""
    with reading("standard input" if name == STDIN else name):
        if name == STDIN:
            return carriers.open_evidence(sys.stdin.buffer.read(carriers.MAX_EVIDENCE + 1), forced=forced)
        path = Path(name)
        if not path.is_dir():
            return carriers.open_evidence(bounded(path, carriers.MAX_EVIDENCE), forced=forced)
        opened = carriers.open_folder(
            {
                part: bounded(path / part, carriers.MAX_EVIDENCE)
                for part in carriers.FOLDER_FILES
                if (path / part).is_file()
            }
        )
        wanted = carriers.KINDS.get(forced or "")
        if forced not in (None, opened.carrier) and wanted != carriers.kind_of(opened.evidence):
            raise EvidenceFormatError(
                Reason.EVIDENCE_TYPE_MISMATCH,
                "folder",
                expected=f"evidence of type {forced}",
                found=f"type {carriers.kind_of(opened.evidence)} ({opened.carrier})",
            )
        return opened


def add_event_log(opened: carriers.Opened, name: str | None) -> carriers.Opened:
    """The evidence with the log in file `name`; unchanged without one. Raises InputError."""
    if name is None:
        return opened
    with reading(name):
        return carriers.with_event_log(opened, bounded(Path(name), MAX_LOG))


def gather(paths: Sequence[str]) -> Gathered:
    """Collateral from files and folders. Raises InputError for a named file that is none."""
    parts: list[Collateral] = []
    ignored: list[str] = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            _folder(path, parts, ignored)
        else:
            with reading(name):
                parts.append(collateral.classify(bounded(path, collateral.MAX_FILE), name))
    return Gathered(collateral.merge(*parts), tuple(ignored))


def _folder(path: Path, parts: list[Collateral], ignored: list[str]) -> None:
    with reading(str(path)):
        entries = sorted(item for item in path.iterdir() if not item.name.startswith("."))
    if len(entries) > MAX_FILES:
        raise InputError(f"{path}: expected at most {MAX_FILES} files, found {len(entries)}")
    for item in entries:
        if not item.is_file():
            ignored.append(f"{one_line(item.name)}: not a file")
            continue
        with reading(str(item)):
            try:
                parts.append(collateral.classify(bounded(item, collateral.MAX_FILE), item.name))
            except AttestationError as error:
                ignored.append(one_line(f"{item.name}: {error.found}"))


def documents(paths: Sequence[str], limit: int) -> list[tuple[str, bytes]]:
    """Policy files: each path a file, or a folder whose *.yaml and *.yml files count."""
    out: list[tuple[str, bytes]] = []
    for name in paths:
        path = Path(name)
        with reading(name):
            if not path.is_dir():
                out.append((name, bounded(path, limit)))
                continue
            found = sorted(item for item in path.iterdir() if item.suffix in (".yaml", ".yml"))
            if not found:
                raise InputError(f"{name}: expected policy documents (*.yaml), found none")
            for item in found[:MAX_FILES]:
                with reading(str(item)):
                    out.append((str(item), bounded(item, limit)))
    return out
