"""A captured reader can't turn a refusal into a release: each lie, for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway import pipeline
from gateway.containment.nursery import Nursery
from gateway.containment.pool import Pool
from gateway.containment.reader import Contained
from gateway.containment.settings import REQUIRED
from gateway.http.handlers import Site
from gateway.reading import InProcess, Reader
from gateway.refusal import Denied
from tests.e2e.support import PATH, SNP, TDX, snp_machine
from tests.integration.test_containment import nursery
from tests.integration.test_pipeline import attest_body, envelope_of, kinds, site
from verifiers.codec import b64

__all__ = ["site"]
GOOD = SNP.good["measurement"]
assert isinstance(GOOD, bytes)
LIARS = (
    "accepts", "accepts_without_a_chain", f"repairs:{GOOD.hex()}", "notes_that_all_is_well", "other_machine",
    "talks_nonsense",
)  # fmt: skip
Carry = Callable[[Any, bytes], Any]


def report_changed(change: Callable[[bytearray], None]) -> Carry:
    def carry(machine: Any, data: bytes) -> Any:
        sent = envelope_of(machine, data)
        raw = bytearray(b64.decode_url(sent["report"], "report", limit=2000))
        change(raw)
        return {**sent, "report": b64.encode_url(bytes(raw))}

    return carry


def tampered(raw: bytearray) -> None:
    raw[0x0C0] ^= 1  # HOST_DATA


def forged_certificate(machine: Any, data: bytes) -> Any:
    sent = envelope_of(machine, data)
    leaf = bytearray(b64.decode_url(sent["certificates"][0], "certificate", limit=9000))
    leaf[-5] ^= 1
    return {**sent, "certificates": [b64.encode_url(bytes(leaf))]}


def other_report_data(machine: Any, data: bytes) -> Any:
    return envelope_of(machine, bytes(64))


WRONG: dict[str, tuple[Any, Carry]] = {
    "a tampered report": (SNP, report_changed(tampered)),
    "a forged certificate": (SNP, forged_certificate),
    "another nonce": (SNP, other_report_data),
    "a debugged guest": (snp_machine(policy=SNP.good["policy"] | 1 << 19), envelope_of),  # type: ignore[operator]
    "another measurement": (snp_machine(measurement=bytes(48)), envelope_of),
}


def with_reader(site: Site, reader: Reader) -> Site:
    appraiser = replace(site.gateway.appraiser, reader=reader)
    return replace(site, gateway=replace(site.gateway, appraiser=appraiser))


@pytest.fixture
def readers() -> Iterator[Callable[[str | None], Contained]]:
    pools: list[Pool] = []

    def make(name: str | None) -> Contained:
        pools.append(Pool(Nursery() if name is None else nursery(name), mode=REQUIRED, seconds=20, most=2))
        return Contained(pools[-1])

    yield make
    for pool in pools:
        pool.close()


Readers = Callable[[str | None], Contained]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("liar", LIARS, ids=lambda name: name.partition(":")[0])
def test_no_lie_releases_anything(site: Site, readers: Readers, liar: str, wrong: str) -> None:
    machine, carry = WRONG[wrong]
    site = with_reader(site, readers(liar))
    with pytest.raises(Denied):
        pipeline.attest(site.gateway, "default", attest_body(site, machine, carry=carry))
    assert kinds(site)[-1] == "attest.refused"
    assert "release.intent" not in kinds(site)


@pytest.mark.parametrize("wrong", WRONG)
def test_an_honest_reader_refuses_for_the_same_reason_as_none(
    site: Site, readers: Readers, wrong: str
) -> None:
    machine, carry = WRONG[wrong]
    told = []
    for reader in (readers(None), InProcess()):
        each = with_reader(site, reader)
        with pytest.raises(Denied) as caught:
            pipeline.attest(each.gateway, "default", attest_body(each, machine, carry=carry))
        told.append((caught.value.why.reason, caught.value.why.where, caught.value.why.status))
    assert told[0] == told[1]


@pytest.mark.parametrize("machine", [SNP, TDX], ids=["snp", "tdx"])
def test_good_evidence_is_released_through_a_contained_reader(
    site: Site, readers: Readers, machine: Any
) -> None:
    site = with_reader(site, readers(None))
    for _ in range(2):
        reply = pipeline.attest(site.gateway, "default", attest_body(site, machine))
        assert [each["path"] for each in reply["releases"]] == [PATH]
    again = pipeline.release(site.gateway, "default", release_body(reply["ear"]))
    assert [each["path"] for each in again["releases"]] == [PATH]


def release_body(token: str) -> bytes:
    return f'{{"ear":"{token}","paths":["{PATH}"]}}'.encode()


def test_other_evidence_of_the_same_tenant_does_not_fit(site: Site, readers: Readers) -> None:
    """A captured reader that keeps a good guest's evidence cannot lend it to another one."""
    site = with_reader(site, readers("other_machine"))
    first = pipeline.attest(site.gateway, "default", attest_body(site))
    assert first["releases"]
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", attest_body(site, WRONG["another measurement"][0]))
    assert caught.value.why.reason == "session.key-not-bound"


def test_a_reader_that_fails_is_recorded_as_a_refusal(site: Site, readers: Readers) -> None:
    site = with_reader(site, readers("talks_nonsense"))
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", attest_body(site))
    assert (caught.value.why.reason, caught.value.why.status) == ("containment.reply", 422)
    assert kinds(site)[-1] == "attest.refused"


@pytest.mark.parametrize("liar", ["accepts", "accepts_without_a_chain"])
def test_the_lie_about_a_forged_certificate_is_noticed(site: Site, readers: Readers, liar: str) -> None:
    """Else the lies above would not be ones that anybody heard."""
    site = with_reader(site, readers(liar))
    body = attest_body(site, carry=forged_certificate)
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", body)
    assert caught.value.why.reason == "containment.reply"
