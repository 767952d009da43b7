"""The release protocol holds in the model, every field that the code binds is known to it, and is needed."""

from __future__ import annotations

import os

import pytest

from tests.model import rows, trace
from tests.model.fields import bound, read_of_a_token
from tests.model.search import search, worlds

SHORT = not os.environ.get("SEALGATE_FULL")


def test_the_model_knows_every_field_that_the_code_binds() -> None:
    """Whoever adds or drops one must say here what comes of it."""
    known = {place: set(found) for place, found in rows.ROWS.items()}
    assert {place: set(found) for place, found in bound().items()} == known
    assert all(known.values())


def test_what_is_not_read_of_a_token_is_what_the_table_says() -> None:
    table = rows.ROWS["result token"]
    assert {name for name, row in table.items() if not row.outside} == read_of_a_token()


def test_no_attack_on_the_protocol_as_it_is() -> None:
    found = search(short=SHORT)
    assert found.attack is None, "\n".join(trace.told(found.attack))
    assert found.worlds == len(list(worlds(short=SHORT)))
    assert found.states > 100_000


@pytest.mark.parametrize("name", [n for n in [*rows.searched(), *rows.RULES] if not rows.row_of(n).why])
def test_without_it_there_is_an_attack(name: str) -> None:
    attack = search([name], short=SHORT).attack
    assert attack is not None
    told = trace.told(attack)
    assert told[-1].startswith("=> ") and any(line.startswith("1. ") for line in told)


SPARE = [name for name in rows.searched() if rows.row_of(name).why]


@pytest.mark.parametrize("kept", ["stored appraisal", "result token"])
def test_without_those_that_have_a_reason_there_is_no_attack(kept: str) -> None:
    """All of them at once, except one of the two that hold in each other's place: leaving out more only helps
    the attacker, so each of them alone is none either."""
    gone = [name for name in SPARE if not name.startswith(kept)]
    assert gone and search(gone, short=SHORT).attack is None


@pytest.mark.parametrize("name", [name for name in SPARE if rows.row_of(name).together])
def test_without_what_holds_in_its_place_too_there_is_one(name: str) -> None:
    assert search([name, *rows.row_of(name).together], short=SHORT).attack is not None


ATTACKS = {
    "a genuine TEE of the attacker's answers for the guest (relay)": ("runtime data.key", "secrecy"),
    "evidence for one gateway is carried to another (diversion)": ("runtime data.aud", "the gateway"),
    "another tenant's TEE answers for the guest's key (key share)": ("wrap.cty", "a guest believes genuine"),
    "evidence of before is given a new challenge (replay)": ("runtime data.nonce", "the gateway"),
    "a challenge is used again after a restore": ("challenge.epoch", "a challenge"),
    "the answer for one path is given for another (swap)": ("release.path", "a guest believes genuine"),
    "an old version is handed out as the new one": ("sealed secret.version", "a guest believes genuine"),
}


@pytest.mark.parametrize("title", ATTACKS)
def test_known_attacks_are_what_the_fields_stop(title: str) -> None:
    name, what = ATTACKS[title]
    attack = search([name], short=SHORT).attack
    assert attack is not None and attack.broken.property.startswith(what)
