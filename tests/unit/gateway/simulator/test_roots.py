"""The simulator's private keys belong to the public halves that the verifiers pin."""

from __future__ import annotations

import hashlib
import json
from importlib import resources

import pytest

from gateway.simulator import keys, seeds
from verifiers.dcap.simulated_root import ROOT_SHA256
from verifiers.sevsnp import roots
from verifiers.sevsnp.simulated_keys import MODULI


@pytest.mark.parametrize(("product", "role"), sorted(MODULI))
def test_every_amd_key_has_the_pinned_modulus(product: str, role: str) -> None:
    numbers = keys.amd(product, role).public_key().public_numbers()
    assert (numbers.n, numbers.e) == (int(MODULI[product, role], 16), 65537)


def test_every_product_and_role_has_a_key() -> None:
    assert {(p, r) for p in keys.PRODUCTS for r in keys.ROLES} == set(MODULI)


def test_the_intel_root_is_the_pinned_certificate_and_its_key() -> None:
    assert hashlib.sha256(keys.intel_root_certificate()).hexdigest() == ROOT_SHA256


def test_no_simulated_key_is_a_vendors() -> None:
    simulated = {anchor.spki_sha256 for anchor in roots.SIMULATED.values()}
    vendors = {anchor.spki_sha256 for anchor in roots.VENDOR.values()}
    assert len(simulated) == len(vendors) == 9
    assert simulated & vendors == set()


def test_the_key_file_says_that_it_is_public_on_purpose() -> None:
    text = resources.files("gateway.simulator").joinpath("keys.json").read_text()
    assert "Public on purpose" in json.loads(text)["about"]


def test_a_seed_gives_the_same_key_everywhere_and_another_seed_another() -> None:
    one, again, other = (seeds.p256(seed, "x").private_numbers() for seed in ("a", "a", "b"))
    assert one == again
    assert one != other
    # Known answer, so that machines of different releases stay the same machines.
    assert seeds.octets("machine-1", "PPID", 16).hex() == PPID


PPID = "3fc268ea00e0740e75c5d5df951a0e42"
