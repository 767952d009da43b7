"""What goes to which evidence, at which cost, and when something that is held goes to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.collateral import slots
from gateway.collateral.ages import Ages
from gateway.collateral.source import HeldSource
from gateway.simulator import seeds
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from gateway.store import Store
from tests.stores import sqlite_store
from tests.unit.gateway.collateral.support import (
    amd_crl,
    pck_crl,
    qe_identity,
    root_crl,
    tcb_info,
    vcek,
)
from verifiers import registry
from verifiers.carriers import open_evidence
from verifiers.model import Need
from verifiers.vetting import Vetted

SNP, OTHER, TDX, SGX = SnpMachine(), SnpMachine(seed="machine-2"), TdxMachine(), SgxMachine()
AT, DAY = seeds.EPOCH, timedelta(days=1)


class Counting:
    """A store that counts what is read of it."""

    def __init__(self, store: Any) -> None:
        self._store, self.reads = store, {"generation": 0, "common": 0, "leaves": 0}

    def generation(self) -> int:
        self.reads["generation"] += 1
        return int(self._store.generation())

    def common(self) -> Any:
        self.reads["common"] += 1
        return self._store.common()

    def leaves(self, kind: str, key: str) -> Any:
        self.reads["leaves"] += 1
        return self._store.leaves(kind, key)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        put(opened, vcek(SNP), vcek(OTHER), amd_crl(SNP), amd_crl(SnpMachine(product="Milan")))
        put(opened, *tcb_info(TDX), *tcb_info(SGX), *qe_identity(TDX), *qe_identity(SGX))
        put(opened, *pck_crl(TDX), *root_crl(TDX))
        yield opened


def put(store: Store, *objects: Vetted, channel: str = slots.STANDARD) -> None:
    store.collateral.put(objects, channel=channel, source=slots.IMPORT, at=AT, answers=None)


def needs(machine: Any) -> Sequence[Need]:
    raw = machine.report(bytes(64)) if isinstance(machine, SnpMachine) else machine.quote(bytes(64))
    return registry.needs(open_evidence(raw).evidence)


def source(store: Any, **changes: Any) -> HeldSource:
    return HeldSource(store, **{"ages": Ages(), **changes})


def test_snp_evidence_gets_its_own_leaf_and_its_own_arks_list(store: Store) -> None:
    found = source(store.collateral).get(needs(SNP), AT)
    assert found.certificates == (SNP.leaf,)
    assert len(found.crls) == 1
    assert (found.tcb_infos, found.qe_identities, found.withheld) == ((), (), ())
    assert len(found.digests) == 2


def test_a_quote_gets_intels_and_its_own_platforms(store: Store) -> None:
    found = source(store.collateral).get(needs(TDX), AT)
    assert (len(found.tcb_infos), len(found.qe_identities), len(found.crls)) == (1, 1, 2)
    assert b'"TDX"' in found.tcb_infos[0] and b'"TD_QE"' in found.qe_identities[0]
    assert len(found.certificates) == 3, "root, signer, PCK CA"
    assert set(found.digests) == set(store.collateral.by_digests(found.digests))


def test_nothing_is_found_for_nothing(store: Store) -> None:
    counting = Counting(store.collateral)
    assert not source(counting).get((), AT).digests
    assert sum(counting.reads.values()) == 0


def test_a_warm_request_costs_one_small_read(store: Store) -> None:
    counting = Counting(store.collateral)
    held = source(counting)
    for machine in (SNP, OTHER, TDX):
        held.get(needs(machine), AT)
    assert counting.reads == {"generation": 3, "common": 1, "leaves": 2}
    for machine in (SNP, OTHER, TDX) * 5:
        held.get(needs(machine), AT)
    assert counting.reads == {"generation": 18, "common": 1, "leaves": 2}


def test_a_new_machine_makes_nobody_read_again(store: Store) -> None:
    counting = Counting(store.collateral)
    held = source(counting)
    third = SnpMachine(seed="machine-3")
    held.get(needs(SNP), AT)
    assert held.get(needs(third), AT).certificates == ()
    put(store, vcek(third))
    assert held.get(needs(third), AT).certificates == (third.leaf,)
    held.get(needs(SNP), AT)
    assert counting.reads == {"generation": 4, "common": 1, "leaves": 3}


def test_what_is_new_counts_at_once(store: Store) -> None:
    held = source(store.collateral)
    before = held.get(needs(SNP), AT).crls
    newer = amd_crl(SNP, number=2)
    put(store, newer)
    assert held.get(needs(SNP), AT).crls == (newer.raw, *before), "and the one before it stays a witness"
    newest = amd_crl(SNP, number=3)
    put(store, newest)
    assert held.get(needs(SNP), AT).crls == (newest.raw, newer.raw), "but no pile of them"


def test_a_worker_remembers_only_so_many_machines(store: Store) -> None:
    counting = Counting(store.collateral)
    held = source(counting, remembered=1)
    for machine in (SNP, OTHER, SNP):
        held.get(needs(machine), AT)
    assert counting.reads["leaves"] == 3


@pytest.mark.parametrize(("channel", "number"), [(slots.STANDARD, 21), (slots.EARLY, 23)])
def test_one_channel_counts(store: Store, channel: str, number: int) -> None:
    put(store, *tcb_info(TDX, tcbEvaluationDataNumber=21))
    put(store, *tcb_info(TDX, tcbEvaluationDataNumber=23), channel=slots.EARLY)
    (found,) = source(store.collateral, channel=channel).get(needs(TDX), AT).tcb_infos
    assert f'"tcbEvaluationDataNumber":{number}'.encode() in found


@pytest.mark.parametrize(
    ("beyond", "given"),
    [(timedelta(seconds=-1), 1), (timedelta(0), 0), (timedelta(seconds=1), 0)],
    ids=["before", "at", "after"],
)
def test_what_is_too_old_goes_to_nobody(store: Store, beyond: timedelta, given: int) -> None:
    crl = amd_crl(SNP)
    held = source(store.collateral, ages=Ages({"amd.crl": 5 * DAY}))
    found = held.get(needs(SNP), crl.issued + 5 * DAY + beyond)
    assert len(found.crls) == given
    assert len(found.withheld) == 1 - given
    assert all("maximum age 5 days" in line for line in found.withheld)
    assert found.certificates == (SNP.leaf,), "certificates have their own end"


def test_the_list_before_never_stands_in_for_one_that_has_ended(store: Store) -> None:
    """A vendor that shortens its windows leaves an older list with more time than the newer one."""
    held = source(store.collateral)
    newer = amd_crl(SNP, this_update=AT + DAY, next_update=AT + 2 * DAY, number=7)
    put(store, newer)
    assert len(held.get(needs(SNP), AT + DAY).crls) == 2
    assert held.get(needs(SNP), AT + 2 * DAY).crls == (newer.raw,)
