"""Which certificates and CRLs count: pins, selection, dates, revocation, the cache."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.simulator import keys, x509build
from gateway.simulator.amd import SnpMachine
from gateway.simulator.amdcerts import serial
from gateway.simulator.intel import TdxMachine
from gateway.simulator.x509build import Extension
from tests.vectors.snp_vectors import DictCache
from verifiers.crypto import crl, x509
from verifiers.crypto.crl import MAX_VERIFIED
from verifiers.model import AnchorSet, Endorsements, Outcome, Unbound, Verdict, Verification, first_reason
from verifiers.sevsnp import abi, chain, roots
from verifiers.sevsnp.verify import verify

DAY = timedelta(days=1)
DATA = bytes(64)
UNBOUND = Unbound("the chain alone is looked at")
MILAN, AWS = SnpMachine(product="Milan"), SnpMachine(product="Milan", signing_key="VLEK")
OTHER_CHIP = SnpMachine(product="Milan", seed="another machine")
GENOA = SnpMachine(product="Genoa")
STRANGER = keys.amd("Genoa", "ASK")
"""A key that is pinned, for something else."""


def run(machine: SnpMachine, *, at: datetime | None = None, **given: Any) -> Verification:
    endorsements = machine.endorsements(**given)
    return verify(abi.parse(machine.report(DATA)), endorsements, UNBOUND, at or machine.at)


def failed(found: Verification) -> dict[str, str | None]:
    return {check.id: check.code for check in found.checks if check.outcome is Outcome.FAILED}


def check(found: Verification, name: str) -> Any:
    return next(check for check in found.checks if check.id == name)


# --- simulated and vendor ------------------------------------------------------------------------------


def test_simulated_evidence_is_refused_under_the_vendors_roots() -> None:
    found = run(MILAN, anchors=AnchorSet.VENDOR)
    assert found.verdict is Verdict.REFUSED
    assert first_reason(found.checks) == "evidence.simulated"
    assert failed(found) == {"evidence.simulated": "evidence.simulated", "snp.chain": "evidence.simulated"}
    assert (found.signature_valid, found.chain_valid, found.simulated) == (True, False, True)
    assert found.claims["evidence.simulated"] is True


def test_a_cache_does_not_carry_trust_from_one_anchor_set_to_the_other() -> None:
    cache = DictCache()
    assert run(MILAN, cache=cache).authentic
    assert not run(MILAN, cache=cache, anchors=AnchorSet.VENDOR).chain_valid
    assert cache.hits == 0


# --- signatures and names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"sign_with": STRANGER}, "snp.chain", id="signed-by-another-key"),
        pytest.param({"issued_by": "SEV-Genoa"}, "snp.chain", id="names-another-issuer"),
        pytest.param({"issued_by": "ARK-Milan"}, "snp.chain", id="names-the-root"),
        pytest.param(
            {"issued_by": "ARK-Milan", "sign_with": keys.amd("Milan", "ARK")}, "snp.chain", id="by-the-root"
        ),
        pytest.param({"issued_by": "Acme"}, "snp.chain", id="names-nobody"),
        pytest.param(
            {"issued_by": "SEV-VCEK", "sign_with": keys.amd("Milan", "ASK")}, "snp.chain", id="names-a-leaf"
        ),
    ],
)
def test_only_the_pinned_issuer_counts(change: dict[str, Any], reason: str) -> None:
    found = run(MILAN, certificates=(MILAN.vcek(**change),))
    assert not found.chain_valid
    assert first_reason(found.checks) == reason
    assert found.missing[0].kind == "amd.vcek"


@pytest.mark.parametrize(
    ("subject", "issuer", "said"),
    [
        pytest.param("Acme", "Advanced Micro Devices", "subject is not AMD's name", id="subject"),
        pytest.param("Advanced Micro Devices", "Acme", "issuer 'SEV-Milan' is not AMD's name", id="issuer"),
    ],
)
def test_names_are_compared_whole(subject: str, issuer: str, said: str) -> None:
    """Right common names, another organisation, signed by the pinned key all the same."""
    good = x509.parse(MILAN.leaf, "leaf")

    def name(organisation: str, cn: str) -> bytes:
        parts = {"OU": "Engineering", "C": "US", "L": "Santa Clara", "ST": "CA", "O": organisation, "CN": cn}
        return x509build.name(*parts.items())

    leaf = x509build.certificate(
        serial=0,
        signer=x509build.Signer(keys.amd("Milan", "ASK")),
        issuer=name(issuer, "SEV-Milan"),
        subject=name(subject, "SEV-VCEK"),
        not_before=good.not_before,
        not_after=good.not_after,
        key=MILAN.leaf_key.public_key(),
        extensions=[x509build.Extension(oid, value) for oid, (_, value) in good.extensions.items()],
    )
    found = run(MILAN, certificates=(leaf,))
    assert found.authentic
    assert failed(found) == {"snp.chain-names": "snp.chain-names"}
    assert said in check(found, "snp.chain-names").found


HOSTILE = "\x1b[2JACCEPTED\r\n\u202e"


@pytest.mark.parametrize("cn", [HOSTILE, HOSTILE + "x" * 40])
def test_names_that_strangers_chose_are_shown_escaped_and_clipped(cn: str) -> None:
    found = run(MILAN, certificates=(MILAN.vcek(issued_by=cn, product_name="P" * 200),))
    assert not found.chain_valid
    for name in ("snp.chain", "snp.chain-names", "snp.product", "snp.tcb-certificate"):
        assert repr(cn[:64]) in check(found, name).found
    for it in found.checks:
        assert (it.found + it.expected).isprintable()
        assert "P" * 65 not in it.found
    assert "'" + "P" * 64 + "'" in check(found, "snp.product").found


def test_an_issuer_is_the_one_that_is_named() -> None:
    """A signature by a pinned key does not help a leaf that names another issuer."""
    leaf = x509.parse(MILAN.vcek(issued_by="SEV-Genoa", sign_with=keys.amd("Milan", "ASK")), "leaf")
    assert chain.issuer_of(leaf, roots.ALL) is None


def test_nothing_can_be_read_and_nobody_is_named() -> None:
    machine = SnpMachine(product="Milan", version=2)
    leaf = machine.vcek(drop=["productName"], issued_by="Acme")
    assert failed(run(machine, certificates=(leaf,)))["snp.product"] == "snp.product"


def test_a_root_that_issues_a_leaf_gives_it_no_product() -> None:
    leaf = MILAN.vcek(issued_by="ARK-Milan", sign_with=keys.amd("Milan", "ARK"))
    found = run(MILAN, certificates=(leaf,))
    assert failed(found).keys() >= {"snp.chain", "snp.product", "snp.tcb-certificate", "snp.chip-id"}
    assert check(found, "snp.tcb-certificate").found == "no TCB layout without a product: issuer 'ARK-Milan'"


def test_trailer_field_spelled_out_is_accepted() -> None:
    """As AMD writes it, although DER would leave the default away."""
    assert run(MILAN, certificates=(MILAN.vcek(trailer_field=True),)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        pytest.param(
            Extension("1.2.3.4", b"\x05\x00", critical=True), "critical extension", id="unknown-critical"
        ),
        pytest.param(
            Extension("2.5.29.19", b"\x30\x03\x01\x01\xff", critical=True), "marked as a CA", id="ca-flag"
        ),
        pytest.param(
            Extension("2.5.29.15", b"\x03\x02\x02\x04"), "marked as a CA", id="may-sign-certificates"
        ),
    ],
)
def test_flags_of_the_leaf(extra: Extension, said: str) -> None:
    found = run(MILAN, certificates=(MILAN.vcek(extra=(extra,)),))
    assert found.authentic
    assert failed(found) == {"snp.chain-names": "snp.chain-names"}
    assert said in check(found, "snp.chain-names").found


def test_a_harmless_extension_does_not_matter() -> None:
    extra = Extension("1.2.3.4", b"\x05\x00")
    assert run(MILAN, certificates=(MILAN.vcek(extra=(extra,)),)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("name", ["SEV-VCEJ", "sev-vcek", "SEV-VCEK "])
def test_only_a_leaf_that_says_so_is_one(name: str) -> None:
    found = run(MILAN, certificates=(MILAN.vcek(common_name=name),))
    assert first_reason(found.checks) == "collateral.vcek-missing"


def test_issuers_that_come_along_add_nothing() -> None:
    found = run(MILAN, certificates=(MILAN.ark(), MILAN.ask(), MILAN.asvk(), MILAN.leaf))
    assert found.verdict is Verdict.ACCEPTED
    assert found.checks == run(MILAN).checks


def test_a_root_of_ones_own_is_ignored_and_listed() -> None:
    fake_ask = MILAN.vcek(common_name="SEV-Milan", issued_by="ARK-Milan", sign_with=STRANGER)
    found = run(MILAN, certificates=(fake_ask, MILAN.leaf))
    assert found.verdict is Verdict.ACCEPTED
    note = check(found, "snp.ignored-collateral")
    assert note.outcome is Outcome.NOT_CHECKED
    assert note.found == "certificates[0] is named SEV-Milan and is not AMD's"


# --- which leaf ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True], ids=["right-one-first", "right-one-last"])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(OTHER_CHIP.leaf, id="another-chip"),
        pytest.param(MILAN.vcek(tcb=SnpMachine().certified_tcb), id="another-tcb"),
        pytest.param(MILAN.vcek(sign_with=STRANGER), id="forged"),
        pytest.param(MILAN.vcek(not_before=MILAN.at - 9 * DAY, not_after=MILAN.at - DAY), id="expired"),
        pytest.param(AWS.leaf, id="a-vlek"),
        pytest.param(MILAN.vcek(drop=["hwID"]), id="without-hwid"),
        pytest.param(MILAN.vcek(drop=["ucodeSPL"]), id="with-unreadable-extensions"),
        pytest.param(MILAN.vcek(issued_by="Acme"), id="of-an-unknown-issuer"),
        pytest.param(SnpMachine(product="Turin").leaf, id="another-product"),
    ],
)
def test_of_two_leaves_the_one_that_belongs_is_taken(other: bytes, reverse: bool) -> None:
    given = (MILAN.leaf, other)
    assert run(MILAN, certificates=given[::-1] if reverse else given).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_providers_the_one_that_signed_is_taken(reverse: bool) -> None:
    other = SnpMachine(product="Milan", signing_key="VLEK", csp_id="CN=another.example")
    given = (AWS.leaf, other.leaf)
    found = run(AWS, certificates=given[::-1] if reverse else given)
    assert found.verdict is Verdict.ACCEPTED
    assert found.claims["snp.csp_id"] == AWS.csp_id


def test_a_fresh_certificate_of_the_same_key() -> None:
    """KDS mints new certificates for one chip and TCB: either verifies."""
    fresh = MILAN.vcek(not_before=MILAN.at - DAY)
    for given in ((fresh,), (fresh, MILAN.leaf), (MILAN.leaf, fresh)):
        assert run(MILAN, certificates=given).verdict is Verdict.ACCEPTED


def test_a_leaf_of_another_kind_explains_when_there_is_no_other() -> None:
    found = run(MILAN, certificates=(AWS.leaf,))
    assert found.verdict is Verdict.REFUSED
    assert set(failed(found)) == {"snp.signature", "snp.signing-key"}
    assert found.missing[0].kind == "amd.vcek"


def test_the_first_leaf_explains_when_none_fits() -> None:
    third = SnpMachine(product="Milan", seed="a third machine")
    found = run(MILAN, certificates=(OTHER_CHIP.leaf, third.leaf))
    assert set(failed(found)) == {"snp.signature", "snp.chip-id"}
    assert OTHER_CHIP.hwid[:8].hex() in check(found, "snp.chip-id").found


# --- dates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "reason"), [(-1, "snp.chain-dates"), (0, None), (1, None)], ids=["before", "at", "after"]
)
def test_start_of_the_leaf(seconds: int, reason: str | None) -> None:
    leaf = MILAN.vcek(not_before=MILAN.at)
    found = run(MILAN, certificates=(leaf,), at=MILAN.at + timedelta(seconds=seconds))
    assert first_reason(found.checks) == reason
    assert found.authentic


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-1, None), (0, "snp.chain-dates"), (1, "snp.chain-dates")],
    ids=["before", "at", "after"],
)
def test_end_of_the_leaf(seconds: int, reason: str | None) -> None:
    leaf = MILAN.vcek(not_after=MILAN.at)
    found = run(MILAN, certificates=(leaf,), at=MILAN.at + timedelta(seconds=seconds))
    assert first_reason(found.checks) == reason
    assert found.authentic


@pytest.mark.parametrize("year", [2021, 2047])
def test_windows_of_the_pinned_issuers(year: int) -> None:
    at = MILAN.at.replace(year=year)
    leaf = MILAN.vcek(not_before=at - DAY, not_after=at + DAY)
    found = run(MILAN, certificates=(leaf,), at=at)
    assert failed(found)["snp.chain-dates"] == "snp.chain-dates"
    assert "SEV-Milan" in check(found, "snp.chain-dates").found
    assert "ARK-Milan" in check(found, "snp.chain-dates").found


def test_dates_are_asked_again_although_the_chain_is_remembered() -> None:
    cache, leaf = DictCache(), MILAN.vcek(not_after=MILAN.at + DAY)
    assert run(MILAN, certificates=(leaf,), cache=cache).verdict is Verdict.ACCEPTED
    found = run(MILAN, certificates=(leaf,), cache=cache, at=MILAN.at + DAY)
    assert cache.hits == 1
    assert failed(found) == {"snp.chain-dates": "snp.chain-dates"}


# --- revocation ----------------------------------------------------------------------------------------


def revocation(found: Verification) -> tuple[Outcome, str | None]:
    it = check(found, "snp.revocation")
    return it.outcome, it.code


PASSED = (Outcome.PASSED, None)


def bad(code: str) -> tuple[Outcome, str]:
    return Outcome.FAILED, code


def undecided(code: str) -> tuple[Outcome, str]:
    return Outcome.UNKNOWN, code


NONE_GIVEN = (Outcome.NOT_CHECKED, "collateral.amd-crl-missing")


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param((), NONE_GIVEN, id="none"),
        pytest.param((MILAN.crl(),), PASSED, id="current"),
        pytest.param((SnpMachine(product="Genoa").crl(),), NONE_GIVEN, id="of-another-product"),
        pytest.param((MILAN.crl(issued_by="Acme"),), NONE_GIVEN, id="of-somebody-else"),
        pytest.param((MILAN.crl(next_update=MILAN.at),), undecided("collateral.crl-expired"), id="ends-now"),
        pytest.param(
            (MILAN.crl(next_update=MILAN.at + timedelta(seconds=1)),), PASSED, id="ends-in-a-second"
        ),
        pytest.param((MILAN.crl(this_update=MILAN.at),), PASSED, id="starts-now"),
        pytest.param(
            (MILAN.crl(this_update=MILAN.at + timedelta(seconds=1)),),
            undecided("collateral.crl-not-yet-valid"),
            id="starts-in-a-second",
        ),
        pytest.param((MILAN.crl(sign_with=STRANGER),), bad("collateral.crl-signature"), id="forged"),
        pytest.param((MILAN.crl(drop=["nextUpdate"]),), NONE_GIVEN, id="without-next-update"),
        pytest.param((MILAN.crl(drop=["cRLNumber"]),), NONE_GIVEN, id="without-number"),
        pytest.param((b"junk",), NONE_GIVEN, id="junk"),
        pytest.param(
            (b"junk", MILAN.crl(sign_with=STRANGER)), bad("collateral.crl-signature"), id="junk-forged"
        ),
        pytest.param(
            (b"junk", MILAN.crl(next_update=MILAN.at)),
            undecided("collateral.crl-expired"),
            id="junk-beside-an-expired-one",
        ),
        pytest.param((MILAN.crl(revoked=[serial("Milan", "ASK")]),), bad("snp.revoked"), id="ask-revoked"),
        pytest.param((MILAN.crl(revoked=[serial("Milan", "ARK")]),), bad("snp.revoked"), id="ark-revoked"),
        pytest.param((MILAN.crl(revoked=[serial("Milan", "ASVK")]),), PASSED, id="asvk-revoked"),
        pytest.param((MILAN.crl(revoked=[0]),), PASSED, id="serial-0-is-every-leaf-and-none"),
        pytest.param(
            (MILAN.crl(number=9, this_update=MILAN.at + DAY, next_update=MILAN.at + 9 * DAY), MILAN.crl()),
            PASSED,
            id="one-from-the-future-beside-a-current-one",
        ),
        pytest.param((MILAN.crl(sign_with=STRANGER), MILAN.crl()), PASSED, id="forged-beside-a-current-one"),
        pytest.param((b"junk", MILAN.crl()), PASSED, id="junk-beside-a-current-one"),
        pytest.param(
            (
                MILAN.crl(revoked=[serial("Milan", "ASK")], next_update=MILAN.at - timedelta(hours=1)),
                MILAN.crl(),
            ),
            bad("snp.revoked"),
            id="revoked-on-an-old-list",
        ),
        pytest.param(
            (MILAN.crl(revoked=[serial("Milan", "ASK")], next_update=MILAN.at),),
            bad("snp.revoked"),
            id="revoked-on-an-expired-list-alone",
        ),
        pytest.param(
            (
                MILAN.crl(
                    revoked=[serial("Milan", "ASK")],
                    this_update=MILAN.at + DAY,
                    next_update=MILAN.at + 9 * DAY,
                ),
                MILAN.crl(),
            ),
            bad("snp.revoked"),
            id="revoked-on-a-list-from-the-future",
        ),
        pytest.param(
            (MILAN.crl(revoked=[serial("Milan", "ASK")], sign_with=STRANGER), MILAN.crl()),
            PASSED,
            id="revoked-by-a-stranger",
        ),
        pytest.param(
            (MILAN.crl(next_update=MILAN.at), MILAN.crl()), PASSED, id="expired-beside-a-current-one"
        ),
        pytest.param(
            (
                MILAN.crl(this_update=MILAN.at + DAY, next_update=MILAN.at + 9 * DAY),
                MILAN.crl(next_update=MILAN.at),
            ),
            undecided("collateral.crl-expired"),
            id="one-ended-and-one-not-yet-begun",
        ),
        pytest.param(
            (MILAN.crl(next_update=MILAN.at), MILAN.crl(sign_with=STRANGER)),
            bad("collateral.crl-signature"),
            id="expired-beside-a-forged-one",
        ),
    ],
)
def test_revocation(lists: tuple[bytes, ...], expected: tuple[Outcome, str | None]) -> None:
    found = run(MILAN, crls=lists)
    assert revocation(found) == expected
    assert found.authentic, "revocation is a check of its own"
    assert ("collateral.amd_crl" in found.claims) is (expected is PASSED)
    assert ("crl" in found.used) is (expected is PASSED)
    assert [need.kind for need in found.missing] == ([] if expected is PASSED else ["amd.crl"])


@pytest.mark.parametrize(("machine", "path"), [(MILAN, "vcek"), (AWS, "vlek")])
def test_a_missing_list_is_asked_for_where_kds_has_it(machine: SnpMachine, path: str) -> None:
    found = run(machine, crls=())
    fix = f"give the current CRL of ARK-Milan (KDS: /{path}/v1/Milan/crl)"
    assert check(found, "snp.revocation").fix == fix
    assert [dict(need.key) for need in found.missing] == [{"kind": path, "product": "Milan"}]


def test_a_revoked_asvk_stops_vleks_and_not_vceks() -> None:
    lists = (MILAN.crl(revoked=[serial("Milan", "ASVK")]),)
    assert revocation(run(AWS, crls=lists)) == bad("snp.revoked")
    assert revocation(run(MILAN, crls=lists)) == PASSED


def test_the_highest_number_among_the_current_lists_is_used() -> None:
    old, new = MILAN.crl(number=4), MILAN.crl(number=5, this_update=MILAN.at - timedelta(hours=2))
    for lists in ((old, new), (new, old)):
        found = run(MILAN, crls=lists)
        assert check(found, "snp.revocation").found.startswith("CRL 5 of ARK-Milan")
        assert found.claims["collateral.amd_crl.age"] == timedelta(hours=2)


def test_currency_is_asked_again_although_the_list_is_remembered() -> None:
    cache, lists = DictCache(), (MILAN.crl(next_update=MILAN.at + DAY),)
    assert revocation(run(MILAN, crls=lists, cache=cache)) == PASSED
    found = run(MILAN, crls=lists, cache=cache, at=MILAN.at + DAY)
    assert cache.hits == 1
    assert revocation(found) == undecided("collateral.crl-expired")


def test_a_list_of_another_time_is_undecided_and_named_with_it() -> None:
    ended = run(MILAN, crls=(MILAN.crl(next_update=MILAN.at - DAY), MILAN.crl(next_update=MILAN.at)))
    assert (ended.verdict, ended.authentic) == (Verdict.UNDECIDED, True)
    said = f"CRL of ARK-Milan expired at {MILAN.at:%Y-%m-%dT%H:%M:%SZ}"
    assert check(ended, "snp.revocation").found == said
    later = [MILAN.crl(this_update=MILAN.at + n * DAY, next_update=MILAN.at + 9 * DAY) for n in (2, 1)]
    early = run(MILAN, crls=tuple(later))
    assert (early.verdict, early.authentic) == (Verdict.UNDECIDED, True)
    said = f"CRL of ARK-Milan is not valid before {MILAN.at + DAY:%Y-%m-%dT%H:%M:%SZ}"
    assert check(early, "snp.revocation").found == said


def test_a_forged_list_is_either_the_reason_or_ignored() -> None:
    forged = MILAN.crl(sign_with=STRANGER)
    ids = [it.id for it in run(MILAN, crls=(MILAN.crl(next_update=MILAN.at), forged)).checks]
    assert "snp.ignored-collateral" not in ids
    said = check(run(MILAN, crls=(MILAN.crl(), forged)), "snp.ignored-collateral").found
    assert said == "a CRL in the name of ARK-Milan that it did not sign"


def test_lists_that_could_not_be_used_are_named() -> None:
    found = run(MILAN, crls=(b"junk", MILAN.crl(sign_with=STRANGER), MILAN.crl()))
    said = check(found, "snp.ignored-collateral").found
    assert "crls[0]" in said
    assert "a CRL in the name of ARK-Milan that it did not sign" in said


@pytest.mark.parametrize("lists", [(b"junk",), (MILAN.crl(drop=["nextUpdate"]),)])
def test_a_list_that_cannot_be_read_is_as_none_and_named(lists: tuple[bytes, ...]) -> None:
    """Nobody can tell whose it was."""
    found, without = run(MILAN, crls=lists), run(MILAN, crls=())
    assert found.verdict is Verdict.ACCEPTED
    note = check(found, "snp.ignored-collateral")
    assert note.outcome is Outcome.NOT_CHECKED
    assert note.found.startswith("crls[0]")
    assert tuple(it for it in found.checks if it is not note) == without.checks


def test_a_list_that_cannot_be_read_is_named_without_a_leaf_too() -> None:
    assert check(run(MILAN, certificates=(), crls=(b"junk",)), "snp.ignored-collateral").found.startswith(
        "crls"
    )


def test_without_a_chain_there_is_nothing_to_revoke() -> None:
    found = run(MILAN, certificates=(MILAN.vcek(sign_with=STRANGER),))
    assert check(found, "snp.revocation").outcome is Outcome.NOT_CHECKED
    assert "collateral.amd_crl" not in found.claims


# --- a store full of CRLs ------------------------------------------------------------------------------


def changed_crls(good: bytes, number: int) -> tuple[bytes, ...]:
    """`good` with another last byte of the signature each time: all in its issuer's name, none signed."""
    return tuple(
        good[:-2] + bytes(divmod(at, 256)) for at in range(number) if at != good[-2] * 256 + good[-1]
    )


OLD = {"this_update": MILAN.at - timedelta(days=800), "next_update": MILAN.at - timedelta(days=400)}
HEAPS = {
    "the-same": (MILAN.good_crl,) * 400,
    "junk": tuple(b"junk %d" % n for n in range(400)),
    "intel": (TdxMachine().root_crl(), TdxMachine().pck_crl()) * 200,
    "other-products": tuple(GENOA.crl(number=n) for n in range(40)),
    "superseded": tuple(MILAN.crl(number=n, **OLD) for n in range(40)),
    "forged-and-older": changed_crls(MILAN.crl(**OLD), 400),
    "forged-and-as-new": changed_crls(MILAN.good_crl, MAX_VERIFIED - 10),
}


@pytest.mark.parametrize("first", [True, False], ids=["in-front", "behind"])
@pytest.mark.parametrize("heap", HEAPS)
def test_no_heap_of_crls_hides_the_current_one(heap: str, first: bool) -> None:
    lists = (*HEAPS[heap], MILAN.good_crl) if first else (MILAN.good_crl, *HEAPS[heap])
    found = run(MILAN, crls=lists)
    assert found.verdict is Verdict.ACCEPTED
    assert check(found, "snp.revocation").outcome is Outcome.PASSED
    assert found.used["crl"] == hashlib.sha256(MILAN.good_crl).hexdigest()


def test_a_revocation_is_found_under_a_heap() -> None:
    revoking = MILAN.crl(revoked=[serial("Milan", "ASK")])
    lists = (*HEAPS["forged-and-as-new"], *HEAPS["other-products"], revoking)
    assert failed(run(MILAN, crls=lists)) == {"snp.revocation": "snp.revoked"}


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_more_forged_crls_than_are_looked_at(more: int) -> None:
    """Newer than the current one: from one more on than are checked, nobody can tell."""
    newer = MILAN.crl(this_update=MILAN.at - timedelta(minutes=1))
    forged = changed_crls(newer, MAX_VERIFIED + 2)[: MAX_VERIFIED + more]
    assert len(set(forged)) == MAX_VERIFIED + more
    found = run(MILAN, crls=(MILAN.good_crl, *forged))
    revocation = check(found, "snp.revocation")
    if more < 0:
        assert (found.verdict, revocation.outcome) == (Verdict.ACCEPTED, Outcome.PASSED)
    else:
        assert found.verdict is Verdict.UNDECIDED
        assert (revocation.outcome, revocation.reason) == (Outcome.UNKNOWN, "collateral.too-many")
        assert found.missing and found.missing[0].kind == "amd.crl"
    assert found.chain_valid and found.signature_valid


def test_signatures_are_checked_of_the_issuers_own_lists_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """And entries are read of genuine ones only."""
    checked: list[bytes] = []
    read: list[str] = []
    signed, parse = crl.signed_by, crl.parse
    monkeypatch.setattr(crl, "signed_by", lambda tbs, *rest: checked.append(tbs) or signed(tbs, *rest))
    monkeypatch.setattr(crl, "parse", lambda raw, where: read.append(where) or parse(raw, where))
    heap = (*HEAPS["junk"], *HEAPS["intel"], *HEAPS["other-products"], *HEAPS["forged-and-older"])
    assert run(MILAN, crls=(*heap, MILAN.good_crl)).verdict is Verdict.ACCEPTED
    assert len(read) == 1
    # The newest forged ones twice each: ARK-Milan is the name of a real and of a simulated key.
    assert len(checked) <= 2 * MAX_VERIFIED + 1


# --- the cache -----------------------------------------------------------------------------------------


def test_a_warm_chain_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DictCache()
    first = run(MILAN, cache=cache)
    monkeypatch.setattr(chain, "_judge", lambda *_: pytest.fail("judged again"))
    assert run(MILAN, cache=cache) == first


def test_something_else_in_the_cache_is_not_believed() -> None:
    cache = DictCache()
    run(MILAN, cache=cache)
    cache.entries = dict.fromkeys(cache.entries, "not ours")
    assert run(MILAN, cache=cache).authentic


def test_every_input_is_in_the_key() -> None:
    cache = DictCache()
    for given in (
        {},
        {"certificates": (MILAN.leaf, MILAN.ask())},
        {"certificates": (MILAN.leaf, OTHER_CHIP.leaf)},
        {"certificates": (OTHER_CHIP.leaf,)},
        {"crls": ()},
        {"crls": (MILAN.crl(number=2),)},
    ):
        run(MILAN, cache=cache, **given)
    assert len(cache.entries) == 6
    assert cache.hits == 0


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"certificates": ()}, id="no-leaf"),
        pytest.param({"certificates": (MILAN.ask(),)}, id="an-issuer-alone"),
        pytest.param({"certificates": (MILAN.vcek(sign_with=STRANGER),)}, id="a-forged-leaf"),
        pytest.param({"certificates": (MILAN.leaf, MILAN.vcek(sign_with=STRANGER))}, id="with-a-forged-leaf"),
        pytest.param({"certificates": (MILAN.leaf, b"junk")}, id="with-junk"),
        pytest.param(
            {
                "certificates": (
                    MILAN.leaf,
                    MILAN.vcek(common_name="SEV-Milan", issued_by="ARK-Milan", sign_with=STRANGER),
                )
            },
            id="with-a-false-issuer",
        ),
        pytest.param({"certificates": (MILAN.leaf, MILAN.vcek(common_name="Acme"))}, id="with-a-stranger"),
        pytest.param({"certificates": (MILAN.leaf, MILAN.leaf)}, id="twice"),
        pytest.param({"anchors": AnchorSet.VENDOR}, id="simulated-where-it-does-not-count"),
    ],
)
def test_what_anybody_can_send_is_not_remembered(given: dict[str, Any]) -> None:
    """Otherwise strangers could push out the chains of honest guests, one made-up certificate at a time."""
    cache = DictCache()
    assert run(MILAN, cache=cache, **given).checks == run(MILAN, **given).checks
    assert cache.entries == {}


def test_the_order_of_certificates_makes_no_new_entry_and_no_new_result() -> None:
    cache, third = DictCache(), SnpMachine(product="Milan", seed="a third machine")
    for given in ((OTHER_CHIP.leaf, third.leaf), (third.leaf, OTHER_CHIP.leaf)):
        for _ in range(2):
            found = run(MILAN, certificates=given, cache=cache)
            assert found.checks == run(MILAN, certificates=given).checks
    assert (len(cache.entries), cache.hits) == (1, 3)


def test_judging_does_not_depend_on_the_report() -> None:
    cache = DictCache()
    given = Endorsements(
        anchors=AnchorSet.VENDOR_AND_SIMULATED,
        certificates=(MILAN.leaf, OTHER_CHIP.leaf),
        crls=(MILAN.good_crl,),
        cache=cache,
    )
    for machine in (MILAN, OTHER_CHIP):
        found = verify(abi.parse(machine.report(DATA)), given, UNBOUND, machine.at)
        assert found.verdict is Verdict.ACCEPTED
        assert found.claims["snp.hwid"] == machine.hwid
    assert (len(cache.entries), cache.hits) == (1, 1)
