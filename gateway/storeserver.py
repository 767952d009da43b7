"""Where a PostgreSQL store is: what an operator writes down, and what of it people may see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = frozenset({"postgresql", "postgres"})
_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """url: postgresql://user@host:port/database?options, as libpq reads it, without a password.
    password_file: a private file with the password alone in it, read anew for every connection; None: as
    libpq finds it (`~/.pgpass`, a certificate, peer authentication)."""

    url: str
    password_file: Path | None = None

    def __repr__(self) -> str:
        return f"Server({self.name!r})"

    @property
    def name(self) -> str:
        """For people and logs: who, where and which database, and nothing else of the URL."""
        parts, options = urlsplit(self.url), dict(parse_qsl(urlsplit(self.url).query))
        user, _, hosts = parts.netloc.rpartition("@")
        user = unquote(user.partition(":")[0]) or options.get("user", "")
        where = hosts or options.get("host", "")
        return f"postgresql://{user}{'@' if user else ''}{where}{parts.path}"


def problem(url: str) -> str | None:
    """What is wrong with a URL that an operator gave; None when nothing is. Never repeats a password."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        return "expected postgresql://user@host:port/database, found another text"
    if parts.scheme not in SCHEMES:
        return "expected postgresql://user@host:port/database, found another scheme"
    user, _, hosts = parts.netloc.rpartition("@")
    if ":" in user or {"password", "passfile", "sslpassword"} & options.keys():
        return "expected no password in the URL (use password_file, or ~/.pgpass), found one"
    if len(parts.path) < 2:
        return "expected the name of a database after the host, found none"
    remote = [host for host in _hosts(hosts, options) if host not in _LOCAL and not host.startswith("/")]
    if remote and options.get("sslmode") != "verify-full":
        return f"expected sslmode=verify-full, because {remote[0]} is not this machine"
    return None


def _hosts(listed: str, options: dict[str, str]) -> list[str]:
    names = [unquote(name) for name in listed.split(",")] if listed else []
    found = [name[1 : name.index("]")] if name.startswith("[") else name.partition(":")[0] for name in names]
    return found + [name for key in ("host", "hostaddr") for name in options.get(key, "").split(",") if name]
