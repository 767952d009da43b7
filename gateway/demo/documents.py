"""The policy documents of the demonstration: what a team would write for two approved guest images.

They are files, so that they can be read, copied and changed: `gateway/demo/quickstart/*.yaml`.
"""

from __future__ import annotations

from importlib import resources

RELEASED_PATH = "demo/disk-key"


def references() -> bytes:
    """Reference values: the simulated images and what runs in them."""
    return _read("references.yaml")


def policy() -> bytes:
    """The release policy that owns RELEASED_PATH."""
    return _read("policy.yaml")


def _read(name: str) -> bytes:
    return resources.files(__package__).joinpath("quickstart", name).read_bytes()
