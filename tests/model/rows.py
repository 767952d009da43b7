"""What is known of every bound field: is leaving it out an attack, and if not, why is it bound all the same?

`tests/model/fields.py` reads which fields there are; a test holds this table to it.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """why: empty when leaving the field out alone is an attack. together: what has to go as well before there
    is one. outside: the model has no such thing, for the reason given, and searches nothing."""

    why: str = ""
    together: tuple[str, ...] = ()
    outside: bool = False


ATTACK = Row()


def _outside(why: str) -> Row:
    return Row(why, outside=True)


_COMPOSITE = _outside("not in use: composite evidence is not taken yet, and its member is refused")
_UNREAD = _outside("for relying parties: nothing reads it when the token is presented for a release")
_ONE_ALGORITHM = _outside("algorithms: there is one for each kind of key, whatever the header says")

ROWS: dict[str, dict[str, Row]] = {
    "runtime data": {
        "label": ATTACK,
        "nonce": ATTACK,
        "key": ATTACK,
        "aud": ATTACK,
        "tenant": ATTACK,
        "devices": _COMPOSITE,
    },
    "device nonce": {"index": _COMPOSITE, "label": _COMPOSITE, "nonce": _COMPOSITE, "thumbprint": _COMPOSITE},
    "challenge": {
        "label": _outside("the nonce key makes nothing else yet; the label keeps it so"),
        "tenant": ATTACK,
        "version": _outside("one version exists, and another is refused before the MAC is looked at"),
        "issued": ATTACK,
        "random": ATTACK,
        "epoch": ATTACK,
    },
    "release": {
        "alg": _ONE_ALGORITHM,
        "kid": _outside("only chooses among the pinned keys; the signature decides"),
        "typ": _outside(
            "a result token is signed with the same key, but has other members, which are refused"
        ),
        "iss": Row("the guest's pinned keys are this gateway's alone: who signed is known without it"),
        "aud": Row("the guest's own name for the gateway is in its runtime data, under the same challenge"),
        "nonce": ATTACK,
        "path": ATTACK,
        "version": ATTACK,
        "lease": ATTACK,
        "jwe": ATTACK,
    },
    "wrap": {
        "key": ATTACK,
        "alg": _ONE_ALGORITHM,
        "cty": ATTACK,
        "enc": _ONE_ALGORITHM,
        "epk": _outside("the sender's share: another one opens nothing"),
        "kid": _outside("nobody reads it: a guest has one key"),
        "typ": _outside("the guest's key is used for nothing else"),
    },
    "result token": {
        "eat_profile": _UNREAD,
        "iss": Row("another gateway's token is signed with another key"),
        "aud": _UNREAD,
        "iat": _UNREAD,
        "exp": Row("the stored appraisal ends by itself", ("stored appraisal.expires",)),
        "jti": Row(
            "the token is a handle: key, nonce and evidence come from the record",
            ("stored appraisal.releasable",),
        ),
        "ear.verifier-id": _UNREAD,
        "sealgate.purpose": Row("the record knows what it came from", ("stored appraisal.releasable",)),
        "sealgate.tenant": Row(
            "the record is looked up in the tenant that asks", ("stored appraisal.tenant",)
        ),
        "submods": _UNREAD,
        "eat_nonce": _UNREAD,
        "cnf": _UNREAD,
    },
    "stored appraisal": {
        "tenant": Row("the token names the tenant", ("result token.sealgate.tenant",)),
        "jti": _outside("the name by which the record is found"),
        "expires": Row("the token ends as well", ("result token.exp",)),
        "releasable": Row("the token knows what it came from", ("result token.sealgate.purpose",)),
    },
    "sealed secret": {
        "label": _outside("other sealed things have other fields, and each field's length is bound"),
        "tenant": ATTACK,
        "path": ATTACK,
        "version": ATTACK,
        "key_id": _outside("a row under another key does not open"),
    },
    "sealed evidence": {
        "label": _outside("other sealed things have other fields, and each field's length is bound"),
        "tenant": ATTACK,
        "jti": _outside(
            "a row names whose submission it has, so whoever writes rows names another of the tenant"
        ),
        "digest": _outside("it is of the content, which is authenticated itself"),
        "key_id": _outside("a row under another key does not open"),
    },
}
"""Place → field → what is known. The order is that of the protocol."""

RULES: dict[str, str] = {
    "guest.fresh key": "a guest makes a new key for every request (gateway/guest.py)",
    "guest.pinned keys": "a guest knows the gateway's signing keys beforehand",
}
"""What must hold besides bound fields. Leaving one out is an attack too."""


def searched() -> list[str]:
    """Every field that the model can leave out."""
    return [
        f"{place}.{field}" for place, found in ROWS.items() for field, row in found.items() if not row.outside
    ]


def row_of(name: str) -> Row:
    for place, found in ROWS.items():
        if name.startswith(f"{place}."):
            return found[name.removeprefix(f"{place}.")]
    return ATTACK
