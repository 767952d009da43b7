"""Whatever X-Forwarded-For says, a client is the peer or an address that is none of our proxies.

And `config.check` takes any text as an issuer or refuses it with a ConfigError that names it.
"""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace

from gateway import config
from gateway.http.limiter import Limiter

PROXIES = ("10.0.0.1", "2001:db8::1")
LIMITER = Limiter(1, proxies=PROXIES, headers={}, count=lambda route: None)


def seeds() -> list[bytes]:
    return [
        b"203.0.113.9, 10.0.0.1",
        b"[2001:db8::2], ::ffff:10.0.0.1",
        b"," * 40,
        b"https://gateway.example:8443/a",
        b"http://[::1]:80",
    ]


def target(data: bytes) -> None:
    text = data.decode("latin-1")
    headers = SimpleNamespace(items=lambda: [("X-Forwarded-For", text)])
    scope = SimpleNamespace(method="POST", path="/v1/attest", client="10.0.0.1:5", headers=headers)
    client = LIMITER._client(scope)
    assert client == "10.0.0.1" or str(ipaddress.ip_address(client)) == client not in PROXIES
    LIMITER.refusal(scope)
    try:
        config.check(config.Config(issuer=text))
    except config.ConfigError as error:
        assert str(error).startswith("issuer: expected")
    else:
        assert text.isascii() and text.startswith(("https://", "http://")) and not set("?#@ ") & set(text)
