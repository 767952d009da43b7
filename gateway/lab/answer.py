"""What the two vendors' services share: a request in, a reply or a question for the press out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from gateway.lab.press import Spoil
from gateway.simulator.quotewrite import pem

PEM_FILE, PKIX_CERT, PKIX_CRL = "application/x-pem-file", "application/pkix-cert", "application/pkix-crl"
JSON = "application/json"
_HEX = re.compile(r"[0-9A-Fa-f]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GET: path decoded, query parameters by name (the first of a name), header names in lower case."""

    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @staticmethod
    def read(host: str, target: str, headers: Iterable[tuple[str, str]]) -> Request:
        parts = urlsplit(target)
        query: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=64):
            query.setdefault(name, value)
        lower = {name.lower(): value for name, value in headers}
        return Request(host=host, path=unquote(parts.path), query=query, headers=lower)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request understood: for which endpoint, about what, and how to answer it, given what to spoil."""

    endpoint: str
    key: Mapping[str, str]
    answer: Callable[[Spoil], Reply]


def chain_header(name: str, chain: Iterable[bytes]) -> tuple[str, str]:
    """An issuer chain as PCS sends it: PEM, leaf first, every reserved character percent-encoded."""
    return name, quote(pem(chain).decode("ascii"), safe="")


def crl_pem(der: bytes) -> bytes:
    """A CRL in PEM, 64 columns."""
    return pem([der], "X509 CRL")


def is_hex(text: str | None, digits: int) -> bool:
    return text is not None and len(text) == digits and _HEX.match(text) is not None
