"""Every route as every caller, over HTTP: what the page about roles says is what the gateway does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.client import Client, Refused
from gateway.http.message import JSON
from gateway.http.routes import ROUTES, Route
from gateway.roles import Role
from tests.e2e.support import Server, serving
from tests.support import ROOT

PAGE = (ROOT / "gateway" / "ROLES.md").read_text()
ROWS = {
    name: (of.strip(), frozenset(r for r, mark in zip(Role, marks.split("|"), strict=True) if mark.strip()))
    for name, of, marks in re.findall(r"^\| `([A-Z]+ /[^`]*)` \| ([^|]*) \|(.*)\|$", PAGE, re.MULTILINE)
}
TENANT, OTHER = "acme", "globex"
OFFLINE = "this gateway asks no vendor; import collateral, or set [collateral] in its configuration"
KNOWN = {"request.unauthenticated", "request.forbidden", "request.role"}


@dataclass(frozen=True)
class Caller:
    """tenant: "" is the whole gateway; None is nobody who is known."""

    name: str
    tenant: str | None
    role: Role | None
    token: str | None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def callers(server: Server) -> list[Caller]:
    """Each role in the tenant, in another one, and for the whole gateway; then those who are nobody."""
    out = []
    for tenant in (TENANT, OTHER, ""):
        for role in Role:
            out.append(
                Caller(f"{role} of {tenant or 'the gateway'}", tenant, role, made(server, tenant, role))
            )
    for tenant in (TENANT, ""):
        gone = made(server, tenant, Role.OWNER)
        server.admin.ask("DELETE", f"/v1/admin/administrators/{gone.split('_')[1]}")
        out.append(Caller(f"revoked owner of {tenant}", None, None, gone))
    last = out[0].token or ""
    wrong = last[:-1] + ("A" if last[-1] != "A" else "B")
    return [*out, Caller("anonymous", None, None, None), Caller("wrong token", None, None, wrong)]


def made(server: Server, tenant: str, role: Role) -> str:
    body, scope = f'{{"roles": ["{role}"]}}'.encode(), {"scope": "gateway"} if not tenant else {}
    client = Client(url=server.url, token=server.token, tenant=tenant or None)
    told = client.ask("POST", "/v1/admin/administrators", body, JSON, scope)
    assert (told["tenant"], told["roles"]) == (tenant, [str(role)])
    return str(told["token"])


def expected(route: Route, caller: Caller) -> str | None:
    """Reason by which the caller is turned away; None when they may. As the page has it, not the table."""
    of, allowed = ROWS[f"{route.method} {route.path}"]
    if of.startswith("anybody"):
        return None
    if caller.tenant is None:
        return "request.unauthenticated"
    if caller.tenant == OTHER or (of == "gateway" and caller.tenant):
        return "request.forbidden"
    return None if caller.role in allowed else "request.role"


def asked(server: Server, route: Route, caller: Caller) -> str | None:
    """What the gateway says: the reason if it is about who calls. Bodies are of the right type and empty of
    sense, so that nothing happens; what is named does not exist."""
    path = re.sub(r"<[a-z:]+>", "nothing", route.path.replace("<kind>", "release"))
    body = None if route.empty or not route.body else (b"{}" if JSON in route.accepts else b"nothing: here\n")
    client = Client(url=server.url, token=caller.token, tenant=TENANT if route.tenant else None)
    try:
        client.download(route.method, path, body, route.accepts[0] if body else None)
    except Refused as error:
        assert error.status < 500 or error.reason == "ledger.unavailable", (route.path, error)
        # Where nobody is asked for collateral, nobody may ask for it: that is not about who calls.
        other = error.problem.get("detail") == OFFLINE
        return error.reason if error.reason in KNOWN and not other else None
    return None


def test_the_page_has_every_route() -> None:
    assert list(ROWS) == [f"{route.method} {route.path}" for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_answers_those_whom_the_page_names(
    server: Server, callers: list[Caller], route: Route
) -> None:
    assert {c.name: asked(server, route, c) for c in callers} == {c.name: expected(route, c) for c in callers}


def test_the_description_names_the_roles(server: Server) -> None:
    paths = server.anonymous.get("/openapi.json")["paths"]
    for route in ROUTES:
        shown = re.sub(r"<(?:path:)?([a-z]+)>", r"{\1}", route.path)
        of, allowed = ROWS[f"{route.method} {route.path}"]
        told = paths[shown][route.method.lower()]
        assert told.get("x-sealgate-roles", []) == sorted(allowed), shown
        assert told.get("security", []) == (
            [] if not allowed else [*([{}] if of.startswith("anybody") else []),
                                    {"administrator": sorted(allowed)}]
        ), shown  # fmt: skip
