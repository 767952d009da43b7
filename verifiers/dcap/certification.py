"""The last link of a quote's chain: the PCK signs a QE report, and that names the attestation key.

A QE certifies its key once and then signs every quote with it, so for each machine this is the same link each
time, like the certificates above it: once it was verified under a chain that leads to a pin, it may be
remembered. Nothing of the quote itself is part of it, and neither is any date, level or revocation.

Source: Intel SGX ECDSA QuoteLib Reference, appendix A.4.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from verifiers.crypto import ecdsa
from verifiers.dcap import chain as chains
from verifiers.dcap.chain import PckChain, Problem
from verifiers.dcap.quote import Quote
from verifiers.model import ChainCache


class Certification(msgspec.Struct, frozen=True):
    """qe_signed: whether the PCK signed the QE report; None when there is no PCK to ask. bound: whether the
    QE report names the attestation key and the authentication data. key: that key; None when it is no point
    of P-256. bytes: everything of the quote that was looked at, as it came."""

    qe_signed: bool | None
    bound: bool
    key: ec.EllipticCurvePublicKey | None
    bytes: tuple[bytes, ...]


def judge(quote: Quote, found: PckChain | Problem, cache: ChainCache) -> Certification:
    """Judge the link, or remember it: one for each PCK certificate and kind of quote, and only while every
    byte of it is the same."""
    if isinstance(found, Problem):
        return _judge(quote, None)
    name = ("dcap.certification", found.leaf.sha256, quote.kind)
    known = cache.get(name)
    if isinstance(known, Certification) and known.bytes == _bytes(quote):
        return known
    judged = _judge(quote, found)
    # Only what a genuine machine can make, or anybody could fill the cache.
    if found.problem is None and not found.names and judged.qe_signed and judged.bound and judged.key:
        cache.put(name, judged)
    return judged


def _judge(quote: Quote, chain: PckChain | None) -> Certification:
    data = quote.signature_data
    digest = hashlib.sha256(data.attestation_key + data.auth_data).digest()
    return Certification(
        None if chain is None else chains.signed_qe_report(quote, chain.leaf),
        hmac.compare_digest(data.qe_report.report_data, digest + bytes(32)),
        ecdsa.p256_point(data.attestation_key),
        _bytes(quote),
    )


def _bytes(quote: Quote) -> tuple[bytes, ...]:
    data = quote.signature_data
    return data.qe_report.raw, data.qe_report_signature, data.attestation_key, data.auth_data
