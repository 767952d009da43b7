"""What goes wrong on the command line, as one line on stderr and exit code 2; never a traceback.

sealgate: report.bin: expected 1184 bytes, found 1183 bytes [evidence.bad-length]
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from policies.errors import PolicyError
from verifiers.errors import AttestationError

UNREADABLE = "input.unreadable"
USAGE = "input.usage"


class InputError(click.ClickException):
    """Malformed input or wrong usage. reason: stable code, for --json; None adds none to the message."""

    exit_code = 2

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(f"{message} [{reason}]" if reason else message)
        self.reason = reason or USAGE


@contextmanager
def reading(name: str) -> Iterator[None]:
    """While this file is read: what is wrong with it becomes an `InputError` that names it."""
    try:
        yield
    except PolicyError as error:
        lines = [f"{e.where}: {e.message}{f' ({e.hint})' if e.hint else ''}" for e in error.errors]
        raise InputError("\n".join(lines), error.reason) from None
    except AttestationError as error:
        raise InputError(describe(error, name), error.reason) from None
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}", UNREADABLE) from None


def describe(error: AttestationError, name: str) -> str:
    """FILE: WHERE: expected …, found …; the file is not said twice, nor a place that says nothing."""
    where = error.where.removeprefix(name).removeprefix(": ")
    place = "" if where in ("", "evidence") else f"{where.removeprefix(':')}: "
    return one_line(f"{name}: {place}expected {error.expected}, found {error.found}")


def one_line(text: str) -> str:
    """Printable, and on one line: file names and peers' bytes cannot write control codes to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
