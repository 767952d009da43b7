"""What a quote asks for, before anything in it is believed."""

from __future__ import annotations

import pytest

from gateway.simulator.intel import SgxMachine, Signing, TdxMachine
from verifiers.dcap import quote
from verifiers.dcap.needs import needs

DATA = bytes(64)


def asked(raw: bytes) -> list[str]:
    return sorted(str(need) for need in needs(quote.parse(raw)))


@pytest.mark.parametrize(
    ("machine", "tee", "ca"),
    [
        (TdxMachine(), "tdx", "platform"),
        (SgxMachine(ca="processor"), "sgx", "processor"),
    ],
)
def test_a_quote_with_its_chain(machine: TdxMachine | SgxMachine, tee: str, ca: str) -> None:
    assert asked(machine.quote(DATA)) == [
        f"intel.pck-crl ca={ca}",
        f"intel.qe-identity tee={tee}",
        "intel.root-crl ",
        f"intel.tcb-info fmspc=5EA16A7E0000 tee={tee}",
    ]


def test_an_encrypted_ppid_asks_for_the_pck() -> None:
    data = b"\xaa" * 384 + b"\xbb" * 16 + b"\x0b\x00" + b"\x00\x01"
    raw = SgxMachine().quote(DATA, signing=Signing(certification_type=3, certification=data))
    assert asked(raw) == [
        f"intel.pck cpusvn={'bb' * 16} encrypted_ppid={'aa' * 384} pceid=0001 pcesvn=0b00",
        "intel.qe-identity tee=sgx",
        "intel.root-crl ",
    ]


@pytest.mark.parametrize("data", [b"", b"\xaa" * 403, b"\xaa" * 405])
def test_an_encrypted_ppid_of_another_length(data: bytes) -> None:
    raw = SgxMachine().quote(DATA, signing=Signing(certification_type=3, certification=data))
    assert asked(raw) == ["intel.qe-identity tee=sgx", "intel.root-crl "]


@pytest.mark.parametrize("kind", [4, 5])
def test_a_chain_that_cannot_be_read_asks_for_nothing_of_its_own(kind: int) -> None:
    signing = Signing(certification_type=kind, certification=b"-----BEGIN CERTIFICATE-----")
    raw = TdxMachine().quote(DATA, signing=signing)
    assert asked(raw) == ["intel.qe-identity tee=tdx", "intel.root-crl "]
