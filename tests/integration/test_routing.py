"""Open routes are looked up in a table, the others by Flask: nobody can tell from a reply which it was."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway import app
from gateway.config import Config
from gateway.http.app import Application
from gateway.http.openapi import paths_of
from gateway.http.routes import ROUTES

OPEN = [route for route in ROUTES if route.access.open]
Told = tuple[str, list[tuple[str, str]], bytes]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    config = Config(data=tmp_path_factory.mktemp("routing") / "data", development=True)
    prepared = app.prepare(config)
    site, store = app.compose(config)
    yield Application(site)
    store.close()
    prepared.store.close()


def environ(method: str, path: str, body: bytes = b"", **more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": True,
        "wsgi.run_once": False, "CONTENT_LENGTH": str(len(body)), **more,
    }  # fmt: skip


def ask(wsgi: Any, given: dict[str, Any]) -> Told:
    said: list[Any] = []
    body = b"".join(wsgi(given, lambda status, headers: said.append((status, headers))))
    status, headers = said[-1]
    return status.lower(), sorted((name.lower(), value) for name, value in headers), body


def both(application: Application, *given: Any, **more: str) -> bool:
    """Whether the reply by way of the table is the one by way of Flask."""
    said = [ask(wsgi, environ(*given, **more)) for wsgi in (application, application._flask.wsgi_app)]
    if said[0][0] == "200 ok":  # a fresh challenge, or counters: never the same twice
        said = [
            (status, [header for header in headers if header[0] != "content-length"], b"")
            for status, headers, _ in said
        ]
    return said[0] == said[1]


def places(tenant: str = "acme") -> list[tuple[str, str]]:
    return [(route.method, path.replace("<tenant>", tenant)) for route in OPEN for path in paths_of(route)]


@pytest.mark.parametrize(("method", "path"), places())
@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", "application/json"),
        (b'{"unknown":1}', "Application/JSON ; charset=utf-8"),
        (b"{}", "text/plain"),
        (b"x" * (1024 * 1024 + 1), "application/json"),
    ],
    ids=["empty", "member", "media-type", "too-large"],
)
def test_both_ways_say_the_same(
    application: Application, method: str, path: str, body: bytes, media_type: str
) -> None:
    assert application._look_up(method, path) is not None
    assert both(application, method, path, body, CONTENT_TYPE=media_type)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *places("Not A Tenant"), *places("x" * 64),
        ("POST", "/t//v1/attest"), ("POST", "/t/a/b/v1/attest"), ("POST", "/t/acme"), ("POST", "/t/"),
        ("POST", "/v1/attest/"), ("POST", "/V1/attest"), ("POST", ""),
        ("GET", "/v1/attest"), ("PUT", "/v1/attest"), ("HEAD", "/healthz"), ("OPTIONS", "/healthz"),
        ("POST", "/t/acme/healthz"), ("GET", "/t/acme/healthz"), ("POST", "/t/\xc3\xa4/v1/attest"),
    ],
)  # fmt: skip
def test_odd_paths_and_methods_end_alike(application: Application, method: str, path: str) -> None:
    assert both(application, method, path)


@pytest.mark.parametrize(("method", "path"), places())
def test_a_route_has_one_spelling(application: Application, method: str, path: str) -> None:
    """What the limiter does not know as a route is none."""
    for other in (method.lower(), method.title()):
        status, headers, body = ask(application, environ(other, path))
        assert (status[:3], json.loads(body)["reason"]) == ("405", "request.method"), other
        assert method in dict(headers)["allow"].split(", ")
        assert application.limit_of(other, path) == 0
    for other in (f"/{path}", f"//{path}", path[1:]):
        for spelt in (method, method.lower()):
            status, headers, body = ask(application, environ(spelt, other))
            assert (status[:3], json.loads(body)["reason"]) == ("404", "request.not-found"), other
            assert application.limit_of(spelt, other) == 0
    assert ask(application, environ("post", "/v1/other"))[0][:3] == "404"


def test_administrators_routes_have_one_spelling_too(application: Application) -> None:
    given = "/v1/admin/approvals"
    assert ask(application, environ("get", given))[0][:3] == "405"
    assert ask(application, environ("GET", f"/{given}"))[0][:3] == "404"
    assert ask(application, environ("GET", given))[0][:3] == "401"


def test_what_is_not_open_is_guarded_before_its_body_and_says_what_it_says_after_it(
    application: Application,
) -> None:
    for route in ROUTES:
        for path in paths_of(route):
            filled = path.replace("<path:path>", "a/b").replace("<", "").replace(">", "")
            guard = application.guard_of(route.method, filled)
            assert (guard is None) == (not route.access.roles), path
            if guard is not None and route.access.open:
                assert guard(environ(route.method, filled)) is None, "no tenant demands it here"
            elif guard is not None:
                given = environ(route.method, filled, CONTENT_TYPE="text/plain")
                told = guard(given)
                assert told is not None
                status, _headers, body = ask(application, given)
                assert (str(told[0]), told[2]) == (status[:3], body)
                assert ("connection", "close") in told[1]
    assert application.guard_of("POST", "/v1/other") is None


def test_the_limit_of_a_body_is_the_routes_own(application: Application) -> None:
    for route in ROUTES:
        for path in paths_of(route):
            filled = path.replace("<path:path>", "a/b").replace("<", "").replace(">", "")
            assert application.limit_of(route.method, filled) == route.body, path
    assert application.limit_of("POST", "/v1/other") == 0
    assert application.limit_of("DELETE", "/v1/attest") == 0
