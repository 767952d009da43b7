"""Collateral over HTTP, for administrators of the whole gateway."""

from __future__ import annotations

import re

from gateway.collateral import desk, importing, status
from gateway.collateral.slots import CHANNELS, STANDARD
from gateway.errors import GatewayError, GatewayReason
from gateway.http.admin import require_wide, who
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
    require_wide(call, "collateral")
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
    require_wide(call, "collateral")
    text = call.query.get("leaves", "500")
    leaves = min(int(text), 20_000) if text.isascii() and text.isdigit() and len(text) < 7 else 500
    return json_reply(status.overview(site.desk.view, site.gateway.clock.now(), leaves=leaves))


def show(site: Site, call: Call) -> Reply:
    """The exact bytes of what is or was held, by their SHA-256."""
    require_wide(call, "collateral")
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
    require_wide(call, "collateral")
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
    require_wide(call, "collateral")
    names = _names(call.body)
    made = desk.fetch_now(site.desk, names, site.gateway.clock.now(), by=who(call))
    return json_reply({"asking": [name._asdict() for name in made]}, 202)


def prune(site: Site, call: Call) -> Reply:
    require_wide(call, "collateral")
    return json_reply({"pruned": desk.prune(site.desk, site.gateway.clock.now(), by=who(call))})


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
