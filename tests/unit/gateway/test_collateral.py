"""Which of what is held goes to which evidence, and that a document never gets older."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from gateway.collateral import (
    CERTIFICATE,
    CRL,
    QE_IDENTITY,
    TCB_INFO,
    StoredCollateralSource,
    items,
    not_older,
)
from gateway.errors import GatewayError
from gateway.ports import StoredCollateral
from gateway.simulator import seeds
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from verifiers import registry
from verifiers.carriers import open_evidence
from verifiers.collateral import Collateral
from verifiers.errors import EndorsementFormatError

SNP, OTHER_SNP, TDX = SnpMachine(), SnpMachine(seed="machine-2"), TdxMachine()
AT = seeds.EPOCH


class Shelf:
    """A collateral store in memory."""

    def __init__(self) -> None:
        self.held: list[StoredCollateral] = []
        self.asked = 0

    def put(self, collateral: StoredCollateral) -> None:
        self.held.append(collateral)

    def all(self) -> tuple[int, Sequence[StoredCollateral]]:
        self.asked += 1
        return len(self.held), tuple(self.held)

    def generation(self) -> int:
        return len(self.held)


@pytest.fixture
def shelf() -> Shelf:
    made = Shelf()
    given = TDX.endorsements()
    collateral = Collateral(
        certificates=(SNP.leaf, OTHER_SNP.leaf, SNP.ask(), *given.certificates),
        crls=(SNP.good_crl, *given.crls),
        tcb_infos=given.tcb_infos,
        qe_identities=given.qe_identities,
    )
    for item in items(collateral, AT):
        made.put(item)
    return made


def test_snp_evidence_gets_its_own_leaf_and_amds_lists_only(shelf: Shelf) -> None:
    needs = registry.needs(open_evidence(SNP.report(bytes(64))).evidence)
    found = StoredCollateralSource(shelf).get(needs)
    assert set(found[CERTIFICATE]) == {SNP.leaf, SNP.ask()}
    assert list(found[CRL]) == [SNP.good_crl]
    assert (list(found[TCB_INFO]), list(found[QE_IDENTITY])) == ([], [])


def test_a_quote_gets_intels_and_its_own_platforms(shelf: Shelf) -> None:
    given = TDX.endorsements()
    needs = registry.needs(open_evidence(TDX.quote(bytes(64))).evidence)
    found = StoredCollateralSource(shelf).get(needs)
    assert set(found[CERTIFICATE]) == set(given.certificates)
    assert set(found[CRL]) == set(given.crls)
    assert tuple(found[TCB_INFO]) == given.tcb_infos
    assert tuple(found[QE_IDENTITY]) == given.qe_identities


def test_the_store_is_read_again_only_when_it_has_changed(shelf: Shelf) -> None:
    source = StoredCollateralSource(shelf)
    needs = registry.needs(open_evidence(OTHER_SNP.report(bytes(64))).evidence)
    source.get(needs)
    source.get(needs)
    assert shelf.asked == 1
    newer = SNP.crl(number=2)
    shelf.put(items(Collateral(crls=(newer,)), AT)[0])
    assert newer in source.get(needs)[CRL]
    assert shelf.asked == 2


def test_nothing_is_found_for_nothing(shelf: Shelf) -> None:
    assert not any(StoredCollateralSource(shelf).get(()).values())


def test_a_document_never_gets_older() -> None:
    old = items(Collateral(tcb_infos=(TDX.tcb_info(),)), AT)
    later = TdxMachine(at=AT + timedelta(days=2))
    new = items(Collateral(tcb_infos=(later.tcb_info(),)), AT)
    not_older(new[0], old)
    not_older(old[0], old)
    with pytest.raises(GatewayError) as caught:
        not_older(old[0], new)
    assert caught.value.reason == "store.conflict"


def test_a_damaged_piece_is_no_row() -> None:
    with pytest.raises(EndorsementFormatError):
        items(Collateral(tcb_infos=(b"{}",)), AT)
