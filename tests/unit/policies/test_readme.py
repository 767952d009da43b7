"""The page about the language names every operator and every type's operators as they are."""

from __future__ import annotations

import re

from policies.minimums import MINIMUMS
from policies.operators import OPERATORS
from tests.support import ROOT

PAGE = (ROOT / "policies" / "README.md").read_text()


def test_every_operator_and_no_other_is_in_the_table() -> None:
    table = PAGE[PAGE.index("| operator |") : PAGE.index("They are the rows")]
    named = {
        word for row in table.strip().splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == set(OPERATORS)


def test_every_waivable_minimum_is_named() -> None:
    for name, minimum in MINIMUMS.items():
        if minimum.waivable:
            assert name.removeprefix("minimum") in PAGE


def test_every_file_it_names_exists() -> None:
    for name in re.findall(r"`(?:policies/)?([a-z_]+\.py)`", PAGE):
        assert (ROOT / "policies" / name).is_file(), name
