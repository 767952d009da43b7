"""The page about the gateway: its configuration loads, its routes are the routes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

from gateway import config
from gateway.http.routes import ROUTES
from gateway.protocol import native
from tests.support import ROOT

PAGE = (ROOT / "gateway" / "README.md").read_text()
(TOML,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_configuration_loads_and_has_every_key() -> None:
    config.parse(TOML.encode(), "README.md")
    found = tomllib.loads(TOML)
    assert found.keys() == {field.name for field in fields(config.Config)}
    for name, section in (("listen", config.Listen), ("tls", config.Tls), ("limits", config.Limits)):
        assert found[name].keys() == {field.name for field in fields(section)}


def test_the_numbers_are_the_defaults() -> None:
    """And whoever changes nothing but the paths changes nothing."""
    loaded = config.parse(TOML.encode(), "README.md")
    assert (loaded.listen, loaded.limits) == (config.Listen(), config.Limits())
    assert loaded.development is config.Config().development


def test_the_table_of_routes_is_complete() -> None:
    listed = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert [name for name, _ in listed] == [f"{route.method} {route.path}" for route in ROUTES]
    for (_, whom), route in zip(listed, ROUTES, strict=True):
        assert (whom == "administrators") is not route.access.open


def test_the_requests_by_hand_are_requests() -> None:
    """What the shell prints, with values in place of its words."""
    runtime, attest = (text.replace("%s", "{}") for text in re.findall(r"printf '(\{\"[^']*\})'", PAGE))
    assert sorted(re.findall(r'"(\w+)":', runtime)) == ["aud", "key", "nonce", "tenant"]
    body = attest.replace("{}", "AAAA").encode()
    request = native.parse_attest(body)
    assert request.release == ("demo/disk-key",)
    label = native.LABEL.rstrip(b"\0").decode()
    assert f"printf '{label}\\0'" in PAGE


def test_every_file_it_names_exists() -> None:
    for name in re.findall(r"`([a-z]+(?:/[a-z]+)*\.py)`", PAGE):
        assert (ROOT / "gateway" / name).is_file(), name


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= 200
