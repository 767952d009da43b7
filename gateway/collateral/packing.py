"""A gateway's end of bundles: choose and sign what is held; take in members that a trusted exporter packed.

What must stay true: a bundle opens no other way in. Each member passes the vetting, the maximum age and the
ratchet that a plain file passes, and one that is refused stops no other. A bundle is taken in piece by piece,
so that what was interrupted goes on where it stopped, and what is held already is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gateway.collateral import bundle, importing, issuers, ratchet, slots, status
from gateway.collateral.ages import Ages
from gateway.collateral.bundle import Head, Row
from gateway.collateral.importing import Importer
from gateway.collateral.ratchet import Mark, Step
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import CollateralStore, HeldCollateral, Keys, Slot
from gateway.record import rfc3339
from verifiers import vetting
from verifiers.errors import AttestationError
from verifiers.model import AnchorSet, Need
from verifiers.vetting import Vetted

IMPORTED, HELD, REFUSED = "imported", "held", "refused"


def pack(
    store: CollateralStore,
    needs: Sequence[Need] | None,
    now: datetime,
    *,
    ages: Ages,
    issuer: str,
    keys: Keys,
) -> Head:
    """The signed head over everything that is held and current, or over what answers `needs`.

    Raises GatewayError: REQUEST_NOT_FOUND when nothing of it is held, BUNDLE_TOO_LARGE.
    """
    wanted = None if needs is None else {(need.kind, slots.answers(need)) for need in needs}
    intel = wanted is not None and any(kind.startswith("intel.") for kind, _ in wanted)
    chosen: dict[Slot, HeldCollateral] = {}
    for each in sorted(store.held(), key=lambda held: held.ends):
        slot = each.slot
        named = wanted is None or (slot.kind, slot.key) in wanted or (intel and slot.kind == "intel.issuer")
        if named and each.issued <= now < ages.end(slot.kind, each.issued, each.ends):
            # Which request a PCK answered is told by nothing in it: elsewhere it is one that was imported.
            packed = replace(slot, key=slots.IMPORTED_PCK) if slot.kind == "intel.pck" else slot
            chosen[packed] = each
    if not any(slot.kind != "intel.issuer" for slot in chosen):
        raise GatewayError(
            GatewayReason.REQUEST_NOT_FOUND,
            "nothing of that is held and current",
            where="collateral",
            expected="collateral that could be exported",
            found="none",
        )
    rows = [
        Row(slot, each.sha256, each.size, each.source, rfc3339(each.fetched)) for slot, each in chosen.items()
    ]
    key = keys.jwks()["keys"][0]
    return bundle.make_head(rows, issuer=issuer, created=now, key=key, sign=keys.sign_jws)


def require_trusted(head: Head, trusted: Collection[str]) -> None:
    """Raises GatewayError(BUNDLE_UNTRUSTED): somebody who may import must have named the exporter's key."""
    if head.signer not in trusted:
        raise GatewayError(
            GatewayReason.BUNDLE_UNTRUSTED,
            f"the bundle is signed by {head.signer}: compare that with what `collateral export` printed, "
            "then name it with --trust, or in [collateral] bundle_keys",
            where="bundle: signature",
            expected="a key that is trusted here",
            found=head.signer,
        )


def lacking(store: CollateralStore, head: Head) -> list[int]:
    """Indices of the members that are not held in every slot that the bundle has them for."""
    held = {each.slot: each.sha256 for each in store.held()}
    missing = {row.sha256 for row in head.rows if held.get(row.slot) != row.sha256}
    return [index for index, member in enumerate(head.members) if member.sha256 in missing]


def unpack(
    importer: Importer, head: Head, start: int, raw: bytes, *, by: str, now: datetime
) -> list[dict[str, Any]]:
    """Take in whole members, from index `start` on: what became of each object, in JSON's types.

    outcome: "imported", "held" (already, or a certificate that ends later is), or "refused" with reason and
    detail. Raises GatewayError as `bundle.cut`, before anything of this piece was taken in.
    """
    taking = _Taking(importer, f"sha256:{head.digest}", by, now, importer.store)
    pieces = {member.sha256: piece for member, piece in bundle.cut(head, start, raw)}
    return [taking.take(row, pieces[row.sha256]) for row in head.rows if row.sha256 in pieces]


def vet(row: Row, raw: bytes, pool: Sequence[bytes], anchors: AnchorSet) -> Vetted:
    """The genuine object that a row names. Raises EndorsementFormatError, VettingError; GatewayError
    (BUNDLE_MEMBER) for what is genuine and something else than its row says."""
    where, kind = str(row.slot), row.slot.kind
    made: tuple[Vetted, ...]
    if kind == "amd.crl":
        made = tuple(vetting.amd_crl(raw, where, place, anchors) for place in ("vcek", "vlek"))
    elif slots.FORMS[kind] == slots.CRL:
        made = vetting.intel_crl(raw, where, pool, anchors)
    elif slots.FORMS[kind] == slots.TCB_INFO:
        made = vetting.tcb_info(raw, where, pool, anchors)
    elif slots.FORMS[kind] == slots.QE_IDENTITY:
        made = vetting.qe_identity(raw, where, pool, anchors)
    else:
        made = vetting.certificate(raw, where, pool, anchors)
    found = [each for each in made if each.sha256 == row.sha256]
    for each in found:
        if slots.slot_of(each, row.slot.channel, None) == row.slot:
            return each
    raise GatewayError(
        GatewayReason.BUNDLE_MEMBER,
        f"the bundle calls {where} what is something else",
        where=f"bundle: {where}",
        expected="what its row says",
        found=" ".join(str(slots.slot_of(each, row.slot.channel, None)) for each in found)[:200] or "nothing",
    )


def next_step(held: HeldCollateral | None, new: Vetted) -> Step:
    """What the ratchet would say, as far as what is held tells it."""
    if held is None:
        return Step.FORWARD
    return ratchet.step(_mark(held), new)


def _mark(held: HeldCollateral) -> Mark:
    return Mark(sha256=held.sha256, issued=held.issued, ends=held.ends, number=held.number)


@dataclass(slots=True)
class _Taking:
    """One piece of a bundle on its way in."""

    importer: Importer
    bundle: str
    by: str
    now: datetime
    store: CollateralStore
    held: dict[Slot, HeldCollateral] = field(init=False)
    pool: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.held = {each.slot: each for each in self.store.held()}
        self.pool = issuers.pool(self.store, self.importer.anchors)

    def take(self, row: Row, raw: bytes) -> dict[str, Any]:
        about = status.slot_json(row.slot) | {"sha256": row.sha256}
        try:
            changed = self._place(row, raw)
        except (AttestationError, GatewayError) as error:
            if isinstance(error, GatewayError) and error.status >= 500:
                raise
            detail = f"expected {error.expected}, found {error.found} [{error.reason}]"
            return about | {"outcome": REFUSED, "reason": str(error.reason), "detail": detail[:500]}
        return about | {"outcome": IMPORTED if changed else HELD, "reason": None, "detail": ""}

    def _place(self, row: Row, raw: bytes) -> bool:
        found = vet(row, raw, self.pool, self.importer.anchors)
        held = self.held.get(row.slot)
        step = next_step(held, found)
        if step is Step.BACK and held is not None:
            raise ratchet.refused(row.slot, _mark(held), found)
        if step is not Step.FORWARD:
            return False
        note: Mapping[str, str] = {"bundle": self.bundle}
        placed = importing.place(
            self.importer, [found], by=self.by, now=self.now, channel=row.slot.channel, note=note
        )
        if row.slot.kind == "intel.issuer":
            self.pool = (raw, *self.pool)
        return any(each.change for each in placed)
