"""Which certificates that came with evidence a pinned key vouches for, found out before any of them is read.

    bytes that anybody may have sent  →  cut by lengths, signature checked  →  the vendor's, or a stranger's

What must stay true: what is not vouched for was looked at by its lengths alone (`x509.outline`) and by a
signature check; no parser of certificates saw it. So whoever judges with nothing but what is vouched for
reads, of all that grammar, only what AMD or Intel wrote. It says nothing of names, dates or revocation: every
check is still to be made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from verifiers.crypto import x509
from verifiers.crypto.x509 import Outline, PublicKey
from verifiers.dcap import roots as intel
from verifiers.dcap.quote import PCK_CHAIN, PCK_LEAF, Quote
from verifiers.errors import EndorsementFormatError
from verifiers.model import AnchorSet, ChainCache, Endorsements
from verifiers.sevsnp import roots as amd
from verifiers.sevsnp.abi import SnpReport

_CHAIN = 3
"""Certificates in a quote: PCK, its CA, the root."""


def strangers(
    evidence: SnpReport | Quote, certificates: Iterable[bytes], anchors: AnchorSet, cache: ChainCache
) -> frozenset[bytes]:
    """Those of `certificates` (DER, as they came along with `evidence`) that no pinned key signed.

    A quote brings its own chain inside (`quote_vouched`): whatever else comes along is a stranger's.
    """
    if isinstance(evidence, Quote):
        return frozenset(certificates)
    return frozenset(raw for raw in certificates if not _amd_signed(raw, anchors, cache))


def quote_vouched(quote: Quote, endorsements: Endorsements) -> bool:
    """Whether all certificates inside the quote lead to a pinned root by their signatures; True when there
    are none. endorsements: certificates of our own, for a quote with a PCK and nothing above it."""
    data = quote.signature_data
    if data.certification_type not in (PCK_CHAIN, PCK_LEAF):
        return True
    digest = hashlib.sha256(data.certification_data).digest()
    key = ("vouched", endorsements.anchors, data.certification_type, digest)
    if endorsements.cache.get(key) is True:
        return True
    limit, own = (_CHAIN, ()) if data.certification_type == PCK_CHAIN else (1, endorsements.certificates)
    try:
        given = x509.split_pem(data.certification_data, "certification data", limit=limit)
    except EndorsementFormatError:
        return False
    vouched = _lead_to_a_root(given, own, endorsements.anchors)
    if vouched:
        endorsements.cache.put(key, True)
    return vouched


def _lead_to_a_root(given: Sequence[bytes], own: Sequence[bytes], anchors: AnchorSet) -> bool:
    """Round by round: a root by its digest, then whatever a CA signed that was vouched for before."""
    pins = intel.PINS[anchors]
    open_, keys = list(given), _keys(own)
    for _ in range(_CHAIN):
        found = [
            raw for raw in open_ if hashlib.sha256(raw).hexdigest() in pins or _signed_by(_outline(raw), keys)
        ]
        if not found:
            break
        keys += _keys(found)
        open_ = [raw for raw in open_ if raw not in found]
    return not open_


def _keys(vouched: Iterable[bytes]) -> list[PublicKey]:
    """The keys of those that may sign certificates. Only what is vouched for is read."""
    out: list[PublicKey] = []
    for raw in vouched:
        try:
            found = x509.parse(raw, "certificate")
        except EndorsementFormatError:
            continue
        if found.is_ca and found.may_sign_certificates:
            out.append(found.public_key)
    return out


def _amd_signed(raw: bytes, anchors: AnchorSet, cache: ChainCache) -> bool:
    key = ("vouched", anchors, hashlib.sha256(raw).digest())
    if cache.get(key) is True:
        return True
    front = _outline(raw)
    vouched = front is not None and _signed_by(front, _amd_keys(front.issuer, anchors))
    if vouched:
        cache.put(key, True)
    return vouched


def _amd_keys(issuer: bytes, anchors: AnchorSet) -> list[PublicKey]:
    """The pinned keys whose common name stands somewhere in `issuer`: so that a stranger's certificate costs
    a signature check or two, and not one for each key there is."""
    counting = amd.ALL if anchors is AnchorSet.VENDOR_AND_SIMULATED else amd.VENDOR.values()
    return [anchor.key for anchor in counting if anchor.cn.encode() in issuer]


def _outline(raw: bytes) -> Outline | None:
    try:
        return x509.outline(raw, "certificate")
    except EndorsementFormatError:
        return None


def _signed_by(front: Outline | None, keys: Iterable[PublicKey]) -> bool:
    return front is not None and any(
        x509.signed_by(front.tbs, front.signature_algorithm, front.signature, key) for key in keys
    )
