"""What an operator decides: one frozen tree, from defaults and one TOML file, read once.

`sealgate serve` works with no file at all: it then listens on the loopback interface only, keeps everything
in one folder, and releases nothing until a policy says so. An unknown key is an error, because a setting that
was misspelt is a setting that silently did not happen.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gateway import storeserver
from gateway.collateral.ages import DEFAULT_DAYS
from gateway.collateral.settings import Collateral, needs_of
from gateway.collateral.slots import EARLY, STANDARD
from gateway.containment.settings import BEST_EFFORT, MODES, REQUIRED, Containment
from gateway.files import default_data as default_data
from gateway.oidc.settings import Oidc, faults, is_tenant
from gateway.storeserver import Server

DEVELOPMENT_ISSUER = "https://development.sealgate.invalid"
"""Issuer of every gateway in development mode. `.invalid` never resolves (RFC 6761), so that no relying party
can come to trust it."""


_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class ConfigError(Exception):
    """The configuration cannot be used. The text names the key and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """host: an address or name to bind. port: 0 picks a free one. workers: processes. threads: requests that
    each of them works on at once."""

    host: str = "127.0.0.1"
    port: int = 8443
    workers: int = 2
    threads: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files: the chain, leaf first, and its key. Both or none."""

    certificate: Path | None = None
    key: Path | None = None

    @property
    def enabled(self) -> bool:
        return self.certificate is not None and self.key is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """read_seconds: a request body must have arrived by then. token_seconds: life of a result token.
    appraisal_days: how long evidence and findings of an attempt are kept; evidence_megabytes: how much of
    them, the oldest going first. The ledger is kept for ever."""

    read_seconds: int = 10
    token_seconds: int = 300
    appraisal_days: int = 30
    evidence_megabytes: int = 4096
    chains: int = 4096
    """verified chains that a worker remembers"""
    attempts_per_minute: int = 6000
    """of one client address in one worker, and as many challenges; 0: no limit"""
    proxies: tuple[str, ...] = ()
    """addresses of our own proxies, whose X-Forwarded-For says who the client is"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """issuer: our name in tokens, and the audience that guests must name; the URL we listen on when None.
    audiences: further names by which guests may know us. verify_credentials: tenants whose background
    checks are for their relying parties alone; "*" is every tenant. store: a PostgreSQL database that
    replicas share; None: a file in the data folder. development: accept simulated hardware; fixed for ever
    when the store is created."""

    data: Path = field(default_factory=default_data)
    issuer: str | None = None
    audiences: tuple[str, ...] = ()
    development: bool = False
    listen: Listen = field(default_factory=Listen)
    tls: Tls = field(default_factory=Tls)
    limits: Limits = field(default_factory=Limits)
    collateral: Collateral = field(default_factory=Collateral)
    verify_credentials: tuple[str, ...] = ()
    oidc: Oidc | None = None
    store: Server | None = None
    containment: Containment = field(default_factory=Containment)

    @property
    def containment_mode(self) -> str:
        return self.containment.mode or (BEST_EFFORT if self.development else REQUIRED)

    @property
    def database_folder(self) -> Path:
        return self.data / "db"

    @property
    def keys_folder(self) -> Path:
        return self.data / "keys"

    @property
    def url(self) -> str:
        scheme = "https" if self.tls.enabled else "http"
        host = f"[{self.listen.host}]" if ":" in self.listen.host else self.listen.host
        return f"{scheme}://{host}:{self.listen.port}"

    @property
    def issuer_name(self) -> str:
        if self.development:
            return DEVELOPMENT_ISSUER
        return self.issuer or self.url

    def redacted(self) -> dict[str, Any]:
        """For logs and `--json`: no secret is in the tree, and where the TLS key lies stays out too."""
        return {
            "data": str(self.data),
            "issuer": self.issuer_name,
            "audiences": list(self.audiences),
            "development": self.development,
            "listen": {f.name: getattr(self.listen, f.name) for f in fields(self.listen)},
            "tls": {"certificate": str(self.tls.certificate or ""), "key": "***" if self.tls.key else ""},
            "limits": {f.name: getattr(self.limits, f.name) for f in fields(self.limits)},
            "collateral": self.collateral.shown(self.development),
            "verify_credentials": list(self.verify_credentials),
            "oidc": None
            if self.oidc is None
            else {"issuer": self.oidc.issuer, "audience": self.oidc.audience},
            "containment": {"mode": self.containment_mode, "seconds": self.containment.seconds},
            "store": "" if self.store is None else self.store.name,
        }


def load(path: Path | None, **overrides: Any) -> Config:
    """Defaults, then the file, then command line options that are not None; then the rules of `check`.

    overrides: data, host, port, workers, development, tls_certificate, tls_key, issuer, offline. Raises
    ConfigError.
    """
    config = Config() if path is None else parse(_read(path), str(path))
    given = {name: value for name, value in overrides.items() if value is not None}
    tops = {name: given[name] for name in ("data", "issuer", "development") if name in given}
    listen = {name: given[name] for name in ("host", "port", "workers") if name in given}
    tls = {name[4:]: given[name] for name in ("tls_certificate", "tls_key") if name in given}
    if given.get("offline"):
        config = replace(config, collateral=replace(config.collateral, offline=True))
    config = replace(config, **tops, listen=replace(config.listen, **listen), tls=replace(config.tls, **tls))
    check(config)
    return config


def parse(raw: bytes, name: str) -> Config:
    """One TOML file as a Config. Unknown keys, wrong types and out-of-range numbers are errors."""
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{name}: expected TOML, found {error}") from None
    return Config(**_section(document, _TOP, name, ""))


def check(config: Config) -> None:
    """The rules that hold between settings, wherever they came from. Raises ConfigError."""
    tls = config.tls
    if config.issuer is not None:
        _url(config.issuer, "issuer")
    if (tls.certificate is None) != (tls.key is None):
        raise ConfigError("tls: expected both certificate and key, found one of them")
    if not tls.enabled and not is_loopback(config.listen.host):
        raise ConfigError(
            f"listen.host: expected a loopback address, because no TLS is configured; "
            f"found {config.listen.host!r} (set tls.certificate and tls.key, or listen on 127.0.0.1)"
        )
    for file in (tls.certificate, tls.key):
        if file is not None and not file.is_file():
            raise ConfigError(f"tls: expected a file, found nothing at {file}")
    if config.oidc is not None:
        _check_oidc(config.oidc)
    _check_collateral(config.collateral, config.development)
    if config.development and config.issuer is not None:
        raise ConfigError(
            f"issuer: expected none in development mode, whose issuer is always {DEVELOPMENT_ISSUER}; "
            f"found {config.issuer!r}"
        )


def _check_oidc(settings: Oidc) -> None:
    for fault in faults(settings):
        raise ConfigError(f"oidc.{fault}")


def _check_collateral(settings: Collateral, development: bool) -> None:
    for url in settings.urls:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (development and is_loopback(parts.hostname or "")):
            raise ConfigError(
                "collateral: expected https URLs (http to this machine, in development mode only), "
                f"found {url!r}"
            )
    if settings.pccs and (settings.intel or settings.intel_certificates):
        raise ConfigError("collateral: expected pccs or intel and intel_certificates, found both")
    if settings.subscription_key_file and settings.pccs:
        raise ConfigError(
            "collateral.subscription_key_file: expected without pccs, which has a key of its own"
        )
    for file in (settings.ca_file, settings.subscription_key_file):
        if file is not None and not file.is_file():
            raise ConfigError(f"collateral: expected a file, found nothing at {file}")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: expected a configuration file, found {error.strerror}") from None


def _section(value: object, known: Mapping[str, Callable[[object, str], Any]], name: str, at: str) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: [{at}]: expected a table, found {type(value).__name__}")
    out = {}
    for key, item in value.items():
        where = f"{name}: {at}{key}"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: nobody knows this key{hint}")
        out[key] = known[key](item, where)
    return out


def _number(low: int, high: int) -> Callable[[object, str], int]:
    def read(value: object, where: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ConfigError(f"{where}: expected {low}..{high}, found {value!r}")
        return value

    return read


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: expected a string, found {value!r}")
    return value


def _path(value: object, where: str) -> Path:
    return Path(_text(value, where)).expanduser()


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: expected true or false, found {value!r}")
    return value


def _url(value: object, where: str) -> str:
    """A name that tokens carry and guests compare byte for byte: https, or http to ourselves for trials."""
    text = _text(value, where)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError(f"{where}: expected a URL like https://gateway.example, found {text!r}") from None
    plain = text.isascii() and text.isprintable() and not set(text) & set(' ?#@\\"<>')
    if parts.scheme not in {"https", "http"} or not host or not plain or text != urlunsplit(parts):
        raise ConfigError(
            f"{where}: expected a URL like https://gateway.example, without user, query and fragment; "
            f"found {text!r}"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(f"{where}: expected https, or http on a loopback address; found {text!r}")
    if text.endswith("/"):
        raise ConfigError(f"{where}: expected no slash at the end (names are compared byte for byte)")
    return text


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: expected a list of strings, found {type(value).__name__}")
    return tuple(_text(item, f"{where}[{index}]") for index, item in enumerate(value))


def _tenants(value: object, where: str) -> tuple[str, ...]:
    for index, text in enumerate(found := _texts(value, where)):
        if not is_tenant(text):
            raise ConfigError(f"{where}[{index}]: expected a tenant, or '*' for all, found {text!r}")
    return found


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a table, found {type(value).__name__}")
    return value


def _required(found: dict[str, Any], where: str, *names: str) -> dict[str, Any]:
    for name in names:
        if name not in found:
            raise ConfigError(f"{where}.{name}: expected it, found none")
    return found


def _addresses(value: object, where: str) -> tuple[str, ...]:
    found = _texts(value, where)
    for index, text in enumerate(found):
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise ConfigError(f"{where}[{index}]: expected an IP address, found {text!r}") from None
    return found


def _choice(*words: str) -> Callable[[object, str], str]:
    def read(value: object, where: str) -> str:
        if value not in words:
            raise ConfigError(f"{where}: expected {' or '.join(map(repr, words))}, found {value!r}")
        return str(value)

    return read


def _kept(value: object, where: str) -> tuple[str, ...]:
    for index, text in enumerate(found := _texts(value, where)):
        if needs_of(text) is None:
            raise ConfigError(
                f"{where}[{index}]: expected one like amd:Milan, amd:Genoa:vlek, intel:tdx or "
                f"intel:tdx:00806F050000, found {text!r}"
            )
    return found


def _thumbprints(value: object, where: str) -> tuple[str, ...]:
    for index, text in enumerate(found := _texts(value, where)):
        if not _THUMBPRINT.fullmatch(text):
            raise ConfigError(
                f"{where}[{index}]: expected a thumbprint as `collateral export` prints it, found {text!r}"
            )
    return found


def _server(value: object, where: str) -> str:
    if (wrong := storeserver.problem(_text(value, where))) is not None:
        raise ConfigError(f"{where}: {wrong}")
    return str(value)


def _days(value: object, where: str) -> Mapping[str, int]:
    known = {kind: _number(1, 3650) for kind in DEFAULT_DAYS}
    return MappingProxyType(_section(value, known, where, "collateral.maximum_age_days."))


_COLLATERAL: dict[str, Callable[[object, str], Any]] = {
    "offline": _flag,
    "amd": _url,
    "intel": _url,
    "intel_certificates": _url,
    "pccs": _url,
    "ca_file": _path,
    "subscription_key_file": _path,
    "channel": _choice(STANDARD, EARLY),
    "forecast": _flag,
    "refresh_hours": _number(1, 24 * 30),
    "keep": _kept,
    "maximum_age_days": _days,
    "amd_seconds": _number(0, 3600),
    "strangers_per_hour": _number(1, 100_000),
    "bundle_keys": _thumbprints,
}
_OIDC: dict[str, Callable[[object, str], Any]] = {
    "issuer": _url,
    "audience": _text,
    "jwks_file": _path,
    "jwks_uri": _url,
    "ca_file": _path,
    "algorithms": _texts,
    "roles_claim": _text,
    "roles": lambda value, where: MappingProxyType(
        {name: _texts(each, f"{where}.{name}") for name, each in _table(value, where).items()}
    ),
    "tenant": _text,
    "tenant_claim": _text,
    "tenants": lambda value, where: MappingProxyType(
        {name: _text(each, f"{where}.{name}") for name, each in _table(value, where).items()}
    ),
    "life_seconds": _number(60, 7 * 86_400),
}
_LISTEN = {
    "host": _text,
    "port": _number(0, 65535),
    "workers": _number(1, 64),
    "threads": _number(1, 64),
}
_TLS = {"certificate": _path, "key": _path}
_LIMITS = {
    "read_seconds": _number(1, 120),
    "token_seconds": _number(30, 3600),
    "appraisal_days": _number(1, 36500),
    "evidence_megabytes": _number(1, 100_000_000),
    "chains": _number(16, 1_000_000),
    "attempts_per_minute": _number(0, 1_000_000),
    "proxies": _addresses,
}
_CONTAINMENT = {"mode": _choice(*MODES), "seconds": _number(1, 60)}
_STORE = {"url": _server, "password_file": _path}
_TOP: dict[str, Callable[[object, str], Any]] = {
    "data": _path,
    "issuer": _url,
    "audiences": _texts,
    "development": _flag,
    "listen": lambda value, where: Listen(**_section(value, _LISTEN, where, "listen.")),
    "store": lambda value, where: Server(**_required(_section(value, _STORE, where, "store."), where, "url")),
    "tls": lambda value, where: Tls(**_section(value, _TLS, where, "tls.")),
    "collateral": lambda value, where: Collateral(**_section(value, _COLLATERAL, where, "collateral.")),
    "containment": lambda value, where: Containment(**_section(value, _CONTAINMENT, where, "containment.")),
    "limits": lambda value, where: Limits(**_section(value, _LIMITS, where, "limits.")),
    "verify_credentials": _tenants,
    "oidc": lambda value, where: Oidc(
        **_required(_section(value, _OIDC, where, "oidc."), where, "issuer", "audience")
    ),
}
