"""Roles, what routes ask for, and the page about them: `python -m tests.unit.gateway.test_roles` makes it."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from gateway import roles
from gateway.errors import GatewayError
from gateway.http import app, handlers, routes
from gateway.http.callers import permit
from gateway.http.routes import ROUTES, Route
from gateway.roles import ABOUT, ANYONE, Access, Role, only, open_to
from tests.support import ROOT

PAGE = ROOT / "gateway" / "ROLES.md"


def described() -> str:
    return "\n".join(["| role | may |", "|---|---|", *(f"| `{role}` | {ABOUT[role]} |" for role in Role)])


def table() -> str:
    """Every route, and for each role whether it opens it."""
    lines = [f"| route | of | {' | '.join(Role)} |", "|---|---|" + ":-:|" * len(Role)]
    for route in ROUTES:
        access = route.access
        marks = ["✓" if role in access.roles else "" for role in Role]
        if access.open:
            whom = "anybody, unless the tenant demands" if access.roles else "anybody"
        else:
            whom = "gateway" if access.wide else "tenant"
        lines.append(f"| `{route.method} {route.path}` | {whom} | {' | '.join(marks)} |")
    return "\n".join(lines)


def page(text: str) -> str:
    for name, made in (("roles", described()), ("routes", table())):
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{made}\n\g<2>", text, flags=re.DOTALL
        )
    return text


def test_the_page_says_what_the_table_says() -> None:
    assert PAGE.read_text() == page(PAGE.read_text())
    assert all(f"`{route.method} {route.path}`" in PAGE.read_text() for route in ROUTES)


def test_names_of_roles_are_stable() -> None:
    assert roles.known_names() == (
        "owner", "policy-author", "approver", "secret-owner", "operator", "auditor", "relying-party",
    )  # fmt: skip


def test_a_route_without_an_access_cannot_be_written() -> None:
    given = {
        "method": "GET",
        "path": "/v1/admin/x",
        "handler": handlers.healthz,
        "body": 0,
        "accepts": (),
        "tenant": True,
        "summary": "",
    }
    with pytest.raises(TypeError, match="access"):
        Route(**given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="asks for a role"):
        Route(**given, access=ANYONE)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="asks for a role"):
        Route(**{**given, "path": "/v1/x"}, access=only())  # type: ignore[arg-type]
    for nobody in ((frozenset(), False), (frozenset({Role.AUDITOR}), False)):
        with pytest.raises(ValueError, match="owners have every role"):
            Access(*nobody)
    with pytest.raises(ValueError, match="open to anybody"):
        Access(frozenset(), wide=True, open=True)


def test_a_gateway_with_a_rule_that_no_row_declares_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Flask.add_url_rule

    def smuggle(self: Flask, rule: str, **more: object) -> None:
        plain(self, rule, **more)  # type: ignore[arg-type]
        if rule == "/healthz":
            plain(self, "/v1/admin/backdoor", endpoint="backdoor", view_func=lambda: "hello")

    monkeypatch.setattr(Flask, "add_url_rule", smuggle)
    with pytest.raises(LookupError, match="/v1/admin/backdoor: nobody says who may call this"):
        app._flask(None, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [[], ["ownr"], ["owner", "owner"], [1], [None], [["owner"]], ["Owner"]])
def test_roles_that_are_none(text: list[object]) -> None:
    with pytest.raises(GatewayError) as caught:
        roles.parse(text)
    assert (caught.value.reason, caught.value.where) == ("request.malformed", "roles")


def test_roles_are_written_and_read() -> None:
    both = roles.parse(["auditor", "approver"])
    assert both == {Role.AUDITOR, Role.APPROVER}
    assert roles.written(both) == "approver auditor"
    assert roles.read("approver auditor") == both
    assert roles.parse(["auditor", "owner"]) == {Role.OWNER}
    assert roles.read("approver of-a-later-version") == {Role.APPROVER}
    assert roles.read("") == roles.read("nobody") == frozenset()


def test_whoever_has_no_role_may_nothing() -> None:
    from gateway.admins import Administrator

    for route in ROUTES:
        if not route.access.open:
            with pytest.raises(GatewayError) as caught:
                permit(route.access, Administrator("x", "", frozenset()), "acme")
            assert caught.value.reason == "request.role"


def test_only_verification_may_be_demanded_of_relying_parties() -> None:
    assert [r.path for r in ROUTES if r.access == open_to(Role.RELYING_PARTY)] == ["/v1/verify"]
    assert all(r.access == ANYONE for r in ROUTES if r.access.open and r.path != "/v1/verify")
    assert routes.ADMINISTRATION == "/v1/admin/"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
