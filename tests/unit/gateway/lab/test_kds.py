"""What the lab's KDS serves is what AMD 57230 says, and verifies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.lab import Lab
from gateway.simulator import keys
from gateway.simulator.amd import SnpMachine
from tests.unit.gateway.lab.support import Clock, get
from verifiers.crypto import crl, x509
from verifiers.model import ReportData, Verdict
from verifiers.sevsnp import abi
from verifiers.sevsnp.needs import needs
from verifiers.sevsnp.verify import verify

DATA = bytes(range(64))
SPL = {"fmc": "fmcSPL", "bootloader": "blSPL", "tee": "teeSPL", "snp": "snpSPL", "microcode": "ucodeSPL"}
CHIP = "ab" * 64


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(Clock()) as started:
        yield started


def vcek_path(machine: SnpMachine) -> str:
    tcb = machine.certified_tcb
    values = {kds: getattr(tcb, name) for name, kds in SPL.items() if getattr(tcb, name) is not None}
    query = "&".join(f"{name}={value:02d}" for name, value in values.items())
    return f"/vcek/v1/{machine.product}/{machine.hwid.hex()}?{query}"


@pytest.mark.parametrize("product", keys.PRODUCTS)
def test_a_report_verifies_with_what_kds_serves_for_it(lab: Lab, product: str) -> None:
    machine = SnpMachine(product=product, seed="a machine that the lab was never told of")
    vcek = get(lab.urls.kds, vcek_path(machine))
    listed = get(lab.urls.kds, f"/vcek/v1/{product}/crl")
    assert (vcek.status, listed.status) == (200, 200)
    given = machine.endorsements(certificates=(vcek.body,), crls=(listed.body,))
    found = verify(abi.parse(machine.report(DATA)), given, ReportData(DATA), machine.at)
    assert found.verdict is Verdict.ACCEPTED


def test_the_needs_of_a_report_name_what_the_lab_understands(lab: Lab) -> None:
    machine = SnpMachine(product="Turin")
    need = next(n for n in needs(abi.parse(machine.report(DATA))) if n.kind == "amd.vcek")
    key = dict(need.key)
    query = "&".join(f"{name}={value}" for name, value in key.items() if name.endswith("SPL"))
    assert get(lab.urls.kds, f"/vcek/v1/{key['product']}/{key['chip_id']}?{query}").status == 200


@pytest.mark.parametrize(("kind", "issuer"), [("vcek", "SEV-Genoa"), ("vlek", "SEV-VLEK-Genoa")])
def test_a_chain_is_pem_intermediate_first(lab: Lab, kind: str, issuer: str) -> None:
    got = get(lab.urls.kds, f"/{kind}/v1/Genoa/cert_chain")
    assert got.body.startswith(b"-----BEGIN CERTIFICATE-----\n")
    chain = [x509.parse(raw, "chain") for raw in x509.split_pem(got.body, "chain", limit=3)]
    assert [each.subject_cn for each in chain] == [issuer, "ARK-Genoa"]


def test_both_paths_serve_one_crl_of_the_ark_in_der(lab: Lab) -> None:
    one, other = (get(lab.urls.kds, f"/{kind}/v1/Milan/crl").body for kind in ("vcek", "vlek"))
    assert one == other
    found = crl.parse(one, "CRL")
    assert (found.issuer_cn, found.serials) == ("ARK-Milan", frozenset())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(f"/vcek/v1/Turin/{CHIP}?blSPL=1", 404, id="turin-whole-chip-id"),
        pytest.param(f"/vcek/v1/Genoa/{CHIP[:16]}?blSPL=1", 404, id="genoa-short-chip-id"),
        pytest.param(f"/vcek/v1/Rome/{CHIP}?blSPL=1", 404, id="no-such-product"),
        pytest.param(f"/vcek/v2/Genoa/{CHIP}?blSPL=1", 404, id="no-such-version"),
        pytest.param(f"/vcek/v1/Genoa/{CHIP}?blSPL=256", 400, id="spl-over-a-byte"),
        pytest.param(f"/vcek/v1/Genoa/{CHIP}?blSPL=0x1", 400, id="spl-in-hex"),
        pytest.param(f"/vcek/v1/Genoa/{CHIP}?fmcSPL=1", 400, id="fmc-before-turin"),
        pytest.param(f"/vcek/v1/Genoa/{CHIP}", 200, id="absent-spls-are-zero"),
        pytest.param(f"/vcek/v1/Genoa/{CHIP.upper()}?blSPL=1", 200, id="upper-case"),
        pytest.param("/vlek/v1/Genoa/cert?blSPL=1", 401, id="vlek-wants-a-provider"),
        pytest.param("/vcek/v1/Genoa/cert_chain/", 404, id="one-slash-more"),
        pytest.param("/", 404, id="root"),
    ],
)
def test_what_kds_does_not_know(lab: Lab, path: str, status: int) -> None:
    assert get(lab.urls.kds, path).status == status


def test_only_chips_that_were_sold_are_known() -> None:
    machine, other = SnpMachine(), SnpMachine(seed="machine-2")
    with Lab(Clock(), chips=[machine.hwid]) as lab:
        assert get(lab.urls.kds, vcek_path(machine)).status == 200
        assert get(lab.urls.kds, vcek_path(other)).status == 404
        lab.sold(None)
        assert get(lab.urls.kds, vcek_path(other)).status == 200


def test_the_same_bytes_are_served_until_the_next_edition(lab: Lab) -> None:
    first, again = (get(lab.urls.kds, "/vcek/v1/Genoa/crl").body for _ in range(2))
    assert first == again
    lab.reissue()
    later = get(lab.urls.kds, "/vcek/v1/Genoa/crl").body
    assert crl.parse(later, "CRL").number > crl.parse(first, "CRL").number
