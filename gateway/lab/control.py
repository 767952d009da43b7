"""The control route: what `Lab`'s methods do, over HTTP on loopback, for drills and other processes.

    GET    /                state
    GET    /faults          the table of faults
    POST   /faults          {"endpoint": …, "fault": …, settings …} → the rule
    DELETE /faults          take all back; /faults/ID: one
    GET    /journal         requests; ?endpoint=amd.vcek: those of one endpoint
    DELETE /journal         forget them
    POST   /vendor          {"reissue": true} {"promote": true} {"standard": 20, "early": 21}
                            {"lifetime": {"intel.tcb-info": 8}}

JSON in and out. POST wants `Content-Type: application/json`, which a page in a browser cannot send to another
origin unasked.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from gateway.lab.answer import JSON, Reply
from gateway.lab.faults import FAULTS, MAX_SECONDS, FaultError
from verifiers.codec import strictjson
from verifiers.errors import AttestationError

if TYPE_CHECKING:
    from gateway.lab.lab import Lab
    from gateway.lab.server import Handler

LIMIT = 64 * 1024


def answer(lab: Lab, handler: Handler, body: bytes) -> Reply:
    """Do what is asked and say what came of it; 400 with `error` for what cannot be done."""
    parts = urlsplit(handler.path)
    try:
        match handler.command, parts.path.strip("/").split("/"):
            case "GET", [""]:
                return _json(200, lab.state())
            case "GET", ["faults"]:
                return _json(200, {name: kind.says for name, kind in FAULTS.items()})
            case "POST", ["faults"]:
                return _json(201, _set(lab, _object(handler, body)))
            case "DELETE", ["faults"]:
                lab.clear()
                return _json(200, lab.state())
            case "DELETE", ["faults", number] if number.isascii() and number.isdigit():
                return _json(200, {"removed": lab.unset(int(number))})
            case "GET", ["journal"]:
                endpoint = parse_qs(parts.query).get("endpoint", [None])[0]
                listed = [entry.to_json() for entry in lab.journal.entries(endpoint)]
                return _json(200, {"count": len(listed), "requests": listed[-1000:]})
            case "DELETE", ["journal"]:
                lab.journal.clear()
                return _json(200, {"count": 0})
            case "POST", ["vendor"]:
                _vendor(lab, _object(handler, body))
                return _json(200, lab.state())
        return _json(404, {"error": f"no {handler.command} {parts.path} here"})
    except FaultError as error:
        return _json(400, {"error": str(error)})
    except AttestationError as error:
        return _json(400, {"error": f"{error.where}: expected {error.expected}, found {error.found}"})


def _object(handler: Handler, body: bytes) -> dict[str, object]:
    if handler.headers.get_content_type() != JSON:
        raise FaultError(f"Content-Type: expected {JSON}")
    found = strictjson.loads(body, "body", limit=LIMIT)
    if not isinstance(found, dict):
        raise FaultError("body: expected an object")
    return found


def _set(lab: Lab, wanted: dict[str, object]) -> dict[str, object]:
    endpoint, fault = wanted.pop("endpoint", None), wanted.pop("fault", None)
    if not isinstance(endpoint, str) or not isinstance(fault, str):
        raise FaultError("expected endpoint and fault, both text")
    return lab.set(endpoint, fault, **wanted).to_json()


def _vendor(lab: Lab, wanted: dict[str, object]) -> None:
    unknown = wanted.keys() - {"reissue", "promote", "standard", "early", "lifetime"}
    if unknown:
        raise FaultError(
            f"expected reissue, promote, standard, early or lifetime, found {sorted(unknown)[0]!r}"
        )
    numbers = {name: wanted[name] for name in ("standard", "early") if name in wanted}
    if any(isinstance(n, bool) or not isinstance(n, int) for n in numbers.values()):
        raise FaultError("standard, early: expected evaluation numbers")
    lifetimes = wanted.get("lifetime", {})
    if not isinstance(lifetimes, dict):
        raise FaultError("lifetime: expected an object, endpoint to seconds")
    for endpoint, seconds in lifetimes.items():
        usable = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not usable or not 1 <= seconds <= 3650 * MAX_SECONDS:
            raise FaultError(f"lifetime: expected seconds, 1 or more, for {endpoint}")
        lab.lifetime(endpoint, timedelta(seconds=seconds))
    if numbers:
        lab.channels(**numbers)  # type: ignore[arg-type]
    if wanted.get("promote") is True:
        lab.promote()
    if wanted.get("reissue") is True:
        lab.reissue()


def _json(status: int, value: object) -> Reply:
    body = json.dumps(value).encode()
    return Reply(status=status, body=body, headers=(("Content-Type", JSON),))
