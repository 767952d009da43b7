"""Which sealgate this is, to the byte of what decides: the same verdict for ever, under the same code."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from gateway import VERSION

_ROOT = Path(__file__).resolve().parent.parent
DECIDING = ("policies", "verifiers")
"""The packages that a verdict follows from."""


@functools.cache
def identity() -> str:
    """ "0.1.0 9c1f0a…": the version, and the start of a SHA-256 over the source of `DECIDING`, file by file.

    Two builds of one version that decide by different code are told apart. Read once in a process.
    """
    out = hashlib.sha256()
    for package in DECIDING:
        for path in sorted((_ROOT / package).rglob("*.py")):
            raw = path.read_bytes()
            out.update(f"{path.relative_to(_ROOT).as_posix()} {len(raw)}\n".encode() + raw)
    return f"{VERSION} {out.hexdigest()[:16]}"
