"""What is wrong with an operator's document, and exactly where.

    AttestationError
    └── PolicyError      one problem: file, line, column, stable code
        └── PolicyErrors several, in the order of the files

A document is refused as a whole, with every problem that could be found, so that one edit can mend all.
Nothing that carries an error is ever used.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from verifiers.errors import AttestationError

# What one message may quote of a document: a hostile key must not fill a terminal or a log.
MAX_QUOTE = 96


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file, as it was read: for messages and digests. name: as the operator knows it."""

    name: str
    lines: tuple[str, ...]
    digest: str
    """"sha256:" and 64 hex digits over the file's exact bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where something stands. line, column: from 1. width: how many characters the caret line marks."""

    source: Source
    line: int
    column: int
    width: int = 1

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


def pointed(head: str, place: Place, hint: str | None, width: int | None = None) -> str:
    """A message with the line of the file, a caret below what is meant, and the hint."""
    lines = place.source.lines
    if not 1 <= place.line <= len(lines):
        return head if hint is None else f"{head}\n      {hint}"
    text = lines[place.line - 1]
    start = max(0, place.column - 1 - MAX_QUOTE // 2) if len(text) > MAX_QUOTE else 0
    shown = text[start : start + MAX_QUOTE]
    cut = "…" if start + MAX_QUOTE < len(text) else ""
    marks = max(1, min(width or place.width, len(shown) - (place.column - 1 - start)))
    caret = " " * (place.column - 1 - start) + "^" * marks
    said = "" if hint is None else f" {hint}"
    return f"{head}\n{place.line:5d} |   {shown}{cut}\n      |   {caret}{said}"


class PolicyError(AttestationError):
    """One problem in one document.

    `reason` is the stable code ("policy.duplicate-key"); `place` says where; `hint` what was probably
    meant. `str()` is what a terminal shows: the sentence, the line of the file, a caret, the hint.
    """

    def __init__(
        self, code: str, place: Place, message: str, *, hint: str | None = None, width: int | None = None
    ) -> None:
        super().__init__(code, str(place), expected=hint or "a valid document", found=message)
        self.place, self.message, self.hint = place, message, hint
        self.width = width or place.width

    @property
    def errors(self) -> tuple[PolicyError, ...]:
        return (self,)

    @property
    def file(self) -> str:
        return self.place.source.name

    @property
    def line(self) -> int:
        return self.place.line

    @property
    def column(self) -> int:
        return self.place.column

    def __str__(self) -> str:
        head = f"{self.where}: error[{self.reason.removeprefix('policy.')}] {self.message}"
        return pointed(head, self.place, self.hint, self.width)


class PolicyErrors(PolicyError):
    """Several problems. Its own code and place are those of the first; `errors` has all."""

    def __init__(self, errors: Sequence[PolicyError]) -> None:
        if not errors:
            raise ValueError("no errors to report")
        first = errors[0]
        super().__init__(first.reason, first.place, first.message, hint=first.hint, width=first.width)
        self._errors = tuple(errors)

    @property
    def errors(self) -> tuple[PolicyError, ...]:
        return self._errors

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self._errors)


class Problems:
    """Collects problems while a document is read; `check()` raises them all."""

    # A broken generator of documents repeats one mistake ten thousand times; the first ones say it.
    LIMIT = 50

    def __init__(self) -> None:
        self._errors: list[PolicyError] = []

    def add(self, code: str, place: Place, message: str, *, hint: str | None = None) -> None:
        """Raises PolicyErrors once there are LIMIT: looking for more costs time and says nothing new."""
        self._errors.append(PolicyError(f"policy.{code}", place, message, hint=hint))
        if len(self._errors) >= self.LIMIT:
            self.check()

    def __len__(self) -> int:
        return len(self._errors)

    def check(self) -> None:
        """Raise PolicyErrors when anything was added."""
        if self._errors:
            raise PolicyErrors(self._errors)


def quote(text: str) -> str:
    """A piece of a document, as a message may show it."""
    short = text if len(text) <= MAX_QUOTE // 2 else text[: MAX_QUOTE // 2] + "…"
    return '"' + "".join(c if c.isprintable() else "?" for c in short) + '"'


def did_you_mean(word: str, choices: Iterable[str], *, note: str = "") -> str | None:
    """`did you mean X?` for the nearest of `choices`, or None when nothing is near."""
    wanted = word.casefold()[:MAX_QUOTE]
    by_fold = {choice.casefold(): choice for choice in choices}
    # Names that differ in underscores or in dots only ("tdx.mrtd") are the commonest slip.
    for fold, choice in by_fold.items():
        if _bare(fold) == _bare(wanted):
            return f"did you mean {choice}{note}?"
    near = difflib.get_close_matches(wanted, by_fold, n=1, cutoff=0.6)
    return f"did you mean {by_fold[near[0]]}{note}?" if near else None


def _bare(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(".", "")
