"""Collateral over HTTP, for administrators of the whole gateway."""

from __future__ import annotations

import re
from typing import Any

from gateway.collateral import bundle, desk, importing, packing, status
from gateway.collateral.slots import CHANNELS, STANDARD
from gateway.errors import GatewayError, GatewayReason
from gateway.http.admin import who
from gateway.http.handlers import Site
from gateway.http.message import OCTETS, Call, Reply, json_reply
from gateway.ports import Slot
from gateway.protocol.names import refuse
from verifiers.codec import strictjson

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_NAMES = 64


def import_file(site: Site, call: Call) -> Reply:
    """The body is one file; ?name= is what messages call it, ?channel= says which updates its documents
    are."""
    name = call.query.get("name", "body")[:200]
    made = importing.import_file(
        site.desk.importer,
        call.body,
        name,
        by=who(call),
        now=site.gateway.clock.now(),
        channel=_channel(call),
    )
    return json_reply({"imported": [status.placed_json(each) for each in made]})


def overview(site: Site, call: Call) -> Reply:
    """?leaves=N: at most so many certificates of single machines."""
    text = call.query.get("leaves", "500")
    leaves = min(int(text), 20_000) if text.isascii() and text.isdigit() and len(text) < 7 else 500
    return json_reply(status.overview(site.desk.view, site.gateway.clock.now(), leaves=leaves))


def show(site: Site, call: Call) -> Reply:
    """The exact bytes of what is or was held, by their SHA-256."""
    digest = call.params["digest"]
    found = site.desk.view.store.by_digests([digest]) if _DIGEST.fullmatch(digest) else {}
    if digest not in found:
        raise GatewayError(
            GatewayReason.REQUEST_NOT_FOUND,
            "no collateral has that digest",
            where="collateral",
            expected="SHA-256 of an object, 64 hex digits",
            found=repr(digest[:64]),
        )
    return Reply(status=200, body=found[digest], media_type=OCTETS)


def remove(site: Site, call: Call) -> Reply:
    slot = Slot(
        call.params["kind"],
        call.query.get("key", ""),
        _channel(call) or STANDARD,
        call.query.get("variant", ""),
        call.query.get("simulated") == "true",
    )
    desk.remove(site.desk, slot, site.gateway.clock.now(), by=who(call))
    return json_reply({"removed": status.slot_json(slot)})


def fetch(site: Site, call: Call) -> Reply:
    """{"names": ["amd:Milan", "intel:tdx"]}; without a body everything shared that is held."""
    names = _names(call.body)
    made = desk.fetch_now(site.desk, names, site.gateway.clock.now(), by=who(call))
    return json_reply({"asking": [name._asdict() for name in made]}, 202)


def prune(site: Site, call: Call) -> Reply:
    """?dry=true: what would be taken out of its slot, and nothing is done."""
    if call.query.get("dry") == "true":
        found = desk.prunable(site.desk, site.gateway.clock.now())
        return json_reply({"would": [status.held_json(each) for each in found]})
    return json_reply({"pruned": desk.prune(site.desk, site.gateway.clock.now(), by=who(call))})


def export(site: Site, call: Call) -> Reply:
    """The signed head of a bundle, of what {"names": [...]} stands for or of everything; its members are
    fetched by their digests."""
    names = _names(call.body)
    head = packing.pack(
        site.desk.view.store,
        desk.needs_named(names) if names else None,
        site.gateway.clock.now(),
        ages=site.desk.view.rules.ages,
        issuer=site.gateway.issuer,
        keys=site.gateway.keys,
    )
    return Reply(status=200, body=head.raw, media_type=OCTETS)


def import_bundle(site: Site, call: Call) -> Reply:
    """The body is the head of a bundle, alone or with whole members from ?from= on. ?trust=: thumbprint of
    the exporter's key, beside those that the configuration names."""
    head, rest = bundle.split(call.body)
    trusted = {*site.desk.bundle_keys, call.query.get("trust", "")}
    packing.require_trusted(head, trusted)
    text = call.query.get("from", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 7) or int(text) > len(head.members):
        raise refuse("from", expected=f"0 to {len(head.members)}", found=repr(text[:40]))
    now = site.gateway.clock.now()
    made = packing.unpack(site.desk.importer, head, int(text), rest, by=who(call), now=now)
    value: dict[str, Any] = {
        "signer": head.signer,
        "issuer": head.issuer,
        "digest": head.digest,
        "objects": made,
    }
    if not rest:
        value["lacking"] = packing.lacking(site.desk.view.store, head)
    return json_reply(value)


def _names(body: bytes) -> list[str]:
    if not body:
        return []
    value = strictjson.loads(body, "body", limit=len(body))
    names = value.get("names") if isinstance(value, dict) and value.keys() == {"names"} else None
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
        or len(names) > _MOST_NAMES
    ):
        raise refuse("body", expected=f'{{"names": [at most {_MOST_NAMES} strings]}}', found="something else")
    return names


def _channel(call: Call) -> str | None:
    found = call.query.get("channel")
    if found is not None and found not in CHANNELS:
        raise refuse("channel", expected=" or ".join(CHANNELS), found=repr(found[:40]))
    return found
