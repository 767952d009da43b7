"""A reference set as a CoRIM: in AMD's profile where all of it can be said there, else in our own.

Nothing is signed here: `envelope` gives the bytes to sign, `cose.message` puts them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cbor2

from policies import drafts
from policies.corim import profiles as p
from policies.corim.reading import MEDIA_TYPES
from policies.model import ReferenceSet
from policies.references import Entry
from policies.values import Literal
from policies.vocabulary import Vocabulary
from verifiers.claimtypes import ClaimSpec
from verifiers.crypto import cose

_FLAG_PLACES = {
    name: (mkey, flag)
    for mkey, names in p.FLAG_KEYS.items()
    for flag, name in names.items()
    if (mkey, flag) != (p.GUEST, -3)
}
_SNP_CLAIMS = frozenset(
    {*p.DIGEST_KEYS.values(), *p.RAW_KEYS.values(), *_FLAG_PLACES}
    | {p.IMAGE_ID, p.GUEST_SVN, p.CHIP_ID, p.SIGNING_KEY}
)


def not_in_snp(found: ReferenceSet) -> list[str]:
    """Claims of this set that AMD's profile has no certain place for; [] when all of it fits."""
    return sorted({name for entry in found.entries for name in entry.claims} - _SNP_CLAIMS)


def payload(found: ReferenceSet, claims: Mapping[str, ClaimSpec]) -> tuple[bytes, list[str]]:
    """The CoRIM (tag 501), and what of the set it does not carry."""
    snp = not not_in_snp(found) and all(map(_has_place, found.entries))
    specs = Vocabulary.of(claims).specs
    tags = [
        cbor2.CBORTag(p.COMID, cbor2.dumps(_comid(entry.id, _snp(entry) if snp else _own(entry, specs))))
        for entry in found.entries
    ]
    body = {
        0: f"{found.name}@{found.version}",
        1: tags,
        3: cbor2.CBORTag(p.URI, p.SNP_PROFILES[1] if snp else p.OWN_PROFILE),
        4: _validity(found),
        5: [{0: found.owner, 2: [1]}],
    }
    lost = [f"provenance {key}" for key, _ in found.provenance]
    lost += [f"entry {entry.id}: {key}" for entry in found.entries for key, _ in entry.notes]
    lost += [f"entry {entry.id}: origin" for entry in found.entries if drafts.origin(entry)]
    lost += [f"revocation of {gone.entry}" for gone in found.revoked]
    return cbor2.dumps(cbor2.CBORTag(p.UNSIGNED, body)), lost


def header(found: ReferenceSet, algorithm: int, kid: bytes) -> bytes:
    """The signed header: algorithm, content type, key id for those who have several, signer, validity."""
    meta = cbor2.dumps({0: {0: found.owner}, 1: _validity(found)})
    return cbor2.dumps({cose.ALG: algorithm, cose.CTY: MEDIA_TYPES[0], cose.KID: kid, cose.META: meta})


def _validity(found: ReferenceSet) -> dict[int, Any]:
    return {
        0: cbor2.CBORTag(p.TIME, int(found.valid_from.timestamp())),
        1: cbor2.CBORTag(p.TIME, int(found.valid_until.timestamp())),
    }


def _comid(name: str, triples: list[Any]) -> dict[int, Any]:
    return {1: {0: name}, 4: {0: triples}}


def _has_place(entry: Entry) -> bool:
    """A triple has measurements, and an environment by CSP has no CHIP_ID as its instance."""
    if p.CHIP_ID in entry.claims and entry.claims.get(p.SIGNING_KEY) != "VCEK":
        return False
    return bool(set(entry.claims) - {p.CHIP_ID, p.SIGNING_KEY})


def _snp(entry: Entry) -> list[Any]:
    """One triple for the key that signs, two when the entry does not say which."""
    named = entry.claims.get(p.SIGNING_KEY)
    classes = [ident for ident, key in p.CLASSES.items() if named in (None, key)]
    return [[_environment(ident.bytes, entry), _measurements(entry.claims)] for ident in classes]


def _environment(ident: bytes, entry: Entry) -> dict[int, Any]:
    out: dict[int, Any] = {0: {0: cbor2.CBORTag(p.UUID_TAG, ident)}}
    if p.CHIP_ID in entry.claims:
        out[1] = cbor2.CBORTag(p.BYTES, entry.claims[p.CHIP_ID])
    return out


def _measurements(claims: Mapping[str, Literal]) -> list[Any]:
    values: dict[int, dict[int, Any]] = {}
    for mkey, name in p.DIGEST_KEYS.items():
        if name in claims:
            values.setdefault(mkey, {})[p.DIGESTS] = [[p.SHA384, claims[name]]]
    for mkey, name in p.RAW_KEYS.items():
        if name in claims:
            values.setdefault(mkey, {})[p.RAW] = cbor2.CBORTag(p.BYTES, claims[name])
    for name, (mkey, flag) in _FLAG_PLACES.items():
        if name in claims:
            values.setdefault(mkey, {}).setdefault(p.FLAGS, {})[flag] = claims[name]
    if p.GUEST_SVN in claims:
        values.setdefault(p.GUEST, {})[p.SVN] = cbor2.CBORTag(p.SVN_EQUAL, claims[p.GUEST_SVN])
    image = claims.get(p.IMAGE_ID)
    if isinstance(image, bytes):
        values.setdefault(p.GUEST, {})[p.VERSION] = {0: image.hex()}
    return [{0: mkey, 1: values[mkey]} for mkey in sorted(values)]


def _own(entry: Entry, specs: Mapping[str, ClaimSpec]) -> list[Any]:
    return [[{0: {1: p.OWN_VENDOR}}, list(_own_measurements(entry, specs))]]


def _own_measurements(entry: Entry, specs: Mapping[str, ClaimSpec]) -> Iterable[dict[int, Any]]:
    by_size = {size: algorithm for algorithm, size in p.DIGEST_SIZES.items()}
    for name, value in entry.claims.items():
        text = drafts.written(value, specs[name])
        if not isinstance(value, bytes):
            said: dict[int, Any] = {p.NAME: text}
        elif text.startswith("sha"):
            said = {p.DIGESTS: [[by_size[len(value)], value]]}
        else:
            said = {p.RAW: cbor2.CBORTag(p.BYTES, value)}
        yield {0: name, 1: said}
