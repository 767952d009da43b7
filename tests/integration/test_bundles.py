"""Bundles between stores: what is packed here arrives there, once, as it was; nothing that is not genuine,
current, newer and signed by a trusted key does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.collateral import bundle, importing, packing
from gateway.collateral.ages import Ages
from gateway.collateral.bundle import Head
from gateway.collateral.importing import Importer
from gateway.errors import GatewayError, GatewayReason
from gateway.keys import FileKeys
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.store import Store
from tests.stores import FakeClock, file_keys, sqlite_store
from tests.unit.gateway.collateral.support import amd_crl, pck_crl, qe_identity, root_crl, tcb_info, vcek
from verifiers.model import AnchorSet, Need

NOW = datetime(2026, 7, 1, 12, tzinfo=FakeClock().at.tzinfo)
DAY = timedelta(days=1)
SNP, TDX = SnpMachine(at=NOW), TdxMachine(at=NOW)
OLD_SNP = SnpMachine(at=NOW - 3 * DAY)


@dataclass
class Site:
    store: Store
    keys: FileKeys
    importer: Importer

    def hold(self, *objects: Any, channel: str = "standard") -> None:
        self.store.collateral.put(objects, channel=channel, source="vendor", at=NOW)

    def pack(self, *needs: Need, now: datetime = NOW) -> bytes:
        """A whole bundle, as the command writes it."""
        head = packing.pack(
            self.store.collateral,
            needs or None,
            now,
            ages=Ages(),
            issuer="https://gw.example",
            keys=self.keys,
        )
        raws = self.store.collateral.by_digests([member.sha256 for member in head.members])
        return head.raw + b"".join(raws[member.sha256] for member in head.members)

    def take(self, raw: bytes, start: int = 0, now: datetime = NOW) -> list[dict[str, Any]]:
        head, rest = bundle.split(raw)
        return packing.unpack(self.importer, head, start, rest, by="tester", now=now)

    def held(self) -> set[tuple[str, str]]:
        return {(str(each.slot), each.sha256) for each in self.store.collateral.held()}


@contextmanager
def site(folder: Path, name: str, anchors: AnchorSet = AnchorSet.VENDOR_AND_SIMULATED) -> Iterator[Site]:
    with sqlite_store(folder / name, clock=FakeClock(NOW), seed=name) as store:
        importer = Importer(store=store.collateral, ledger=store.ledger, anchors=anchors, ages=Ages())
        yield Site(store, file_keys(folder / name, store, name), importer)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    with ExitStack() as stack:
        yield stack.enter_context(site(tmp_path, "here")), stack.enter_context(site(tmp_path, "there"))


def fill(here: Site) -> None:
    here.hold(vcek(SNP), amd_crl(SNP), amd_crl(SNP, "vlek"), *pck_crl(TDX), *root_crl(TDX), *qe_identity(TDX))
    here.hold(*tcb_info(TDX))
    here.hold(*tcb_info(TDX), channel="early")


def contents(raw: bytes) -> bytes:
    return raw.split(b"\n", 3)[3]


def words(made: list[dict[str, Any]]) -> set[str]:
    return {each["outcome"] for each in made}


def test_out_in_and_out_again_is_the_same(sites: tuple[Site, Site]) -> None:
    here, there = sites
    fill(here)
    packed = here.pack()
    made = there.take(packed)
    assert (len(made), words(made)) == (11, {"imported"})
    assert there.held() == here.held()
    again = there.pack()
    assert contents(again) == contents(packed)
    assert bundle.split(again)[0].signer != bundle.split(packed)[0].signer
    assert {row.slot.channel for row in bundle.split(packed)[0].rows} == {"standard", "early"}


def test_twice_changes_nothing(sites: tuple[Site, Site]) -> None:
    here, there = sites
    fill(here)
    packed = here.pack()
    there.take(packed)
    before = (there.held(), there.store.ledger.head(), there.store.collateral.generation())
    assert words(there.take(packed, now=NOW + timedelta(hours=1))) == {"held"}
    assert (there.held(), there.store.ledger.head(), there.store.collateral.generation()) == before
    assert packing.lacking(there.store.collateral, bundle.split(packed)[0]) == []


def test_what_was_interrupted_goes_on_with_what_is_lacking(sites: tuple[Site, Site]) -> None:
    here, there = sites
    fill(here)
    packed = here.pack()
    head, rest = bundle.split(packed)
    third = head.members[3].at
    there.take(head.raw + rest[:third])
    assert packing.lacking(there.store.collateral, head) == list(range(3, len(head.members)))
    made = there.take(head.raw + rest[third:], start=3)
    assert words(made) == {"imported"}
    assert packing.lacking(there.store.collateral, head) == []
    assert contents(there.pack()) == contents(packed)


def test_the_ledger_says_which_bundle_it_came_in(sites: tuple[Site, Site]) -> None:
    here, there = sites
    here.hold(amd_crl(SNP))
    packed = here.pack()
    there.take(packed)
    (entry,) = there.store.ledger.tail("", 5)
    assert entry["kind"] == "collateral.import"
    assert entry["body"]["bundle"] == f"sha256:{bundle.split(packed)[0].digest}"


def test_what_is_older_than_what_is_held_is_refused_and_the_rest_taken(sites: tuple[Site, Site]) -> None:
    here, there = sites
    here.hold(amd_crl(OLD_SNP), *qe_identity(TDX))
    there.hold(amd_crl(SNP))
    newest = there.held()
    made = there.take(here.pack())
    refused = [each for each in made if each["outcome"] == "refused"]
    assert [(each["kind"], each["reason"]) for each in refused] == [("amd.crl", "collateral.rollback")]
    assert newest < there.held(), "the newer one stays, and the identity came"
    assert len(there.store.ledger.tail("", 20)) == 3, "nothing is said of what was not done"


def test_the_ratchet_outlives_what_was_removed(sites: tuple[Site, Site]) -> None:
    here, there = sites
    here.hold(amd_crl(OLD_SNP))
    there.hold(amd_crl(SNP))
    (held,) = there.store.collateral.held()
    there.store.collateral.remove(held.slot, NOW)
    (made,) = there.take(here.pack())
    assert made["reason"] == "collateral.rollback"
    assert there.held() == set()


def test_what_has_ended_meanwhile_is_refused(sites: tuple[Site, Site]) -> None:
    here, there = sites
    here.hold(amd_crl(SNP))
    packed = here.pack()
    (made,) = there.take(packed, now=NOW + 60 * DAY)
    assert made["reason"] == "collateral.too-old"
    with pytest.raises(GatewayError) as caught:
        here.pack(now=NOW + 60 * DAY)
    assert caught.value.reason is GatewayReason.REQUEST_NOT_FOUND, "nor is it packed"


def test_a_store_for_real_machines_takes_nothing_simulated(tmp_path: Path) -> None:
    with site(tmp_path, "here") as here, site(tmp_path, "there", AnchorSet.VENDOR) as there:
        fill(here)
        made = there.take(here.pack())
        assert words(made) == {"refused"}
        assert {each["reason"] for each in made if each["kind"].startswith("amd.")} == {"evidence.simulated"}
        assert there.held() == set()


def test_a_trusted_key_that_mislabels_is_refused_by_what_the_object_says(sites: tuple[Site, Site]) -> None:
    """Signed and whole, and still a CRL in the slot of another product."""
    here, there = sites
    crl = amd_crl(SNP)
    here.hold(crl)
    head, rest = bundle.split(here.pack())
    (row,) = head.rows
    wrong = replace(row, slot=replace(row.slot, key="kind=vcek product=Turin"))
    key = here.keys.jwks()["keys"][0]
    forged = bundle.make_head([wrong], issuer="x", created=NOW, key=key, sign=here.keys.sign_jws)
    (made,) = there.take(forged.raw + rest)
    assert (made["outcome"], made["reason"]) == ("refused", "collateral.bundle-member")
    assert there.held() == set()


def test_trust_is_in_a_key_that_was_named(sites: tuple[Site, Site]) -> None:
    here, there = sites
    here.hold(amd_crl(SNP))
    head, _ = bundle.split(here.pack())
    packing.require_trusted(head, {head.signer})
    other: Head = bundle.split(_packed_by(there))[0]
    for trusted in (set[str](), {""}, {other.signer}, {head.signer.lower()}, {head.signer[:-1]}):
        with pytest.raises(GatewayError) as caught:
            packing.require_trusted(head, trusted)
        assert caught.value.reason is GatewayReason.BUNDLE_UNTRUSTED


def _packed_by(other: Site) -> bytes:
    other.hold(amd_crl(SNP))
    return other.pack()


def test_a_choice_brings_the_issuers_along_and_nothing_else(sites: tuple[Site, Site]) -> None:
    here, _ = sites
    fill(here)
    head, _rest = bundle.split(here.pack(Need("amd.crl", (("kind", "vcek"), ("product", "Genoa")))))
    assert [row.slot.kind for row in head.rows] == ["amd.crl"]
    head, _rest = bundle.split(here.pack(Need("intel.qe-identity", (("tee", "tdx"),))))
    assert {row.slot.kind for row in head.rows} == {"intel.issuer", "intel.qe-identity"}


def test_a_plain_file_is_taken_as_before(sites: tuple[Site, Site]) -> None:
    _, there = sites
    importing.import_file(there.importer, SNP.good_crl, "crl.der", by="tester", now=NOW)
    assert len(there.held()) == 2
