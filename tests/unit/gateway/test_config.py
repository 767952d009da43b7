"""The configuration: defaults that are safe, one file, and errors that name the key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway import config


def test_defaults_listen_on_loopback_only_and_are_not_development() -> None:
    loaded = config.load(None)
    assert loaded.listen.host == "127.0.0.1"
    assert loaded.development is False
    assert loaded.issuer_name == "http://127.0.0.1:8443"


def test_keys_lie_outside_the_databases_folder(tmp_path: Path) -> None:
    loaded = config.load(None, data=tmp_path)
    assert not loaded.keys_folder.is_relative_to(loaded.database_folder)
    assert not loaded.database_folder.is_relative_to(loaded.keys_folder)


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert config.load(None).data == tmp_path / "sealgate"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert config.load(None).data == Path.home() / ".local/share/sealgate"


def test_a_file_is_read_and_options_win(tmp_path: Path) -> None:
    cert, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    cert.touch()
    key.touch()
    file = tmp_path / "sealgate.toml"
    file.write_text(
        f'issuer = "https://gateway.example"\naudiences = ["https://old.example"]\n'
        f'[listen]\nhost = "0.0.0.0"\nport = 443\nworkers = 4\n'
        f'[tls]\ncertificate = "{cert}"\nkey = "{key}"\n[limits]\ntoken_seconds = 60\n'
    )
    loaded = config.load(file, port=8444)
    assert (loaded.listen.port, loaded.listen.workers, loaded.limits.token_seconds) == (8444, 4, 60)
    assert loaded.issuer_name == "https://gateway.example"
    assert loaded.url == "https://0.0.0.0:8444"
    assert loaded.redacted()["tls"]["key"] == "***"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("isuer = 'https://a'", "did you mean 'issuer'"),
        ("[listen]\nprot = 1", "did you mean 'port'"),
        ("[limits]\nbody = 1", "known: "),
        ("zzz = 1", "nobody knows this key"),
        ("listen = 3", "expected a table"),
        ("[listen]\nport = 65536", "expected 0..65535"),
        ("[listen]\nport = true", "expected 0..65535"),
        ("[listen]\nport = '1'", "expected 0..65535"),
        ("[listen]\nworkers = 0", "expected 1..64"),
        ("development = 1", "expected true or false"),
        ("issuer = 'gateway.example'", "expected a URL"),
        ("issuer = 'https://a.example/'", "no slash at the end"),
        ("issuer = 'https://u@a.example'", "expected a URL"),
        ("issuer = 'https://a.example?x=1'", "without user, query and fragment"),
        ("issuer = 'https://a.example?'", "without user, query and fragment"),
        ("issuer = 'https://a.example#x'", "without user, query and fragment"),
        ("issuer = 'https://a.example#'", "without user, query and fragment"),
        ("issuer = 'https://a .example'", "expected a URL"),
        ("issuer = 'https://a.example:port'", "expected a URL"),
        ("issuer = 'https://[::1'", "expected a URL"),
        ("issuer = 'https://ä.example'", "expected a URL"),
        ("issuer = 'HTTPS://a.example'", "expected a URL"),
        ('issuer = "https://a.example\\n"', "expected a URL"),
        ("issuer = 'ftp://a.example'", "expected a URL"),
        ("issuer = 'https://'", "expected a URL"),
        ("issuer = 'http://a.example'", "expected https, or http on a loopback address"),
        ("issuer = 'http://127.0.0.1.example'", "expected https, or http on a loopback address"),
        ("audiences = 'https://a'", "expected a list"),
        ("data = ''", "expected a string"),
        ("[limits]\nattempts_per_minute = -1", "expected 0..1000000"),
        ("[limits]\nproxies = ['10.0.0.1', 'proxy.example']", "limits.proxies[1]: expected an IP address"),
        ("[limits]\nproxies = '10.0.0.1'", "expected a list"),
        ("issuer =", "expected TOML"),
    ],
)
def test_each_fault_names_its_key(text: str, says: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.parse(text.encode(), "sealgate.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("sealgate.toml: ")


@pytest.mark.parametrize(
    ("host", "accepted"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("10.0.0.1", False), ("gateway.example", False), ("127.0.0.1.example", False)],
)  # fmt: skip
def test_without_tls_only_loopback(host: str, accepted: bool) -> None:
    if accepted:
        assert config.load(None, host=host).listen.host == host
    else:
        with pytest.raises(config.ConfigError, match="loopback"):
            config.load(None, host=host)


def test_tls_needs_both_files_and_they_must_exist(tmp_path: Path) -> None:
    there = tmp_path / "tls.pem"
    there.touch()
    with pytest.raises(config.ConfigError, match="both certificate and key"):
        config.load(None, tls_certificate=there)
    with pytest.raises(config.ConfigError, match="found nothing at"):
        config.load(None, tls_certificate=there, tls_key=tmp_path / "absent")


def test_development_has_its_own_issuer_name() -> None:
    assert config.load(None, development=True).issuer_name == config.DEVELOPMENT_ISSUER
    with pytest.raises(config.ConfigError, match="development"):
        config.load(None, development=True, issuer="https://gateway.example")


@pytest.mark.parametrize(
    "issuer", ["https://a.example", "https://a.example:8443/tenants/a", "http://127.0.0.1:80", "http://[::1]:1",
               "http://localhost"]
)  # fmt: skip
def test_an_issuer_is_a_url_from_a_file_or_from_an_option(issuer: str) -> None:
    assert config.parse(f"issuer = {issuer!r}".encode(), "c").issuer == issuer
    assert config.load(None, issuer=issuer).issuer_name == issuer
    for wrong in (issuer + "?x", issuer + "#", issuer + "/", issuer.replace("//", "//user@"), "gateway"):
        with pytest.raises(config.ConfigError, match="issuer: expected"):
            config.load(None, issuer=wrong)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="No such file"):
        config.load(tmp_path / "absent.toml")


def test_the_tree_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.load(None).development = True  # type: ignore[misc]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///sealgate",
        "postgresql://sealgate@/sealgate?host=/run/postgresql",
        "postgresql://sealgate@127.0.0.1:5433/sealgate",
        "postgresql://sealgate@[::1]/sealgate",
        "postgresql://sealgate@db.example/sealgate?sslmode=verify-full",
        "postgresql://sealgate@a.example:5432,b.example:5433/sealgate?sslmode=verify-full",
    ],
)
def test_the_url_of_a_shared_store(url: str) -> None:
    loaded = config.parse(f'[store]\nurl = "{url}"\n'.encode(), "x.toml")
    assert loaded.store is not None and loaded.store.url == url
    assert loaded.redacted()["store"].startswith("postgresql://")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://sealgate:hunter2@127.0.0.1/sealgate", "no password"),
        ("postgresql://127.0.0.1/sealgate?password=hunter2", "no password"),
        ("postgresql://127.0.0.1/sealgate?passfile=hunter2", "no password"),
        ("postgresql://127.0.0.1/", "name of a database"),
        ("mysql://hunter2@127.0.0.1/sealgate", "another scheme"),
        ("postgresql://[::1/hunter2", "another text"),
        ("postgresql://db.example/sealgate", "sslmode=verify-full"),
        ("postgresql://db.example/sealgate?sslmode=require", "sslmode=verify-full"),
        ("postgresql://127.0.0.1,db.example/sealgate", "sslmode=verify-full"),
        ("postgresql:///sealgate?host=127.0.0.1&hostaddr=192.0.2.1", "sslmode=verify-full"),
    ],
)
def test_a_url_of_a_shared_store_that_is_refused(url: str, said: str) -> None:
    with pytest.raises(config.ConfigError, match=said) as caught:
        config.parse(f'[store]\nurl = "{url}"\n'.encode(), "x.toml")
    assert "hunter2" not in str(caught.value)
