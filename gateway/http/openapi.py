"""GET /openapi.json: made from the routes table, so that it cannot say what is not so."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from gateway import VERSION
from gateway.http.message import JSON
from gateway.http.problem import MEDIA_TYPE
from gateway.http.routes import Route
from gateway.http.schemas import SCHEMAS

_PARAMETER = re.compile(r"<(?:path:)?([a-z]+)>")


def describe(routes: Sequence[Route], *, issuer: str) -> bytes:
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for path in paths_of(route):
            paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})[route.method.lower()] = _operation(
                route, path
            )
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "sealgate",
            "version": VERSION,
            "description": "Attestation gateway: verifies evidence, releases secrets to what passed.",
        },
        "servers": [{"url": issuer}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"administrator": {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def paths_of(route: Route) -> tuple[str, ...]:
    """Where a route is reached: tenants' routes have two places."""
    return (route.path, f"/t/<tenant>{route.path}") if route.tenant else (route.path,)


def _operation(route: Route, path: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "summary": route.summary,
        "responses": {
            "200": {"description": "Done."} | _content(JSON, route.reply),
            "default": {"description": "A problem, with its `reason`."} | _content(MEDIA_TYPE, "Problem"),
        },
    }
    names = _PARAMETER.findall(path)
    if names:
        out["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.accepts:
        schema: dict[str, Any] = {"type": "string", "maxLength": route.body}
        if route.request is not None:
            schema = {"$ref": f"#/components/schemas/{route.request}"}
        content = {media_type: {"schema": schema} for media_type in route.accepts}
        out["requestBody"] = {"required": not route.empty, "content": content}
    if route.access.roles:
        asked: list[dict[str, list[str]]] = [{"administrator": sorted(route.access.roles)}]
        out["security"] = [{}, *asked] if route.access.open else asked
        out["x-sealgate-roles"] = sorted(route.access.roles)
        out["x-sealgate-scope"] = "gateway" if route.access.wide else "tenant"
    return out


def _content(media_type: str, schema: str | None) -> dict[str, Any]:
    if schema is None:
        return {}
    return {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
