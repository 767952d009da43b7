"""The platform baselines that ship with the package, as bytes: the pure packages read no files."""

from __future__ import annotations

from importlib import resources


def baselines() -> tuple[tuple[str, bytes], ...]:
    """(file name, exact bytes) of every shipped baseline, by name."""
    folder = resources.files("policies").joinpath("bundles")
    found = [item for item in folder.iterdir() if item.name.endswith(".yaml") and item.is_file()]
    return tuple((item.name, item.read_bytes()) for item in sorted(found, key=lambda item: item.name))
