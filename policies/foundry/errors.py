"""Why a measurement was not predicted."""

from __future__ import annotations

import enum

from verifiers.errors import AttestationError


class FoundryReason(enum.StrEnum):
    """Stable codes. Add; never rename or reuse."""

    MALFORMED = "foundry.malformed"
    """The firmware image contradicts its format."""
    MISSING = "foundry.missing"
    """The firmware lacks what this launch needs, or an input was not given."""
    UNSUPPORTED = "foundry.unsupported"
    """A version, section or name that we do not know how to measure."""
    UNCERTAIN = "foundry.uncertain"
    """What is measured here is not known well enough to state a value."""
    TOO_MUCH = "foundry.too-much"
    """More pages, vCPUs or rows than are computed in one go."""


class FoundryError(AttestationError):
    """An input of a launch cannot be measured. No digest was computed."""


def malformed(where: str, *, expected: object, found: object) -> FoundryError:
    return FoundryError(FoundryReason.MALFORMED, where, expected=expected, found=found)
