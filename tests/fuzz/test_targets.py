"""Every fuzz target runs on its own seeds, whole, cut short, with a byte changed: a target must not rot."""

from __future__ import annotations

import importlib

import pytest

from tests.fuzz.__main__ import names


@pytest.mark.parametrize("name", names())
def test_the_invariant_holds_on_the_seeds(name: str) -> None:
    module = importlib.import_module(f"tests.fuzz.target_{name}")
    assert module.__doc__ and module.__doc__.splitlines()[0].endswith(".")
    seeds = module.seeds()
    assert seeds
    for seed in seeds:
        module.target(seed)
        for size in range(0, len(seed), max(1, len(seed) // 40)):
            module.target(seed[:size])
        for at in range(0, len(seed), max(1, len(seed) // 40)):
            module.target(seed[:at] + bytes([seed[at] ^ 0x5A]) + seed[at + 1 :])
