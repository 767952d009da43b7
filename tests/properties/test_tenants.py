"""Two tenants of one gateway: whatever one does, the other's replies stay the same, byte for byte; and none
of its replies, statuses or counts says what the other has. Every route of the table takes part by itself.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway import app, approval
from gateway.client import Client
from gateway.config import Config, Limits
from gateway.guest import Guest
from gateway.http.app import Application
from gateway.http.message import JSON, OCTETS, YAML
from gateway.http.routes import ROUTES, Route
from gateway.simulator.guest import SimulatedGuest
from tests.e2e.support import PATH, SNP, documents, fresh_key, snp_collateral
from tests.integration.test_routing import ask, environ
from verifiers.codec import b64

TENANT_ROUTES = [route for route in ROUTES if route.tenant]
READ = [route for route in TENANT_ROUTES if route.method == "GET"]
ID = re.compile(r"(?:sha256:)?[0-9a-f]{16,64}\Z|[A-Za-z0-9_-]{20,43}\Z|[A-Z0-9]{4}(?:-[A-Z0-9]{4})+\Z")
NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside(Client):
    """A client that calls the application itself."""

    application: Application

    def _exchange(
        self, method: str, path: str, body: bytes | None, media_type: str | None, query: Any
    ) -> tuple[int, bytes]:
        return send(self.application, self.token, self.tenant, method, path, body, media_type, query or {})


def send(
    application: Application, token: str | None, tenant: str | None, method: str, path: str,
    body: bytes | None = None, media_type: str | None = None, query: Any = None,
) -> tuple[int, bytes]:  # fmt: skip
    where = f"/t/{tenant}{path}" if tenant and path.startswith("/v1/") else path
    more = {
        "CONTENT_TYPE": media_type or "",
        "QUERY_STRING": "&".join(f"{k}={v}" for k, v in (query or {}).items()),
    }
    if token:
        more["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    status, _, raw = ask(application, environ(method, where, body or b"", **more))
    return int(status[:3]), raw


@dataclass
class Tenant:
    """ids: what its own replies named. ear: a result token of one of its guests. sent: all that it ever sent,
    for what it says itself may come back to it."""

    name: str
    token: str
    ear: str = ""
    sent: str = ""
    ids: list[str] = field(default_factory=list)

    def learn(self, raw: bytes) -> None:
        own = self.token.split("_")[1]
        found = dict.fromkeys(each for each in strings(raw) if ID.match(each) and each != own)
        self.ids = list(dict.fromkeys([*self.ids, *found]))


def strings(raw: bytes) -> Iterator[str]:
    try:
        left = [json.loads(raw)]
    except ValueError:
        return
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += [each for name, each in value.items() if name not in ("token", "ear", "release")]
        elif isinstance(value, list):
            left += value


class World:
    """One gateway for all examples; tenants are new in each."""

    def __init__(self, folder: Path) -> None:
        config = Config(data=folder / "data", development=True, limits=Limits(attempts_per_minute=0))
        self.prepared = app.prepare(config)
        self.site, self.store = app.compose(config)
        self.application = Application(self.site)
        assert self.prepared.credential is not None
        self.root = self.client(self.prepared.credential.token, None)
        for raw in snp_collateral():
            self.root.ask("POST", "/v1/admin/collateral", raw, OCTETS)

    def client(self, token: str | None, tenant: str | None) -> Inside:
        return Inside(url="inside:", token=token, tenant=tenant, application=self.application)

    def tenant(self, name: str) -> Tenant:
        """With a policy, a secret, a key that approves, a proposal, and a guest that was let in."""
        at = f"/t/{name}/v1/admin"
        made = Tenant(name, self.root.post(f"{at}/administrators", {"roles": ["owner"]})["token"])
        approver = self.root.post(f"{at}/administrators", {"roles": ["approver"]})["id"]
        jwk = dict(approval.of_public(fresh_key().public_key()).jwk)
        self.root.post(f"{at}/approval-keys", {"key": jwk, "administrator": approver})
        theirs = self.client(made.token, name)
        theirs.ask("POST", "/v1/admin/policies", documents(tenant=name), YAML)
        for path in (PATH, f"mark-{name}/x"):
            theirs.ask("PUT", f"/v1/admin/secrets/{path}", name.encode(), OCTETS)
        theirs.post("/v1/admin/proposals", {"files": [file(documents(tenant=name, version=2))]})
        issuer = self.site.config.issuer_name
        anonymous = self.client(None, name)
        guest = Guest(
            client=anonymous, audience=issuer, issuer=issuer, tenant=name,
            jwks=anonymous.get("/.well-known/jwks.json"),
            evidence=lambda data: SimulatedGuest(SNP, None).evidence(data),
        )  # fmt: skip
        assert guest.get([PATH])
        runtime = guest.runtime_data(guest.challenge(), fresh_key().public_key())
        made.ear = guest.attest(runtime, [])["ear"]
        return made


def file(raw: bytes) -> dict[str, str]:
    return {"name": "f.yaml", "source": b64.encode_url(raw)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("tenants"))
    yield made
    made.store.close()
    made.prepared.store.close()


def bodies(route: Route, us: Tenant, them: Tenant, version: int) -> list[bytes]:
    """What may be sent there: our documents and theirs, our names and theirs."""
    ours = [documents(tenant=us.name, version=version), documents(tenant=them.name, version=version)]
    if YAML in route.accepts or JSON not in route.accepts:
        return [*ours, b"secret", b""]
    values: list[Any] = [
        {}, *({"files": [file(raw)]} for raw in ours), {"signatures": []}, {"approvals": 1}, {"approvals": 2},
        {"documents": [{"name": "payments-db", "to": "1"}]}, {"roles": ["auditor"]}, {"signature": "e30..AA"},
        {"state": "tested", "digest": "sha256:" + "0" * 64, "passed": 1, "failed": 0},
        *({"ear": each.ear, "paths": [PATH, f"mark-{them.name}/x"]} for each in (us, them)),
    ]  # fmt: skip
    return [b"", *(json.dumps(value).encode() for value in values)]


def fill(path: str, word: str) -> str:
    """word in the places of `<name>`; only a secret's path has slashes."""
    text = path.replace("<path:path>", word).replace("<kind>", "release")
    return re.sub(r"<[a-z]+>", word.replace("/", "."), text)


def called(world: World, who: Tenant, tenant: str, route: Route, word: str, body: bytes) -> tuple[int, bytes]:
    media_type = route.accepts[0] if route.accepts else None
    return send(world.application, who.token, tenant, route.method, fill(route.path, word), body, media_type)


def words(both: Sequence[Tenant], *of: Tenant) -> list[str]:
    """Names of what there is: the same in every tenant, and each one's own."""
    marks = (f"mark-{each.name}/x" for each in both)
    return [PATH, "payments-db", *marks, *(word for each in of for word in each.ids)]


def seen(world: World, who: Tenant, both: Sequence[Tenant]) -> dict[str, tuple[int, bytes]]:
    """Everything that a tenant can see: every GET route, with names that either knows."""
    return {
        f"{route.path} {word}": called(world, who, who.name, route, word, b"")
        for route in READ
        for word in (words(both, *both)[:24] if "<" in route.path else [""])
    }


def run(world: World, steps: int, examples: int) -> None:
    class Tenants(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            number = next(NUMBERS)
            self.both = tuple(world.tenant(f"{word}-{number}") for word in ("acme", "globex"))
            self.nobody = world.tenant(f"nobody-{number}")
            self.shared = set(strings(world.root.download("GET", f"/t/none-{number}/v1/admin/policies")))
            self.shared |= set(strings(world.root.download("GET", f"/t/none-{number}/v1/admin/approvals")))
            for each in self.both:
                each.learn(
                    b"".join([b"[", b",".join(v[1] for v in seen(world, each, self.both).values()), b"]"])
                )

        @rule(
            actor=st.integers(0, 1), at=st.integers(0, 2), route=st.sampled_from(TENANT_ROUTES),
            word=st.integers(0, 10**6), body=st.integers(0, 10**6), version=st.integers(2, 4),
        )  # fmt: skip
        def act(self, actor: int, at: int, route: Route, word: int, body: int, version: int) -> None:
            us, them = self.both[actor], self.both[1 - actor]
            place = (us.name, us.name, them.name)[at]
            names, given = words(self.both, us, them), bodies(route, us, them, version)
            named, sent = names[word % len(names)], given[body % len(given)] if route.body else b""
            before = seen(world, them, self.both)
            status, raw = called(world, us, place, route, named, sent)
            assert status < 500 or b"ledger" not in raw, raw
            assert seen(world, them, self.both) == before, (us.name, route, named, sent, status, raw)
            us.sent += named + sent.decode("utf-8", "replace") + fill(route.path, named)
            us.sent += them.name if b"files" in sent else ""  # in base64, inside documents of theirs
            for mark in {them.name, *them.ids} - set(us.ids) - self.shared:
                assert mark.encode() not in raw or mark in us.sent or place == them.name, (mark, route, raw)
            if place == them.name and not route.access.open:
                self.turned_away(us, route, named, sent, (status, raw))
            elif named in set(them.ids) - set(us.ids) - self.shared and not route.access.open:
                self.not_told_apart(us, route, named, sent, (status, raw))
            if place == us.name and status < 300:
                us.learn(raw)

        def turned_away(
            self, us: Tenant, route: Route, named: str, sent: bytes, found: tuple[int, bytes]
        ) -> None:
            """Of another tenant one learns nothing, not even whether there is one."""
            assert found[0] == 403
            for other in (self.nobody.name, "never-heard-of"):
                assert called(world, us, other, route, named, sent) == found
            assert called(world, us, other, route, "unknown", sent) == found

        def not_told_apart(
            self, us: Tenant, route: Route, named: str, sent: bytes, found: tuple[int, bytes]
        ) -> None:
            """What another tenant has and what nobody has are the same to us."""
            unknown = "".join("0" if each.isdigit() else "Z" if each.isupper() else "e" for each in named)
            if "<" not in route.path or found[0] < 300:
                return
            other = called(world, us, us.name, route, unknown, sent)
            replaced = (other[0], other[1].replace(unknown.encode(), named.encode()))
            assert replaced == found or unknown in set(us.ids), (route, named)

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Tenants,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # a gateway remembers: what it was told cannot be told again, smaller
            print_blob=False,
        ),
    )


def test_whatever_one_tenant_does_the_other_sees_nothing_of_it(world: World) -> None:
    run(world, steps=10, examples=6)


def test_no_route_changes_what_another_tenant_sees(world: World) -> None:
    """Each once with every body, here and at the other's place, whatever the random walk chose."""
    number = next(NUMBERS)
    us, them = both = [world.tenant(f"{word}-{number}") for word in ("one", "two")]
    for each in both:
        each.learn(b"[" + b",".join(raw for _, raw in seen(world, each, both).values()) + b"]")
    assert us.ids and them.ids and len(TENANT_ROUTES) > 40
    before = seen(world, them, both)
    for route in TENANT_ROUTES:
        for place in (us.name, them.name) if not route.access.open else (us.name,):
            for body in bodies(route, us, them, 3) if route.body else [b""]:
                for word in (PATH, *them.ids[:6]):
                    status, raw = called(world, us, place, route, word, body)
                    assert status < 500, (route, raw)
                    assert place == us.name or status == 403, route
        assert seen(world, them, both) == before, route


def test_a_name_of_another_tenants_is_a_name_of_nothing(world: World) -> None:
    """Whatever can be asked for by name: attempts, proposals, administrators, keys, documents, secrets."""
    number = next(NUMBERS)
    us, them = both = [world.tenant(f"{word}-{number}") for word in ("north", "south")]
    for each in both:
        each.learn(b"[" + b",".join(raw for _, raw in seen(world, each, both).values()) + b"]")
    theirs = [*sorted(set(them.ids) - set(us.ids)), f"mark-{them.name}/x"]
    by_name = [route for route in TENANT_ROUTES if "<" in route.path and not route.access.wide]
    named = [route for route in by_name if route.method in ("GET", "DELETE")]
    held = set()
    for route in named:
        for word in theirs:
            status, raw = called(world, us, us.name, route, word, b"")
            assert status >= 400, (route, word, raw)
            if route.method == "GET" and called(world, them, them.name, route, word, b"")[0] < 300:
                held.add(route.path)
    assert held >= {  # what they were asked by is there
        "/v1/admin/secrets/<path:path>", "/v1/admin/proposals/<id>", "/v1/admin/attempts/<id>",
        "/v1/admin/attempts/<id>/evidence",
    }  # fmt: skip
