"""Text for people: a page of sections, coloured on a terminal and plain anywhere else.

Everything printed passes `Text`, never markup, and has its control characters taken out: evidence and file
names come from strangers.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from gateway.cli.errors import one_line
from verifiers.model import Outcome

WIDTH = 112
INDENT = 15
"""Column at which the text of a section begins."""

MARK = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.UNKNOWN: "?",
    Outcome.WAIVED: "~",
    Outcome.NOT_CHECKED: "–",
}
STYLE = {"✓": "green", "✗": "bold red", "?": "yellow", "~": "yellow", "–": "dim", "!": "yellow"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a section. mark: one of MARK's, or a blank. code: set right-aligned behind the text."""

    mark: str
    text: str
    code: str | None = None


class Page:
    """Collects and prints. Calm: a passed line is only green in its mark."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.width = max(60, min(WIDTH, self._console.width)) if self._console.is_terminal else WIDTH

    def headline(self, word: str, style: str, text: str, code: str | None) -> None:
        line = Text()
        line.append(word, style)
        line.append(f"   {one_line(text)}")
        self._print(line, code)

    def plain(self, text: str, indent: int = 0) -> None:
        self._console.print(Text(" " * indent + clean(text)))

    def blank(self) -> None:
        self._console.print()

    def section(self, title: str, lines: Sequence[Line]) -> None:
        """A title in the margin and its lines beside it; nothing at all without lines."""
        for number, item in enumerate(lines):
            line = Text(f"  {title if number == 0 else '':<{INDENT - 2}}")
            if number == 0:
                line.stylize("bold")
            if item.mark:
                line.append(f"{item.mark} ", STYLE.get(item.mark, ""))
            line.append(clean(item.text))
            self._print(line, item.code)

    def _print(self, line: Text, code: str | None) -> None:
        if code:
            gap = max(2, self.width - line.cell_len - len(code))
            line.append(" " * gap + one_line(code), "dim")
        self._console.print(line)

    def wrapped(self, mark: str, text: str, code: str | None = None) -> list[Line]:
        """`text` over as many lines as it takes; the mark and the code stand on the first."""
        room = self.width - INDENT - 3
        first = room - len(code) - 2 if code else room
        pieces = _wrap(one_line(text), max(24, first)) or [""]
        if code and len(pieces) > 1:
            rest = _wrap(" ".join(pieces[1:]), room)
            pieces = [pieces[0], *rest]
        return [
            Line(mark if number == 0 else " ", piece, code if number == 0 else None)
            for number, piece in enumerate(pieces)
        ]

    def flow(self, mark: str, items: Iterable[str]) -> list[Line]:
        """Short items one after the other, each with its mark, as many on a line as fit."""
        out: list[str] = []
        for item in items:
            shown = one_line(item)
            if out and len(out[-1]) + len(shown) + 5 <= self.width - INDENT - 2:
                out[-1] += f"   {mark} {shown}"
            else:
                out.append(shown)
        return [Line(mark, line) for line in out]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def clean(text: str) -> str:
    """Printable; blanks are kept, since tables stand on them."""
    return "".join(c if c.isprintable() else "?" for c in text)


def short(value: bytes | str, front: int = 12, back: int = 8) -> str:
    """A long hex value as its two ends."""
    digits = value.hex() if isinstance(value, bytes) else value
    return digits if len(digits) <= front + back + 1 else f"{digits[:front]}…{digits[len(digits) - back :]}"


def readable(value: bytes) -> str:
    """64 bytes of report data for people: text and padding are said as such."""
    body = value.rstrip(b"\x00")
    zeros = len(value) - len(body)
    if not body:
        return f"{len(value)} zero bytes"
    padding = f" + {zeros} zero bytes" if zeros else ""
    if len(body) >= 4 and all(0x20 <= byte < 0x7F for byte in body):
        return f'"{body.decode("ascii")}"{padding}'
    return short(body) + (padding if zeros > 1 else "")
