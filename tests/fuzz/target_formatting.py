"""Any bytes are refused by one of our errors, or formatted once and for all, with the same meaning."""

from __future__ import annotations

from policies.errors import PolicyErrors
from policies.formatting import format_document, meaning
from policies.strictyaml import parse
from tests.support import ROOT


def seeds() -> list[bytes]:
    folder = ROOT / "policies"
    return [
        path.read_bytes()
        for path in sorted((*folder.glob("bundles/*.yaml"), *folder.glob("templates/*/*.yaml")))
    ]


def target(data: bytes) -> None:
    try:
        before = parse(data, "fuzz.yaml")
        out = format_document(data, "fuzz.yaml")
    except PolicyErrors:
        return
    assert [meaning(node) for node in parse(out, "fuzz.yaml")] == [meaning(node) for node in before]
    assert format_document(out, "fuzz.yaml") == out
