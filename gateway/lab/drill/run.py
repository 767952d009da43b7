"""Plays lines, each on ground of its own, and compares what they say with what they must."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.adapters import SystemClock
from gateway.lab.drill.ground import prepared
from gateway.lab.drill.lines import LINES, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line played. calls: requests that reached the vendors."""

    line: Line
    got: tuple[str, ...]
    calls: int
    seconds: float

    @property
    def as_promised(self) -> bool:
        return self.got == self.line.expected

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.line.name,
            "what": self.line.title,
            "expected": list(self.line.expected),
            "got": list(self.got),
            "as_promised": self.as_promised,
            "vendor_calls": self.calls,
            "seconds": round(self.seconds, 2),
        }


Show = Callable[[Row], None]


def chosen(*, short: bool, only: Iterable[str] = ()) -> tuple[Line, ...]:
    """All lines, the short drill's, or those named. Raises KeyError for a name that no line has."""
    known = {line.name: line for line in LINES}
    named = [known[name] for name in only]
    return tuple(named) or tuple(line for line in LINES if line.short or not short)


def play(lines: Iterable[Line], show: Show) -> list[Row]:
    """Play them one after the other; show each when it is done. What gateways and vendors would log is kept
    quiet: the rows say it."""
    rows = []
    quiet = logging.getLogger("sealgate.collateral")
    before = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        for line in lines:
            rows.append(_play(line))
            show(rows[-1])
    finally:
        quiet.setLevel(before)
    return rows


def _play(line: Line) -> Row:
    started, calls = time.monotonic(), 0
    try:
        start = SystemClock().now().replace(microsecond=0)
        with prepared(start, settings=line.settings) as ground:
            got = line.play(ground)
            calls = ground.lab.journal.count()
    except Exception as error:  # our own bug: a line that breaks off is not as promised, and others go on
        got = (f"broke off: {type(error).__name__}: {' '.join(str(error).split())[:200]}",)
    return Row(line=line, got=got, calls=calls, seconds=time.monotonic() - started)
