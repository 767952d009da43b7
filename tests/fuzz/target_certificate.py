"""Any bytes are a certificate that keeps them or refused; no other than the genuine one is its issuer's."""

from __future__ import annotations

from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from tests.fuzz.common import only_our_errors
from verifiers.crypto import x509


def seeds() -> list[bytes]:
    amd, intel = SnpMachine(), TdxMachine()
    return [amd.vcek(), amd.ask(), amd.ark(), *intel.endorsements().certificates[:3]]


ISSUER = x509.parse(SnpMachine().ask(), "ASK").public_key
GENUINE = SnpMachine().vcek()


def target(data: bytes) -> None:
    cert = only_our_errors(lambda raw: x509.parse(raw, "fuzz"), data)
    if isinstance(cert, x509.Certificate):
        assert cert.der == data
        if x509.issued_by(cert, ISSUER):
            assert cert.tbs == x509.parse(GENUINE, "genuine").tbs
