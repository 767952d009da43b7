"""The store of collateral: slots, the ratchet inside the transaction, bytes that stay while they are
needed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.collateral import slots
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Placed, Slot
from gateway.simulator import seeds
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.store import Store
from gateway.store.migrations import MIGRATIONS, migrate
from tests.integration.test_store import appraisal
from tests.postgres import EVERY_STORE, STORES
from tests.stores import START, database_path, sqlite_store
from tests.unit.gateway.collateral.support import BOTH, POOL, amd_crl, pck_crl, tcb_info, vcek
from verifiers import vetting
from verifiers.model import Need
from verifiers.vetting import Vetted

SNP, OTHER, TDX = SnpMachine(), SnpMachine(seed="machine-2"), TdxMachine()
DAY = timedelta(days=1)
AT = seeds.EPOCH
GENOA_CRL = Slot("amd.crl", "kind=vcek product=Genoa", simulated=True)


@pytest.fixture(params=EVERY_STORE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


def put(
    store: Store, *objects: Vetted, at: datetime = AT, channel: str = slots.STANDARD, source: str = "vendor"
) -> list[Placed]:
    return list(store.collateral.put(objects, channel=channel, source=source, at=at, answers=None))


def first_crl(**overrides: object) -> Vetted:
    return amd_crl(SNP, **overrides)


def test_a_slot_has_one_current_object(store: Store) -> None:
    old, new = first_crl(), first_crl(number=2)
    assert [(p.slot, p.change) for p in put(store, old)] == [(GENOA_CRL, True)]
    assert [p.change for p in put(store, new, at=AT + DAY)] == [True]
    (held,) = store.collateral.held()
    assert (held.slot, held.sha256, held.previous) == (GENOA_CRL, new.sha256, old.sha256)
    assert (held.number, held.fetched, held.checked, held.source) == (2, AT + DAY, AT + DAY, "vendor")
    assert (held.issued, held.ends, held.size) == (new.issued, new.ends, len(new.raw))
    (shared,) = store.collateral.common()[1]
    assert (shared.raw, shared.previous) == (new.raw, old.raw)


def test_the_same_again_is_only_checked_again(store: Store) -> None:
    crl = first_crl()
    put(store, crl)
    before = store.collateral.generation()
    assert [p.change for p in put(store, crl, at=AT + DAY, source="import")] == [False]
    (held,) = store.collateral.held()
    assert (held.fetched, held.checked, held.source) == (AT, AT + DAY, "vendor")
    assert store.collateral.generation() == before


@pytest.mark.parametrize(
    ("older", "why"),
    [
        pytest.param({"this_update": AT - DAY - timedelta(seconds=1), "number": 5}, "date", id="earlier"),
        pytest.param({"number": 4}, "number", id="lower-number-same-date"),
        pytest.param({"this_update": AT, "number": 4}, "number", id="lower-number-later"),
    ],
)
def test_nothing_goes_back(store: Store, older: dict[str, object], why: str) -> None:
    new = first_crl(number=5)
    put(store, new)
    with pytest.raises(GatewayError) as caught:
        put(store, vcek(SNP), first_crl(**older))
    assert caught.value.reason is GatewayReason.COLLATERAL_ROLLBACK
    assert caught.value.where == str(GENOA_CRL)
    assert [held.sha256 for held in store.collateral.held()] == [new.sha256], why


def test_dates_carry_the_ratchet_where_every_number_is_one(store: Store) -> None:
    """As on every CRL that Intel has published."""
    new = pck_crl(TDX, number=1, this_update=AT)
    put(store, *pck_crl(TDX, number=1, this_update=AT - DAY))
    put(store, *new)
    with pytest.raises(GatewayError) as caught:
        put(store, *pck_crl(TDX, number=1, this_update=AT - timedelta(seconds=1)))
    assert caught.value.reason is GatewayReason.COLLATERAL_ROLLBACK


def test_an_emptied_slot_remembers_how_far_it_had_come(store: Store) -> None:
    put(store, first_crl(number=5))
    generation = store.collateral.generation()
    assert store.collateral.remove(GENOA_CRL, AT) is True
    assert store.collateral.remove(GENOA_CRL, AT) is False
    assert store.collateral.held() == ()
    assert store.collateral.generation() > generation
    with pytest.raises(GatewayError):
        put(store, first_crl(number=4))
    put(store, first_crl(number=5))
    assert len(store.collateral.held()) == 1


def test_early_and_standard_never_mix(store: Store) -> None:
    early, standard = tcb_info(TDX, tcbEvaluationDataNumber=19), tcb_info(TDX, tcbEvaluationDataNumber=17)
    put(store, *early, channel=slots.EARLY)
    put(store, *standard)
    held = {(h.slot.channel, h.number) for h in store.collateral.held() if h.slot.kind == "intel.tcb-info"}
    assert held == {("early", 19), ("standard", 17)}
    assert {h.slot.channel for h in store.collateral.held() if h.slot.kind == "intel.issuer"} == {"standard"}


def test_a_leaf_that_is_new_makes_nobody_read_again(store: Store) -> None:
    put(store, first_crl())
    before = store.collateral.generation()
    put(store, vcek(SNP), vcek(OTHER))
    assert store.collateral.generation() == before
    key = slots.key_of("amd.vcek", vcek(SNP).key)
    assert [each.raw for each in store.collateral.leaves("amd.vcek", key)] == [SNP.leaf]
    assert store.collateral.leaves("amd.vcek", "chip_id=00") == ()
    longer = SNP.vcek(not_after=vcek(SNP).ends + DAY)
    put(store, *_certificates(longer))
    assert store.collateral.generation() > before
    assert [p.change for p in put(store, vcek(SNP))] == [False], "one that ends earlier is left aside"


def test_a_leaf_is_looked_up_by_its_key_however_many_there_are(tmp_path: Path) -> None:
    """Not by walking along all that end later. SQLite never looks at how many there are."""
    with sqlite_store(tmp_path) as store:
        _require_lookup_by_key(store)


def _require_lookup_by_key(store: Store) -> None:
    from gateway.store import collateral

    plan = store.database.query("EXPLAIN QUERY PLAN " + collateral._LEAF, ("amd.vcek", "x", 1))
    steps = [row[3] for row in plan if " s " in row[3]]
    assert len(steps) == 1 and "PRIMARY KEY (tenant=? AND kind=? AND key=?)" in steps[0], steps


def test_a_pck_is_found_by_what_was_asked(store: Store) -> None:
    need = Need(
        "intel.pck", (("cpusvn", "00"), ("encrypted_ppid", "ab"), ("pceid", "0000"), ("pcesvn", "0b00"))
    )
    pck = vetting.certificate(TDX.pck(), "PCK", POOL, BOTH)
    store.collateral.put(pck, channel="standard", source="vendor", at=AT, answers=need)
    assert [e.raw for e in store.collateral.leaves("intel.pck", slots.answers(need))] == [pck[-1].raw]
    put(store, *pck, source="import")
    assert len(store.collateral.leaves("intel.pck", slots.IMPORTED_PCK)) == 1


def test_superseded_bytes_stay_while_an_appraisal_may_refer_to_them(store: Store) -> None:
    crls = [first_crl(number=number) for number in (1, 2, 3)]
    for days, crl in enumerate(crls):
        put(store, crl, at=START + days * DAY)
    digests = [crl.sha256 for crl in crls]
    store.journal.commit((), appraisal(minutes=60 * 24))
    assert store.collateral.prune(START + 90 * DAY) == 0
    assert dict(store.collateral.by_digests([*digests, "0" * 64])) == {c.sha256: c.raw for c in crls}
    store.appraisals.prune(START + 30 * DAY)
    assert store.collateral.prune(START + 90 * DAY) == 1
    assert set(store.collateral.by_digests(digests)) == {crls[1].sha256, crls[2].sha256}


def test_bytes_that_come_back_are_kept_again(store: Store) -> None:
    crl = first_crl()
    put(store, crl)
    store.collateral.remove(GENOA_CRL, AT)
    put(store, crl)
    assert store.collateral.prune(AT + 90 * DAY) == 0
    assert store.collateral.by_digests([crl.sha256]) == {crl.sha256: crl.raw}


def test_many_digests_at_once(store: Store) -> None:
    crl = first_crl()
    put(store, crl)
    wanted = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(1000)]
    assert set(store.collateral.by_digests([*wanted, crl.sha256])) == {crl.sha256}


def test_what_an_older_version_held_is_there_to_be_vetted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = (
        "INSERT INTO collateral (tenant, kind, key, sha256, source, imported, superseded)"
        " VALUES ('', ?, ?, ?, ?, ?, ?)"
    )
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "__defaults__", (MIGRATIONS[:2],))
        with sqlite_store(tmp_path):
            pass
    with closing(sqlite3.connect(database_path(tmp_path), isolation_level=None)) as old:
        for kind, key, sha, raw, imported, superseded in (
            ("crl", "a", "01", b"1", 10, 20),
            ("crl", "a", "02", b"2", 20, None),
            ("certificate", "b", "03", b"3", 30, None),
            ("certificate", "b2", "03", b"3", 40, 50),
        ):
            old.execute(insert, (kind, key, sha, raw, imported, superseded))
    with sqlite_store(tmp_path) as store:
        assert list(store.collateral.unvetted().items()) == [("03", b"3"), ("02", b"2")]
        assert dict(store.collateral.by_digests(["01", "02", "03"])) == {"01": b"1", "02": b"2", "03": b"3"}
        assert store.collateral.held() == ()
        store.collateral.forget_unvetted("03", AT)
        assert list(store.collateral.unvetted()) == ["02"]
        assert store.collateral.prune(AT + DAY) == 2
        assert set(store.collateral.by_digests(["01", "02", "03"])) == {"02"}


def _certificates(raw: bytes) -> tuple[Vetted, ...]:
    return vetting.certificate(raw, "VCEK", (), BOTH)
