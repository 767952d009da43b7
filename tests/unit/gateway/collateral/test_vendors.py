"""URLs are made of configured bases and checked values, and answers are about what was asked."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.collateral import assembly, slots
from gateway.collateral.dial import Outcome, Reply
from gateway.collateral.settings import Collateral, needs_of
from gateway.collateral.vendors.amd import Kds
from gateway.collateral.vendors.intel import Pcs
from gateway.simulator.intel import TdxMachine
from tests.unit.gateway.collateral.support import BOTH, POOL
from verifiers.errors import AttestationError, EndorsementFormatError
from verifiers.model import Need

KDS = Kds(base="https://kds.example")
PCS = Pcs(base="https://pcs.example", certificates="https://certs.example", subscription_key="k" * 32)
PCCS = Pcs(base="https://pccs.example:8081", certificates="https://pccs.example:8081", caching=True)
SPL = (("blSPL", "4"), ("snpSPL", "24"), ("teeSPL", "0"), ("ucodeSPL", "219"))
QUERY = "blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"
INTEL = ["intel.root-crl", "intel.pck-crl", "intel.qe-identity"]
CHIP, SHORT = ("chip_id", "ab" * 64), ("chip_id", "ab" * 8)
PCK = (("cpusvn", "00" * 16), ("encrypted_ppid", "cd" * 384), ("pceid", "0000"), ("pcesvn", "0d00"))


def need(kind: str, *pairs: tuple[str, str]) -> Need:
    return Need(kind, tuple(sorted(pairs)))


@pytest.mark.parametrize(
    ("vendor", "asked", "channel", "urls"),
    [
        (KDS, need("amd.vcek", *SPL, CHIP, ("product", "Milan")), "standard",
         [f"https://kds.example/vcek/v1/Milan/{'ab' * 64}?{QUERY}"]),
        (KDS, need("amd.vcek", *SPL, SHORT, ("product", "Turin"), ("fmcSPL", "1")), "standard",
         [f"https://kds.example/vcek/v1/Turin/{'ab' * 8}?fmcSPL=01&{QUERY}"]),
        (KDS, need("amd.vcek", *SPL, CHIP), "standard",
         [f"https://kds.example/vcek/v1/{p}/{'ab' * 64}?{QUERY}"
          for p in ("Milan", "Genoa")]),
        (KDS, need("amd.crl", ("kind", "vlek"), ("product", "Genoa")), "standard",
         ["https://kds.example/vlek/v1/Genoa/crl"]),
        (PCS, need("intel.tcb-info", ("fmspc", "00806F050000"), ("tee", "tdx")), "standard",
         ["https://pcs.example/tdx/certification/v4/tcb?fmspc=00806f050000"]),
        (PCS, need("intel.tcb-info", ("fmspc", "00806F050000"), ("tee", "sgx")), "early",
         ["https://pcs.example/sgx/certification/v4/tcb?fmspc=00806f050000&update=early"]),
        (PCS, need("intel.qe-identity", ("tee", "tdx")), "early",
         ["https://pcs.example/tdx/certification/v4/qe/identity?update=early"]),
        (PCS, need("intel.pck-crl", ("ca", "processor")), "standard",
         ["https://pcs.example/sgx/certification/v4/pckcrl?ca=processor&encoding=der"]),
        (PCS, need("intel.root-crl"), "standard", ["https://certs.example/IntelSGXRootCA.der"]),
        (PCCS, need("intel.root-crl"), "standard", ["https://pccs.example:8081/sgx/certification/v4/rootcacrl"]),
        (PCS, need("intel.pck", *PCK), "standard",
         [f"https://pcs.example/sgx/certification/v4/pckcert?encrypted_ppid={'cd' * 384}"
          f"&cpusvn={'00' * 16}&pcesvn=0d00&pceid=0000"]),
        (PCCS, need("intel.pck", *PCK), "standard", []),
        (KDS, need("intel.root-crl"), "standard", []),
        (PCS, need("amd.crl", ("kind", "vlek"), ("product", "Genoa")), "standard", []),
        (KDS, need("amd.vlek", *SPL, ("product", "Milan")), "standard", []),
    ],
)  # fmt: skip
def test_a_need_is_one_path(vendor: Kds | Pcs, asked: Need, channel: str, urls: list[str]) -> None:
    assert [request.url for request in vendor.requests(asked, channel)] == urls


@pytest.mark.parametrize(
    "asked",
    [
        need("amd.vcek", *SPL, CHIP, ("product", "Rome")),
        need("amd.vcek", *SPL, SHORT, ("product", "Milan")),
        need("amd.vcek", *SPL, CHIP, ("product", "Turin"), ("fmcSPL", "1")),
        need("amd.vcek", *SPL, ("chip_id", "AB" * 64), ("product", "Milan")),
        need("amd.vcek", *SPL, ("chip_id", "ab" * 63 + "a\n"), ("product", "Milan")),
        need("amd.vcek", *SPL[:3], ("ucodeSPL", "256"), CHIP, ("product", "Milan")),
        need("amd.vcek", *SPL[:3], ("ucodeSPL", "01"), CHIP, ("product", "Milan")),
        need("amd.vcek", *SPL[:3], CHIP, ("product", "Milan")),
        need("amd.vcek", *SPL, CHIP, CHIP, ("product", "Milan")),
        need("amd.vcek", *SPL, CHIP, ("product", "Milan"), ("x", "y")),
        need("amd.crl", ("kind", "vcek"), ("product", "Milan/../Genoa")),
        need("intel.tcb-info", ("fmspc", "00806f050000"), ("tee", "tdx")),
        need("intel.tcb-info", ("fmspc", "00806F0500"), ("tee", "tdx")),
        need("intel.qe-identity", ("tee", "tdx\n")),
        need("intel.pck-crl", ("ca", "root")),
        need("intel.root-crl", ("ca", "x")),
        need("intel.pck", *PCK[:1], ("encrypted_ppid", "cd" * 300), *PCK[2:]),
        need("nvidia.rim", ("x", "y")),
    ],
)
def test_what_has_not_its_exact_form_is_no_request(asked: Need) -> None:
    for vendor in (KDS, PCS, PCCS):
        assert vendor.requests(asked, "standard") == ()


_TEXT = st.text(max_size=140)
_NAMES = st.sampled_from(
    ["chip_id", "product", "blSPL", "teeSPL", "snpSPL", "ucodeSPL", "fmcSPL", "kind", "fmspc", "tee", "ca",
     "cpusvn", "encrypted_ppid", "pceid", "pcesvn", "host"]
)  # fmt: skip


@given(
    st.sampled_from([*slots.FORMS]),
    st.dictionaries(_NAMES, _TEXT, max_size=7),
    st.sampled_from(slots.CHANNELS),
)
def test_no_need_leads_to_another_host(kind: str, pairs: dict[str, str], channel: str) -> None:
    for vendor, hosts in ((KDS, {"kds.example"}), (PCS, {"pcs.example", "certs.example"})):
        for request in vendor.requests(Need(kind, tuple(sorted(pairs.items()))), channel):
            parts = urlsplit(request.url)
            assert parts.netloc in hosts and parts.scheme == "https"
            assert request.url.isascii() and request.url.isprintable() and ".." not in request.url


def test_the_key_is_sent_and_never_shown() -> None:
    (request,) = PCS.requests(need("intel.pck", *PCK), "standard")
    assert request.secret_headers == {"Ocp-Apim-Subscription-Key": "k" * 32}
    assert "kkkk" not in repr(PCS) + repr(request)
    unkeyed = Pcs(base="https://pcs.example", certificates="https://certs.example")
    assert unkeyed.requests(need("intel.pck", *PCK), "standard") == ()


def test_a_chain_in_a_header_is_bounded_and_read_strictly() -> None:
    machine = TdxMachine()
    asked = need("intel.tcb-info", ("fmspc", machine.fmspc.hex().upper()), ("tee", "tdx"))
    for header in ("x" * 20_000, "%ff%fe", "-----BEGIN CERTIFICATE-----", "%2D%2D"):
        reply = Reply(outcome=Outcome.OK, body=machine.tcb_info(), headers={"tcb-info-issuer-chain": header})
        with pytest.raises(EndorsementFormatError):
            PCS.read(asked, reply, "x", POOL, BOTH)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"\x30\x03\x02\x01\x01", b"\0" * 100])
@pytest.mark.parametrize(
    ("vendor", "asked"),
    [
        (KDS, need("amd.vcek", *SPL, CHIP, ("product", "Milan"))),
        (KDS, need("amd.crl", ("kind", "vcek"), ("product", "Milan"))),
        (PCS, need("intel.tcb-info", ("fmspc", "00806F050000"), ("tee", "tdx"))),
        (PCS, need("intel.qe-identity", ("tee", "tdx"))),
        (PCS, need("intel.pck-crl", ("ca", "processor"))),
        (PCS, need("intel.pck", *PCK)),
    ],
    ids=lambda value: value.kind if isinstance(value, Need) else "",
)
def test_any_body_is_an_error_or_vetted(vendor: Kds | Pcs, asked: Need, body: bytes) -> None:
    with pytest.raises(AttestationError):
        vendor.read(asked, Reply(outcome=Outcome.OK, body=body), "x", POOL, BOTH)


# --- who is asked --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "development", "names"),
    [
        (Collateral(), False, ["amd", "intel"]),
        (Collateral(offline=True), False, []),
        (Collateral(), True, []),
        (Collateral(amd="http://127.0.0.1:1"), True, ["amd"]),
        (Collateral(amd="http://127.0.0.1:1", offline=True), True, []),
        (Collateral(pccs="https://pccs.example"), False, ["amd", "intel"]),
        (Collateral(offline=False), True, []),
    ],
)
def test_only_those_are_asked_who_are_configured(
    settings: Collateral, development: bool, names: list[str]
) -> None:
    assert [vendor.name for vendor in assembly.vendors(settings, development=development)] == names


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("amd:Milan", ["amd.crl"]),
        ("amd:Genoa:vlek", ["amd.crl"]),
        ("intel:sgx", INTEL),
        ("intel:tdx:00806f050000", [*INTEL, "intel.tcb-info"]),
        *((text, None) for text in ("amd:Rome", "amd:", "intel:tdx:00", "amd:Milan\n", "xamd:Milan")),
    ],
)  # fmt: skip
def test_a_name_stands_for_needs(text: str, kinds: list[str] | None) -> None:
    found = needs_of(text)
    assert (None if found is None else [each.kind for each in found]) == kinds
    assert all(KDS.requests(n, "standard") or PCS.requests(n, "standard") for n in found or ())
