"""The configuration's [containment]."""

from __future__ import annotations

from dataclasses import dataclass

REQUIRED, BEST_EFFORT, OFF = MODES = ("required", "best-effort", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """mode: "required", "best-effort" or "off"; None: required, but best-effort in development mode. seconds:
    that reading one piece of evidence may take."""

    mode: str | None = None
    seconds: int = 5
