"""The one invariant that every parser shares, and seeds minted by the simulator."""

from __future__ import annotations

from collections.abc import Callable

from verifiers.errors import AttestationError


def only_our_errors(parse: Callable[[bytes], object], data: bytes) -> object | None:
    """Run `parse`; a refusal must be an AttestationError with a code, a place and both values."""
    try:
        return parse(data)
    except AttestationError as error:
        assert error.reason and error.where is not None and error.expected and error.found is not None
        return None
