"""Any bytes are policy documents or refused by one of our errors."""

from __future__ import annotations

from policies.load import load
from tests.fuzz.common import only_our_errors
from tests.support import ROOT
from verifiers.claims import BY_NAME


def seeds() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "policies" / "bundles").glob("*.yaml"))]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: load(raw, "fuzz.yaml", claims=BY_NAME), data)
