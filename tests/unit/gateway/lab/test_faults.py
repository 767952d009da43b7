"""Each fault does what its table says, where it was set, and nowhere else."""

from __future__ import annotations

import email.utils
import http.client
import json
import time
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from gateway.lab import FaultError, Lab, names
from gateway.lab.faults import FAULTS, MAX_RULES, Stage, parse
from gateway.simulator import amdcerts, inteldocs
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from tests.unit.gateway.lab.support import Clock, Got, get
from verifiers.crypto import crl
from verifiers.dcap import identity, tcbinfo
from verifiers.dcap import quote as quotes
from verifiers.dcap.document import Window
from verifiers.errors import AttestationError
from verifiers.model import Outcome, ReportData, Verdict, Verification
from verifiers.sevsnp import abi
from verifiers.sevsnp.verify import verify as verify_snp
from verifiers.tdx import verify as tdx

DATA = bytes(range(64))
SNP, TD = SnpMachine(), TdxMachine()
VCEK = f"/vcek/v1/Genoa/{SNP.hwid.hex()}?blSPL=10&teeSPL=0&snpSPL=25&ucodeSPL=84"
AMD_CRL = "/vcek/v1/Genoa/crl"
TCB = "/tdx/certification/v4/tcb?fmspc=5EA16A7E0000"
QE = "/tdx/certification/v4/qe/identity"
PCK_CRL = "/sgx/certification/v4/pckcrl?ca=platform&encoding=der"
ROOT_CRL = "/IntelSGXRootCA.der"
REPORT, QUOTE = SNP.report(DATA), TD.quote(DATA)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(Clock()) as started:
        yield started


def fetch(lab: Lab, endpoint: str) -> Got:
    urls = lab.urls
    base, path = {
        names.VCEK: (urls.kds, VCEK),
        names.AMD_CRL: (urls.kds, AMD_CRL),
        names.TCB_INFO: (urls.pcs, TCB),
        names.QE_IDENTITY: (urls.pcs, QE),
        names.PCK_CRL: (urls.pcs, PCK_CRL),
        names.ROOT_CRL: (urls.certificates, ROOT_CRL),
    }[endpoint]
    return get(base, path)


AMD_PARTS, INTEL_PARTS = (
    (names.VCEK, names.AMD_CRL),
    (names.TCB_INFO, names.QE_IDENTITY, names.PCK_CRL, names.ROOT_CRL),
)


def judge_snp(lab: Lab) -> Verification:
    vcek, listed = (fetch(lab, endpoint).body for endpoint in AMD_PARTS)
    given = SNP.endorsements(certificates=(vcek,), crls=(listed,))
    return verify_snp(abi.parse(REPORT), given, ReportData(DATA), SNP.at)


def judge_tdx(lab: Lab) -> Verification:
    info, qe, listed, root = (fetch(lab, endpoint).body for endpoint in INTEL_PARTS)
    given = TD.endorsements(tcb_info=info, qe_identity=qe, pck_crl=listed, root_crl=root)
    return tdx.verify(quotes.parse(QUOTE), given, ReportData(DATA), TD.at)


def good(found: Verification) -> bool:
    """Accepted, and revocation was really asked: the verifier alone leaves that open without a CRL."""
    asked = [c.outcome for c in found.checks if c.id.endswith(".revocation")]
    return found.verdict is Verdict.ACCEPTED and asked == [Outcome.PASSED]


def codes(found: Verification) -> set[str]:
    return {str(c.code) for c in found.checks if c.outcome in (Outcome.FAILED, Outcome.UNKNOWN)}


# --- documents: what a verifier makes of them --------------------------------------------------------

REFUSED = [
    (names.VCEK, "stale", {}, {"snp.chain-dates"}),
    (names.VCEK, "not-yet", {}, {"snp.chain-dates"}),
    (names.AMD_CRL, "stale", {}, {"collateral.crl-expired"}),
    (names.AMD_CRL, "revoked", {"who": "ask"}, {"snp.revoked"}),
    (names.TCB_INFO, "stale", {}, {"collateral.expired"}),
    (names.QE_IDENTITY, "stale", {}, {"collateral.expired"}),
    (names.PCK_CRL, "stale", {}, {"collateral.crl-expired"}),
    (names.ROOT_CRL, "stale", {}, {"collateral.crl-expired"}),
    (names.PCK_CRL, "revoked", {}, {"dcap.revoked"}),
    (names.PCK_CRL, "revoked", {"machine": "machine-1"}, {"dcap.revoked"}),
    (names.ROOT_CRL, "revoked", {}, {"dcap.revoked"}),
    (names.ROOT_CRL, "revoked", {"who": "tcb-signer"}, {"dcap.revoked"}),
    (names.TCB_INFO, "wrong-subject", {}, {"collateral.fmspc-mismatch"}),
]


@pytest.mark.parametrize(("endpoint", "fault", "settings", "expected"), REFUSED)
def test_a_spoiled_document_is_refused_for_its_own_reason(
    lab: Lab, endpoint: str, fault: str, settings: dict[str, object], expected: set[str]
) -> None:
    judge = judge_snp if endpoint.startswith("amd.") else judge_tdx
    assert good(judge(lab))
    rule = lab.set(endpoint, fault, **settings)
    spoiled = judge(lab)
    assert not good(spoiled)
    assert codes(spoiled) & expected, codes(spoiled)
    assert lab.unset(rule)
    assert good(judge(lab))


@pytest.mark.parametrize("fault", ["forged", "other-root", "not-yet", "wrong-subject", "duplicate-keys"])
@pytest.mark.parametrize("endpoint", [*AMD_PARTS, *INTEL_PARTS])
def test_no_spoiled_document_is_good_enough(lab: Lab, endpoint: str, fault: str) -> None:
    if endpoint not in FAULTS[fault].at:
        with pytest.raises(FaultError, match=fault):
            lab.set(endpoint, fault)
        return
    lab.set(endpoint, fault)
    judge = judge_snp if endpoint.startswith("amd.") else judge_tdx
    try:
        assert not good(judge(lab))
    except AttestationError:
        assert fault == "duplicate-keys"


@pytest.mark.parametrize("who", [{"who": "asvk"}, {"machine": "machine-2"}, {"who": "processor"}])
def test_revoking_somebody_else_revokes_nobody_here(lab: Lab, who: dict[str, object]) -> None:
    endpoint = names.ROOT_CRL if who.get("who") == "processor" else names.AMD_CRL
    lab.set(names.PCK_CRL if "machine" in who else endpoint, "revoked", **who)
    assert good(judge_snp(lab))
    assert good(judge_tdx(lab))


def test_a_revocation_is_in_the_crl_of_its_issuer_only(lab: Lab) -> None:
    lab.set("*", "revoked", who="tcb-signer")
    listed = {
        endpoint: crl.parse(fetch(lab, endpoint).body, "CRL").serials
        for endpoint in (names.AMD_CRL, names.PCK_CRL, names.ROOT_CRL)
    }
    assert {endpoint for endpoint, serials in listed.items() if serials} == {names.ROOT_CRL}


def test_the_asvk_can_be_revoked_alone(lab: Lab) -> None:
    lab.set(names.AMD_CRL, "revoked", who="asvk")
    listed = crl.parse(fetch(lab, names.AMD_CRL).body, "CRL")
    assert listed.serials == {amdcerts.serial("Genoa", "ASVK")}


# --- editions ----------------------------------------------------------------------------------------


def numbers(lab: Lab) -> tuple[int, datetime, int]:
    """What a reader with a memory compares: AMD's CRL number, the date of Intel's root CRL (whose number is
    always 1), evaluation number."""
    info, _ = tcbinfo.parse(fetch(lab, names.TCB_INFO).body, "TCB info")
    amd = crl.parse(fetch(lab, names.AMD_CRL).body, "CRL")
    root = crl.parse(fetch(lab, names.ROOT_CRL).body, "CRL")
    assert root.number == 1
    return amd.number, root.this_update, info.evaluation_number


def window(lab: Lab, endpoint: str) -> Window:
    raw = fetch(lab, endpoint).body
    if endpoint == names.TCB_INFO:
        return tcbinfo.parse(raw, "document")[0].window
    if endpoint == names.QE_IDENTITY:
        return identity.parse(raw, "document")[0].window
    found = crl.parse(raw, "CRL")
    return Window(issued=found.this_update, next_update=found.next_update)


def test_older_is_older_than_what_was_served_and_still_valid(lab: Lab) -> None:
    before = numbers(lab)
    was = window(lab, names.TCB_INFO)
    lab.set("*", "older")
    rolled = numbers(lab)
    assert rolled[0] < before[0] and rolled[1] < before[1] and rolled[2] < before[2]
    for endpoint in (names.AMD_CRL, *INTEL_PARTS):
        got = window(lab, endpoint)
        assert got.contains(lab.clock.now())
    assert window(lab, names.TCB_INFO).issued < was.issued
    lab.clear()
    after = numbers(lab)
    assert after[0] > before[0] and after[1] > before[1], "a new edition: nobody sees a rollback that is none"


def test_an_older_edition_may_be_named(lab: Lab) -> None:
    lab.set(names.TCB_INFO, "older", number=18)
    info, _ = tcbinfo.parse(fetch(lab, names.TCB_INFO).body, "TCB info")
    assert info.evaluation_number == 18


def test_a_revocation_comes_in_a_newer_crl_and_so_does_its_end(lab: Lab) -> None:
    seen = [numbers(lab)[:2]]
    rule = lab.set("*", "revoked")
    seen.append(numbers(lab)[:2])
    lab.unset(rule)
    seen.append(numbers(lab)[:2])
    assert [n for n, _ in seen] == sorted({n for n, _ in seen})
    assert [date for _, date in seen] == sorted({date for _, date in seen})


def test_numbers_grow_across_a_restart() -> None:
    clock = Clock()
    with Lab(clock) as lab:
        before = numbers(lab)
    clock.forward(timedelta(seconds=5))
    with Lab(clock) as lab:
        assert numbers(lab)[:2] > before[:2]


@pytest.mark.parametrize("seconds", [8, 3600])
def test_short_lives_are_renewed_before_they_end(seconds: int) -> None:
    clock = Clock()
    with Lab(clock) as lab:
        lab.lifetime("*", timedelta(seconds=seconds))
        for _ in range(20):
            for endpoint in (names.AMD_CRL, *INTEL_PARTS):
                found = window(lab, endpoint)
                assert found.contains(clock.now())
                assert found.next_update - found.issued == timedelta(seconds=seconds)
            clock.forward(timedelta(seconds=seconds / 6))


# --- transport ---------------------------------------------------------------------------------------


def test_throttling_says_when_to_come_back(lab: Lab) -> None:
    clock = lab.clock
    for form, expected in (("seconds", "30"), ("absent", None), ("nonsense", "soon")):
        rule = lab.set(names.VCEK, "throttled", retry_after=30, form=form)
        got = fetch(lab, names.VCEK)
        assert (got.status, got.headers.get("retry-after"), got.body) == (429, expected, b"")
        lab.unset(rule)
    lab.set(names.VCEK, "throttled", retry_after=30, form="date")
    when = email.utils.parsedate_to_datetime(fetch(lab, names.VCEK).headers["retry-after"])
    assert when == clock.now() + timedelta(seconds=30)


def test_throttling_by_rate_answers_one_request_in_a_while() -> None:
    clock = Clock()
    with Lab(clock) as lab:
        lab.set(names.VCEK, "throttled", every_s=10)
        statuses = []
        for pause in (0, 0, 9, 1, 5, 5):
            clock.forward(timedelta(seconds=pause))
            statuses.append(fetch(lab, names.VCEK).status)
        assert statuses == [200, 429, 429, 200, 429, 200]


@pytest.mark.parametrize("status", [404, 410, 500, 503])
def test_an_error_is_that_status_and_no_body(lab: Lab, status: int) -> None:
    lab.set(names.TCB_INFO, "error", status=status)
    got = fetch(lab, names.TCB_INFO)
    assert (got.status, got.body) == (status, b"")


def test_a_redirect_leads_to_another_host_whose_journal_shows_who_followed(lab: Lab) -> None:
    lab.set(names.AMD_CRL, "redirect")
    got = fetch(lab, names.AMD_CRL)
    assert (got.status, got.headers["location"]) == (302, f"{lab.urls.certificates}/elsewhere{AMD_CRL}")
    assert lab.journal.count(host="certificates") == 0
    get(lab.urls.certificates, f"/elsewhere{AMD_CRL}")
    assert lab.journal.count(host="certificates") == 1


def test_half_sent_announces_more_than_it_sends(lab: Lab) -> None:
    whole = fetch(lab, names.AMD_CRL).body
    lab.set(names.AMD_CRL, "half-sent")
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch(lab, names.AMD_CRL)
    assert len(caught.value.partial) == len(whole) // 2


@pytest.mark.parametrize("length", ["declared", "open"])
def test_oversized_goes_on_with_zeros(lab: Lab, length: str) -> None:
    whole = fetch(lab, names.AMD_CRL).body
    lab.set(names.AMD_CRL, "oversized", bytes=300_000, length=length)
    got = fetch(lab, names.AMD_CRL)
    assert (got.body[: len(whole)], len(got.body)) == (whole, 300_000)
    assert set(got.body[len(whole) :]) == {0}
    assert got.headers.get("content-length") == ("300000" if length == "declared" else None)


def test_a_gzip_bomb_is_small_on_the_wire_and_large_inside(lab: Lab) -> None:
    lab.set(names.TCB_INFO, "gzip-bomb", bytes=4_000_000)
    got = fetch(lab, names.TCB_INFO)
    assert got.headers["content-encoding"] == "gzip"
    assert len(got.body) < 10_000
    assert len(zlib.decompress(got.body, 31)) == 4_000_000


def test_a_hang_up_is_no_answer(lab: Lab) -> None:
    lab.set(names.AMD_CRL, "hang-up")
    with pytest.raises(http.client.RemoteDisconnected):
        fetch(lab, names.AMD_CRL)
    assert [each.status for each in lab.journal.entries(names.AMD_CRL)] == [0]


def test_other_bodies_and_headers(lab: Lab) -> None:
    rule = lab.set(names.TCB_INFO, "captive-portal")
    got = fetch(lab, names.TCB_INFO)
    assert (got.status, got.headers["content-type"], got.body[:9]) == (200, "text/html", b"<!DOCTYPE")
    lab.unset(rule)
    lab.set(names.TCB_INFO, "content-type", type="text/plain")
    lab.set(names.TCB_INFO, "no-chain")
    lab.set(names.TCB_INFO, "warning", text="soon")
    got = fetch(lab, names.TCB_INFO)
    assert (got.headers["content-type"], got.headers["warning"]) == ("text/plain", '299 - "soon"')
    assert "tcb-info-issuer-chain" not in got.headers
    tcbinfo.parse(got.body, "TCB info")


def test_slow_answers_come_whole_and_break_off_when_the_lab_stops() -> None:
    with Lab(Clock()) as lab:
        whole = fetch(lab, names.AMD_CRL).body
        lab.set(names.AMD_CRL, "slow", before_s=0.05, within_s=0.05)
        started = time.monotonic()
        assert fetch(lab, names.AMD_CRL).body == whole
        assert time.monotonic() - started >= 0.1
        lab.set(names.AMD_CRL, "slow", before_s=3600)
        connection = http.client.HTTPConnection("127.0.0.1", int(lab.urls.kds.rsplit(":")[-1]), timeout=30)
        connection.request("GET", AMD_CRL)
        while lab.journal.count(names.AMD_CRL) < 3:
            time.sleep(0.01)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse()
    connection.close()


def test_a_refused_host_keeps_its_port_and_comes_back(lab: Lab) -> None:
    url = lab.urls.kds
    rule = lab.set("kds", "refused")
    with pytest.raises(ConnectionRefusedError):
        get(url, AMD_CRL)
    assert fetch(lab, names.TCB_INFO).status == 200, "other hosts are up"
    lab.unset(rule)
    assert (lab.urls.kds, get(url, AMD_CRL).status) == (url, 200)
    lab.set("*", "refused")
    for base in (lab.urls.kds, lab.urls.pcs, lab.urls.certificates, lab.urls.pccs):
        with pytest.raises(ConnectionRefusedError):
            get(base, "/")
    assert get(lab.urls.control, "/").status == 200


# --- where and how often -------------------------------------------------------------------------------


def test_a_rule_applies_where_it_was_set(lab: Lab) -> None:
    lab.set(names.AMD_CRL, "error", product="Milan")
    lab.set(names.TCB_INFO, "error", tee="sgx")
    lab.set(names.QE_IDENTITY, "error", host="pccs")
    lab.set(names.PCK_CRL, "error", ca="processor")
    for endpoint in (names.AMD_CRL, *INTEL_PARTS):
        assert fetch(lab, endpoint).status == 200
    assert get(lab.urls.kds, "/vcek/v1/Milan/crl").status == 500
    assert get(lab.urls.pcs, TCB.replace("tdx", "sgx")).status == 500
    assert get(lab.urls.pccs, QE).status == 500
    assert get(lab.urls.pcs, PCK_CRL.replace("platform", "processor")).status == 500


def test_a_rule_may_be_for_so_many_requests(lab: Lab) -> None:
    lab.set("amd.*", "error", times=2)
    assert [fetch(lab, names.AMD_CRL).status for _ in range(3)] == [500, 500, 200]
    assert lab.book.rules() == ()


def test_stages_add_up(lab: Lab) -> None:
    lab.set(names.TCB_INFO, "older")
    lab.set(names.TCB_INFO, "content-type")
    got = fetch(lab, names.TCB_INFO)
    assert got.headers["content-type"] == "text/html"
    assert tcbinfo.parse(got.body, "TCB info")[0].evaluation_number == inteldocs.EVALUATION - 1
    (entry,) = lab.journal.entries(names.TCB_INFO)
    assert entry.faults == ("older", "content-type")


@pytest.mark.parametrize(
    ("endpoint", "fault", "settings", "says"),
    [
        ("amd.crls", "stale", {}, "endpoint: expected"),
        ("amd.crl", "sour", {}, "fault: expected"),
        ("amd.crl", "duplicate-keys", {}, "duplicate-keys: expected"),
        ("amd.crl", "refused", {}, "a whole host"),
        ("amd.crl", "stale", {"fmspc": "00"}, "expected a setting of"),
        ("amd.crl", "slow", {"before_s": -1}, "before_s: expected a number"),
        ("amd.crl", "slow", {"before_s": "nan"}, "before_s: expected a number"),
        ("amd.crl", "slow", {"before_s": True}, "before_s: expected a number"),
        ("amd.crl", "stale", {"times": 0}, "times: expected"),
        ("amd.crl", "throttled", {"form": "poem"}, "form: expected"),
        ("amd.crl", "revoked", {"who": "everybody"}, "who: expected"),
        ("amd.crl", "revoked", {"who": "platform"}, "is revoked by intel.root-crl"),
        ("kds", "revoked", {"machine": "machine-1"}, "is revoked by intel.pck-crl"),
        ("intel.*", "revoked", {"who": "platform", "machine": "machine-1"}, "found both"),
        ("amd.crl", "redirect", {"to": "x\r\ny"}, "to: expected printable"),
        ("amd.crl", "stale", {"product": 5}, "product: expected printable"),
    ],
)
def test_what_cannot_be_set_is_named(
    lab: Lab, endpoint: str, fault: str, settings: dict[str, object], says: str
) -> None:
    with pytest.raises(FaultError, match=says):
        lab.set(endpoint, fault, **settings)
    assert lab.book.rules() == ()


def test_rules_are_bounded(lab: Lab) -> None:
    for _ in range(MAX_RULES):
        lab.book.add("amd.crl", "error", {})
    with pytest.raises(FaultError, match="at once"):
        lab.set("amd.crl", "error")


def test_every_fault_says_what_it_does_and_is_tried_here() -> None:
    """The table is the documentation; a fault that no test sets would be a claim."""
    text = __import__("pathlib").Path(__file__).read_text()
    for name, kind in FAULTS.items():
        assert kind.says and (kind.stage is Stage.HOST or kind.at)
        assert f'"{name}"' in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amd.crl:stale", ("amd.crl", "stale", {})),
        ("amd.vcek:throttled,retry_after=30,product=Genoa",
         ("amd.vcek", "throttled", {"retry_after": "30", "product": "Genoa"})),
    ],
)  # fmt: skip
def test_faults_are_spelled_on_the_command_line(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["amd.crl", "amd.crl:stale,by_s", "amd.crl:stale,by_s=1,by_s=2", ""])
def test_bad_spellings_are_refused(text: str) -> None:
    with pytest.raises(FaultError, match="expected"):
        parse(text)


# --- the control route -----------------------------------------------------------------------------------


def control(lab: Lab, method: str, path: str, value: object = None, kind: str = "application/json") -> Got:
    body = b"" if value is None else json.dumps(value).encode()
    return get(lab.urls.control, path, {"Content-Type": kind}, method, body)


def test_faults_come_and_go_over_the_control_route(lab: Lab) -> None:
    made = control(lab, "POST", "/faults", {"endpoint": "amd.crl", "fault": "error", "status": 503})
    assert made.status == 201
    assert fetch(lab, names.AMD_CRL).status == 503
    number = json.loads(made.body)["id"]
    assert json.loads(control(lab, "DELETE", f"/faults/{number}").body) == {"removed": True}
    assert fetch(lab, names.AMD_CRL).status == 200
    control(lab, "POST", "/faults", {"endpoint": "*", "fault": "refused"})
    assert json.loads(control(lab, "DELETE", "/faults").body)["faults"] == []
    assert fetch(lab, names.AMD_CRL).status == 200
    journal = json.loads(control(lab, "GET", "/journal?endpoint=amd.crl").body)
    assert [each["status"] for each in journal["requests"]] == [503, 200, 200]
    control(lab, "DELETE", "/journal")
    assert lab.journal.count() == 0


def test_the_vendor_does_things_over_the_control_route(lab: Lab) -> None:
    before = numbers(lab)
    state = json.loads(control(lab, "POST", "/vendor", {"promote": True, "lifetime": {"amd.crl": 60}}).body)
    assert (state["simulated"], state["channels"]["standard"]) == (True, 21)
    assert numbers(lab) > before
    assert window(lab, names.AMD_CRL).next_update - window(lab, names.AMD_CRL).issued == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("method", "path", "value", "kind", "status"),
    [
        ("POST", "/faults", {"endpoint": "amd.crl"}, "application/json", 400),
        ("POST", "/faults", {"endpoint": "amd.crl", "fault": "stale"}, "text/plain", 400),
        ("POST", "/faults", {"endpoint": "amd.crl", "fault": "stale", "self": 1}, "application/json", 400),
        ("POST", "/faults", [], "application/json", 400),
        ("POST", "/vendor", {"promote": True, "more": 1}, "application/json", 400),
        ("POST", "/vendor", {"standard": 5}, "application/json", 400),
        ("POST", "/vendor", {"standard": "20"}, "application/json", 400),
        ("POST", "/vendor", {"lifetime": {"amd.crl": 0}}, "application/json", 400),
        ("POST", "/vendor", {"lifetime": {"amd": 10}}, "application/json", 400),
        ("DELETE", "/faults/x", None, "application/json", 404),
        ("GET", "/nowhere", None, "application/json", 404),
    ],
)
def test_the_control_route_says_what_it_cannot_do(
    lab: Lab, method: str, path: str, value: object, kind: str, status: int
) -> None:
    got = control(lab, method, path, value, kind)
    assert got.status == status
    assert json.loads(got.body)["error"]
    assert lab.book.rules() == ()


def test_the_table_of_hosts_is_that_of_the_services(lab: Lab) -> None:
    """Every endpoint is asked for at each host that the table gives it, and is found under its name there."""
    assert names.SERVED_BY.keys() == names.ENDPOINTS.keys()
    sgx = "/sgx/certification/v4"
    paths = {
        names.VCEK: VCEK,
        names.VLEK: "/vlek/v1/Genoa/cert",
        names.CHAIN: "/vcek/v1/Genoa/cert_chain",
        names.AMD_CRL: AMD_CRL,
        names.TCB_INFO: TCB,
        names.QE_IDENTITY: QE,
        names.PCK_CRL: PCK_CRL,
        names.ROOT_CRL: ROOT_CRL,
        names.PCK: f"{sgx}/pckcert",
        names.NUMBERS: f"{sgx}/tcbevaluationdatanumbers",
        names.FMSPCS: f"{sgx}/fmspcs",
    }
    for endpoint, hosts in names.SERVED_BY.items():
        for host in names.HOSTS:
            path = paths[endpoint] if (endpoint, host) != (names.ROOT_CRL, "pccs") else f"{sgx}/rootcacrl"
            get(getattr(lab.urls, host), path)
        assert {each.host for each in lab.journal.entries(endpoint)} == set(hosts), endpoint
