"""Which route a request takes. The only file that knows Flask.

What guests and relying parties call has fixed paths, and is called often: it is looked up in a table. Flask
finds the administrators' routes, and says what is wrong with a request that no route takes. Both end in
`answer.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from http.client import responses
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from gateway.errors import GatewayReason
from gateway.http import problem
from gateway.http.answer import answer, failure, fixed_headers, turned_away
from gateway.http.handlers import Site
from gateway.http.limiter import Answer
from gateway.http.message import Reply
from gateway.http.openapi import paths_of
from gateway.http.routes import ROUTES, Route

_STATUS = {404: GatewayReason.REQUEST_NOT_FOUND, 405: GatewayReason.REQUEST_METHOD}
_TENANT = "/t/"
_NOWHERE: Mapping[str, str] = {}


class Application:
    """The WSGI application of one worker."""

    def __init__(self, site: Site) -> None:
        self._site, self._fixed = site, fixed_headers(site)
        self._open = {(route.method, route.path): route for route in ROUTES if route.access.open}
        self._flask = _flask(site, self._fixed)
        self._routes = {f"{route.method} {path}": route for route in ROUTES for path in paths_of(route)}
        self._map = self._flask.url_map.bind("")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        found = self._look_up(method, path)
        if found is not None:
            reply = answer(self._site, found[0], environ, found[1])
        elif _as_routes_are_written(method, path):
            return self._flask.wsgi_app(environ, start_response)
        else:
            reply = self._misspelt(path)
        headers = [*_headers(reply, self._fixed).items(), ("Content-Length", str(len(reply.body)))]
        start_response(f"{reply.status} {responses[reply.status]}", headers)
        return (reply.body,)

    def limit_of(self, method: str, path: str) -> int:
        """The most bytes of a body that is taken there; 0 where there is no route. path: as in PATH_INFO."""
        found = self._find(method, path)
        return 0 if found is None else found[0].body

    def guard_of(self, method: str, path: str) -> Callable[[Mapping[str, Any]], Answer | None] | None:
        """What the head of a request there must pass before its body is read: the answer to whoever may not
        call. None where anybody may. path: as in PATH_INFO."""
        found = self._find(method, path)
        if found is None or (found[0].access.open and not found[0].access.roles):
            return None
        return functools.partial(self._turned_away, *found)

    def _turned_away(
        self, route: Route, params: Mapping[str, str], environ: Mapping[str, Any]
    ) -> Answer | None:
        reply = turned_away(self._site, route, environ, params)
        if reply is None:
            return None
        headers = _headers(reply, self._fixed)
        return reply.status, [(name.lower(), value) for name, value in headers.items()], reply.body

    def _find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route of a request and its parameters, whoever looks it up."""
        found = self._look_up(method, path)
        if found is not None or not _as_routes_are_written(method, path):
            return found
        try:
            endpoint, params = self._map.match(_text(path), method)
        except (HTTPException, RequestRedirect):
            return None
        return self._routes[str(endpoint)], params

    def _misspelt(self, path: str) -> Reply:
        allowed = self._map.allowed_methods(_text(path)) if _one_slash(path) else ()
        error = MethodNotAllowed(allowed) if allowed else NotFound()
        return _nowhere(self._site, error)

    def _look_up(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The open route and its parameters; None for what is left to Flask."""
        if not path.startswith(_TENANT):
            route = self._open.get((method, path))
            return None if route is None else (route, _NOWHERE)
        tenant, slash, rest = path[len(_TENANT) :].partition("/")
        route = self._open.get((method, slash + rest))
        if route is None or not route.tenant or not tenant or not tenant.isascii():
            return None
        return route, {"tenant": tenant}


def _flask(site: Site, fixed: Mapping[str, str]) -> Flask:
    app = Flask("sealgate", static_folder=None)
    app.url_map.merge_slashes = False
    for route in ROUTES:
        for path in paths_of(route):
            app.add_url_rule(
                path,
                endpoint=f"{route.method} {path}",
                view_func=_view(site, route, fixed),
                methods=[route.method],
                provide_automatic_options=False,
            )
    _require_declared(app)

    def failed(error: Exception) -> Response:
        """What no route took: an unknown path or method, or our own bug."""
        return _response(_nowhere(site, error), fixed)

    app.register_error_handler(Exception, failed)
    return app


def _require_declared(app: Flask) -> None:
    """Whatever answers stands in the table, where every row says who may call. Raises LookupError for a rule
    that does not: such a gateway does not start."""
    declared = {(f"{route.method} {path}", path) for route in ROUTES for path in paths_of(route)}
    strange = [rule.rule for rule in app.url_map.iter_rules() if (rule.endpoint, rule.rule) not in declared]
    if strange:
        raise LookupError(f"{strange[0]}: nobody says who may call this")


def _view(site: Site, route: Route, fixed: Mapping[str, str]) -> Callable[..., Response]:
    return lambda **params: _response(answer(site, route, request.environ, params), fixed)


def _nowhere(site: Site, error: Exception) -> Reply:
    reply = _not_taken(error).reply()
    site.metrics.count("sealgate_http_requests_total", route="none", status=str(reply.status))
    return reply


def _as_routes_are_written(method: str, path: str) -> bool:
    """Flask takes `post` for POST, and slashes in front for one: who looks at a request before it, as the
    limiter does, would see something else than what is called then."""
    return method == method.upper() and _one_slash(path)


def _one_slash(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//")


def _text(path: str) -> str:
    """PATH_INFO has one character for each byte."""
    return path.encode("latin-1").decode("utf-8", "replace")


def _not_taken(error: Exception) -> problem.Problem:
    if not isinstance(error, HTTPException):
        return failure(error)
    reason = _STATUS.get(error.code or 0, GatewayReason.REQUEST_MALFORMED)
    allowed = getattr(error, "valid_methods", None)
    return problem.plain(reason, headers={"Allow": ", ".join(sorted(allowed))} if allowed else {})


def _response(reply: Reply, fixed: Mapping[str, str]) -> Response:
    return Response(reply.body, status=reply.status, headers=_headers(reply, fixed))


def _headers(reply: Reply, fixed: Mapping[str, str]) -> dict[str, str]:
    return {**fixed, **reply.headers, "Content-Type": reply.media_type}
