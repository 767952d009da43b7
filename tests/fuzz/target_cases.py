"""Any bytes are cases for a policy or refused by one of our errors."""

from __future__ import annotations

from policies.cases_document import is_cases, read
from tests.fuzz.common import only_our_errors
from tests.support import ROOT
from verifiers.claims import BY_NAME


def seeds() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "policies" / "templates").glob("*/cases.yaml"))]


def target(data: bytes) -> None:
    only_our_errors(lambda raw: (is_cases(raw, "fuzz.yaml"), read(raw, "fuzz.yaml", BY_NAME)), data)
