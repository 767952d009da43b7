"""One cache, one pool of endorsements, many machines: what is remembered for one says nothing of another.

Each test warms the cache with one question and asks another that differs in a single part of the key; the
answer must be the one that an empty cache gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import permutations

import pytest

from gateway.simulator import intelcerts
from gateway.simulator.intel import SgxMachine, Signing, TdxMachine
from tests.support import needs_vectors
from tests.unit.verifiers.dcap.support import DATA, MACHINE, STRANGER, check, found, verify
from tests.vectors import tdx_vectors
from tests.vectors.tdx_vectors import Cache
from verifiers.errors import Reason
from verifiers.model import AnchorSet, Endorsements, Outcome, Verdict

Machine = TdxMachine | SgxMachine


def pooled(*all_of: Endorsements, anchors: AnchorSet = AnchorSet.VENDOR_AND_SIMULATED) -> Endorsements:
    """Everything that any of them has, with a new cache."""
    return Endorsements(
        anchors=anchors,
        certificates=tuple(dict.fromkeys(c for e in all_of for c in e.certificates)),
        crls=tuple(dict.fromkeys(c for e in all_of for c in e.crls)),
        tcb_infos=tuple(dict.fromkeys(c for e in all_of for c in e.tcb_infos)),
        qe_identities=tuple(dict.fromkeys(c for e in all_of for c in e.qe_identities)),
        cache=Cache(),
    )


def expect(pool: Endorsements, quotes: Sequence[bytes]) -> None:
    """The same answers in every order, and twice, as without a cache."""
    fresh = {raw: verify(raw, dataclasses.replace(pool, cache=Cache())) for raw in quotes}
    for order in permutations(quotes):
        warm = dataclasses.replace(pool, cache=Cache())
        for raw in (*order, *order):
            assert verify(raw, warm) == fresh[raw]


def test_anchors() -> None:
    """Warmed where simulated roots count, asked where they do not."""
    cache = Cache()
    raw, warm = MACHINE.quote(DATA), MACHINE.endorsements(cache=cache)
    assert verify(raw, warm).chain_valid
    got = verify(raw, dataclasses.replace(warm, anchors=AnchorSet.VENDOR))
    assert not got.chain_valid and not got.authentic
    assert check(got, "dcap.chain").reason == Reason.SIMULATED
    assert found(got) == (Verdict.REFUSED, Reason.SIMULATED)


def test_fmspc() -> None:
    """Two platform families; at the same SVNs, one is up to date and the other out of date."""
    other = TdxMachine(fmspc=bytes.fromhex("5EA16A7E0001"))
    strict = TdxMachine(fmspc=other.fmspc, level="OutOfDate")
    infos = (MACHINE.tcb_info(tcbEvaluationDataNumber=30), other.tcb_info(tcbEvaluationDataNumber=31))
    pool = dataclasses.replace(MACHINE.endorsements(cache=Cache()), tcb_infos=infos)
    quotes = [machine.quote(DATA) for machine in (MACHINE, other, strict)]
    for number, status, raw in zip((30, 31, 31), ("UpToDate", "UpToDate", "OutOfDate"), quotes, strict=True):
        got = verify(raw, pool)
        assert found(got) == (Verdict.ACCEPTED, None)
        assert got.claims["tdx.tcb.evaluation_number"] == number
        assert got.tcb.status == status
    expect(pool, quotes)


@pytest.mark.parametrize("revoked", ["platform", "processor"])
def test_ca(revoked: str) -> None:
    """A PCK of the Platform CA, then one of the Processor CA: each is looked up in its own CA's CRL."""
    machines = {ca: TdxMachine(ca=ca) for ca in ("platform", "processor")}
    crls = [
        machine.pck_crl(revoked=[machine.pck_serial] if ca == revoked else [])
        for ca, machine in machines.items()
    ]
    pool = pooled(*(m.endorsements(drop=["pck_crl"]) for m in machines.values()))
    pool = dataclasses.replace(pool, crls=(*pool.crls, *crls))
    # The good one warms the cache, so that the revoked one would be looked up in its CRL.
    for ca in sorted(machines, key=revoked.__eq__):
        wanted = (Verdict.REFUSED, Reason.DCAP_REVOKED) if ca == revoked else (Verdict.ACCEPTED, None)
        assert found(verify(machines[ca].quote(DATA), pool)) == wanted
    expect(pool, [machine.quote(DATA) for machine in machines.values()])


def test_tee() -> None:
    """An SGX enclave and a TD on the same platform."""
    sgx = SgxMachine()
    pool = pooled(sgx.endorsements(), MACHINE.endorsements())
    machines: tuple[Machine, ...] = (sgx, MACHINE)
    for machine in machines:
        got = verify(machine.quote(DATA), pool)
        assert found(got) == (Verdict.ACCEPTED, None)
        assert got.used["tcb_info"] == verify(machine.quote(DATA), machine.endorsements()).used["tcb_info"]
    expect(pool, [machine.quote(DATA) for machine in machines])


@needs_vectors("tdx")
@pytest.mark.parametrize("simulated_first", [False, True])
def test_root(simulated_first: bool) -> None:
    """A quote without a PCK is judged under Intel's root, one with the simulator's root under that one; of
    neither is CA or platform known, so nothing else tells the two apart."""
    vector = tdx_vectors.BY_ID["tdx4-phala@ev20"]
    now = tdx_vectors.at(vector)
    fake = TdxMachine(at=now)
    pool = pooled(tdx_vectors.endorsements(vector), fake.endorsements())
    nameless = fake.pck(elements={"4": b"\4\1x"})
    no_ca = intelcerts.ca_certificate("platform", is_ca=False)
    root = fake.pck_chain[2]
    quotes = {
        "real": fake.quote(DATA, signing=Signing(certification_type=3, certification=b"x" * 404)),
        "simulated": fake.quote(DATA, signing=Signing(chain=(nameless, no_ca, root))),
    }
    wanted = {
        "real": tdx_vectors.verify(vector).used["qe_identity"],
        "simulated": verify(fake.quote(DATA), fake.endorsements(), now=now).used["qe_identity"],
    }
    for name in sorted(quotes, reverse=simulated_first):
        got = verify(quotes[name], pool, now=now)
        assert got.used["qe_identity"] == wanted[name], name
        assert not got.authentic


@needs_vectors("tdx")
@pytest.mark.parametrize("simulated_first", [False, True])
def test_collateral_counts_under_the_root_of_the_chain_only(simulated_first: bool) -> None:
    """Both kinds of collateral for one FMSPC in one pool, in either order: each machine gets its own kind."""
    vector = tdx_vectors.BY_ID["tdx4-phala@ev20"]
    now = tdx_vectors.at(vector)
    fake = TdxMachine(fmspc=bytes.fromhex(vector["fmspc"]), at=now)
    both = [tdx_vectors.endorsements(vector), fake.endorsements()]
    pool = pooled(*(reversed(both) if simulated_first else both))
    raw = tdx_vectors.file(vector, "quote")
    for evidence, own in ((raw, both[0]), (fake.quote(DATA), both[1])):
        got = verify(evidence, pool, now=now)
        alone = verify(evidence, dataclasses.replace(own, anchors=pool.anchors), now=now)
        assert alone.tcb.status is not None
        assert (got.used, got.tcb, got.claims) == (alone.used, alone.tcb, alone.claims)
        assert got.checks == alone.checks
    for evidence, others in ((raw, both[1]), (fake.quote(DATA), both[0])):
        certificates = pool.certificates
        strange = dataclasses.replace(others, certificates=certificates, anchors=pool.anchors)
        got = verify(evidence, strange, now=now)
        assert got.verdict is Verdict.REFUSED
        assert {"tcb_info", "qe_identity", "root_crl", "pck_crl"}.isdisjoint(got.used)


# --- the attestation key's certification ----------------------------------------------------------

_SIGNATURE_DATA = 48 + 584 + 4
_PLACES = {
    "attestation-key": (_SIGNATURE_DATA + 64, 64, Reason.DCAP_KEY_BINDING),
    "qe-report": (_SIGNATURE_DATA + 134, 384, Reason.DCAP_QE_SIGNATURE),
    "qe-report-signature": (_SIGNATURE_DATA + 134 + 384, 64, Reason.DCAP_QE_SIGNATURE),
    "authentication-data": (_SIGNATURE_DATA + 134 + 384 + 64 + 2, 32, Reason.DCAP_KEY_BINDING),
}


@pytest.mark.parametrize("place", _PLACES)
def test_a_certification_holds_for_its_own_bytes_only(place: str) -> None:
    """After a good quote of the same machine, any byte of its key's certification changed."""
    start, size, reason = _PLACES[place]
    good = MACHINE.endorsements(cache=Cache())
    assert verify(MACHINE.quote(DATA), good).verdict is Verdict.ACCEPTED
    for at in range(start, start + size, 7):
        changed = bytearray(MACHINE.quote(DATA))
        changed[at] ^= 1
        got = verify(bytes(changed), good)
        assert got == verify(bytes(changed), dataclasses.replace(good, cache=Cache())), at
        assert not got.signature_valid and found(got) == (Verdict.REFUSED, reason), at


def test_a_stranger_cannot_have_a_certification_remembered() -> None:
    """A leaf that the CA did not sign, with a key that truly signs its QE report."""
    signing = Signing(chain=(MACHINE.pck(sign_with=STRANGER), *MACHINE.pck_chain[1:]))
    cache = Cache()
    got = verify(MACHINE.quote(DATA, signing=signing), MACHINE.endorsements(cache=cache))
    assert check(got, "dcap.qe-report-signature").outcome is Outcome.PASSED
    assert not got.chain_valid
    assert not any("dcap.certification" in name for name in cache.entries)


# --- two sets of endorsements with the same bytes --------------------------------------------------


def test_where_one_piece_ends() -> None:
    """The same bytes cut elsewhere are other pieces."""
    good = MACHINE.endorsements(cache=Cache())
    assert verify(MACHINE.quote(DATA), good).verdict is Verdict.ACCEPTED
    first, second = good.crls
    for crls in ((first + second[:1], second[1:]), (first[:-1], first[-1:] + second)):
        got = verify(MACHINE.quote(DATA), dataclasses.replace(good, crls=crls))
        assert found(got)[0] is not Verdict.ACCEPTED
        assert "root_crl" not in got.used or "pck_crl" not in got.used


def test_where_one_kind_ends() -> None:
    """The same pieces given as something else are not the same endorsements."""
    good = MACHINE.endorsements(cache=Cache())
    assert verify(MACHINE.quote(DATA), good).verdict is Verdict.ACCEPTED
    moved = (
        {"certificates": (*good.certificates, good.crls[0]), "crls": good.crls[1:]},
        {"crls": (*good.crls, *good.tcb_infos), "tcb_infos": ()},
        {"tcb_infos": (*good.tcb_infos, *good.qe_identities), "qe_identities": ()},
        {"certificates": good.certificates[:1], "crls": (*good.certificates[1:], *good.crls)},
    )
    for index, changed in enumerate(moved):
        given = dataclasses.replace(good, **changed)
        got = verify(MACHINE.quote(DATA), given)
        assert got == verify(MACHINE.quote(DATA), dataclasses.replace(given, cache=Cache())), index
