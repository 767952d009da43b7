"""The quickstart's documents say what the simulator mints, and compile with the shipped baselines."""

from __future__ import annotations

from gateway import bundles
from gateway.demo import documents
from gateway.policybook import compile_all, read
from gateway.simulator import amd, intel


def test_they_name_the_simulated_images() -> None:
    text = documents.references().decode()
    assert f"snp.measurement: sha384:{amd.MEASUREMENT.hex()}" in text
    assert f"tdx.mr_td: sha384:{intel.MR_TD.hex()}" in text
    for number in range(3):
        assert f"tdx.rtmr{number}: sha384:{intel.RTMRS[number].hex()}" in text


def test_they_compile_and_own_the_path() -> None:
    found = [document for name, raw in bundles.baselines() for document in read(raw, name)]
    found += [*read(documents.references(), "references.yaml"), *read(documents.policy(), "policy.yaml")]
    assert compile_all(found).owner_of(documents.RELEASED_PATH) == "demo"
