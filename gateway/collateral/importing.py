"""What an operator brings by hand, through the same vetting and the same ratchet as what vendors serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.collateral import issuers, slots
from gateway.collateral.ages import Ages
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import CollateralStore, Ledger, Placed
from verifiers import collateral as classifier
from verifiers import vetting
from verifiers.errors import AttestationError, EndorsementFormatError, Reason
from verifiers.model import AnchorSet
from verifiers.vetting import Batch, Vetted


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """anchors: VENDOR, except in a store that was created in development mode. channel: the configured
    one."""

    store: CollateralStore
    ledger: Ledger
    anchors: AnchorSet
    ages: Ages
    channel: str = slots.STANDARD


def vet_file(importer: Importer, raw: bytes, name: str) -> Batch:
    """The pieces of one file, each vetted; nothing is stored.

    Raises EndorsementFormatError, VettingError: the first piece that is not genuine.
    """
    found = classifier.classify(raw, name)
    if not any((found.certificates, found.crls, found.tcb_infos, found.qe_identities)):
        raise EndorsementFormatError(
            Reason.COLLATERAL_UNRECOGNISED, name, expected="collateral", found="nothing of the kind"
        )
    return vetting.everything(found, name, issuers.pool(importer.store, importer.anchors), importer.anchors)


def import_file(
    importer: Importer, raw: bytes, name: str, *, by: str, now: datetime, channel: str | None = None
) -> Sequence[Placed]:
    """Store the pieces of one file: all of them or, when one is refused, none. Again is no error.

    channel: which update TCB infos and identities belong to; None is the configured one. The ledger says
    first what is about to change. Raises as `vet_file`; GatewayError: COLLATERAL_ROLLBACK for what is older
    than what was known here, COLLATERAL_TOO_OLD for what is not valid now or older than we allow.
    """
    return place(importer, vet_file(importer, raw, name).objects, by=by, now=now, channel=channel)


def place(
    importer: Importer, objects: Sequence[Vetted], *, by: str, now: datetime, channel: str | None = None
) -> Sequence[Placed]:
    """Put vetted objects into their slots as an operator's. Raises as `import_file`."""
    # An issuer's certificate that has ended helps nobody; a chain that still has it is as good without.
    objects = [each for each in objects if each.kind != "intel.issuer" or each.valid_at(now)]
    for each in objects:
        require_current(each, importer.ages, now)
    for each in objects:
        slot = slots.slot_of(each, channel or importer.channel, None)
        body = {"kind": each.kind, "key": str(slot), "sha256": each.sha256, "by": by}
        importer.ledger.append("", "collateral.import", body)
    return importer.store.put(
        objects, channel=channel or importer.channel, source=slots.IMPORT, at=now, answers=None
    )


def require_current(vetted: Vetted, ages: Ages, now: datetime) -> None:
    """An empty slot takes nothing that would be refused at once when it is used: else whoever answers a first
    question could set the mark at the oldest answer there is. Raises GatewayError(COLLATERAL_TOO_OLD)."""
    end = ages.end(vetted.kind, vetted.issued, vetted.ends)
    if vetted.issued <= now < end:
        return
    found = f"issued {_time(vetted.issued)}, usable until {_time(end)}"
    what = "is too old" if now >= end else "is not valid yet"
    raise GatewayError(
        GatewayReason.COLLATERAL_TOO_OLD,
        f"{vetted.where} {what}: {found}",
        where=vetted.where,
        expected=f"valid at {_time(now)}, and not older than we allow",
        found=found,
    )


def revet(importer: Importer, unvetted: Mapping[str, bytes], now: datetime) -> dict[str, str]:
    """Vet what an older version held; digest to what became of it, "" when it is held now. Each by itself,
    and with the certificates among them to build chains from."""
    out: dict[str, str] = {}
    found = {}
    for digest, raw in unvetted.items():
        try:
            found[digest] = classifier.classify(raw, digest[:12])
        except AttestationError as error:
            out[digest] = str(error)
    pool = [raw for each in found.values() for raw in each.certificates]
    pool += issuers.pool(importer.store, importer.anchors)
    for digest, pieces in found.items():
        try:
            objects = vetting.everything(pieces, digest[:12], pool, importer.anchors).objects
            for each in objects:
                require_current(each, importer.ages, now)
            importer.store.put(objects, channel=importer.channel, source=slots.IMPORT, at=now, answers=None)
            out[digest] = ""
        except (AttestationError, GatewayError) as error:
            if isinstance(error, GatewayError) and error.status >= 500:
                raise
            out[digest] = str(error)
    return out


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
