"""Any reply of a vendor is vetted to a pin and about what was asked, or one of our errors."""

from __future__ import annotations

from urllib.parse import quote

from gateway.collateral import slots
from gateway.collateral.dial import Outcome, Reply
from gateway.collateral.vendors.amd import Kds
from gateway.collateral.vendors.intel import Pcs
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from tests.unit.gateway.collateral.support import BOTH, POOL, vcek
from verifiers.errors import AttestationError
from verifiers.model import Need

SNP, TDX = SnpMachine(), TdxMachine()
KDS = Kds(base="https://kds.example")
PCS = Pcs(base="https://pcs.example", certificates="https://certs.example", subscription_key="x")
_CHIP = tuple(pair for pair in vcek(SNP).key)
ASKED: tuple[tuple[Kds | Pcs, Need], ...] = (
    (KDS, Need("amd.vcek", _CHIP)),
    (KDS, Need("amd.crl", (("kind", "vcek"), ("product", SNP.product)))),
    (PCS, Need("intel.tcb-info", (("fmspc", TDX.fmspc.hex().upper()), ("tee", "tdx")))),
    (PCS, Need("intel.qe-identity", (("tee", "tdx"),))),
    (PCS, Need("intel.pck-crl", (("ca", "platform"),))),
    (PCS, Need("intel.pck", (("pceid", "0000"),))),
)
_CHAINS = ("tcb-info-issuer-chain", "sgx-enclave-identity-issuer-chain", "sgx-pck-crl-issuer-chain")
_CUT = b"\0\0"
"""Between which one is asked and the chain, and between the chain and the body."""


def seeds() -> list[bytes]:
    import base64

    pem = b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(raw) + b"-----END CERTIFICATE-----\n"
        for raw in TDX.tcb_signing_chain()
    )
    chain = quote(pem).encode()
    bodies = (SNP.leaf, SNP.crl(), TDX.tcb_info(), TDX.qe_identity(), TDX.pck_crl())
    return [bytes([n]) + _CUT + chain + _CUT + body for n, body in enumerate(bodies)]


def target(data: bytes) -> None:
    first, _, rest = data.partition(_CUT)
    chain, cut, body = rest.partition(_CUT)
    vendor, need = ASKED[(first[0] if first else 0) % len(ASKED)]
    headers = dict.fromkeys(_CHAINS, chain.decode("latin-1")) if cut else {}
    reply = Reply(outcome=Outcome.OK, body=body if cut else rest, headers=headers)
    try:
        made = vendor.read(need, reply, "fuzz", POOL, BOTH)
    except AttestationError:
        return
    assert made[-1].kind == need.kind and made[-1].simulated
    assert need.kind == "intel.pck" or slots.key_of(need.kind, made[-1].key) == slots.answers(need)
