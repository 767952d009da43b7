"""Which collateral a quote requires, named by what it is.

The FMSPC comes from a PCK certificate that nobody has verified yet: it is bytes of a fixed length, written as
12 hex digits, so it can pick an entry of a cache but not shape a request.
"""

from __future__ import annotations

from verifiers.dcap import chain
from verifiers.dcap.quote import PCK_CHAIN, PCK_LEAF, Quote
from verifiers.model import Need, TeeKind

_ENCRYPTED_PPID = {2: 256, 3: 384}
"""Certification data type to ciphertext bytes; CPUSVN (16), PCESVN (2) and PCEID (2) follow."""


def needs(quote: Quote) -> tuple[Need, ...]:
    """What `verify` will ask for. Without a PCK certificate in the quote: that first, where it can be named;
    a second round follows once it is known."""
    out = [qe_identity(quote.kind), root_crl()]
    found = chain.leaf_of(quote)
    if found is not None:
        leaf, pck = found
        out.append(tcb_info(quote.kind, pck.fmspc))
        if leaf.issuer_cn in chain.CA_OF:
            out.append(pck_crl(chain.CA_OF[leaf.issuer_cn]))
    elif quote.signature_data.certification_type not in (PCK_CHAIN, PCK_LEAF):
        out += _pck(quote)
    return tuple(out)


def tcb_info(tee: TeeKind, fmspc: bytes) -> Need:
    return Need("intel.tcb-info", (("fmspc", fmspc.hex().upper()), ("tee", tee.value)))


def qe_identity(tee: TeeKind) -> Need:
    return Need("intel.qe-identity", (("tee", tee.value),))


def pck_crl(ca: str) -> Need:
    """ca: "platform" or "processor"."""
    return Need("intel.pck-crl", (("ca", ca),))


def root_crl() -> Need:
    return Need("intel.root-crl", ())


def _pck(quote: Quote) -> tuple[Need, ...]:
    """The PCK certificate by encrypted PPID, as Intel PCS takes it ("Get PCK Certificate", version 4)."""
    data = quote.signature_data.certification_data
    size = _ENCRYPTED_PPID.get(quote.signature_data.certification_type)
    if size is None or len(data) != size + 20:
        return ()
    return (
        Need(
            "intel.pck",
            (
                ("cpusvn", data[size : size + 16].hex()),
                ("encrypted_ppid", data[:size].hex()),
                ("pceid", data[size + 18 :].hex()),
                ("pcesvn", data[size + 16 : size + 18].hex()),
            ),
        ),
    )
