"""Init-data of Kata and Confidential Containers: its digest, and what the hardware's field then holds."""

from __future__ import annotations

import hashlib
import re
import tomllib
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.foundry.errors import FoundryError, FoundryReason, malformed

MAX_DOCUMENT = 1 << 20
ALGORITHMS = ("sha256", "sha384", "sha512")
FIELDS: Mapping[str, int] = MappingProxyType({"snp.host_data": 32, "tdx.mr_config_id": 48})
"""Bytes of the field, by claim."""
ANNOTATION = "io.katacontainers.config.hypervisor.cc_init_data"

_VERSION = re.compile(r"0\.1\.\d{1,3}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class InitData:
    """digest: of the raw document. fields: what each field holds, cut at the end or filled with zeros."""

    algorithm: str
    digest: bytes
    fields: Mapping[str, bytes]


def fit(digest: bytes, size: int) -> bytes:
    """A digest in a field: the tail is cut, or zeros follow."""
    return digest[:size].ljust(size, b"\0")


def read(document: bytes) -> InitData:
    """The digest over the raw bytes, with the algorithm that the document itself names.

    The guest must receive exactly these bytes: a runtime that writes the document anew changes the digest.
    Raises FoundryError: MALFORMED, UNSUPPORTED for another version or algorithm, TOO_MUCH.
    """
    where = "init-data"
    if len(document) > MAX_DOCUMENT:
        raise FoundryError(
            FoundryReason.TOO_MUCH,
            where,
            expected=f"at most {MAX_DOCUMENT} bytes",
            found=f"{len(document)} bytes",
        )
    try:
        parsed = tomllib.loads(document.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise malformed(where, expected="TOML", found=" ".join(str(error).split())[:120]) from None
    version, algorithm, data = (parsed.get(key) for key in ("version", "algorithm", "data"))
    if not isinstance(version, str) or not _VERSION.match(version):
        raise FoundryError(
            FoundryReason.UNSUPPORTED, f"{where}: version", expected='"0.1.0"', found=repr(version)[:40]
        )
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise FoundryError(
            FoundryReason.UNSUPPORTED,
            f"{where}: algorithm",
            expected=f"one of {', '.join(ALGORITHMS)}",
            found=repr(algorithm)[:40],
        )
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise malformed(f"{where}: data", expected="a table of texts", found=type(data).__name__)
    digest = hashlib.new(algorithm, document).digest()
    return InitData(
        algorithm, digest, MappingProxyType({name: fit(digest, size) for name, size in FIELDS.items()})
    )


def from_annotation(text: str) -> bytes:
    """The document of a pod's annotation: base64 of one gzip member. Raises FoundryError."""
    where = f"annotation {ANNOTATION}"
    try:
        packed = b64decode(text, validate=True)
        unpacker = zlib.decompressobj(wbits=31)
        document = unpacker.decompress(packed, MAX_DOCUMENT + 1)
    except (Base64Error, ValueError, zlib.error) as error:
        raise malformed(where, expected="base64 of gzip", found=str(error)[:80]) from None
    if len(document) > MAX_DOCUMENT:
        raise FoundryError(
            FoundryReason.TOO_MUCH, where, expected=f"at most {MAX_DOCUMENT} bytes", found="more"
        )
    if not unpacker.eof or unpacker.unused_data:
        raise malformed(where, expected="one whole gzip member", found="a part, or more after it")
    return document
