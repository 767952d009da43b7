"""The published schemas are the ones that the model makes, take what loads, and mark what does not."""

from __future__ import annotations

import json
import re

import pytest

from policies import schema
from policies.claimtable import rows
from tests.support import ROOT
from tests.unit.policies.jsonschema import documents, faults
from tests.unit.policies.support import BUNDLES, GUESTS, PODS, RELEASE, changed
from verifiers.claims import BY_NAME

SCHEMAS = schema.schemas(BY_NAME)
FOLDER = ROOT / "policies" / "schema"


def found(text: str) -> list[str]:
    out = []
    for value in documents(text.encode()):
        root = SCHEMAS[value["sealgate"].partition("/")[0]]
        out += list(faults(root, value, root))
    return out


def test_the_committed_files_are_what_the_model_makes() -> None:
    """After a change: sealgate policy schema --out policies/schema"""
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(SCHEMAS)
    for name, value in SCHEMAS.items():
        assert json.loads((FOLDER / f"{name}.json").read_text()) == value, name


def test_every_claim_can_be_completed_and_says_what_it_is() -> None:
    for name in ("platform-baseline", "release-policy"):
        offered = SCHEMAS[name]["definitions"]["condition"]["properties"]
        for row in rows(BY_NAME):
            text = offered[row.name]["description"]
            assert f"Type: {row.size}. Written: {row.written}" in text and row.source in text
            assert all(word in text for word in (row.trustee, row.trust_authority) if word)
            assert set(offered[row.name]["properties"]) == set(row.operators)


README = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "policies/README.md").read_text(), re.DOTALL | re.M)


@pytest.mark.parametrize(
    "text",
    [
        *(RELEASE, GUESTS, PODS, *README),
        *(path.read_text() for path in sorted(BUNDLES.glob("*.yaml"))),
        *(path.read_text() for path in sorted((ROOT / "policies" / "templates").glob("*/*.yaml"))),
    ],
)
def test_what_loads_fits(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("snp.vmpl: {equals: 0}", "snp.vmlp: {equals: 0}"),
        ("snp.vmpl: {equals: 0}", "snp.vmpl: {subset_of: [0]}"),
        ("snp.vmpl: {equals: 0}", "snp.vmpl: {equals: none}"),
        ("snp.vmpl: {equals: 0}", "snp.vmpl: {equals: 0, at_most: 1}"),
        ("[Genoa, Milan]", "[Genoa, Rome]"),
        ("[Genoa, Milan]", "Genoa"),
        ("[INTEL-SA-01010, INTEL-SA-01036]", "[CVE-2024-1]"),
        ("tdx.rtmr3: {equals: zero}", "tdx.rtmr3: {equals: 00ff}"),
        ("tdx.rtmr3: {equals: zero}", f"tdx.rtmr3: {{equals: 'sha256:{'00' * 32}'}}"),
        ("lasts: 12h", "lasts: 12 hours"),
        ("expires: 2026-11-30T00:00:00Z", "expires: 2026-11-30"),
        ("version: 12", "version: 0"),
        ("tenant: acme\n", ""),
        ("deny:", "denied:"),
    ],
)
def test_what_does_not_load_is_marked(old: str, new: str) -> None:
    assert found(changed(RELEASE, old, new)) != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tdx.rtmr0: sha384:", "tdx.rtmr9: sha384:"),
        ("tdx.rtmr0: sha384:0202", "tdx.rtmr0: sha384:02"),
        ("  - id: vm-tdx\n", "  - id: vm-tdx\n    evidence.version: 4\n"),
        ("  - id: vm-tdx\n", "  - id: vm-tdx\n    origin: guessed\n"),
    ],
)
def test_entries_are_marked_too(old: str, new: str) -> None:
    assert found(changed(GUESTS, old, new)) != []
