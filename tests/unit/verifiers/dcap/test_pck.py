"""The SGX extension of a PCK certificate: each element once, in its type and range."""

from __future__ import annotations

import pytest

from gateway.simulator import derwrite as d
from gateway.simulator.intel import TdxMachine
from verifiers.crypto import x509
from verifiers.dcap import pck
from verifiers.errors import EndorsementFormatError, Reason

MACHINE = TdxMachine()
BASE = pck.EXTENSION


def pairs(elements: dict[str, bytes]) -> bytes:
    return d.sequence(*(d.sequence(d.oid(f"{BASE}.{key}"), value) for key, value in elements.items()))


def tcb(**changed: bytes) -> dict[str, bytes]:
    good = {f"2.{n}": d.integer(n) for n in range(1, 17)} | {
        "2.17": d.integer(11),
        "2.18": d.octet_string(bytes(16)),
    }
    return good | {key.replace("_", "."): value for key, value in changed.items()}


def refused(der: bytes) -> EndorsementFormatError:
    with pytest.raises(EndorsementFormatError) as caught:
        pck.read(x509.parse(der, "leaf"), "PCK")
    assert caught.value.reason == Reason.CERTIFICATE_MALFORMED
    return caught.value


def test_good() -> None:
    found = pck.read(x509.parse(MACHINE.pck(), "leaf"), "PCK")
    assert found.components == MACHINE.svns
    assert (found.ppid, found.fmspc, found.pce_id) == (MACHINE.ppid, MACHINE.fmspc, MACHINE.pce_id)
    assert found.platform_instance_id == MACHINE.platform_instance_id
    assert (found.dynamic_platform, found.cached_keys, found.smt_enabled) == (True, False, True)


def test_a_processor_pck_has_neither_instance_nor_configuration() -> None:
    found = pck.read(x509.parse(TdxMachine(ca="processor").pck(), "leaf"), "PCK")
    assert found.platform_instance_id is None
    assert (found.dynamic_platform, found.cached_keys, found.smt_enabled) == (None, None, None)


@pytest.mark.parametrize("svn", [0, 127, 128, 255])
def test_components_in_range(svn: int) -> None:
    der = MACHINE.pck(elements={"2": pairs(tcb(**{"2_1": d.integer(svn)}))})
    assert pck.read(x509.parse(der, "leaf"), "PCK").components[0] == svn


@pytest.mark.parametrize("svn", [-1, 256])
def test_components_out_of_range(svn: int) -> None:
    assert "2.1" in refused(MACHINE.pck(elements={"2": pairs(tcb(**{"2_1": d.integer(svn)}))})).where


def test_a_component_is_missing() -> None:
    short = tcb()
    del short["2.9"]
    assert refused(MACHINE.pck(elements={"2": pairs(short)})).found == f"no {BASE}.2.9"


def test_an_element_stands_twice() -> None:
    twice = d.sequence(
        *(
            d.sequence(d.oid(f"{BASE}.{key}"), value)
            for key, value in [*tcb().items(), ("2.1", d.integer(255))]
        )
    )
    assert refused(MACHINE.pck(elements={"2": twice})).found == f"{BASE}.2.1 twice"


@pytest.mark.parametrize("element", ["1", "2", "3", "4", "5"])
def test_a_required_element_is_missing(element: str) -> None:
    assert refused(MACHINE.pck(drop=[element])).found == f"no {BASE}.{element}"


def test_no_extension_at_all() -> None:
    assert refused(MACHINE.pck(drop=[""])).found == "none"


@pytest.mark.parametrize(
    ("element", "value"),
    [
        pytest.param("8", d.integer(1), id="unknown"),
        pytest.param("4", d.octet_string(bytes(5)), id="fmspc-short"),
        pytest.param("4", d.octet_string(bytes(7)), id="fmspc-long"),
        pytest.param("1", d.octet_string(bytes(15)), id="ppid-short"),
        pytest.param("3", d.integer(0), id="pceid-is-a-number"),
        pytest.param("5", d.integer(1), id="type-is-no-enumeration"),
        pytest.param("5", d.enumerated(3), id="type-unknown"),
        pytest.param("7", pairs({"7.4": d.boolean(True)}), id="configuration-unknown"),
        pytest.param("7", pairs({"7.1": d.integer(1)}), id="configuration-is-no-flag"),
        pytest.param("2", d.octet_string(b""), id="tcb-is-no-sequence"),
    ],
)
def test_a_wrong_element(element: str, value: bytes) -> None:
    refused(MACHINE.pck(elements={element: value}))
