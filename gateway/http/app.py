"""Flask around the routes table: limits, media types, roles, errors. The only file that knows Flask."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from gateway import admins
from gateway.errors import GatewayError, GatewayReason
from gateway.http import body as bodies
from gateway.http import clients, problem
from gateway.http.handlers import Site
from gateway.http.message import Call, Reply, Role
from gateway.http.openapi import paths_of
from gateway.http.routes import ROUTES, Route
from gateway.ports import DEFAULT_TENANT
from gateway.protocol.names import tenant_name

log = logging.getLogger("sealgate.http")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STATUS = {404: GatewayReason.REQUEST_NOT_FOUND, 405: GatewayReason.REQUEST_METHOD}


def create(site: Site) -> Flask:
    """The WSGI application of one worker."""
    app = Flask("sealgate", static_folder=None)
    app.url_map.merge_slashes = False
    fixed = fixed_headers(site)
    for route in ROUTES:
        for path in paths_of(route):
            app.add_url_rule(
                path,
                endpoint=f"{route.method} {path}",
                view_func=_view(site, route, fixed),
                methods=[route.method],
                provide_automatic_options=False,
            )

    def failed(error: Exception) -> Response:
        """What no route took: an unknown path or method, or our own bug."""
        reply = _failure(error).reply()
        site.metrics.count("sealgate_http_requests_total", route="none", status=str(reply.status))
        return _response(reply, fixed)

    app.register_error_handler(Exception, failed)
    return app


def fixed_headers(site: Site) -> dict[str, str]:
    """What every reply carries."""
    fixed = dict(_HEADERS, **{"Sealgate-Mode": site.mode})
    if site.config.tls.enabled:
        fixed["Strict-Transport-Security"] = "max-age=31536000"
    return fixed


def body_limits(app: Flask) -> Callable[[str, str], int]:
    """Method and path to the most bytes of a body that is taken there; 0 where there is no route."""
    limits = {f"{route.method} {path}": route.body for route in ROUTES for path in paths_of(route)}
    bound = app.url_map.bind("")

    def limit_of(method: str, path: str) -> int:
        try:
            endpoint, _ = bound.match(path.encode("latin-1").decode("utf-8", "replace"), method)
        except (HTTPException, RequestRedirect):
            return 0
        return limits[str(endpoint)]

    return limit_of


def _view(site: Site, route: Route, fixed: dict[str, str]) -> Callable[..., Response]:
    def view(**params: str) -> Response:
        try:
            reply = route.handler(site, _call(site, route, request, params))
        except Exception as error:
            reply = _failure(error).reply()
        site.metrics.count("sealgate_http_requests_total", route=route.path, status=str(reply.status))
        return _response(reply, fixed)

    return view


def _call(site: Site, route: Route, received: Request, params: dict[str, str]) -> Call:
    """Who, then where, then what: nothing is read from somebody who may not call."""
    tenant = tenant_name(params.pop("tenant", DEFAULT_TENANT), "tenant")
    who = _administrator(site, received, tenant) if route.role is Role.ADMIN else None
    body = b""
    if route.body:
        body = bodies.read(received.environ, route.body)
        if body or not route.empty:
            _check_media_type(route, received)
    return Call(
        tenant=tenant,
        body=body,
        params=params,
        query={name: received.args[name] for name in received.args},
        who=None if who is None else who.id,
        wide=who is not None and who.tenant == "",
        peer=clients.network(
            clients.client(
                received.remote_addr or "",
                received.headers.get("X-Forwarded-For", ""),
                frozenset(map(clients.address, site.config.limits.proxies)),
            )
        ),
    )


def _administrator(site: Site, received: Request, tenant: str) -> admins.Administrator:
    scheme, _, token = received.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = ""
    who = admins.authenticate(token.strip(), store=site.administrators)
    if who.tenant not in ("", tenant):
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            "this administrator belongs to another tenant",
            where="authorization",
            expected=f"tenant {tenant}",
            found=f"tenant {who.tenant}",
        )
    return who


def _check_media_type(route: Route, received: Request) -> None:
    found = received.mimetype
    if found not in route.accepts:
        raise GatewayError(
            GatewayReason.REQUEST_MEDIA_TYPE,
            f"Content-Type: expected {' or '.join(route.accepts)}",
            where="Content-Type",
            expected=" or ".join(route.accepts),
            found=repr(found[:64]),
        )


def _failure(error: Exception) -> problem.Problem:
    if isinstance(error, HTTPException):
        reason = _STATUS.get(error.code or 0, GatewayReason.REQUEST_MALFORMED)
        headers = {}
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            headers["Allow"] = ", ".join(sorted(allowed))
        return problem.plain(reason, headers=headers)
    found = problem.of(error)
    # The body of a request that was refused early was not read: this connection cannot be used again.
    if found.status in (400, 408, 413, 415, 401):
        return problem.closing(found)
    return found


def _response(reply: Reply, fixed: dict[str, str]) -> Response:
    headers: dict[str, Any] = {**fixed, **reply.headers, "Content-Type": reply.media_type}
    return Response(reply.body, status=reply.status, headers=headers)
