"""Attacks on a guest by whoever owns the network and is, besides, a tenant of the same gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.client import Client
from gateway.errors import GatewayError
from tests.e2e.support import PATH, SECRET, SNP, Server, documents, serving
from verifiers.codec import b64

FORGED = b"a disk key that the attacker chose"
MALLORY = "mallory"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("gateway")) as running:
        running.provide()
        owner = Client(url=running.url, token=running.token, tenant=MALLORY)
        owner.ask("POST", "/v1/admin/policies", documents(tenant=MALLORY), "application/yaml")
        owner.ask("PUT", f"/v1/admin/secrets/{PATH}", FORGED, "application/octet-stream")
        yield running


@dataclass(frozen=True)
class Diverted(Client):
    """The network between a guest and the gateway: it gives the guest a challenge of another tenant, and
    answers the attestation with what that tenant's own TEE got for the guest's public key."""

    server: Server | None = None

    def post(self, path: str, value: object) -> Any:
        assert self.server is not None
        accomplice = self.server.guest(SNP, tenant=MALLORY)
        if path == "/v1/challenge":
            return {"nonce": accomplice.challenge()}
        assert isinstance(value, dict)
        asked = json.loads(b64.decode_url(value["runtime_data"], "runtime_data", limit=8192))
        own = json.dumps({**asked, "tenant": MALLORY}, separators=(",", ":")).encode()
        return accomplice.attest(own, [PATH])


def test_a_secret_of_another_tenant_is_not_taken_for_ours(server: Server) -> None:
    """The challenge, the key, the gateway, its name and the path are the right ones; the tenant is not."""
    guest = server.guest(SNP)
    assert guest.get([PATH])[PATH].secret == SECRET
    diverted = replace(guest, client=Diverted(url=server.url, server=server))
    with pytest.raises(GatewayError) as caught:
        diverted.get([PATH])
    assert (caught.value.reason, caught.value.where) == ("token.audience", "release.tenant")
