"""The key folder: a manifest that lists the keys, and one private file for each.

    manifest.json       whose keys these are, and which exist; the last of each kind is the current one
    signing-<kid>.pem   P-256 private key, PKCS #8; <kid> is its RFC 7638 thumbprint
    kek-<id>.key        32 bytes, AES-256; <id> is derived from them
    nonce.key           32 bytes, HMAC-SHA-256

What must stay true: a key file is complete and on disk before the manifest names it; a file that the
manifest does not name is not used; the manifest names one store for ever; what a name says about its key
is checked when the key is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import files
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Random
from gateway.store import StoreIdentity
from verifiers.codec import b64, strictjson
from verifiers.errors import EvidenceFormatError

FORMAT = "sealgate-keys/1"
MANIFEST = "manifest.json"
NONCE_KEY = "nonce.key"
KEY_BYTES = 32
_MAX_MANIFEST = 64 * 1024
_MAX_PEM = 4096
_KID = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_KEK_ID = re.compile(r"kek-[0-9a-f]{32}\Z")
_MEMBERS = frozenset({"format", "store_id", "kind", "complete", "signing", "kek"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """signing, kek: key ids, oldest first, the last one current. complete: the first keys exist."""

    store_id: str
    kind: str
    complete: bool
    signing: tuple[str, ...]
    kek: tuple[str, ...]

    def encode(self) -> bytes:
        value = {
            "format": FORMAT,
            "store_id": self.store_id,
            "kind": self.kind,
            "complete": self.complete,
            "signing": list(self.signing),
            "kek": list(self.kek),
        }
        return json.dumps(value, indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)


def read_manifest(folder: Path) -> Manifest | None:
    """None when there is none. Raises GatewayError: KEYS_PERMISSIONS, KEYS_MALFORMED."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    raw = files.read_private(path, GatewayReason.KEYS_PERMISSIONS, limit=_MAX_MANIFEST)
    try:
        value = strictjson.loads(raw, MANIFEST, limit=_MAX_MANIFEST, max_depth=3)
    except EvidenceFormatError as error:
        raise malformed(path, error.expected, error.found) from None
    if not isinstance(value, dict) or value.keys() != _MEMBERS or value["format"] != FORMAT:
        raise malformed(path, f"a manifest of {FORMAT}", "another document")
    if not (isinstance(value["store_id"], str) and isinstance(value["kind"], str)):
        raise malformed(path, "store_id and kind as strings", "other types")
    if not isinstance(value["complete"], bool):
        raise malformed(path, "complete: true or false", "another type")
    return Manifest(
        store_id=value["store_id"],
        kind=value["kind"],
        complete=value["complete"],
        signing=_names(value["signing"], _KID, path),
        kek=_names(value["kek"], _KEK_ID, path),
    )


def _names(value: Any, pattern: re.Pattern[str], path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and pattern.match(v) for v in value):
        raise malformed(path, "a list of key ids", "something else")
    if len(set(value)) != len(value):
        raise malformed(path, "each key id once", "one of them twice")
    return tuple(value)


def require_owner(manifest: Manifest, identity: StoreIdentity, folder: Path) -> None:
    """Raises GatewayError(KEYS_FOREIGN) unless these are the keys of this very store."""
    expected = f"keys of {identity.kind} store {identity.store_id}"
    found = f"keys of {manifest.kind} store {manifest.store_id}"
    if expected != found:
        raise GatewayError(
            GatewayReason.KEYS_FOREIGN,
            "the key folder belongs to another store",
            where=str(folder),
            expected=expected,
            found=found,
        )


def create_first(folder: Path, identity: StoreIdentity, random: Random) -> Manifest:
    """The first keys of a store. Under the folder's lock; finishes what a crash left half done.

    Raises GatewayError(KEYS_INCOMPLETE) when key files lie there without a manifest: they may be the keys
    to somebody's secrets, so they are not touched.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        lost = sorted(_key_files(folder))
        if lost:
            raise GatewayError(
                GatewayReason.KEYS_INCOMPLETE,
                "the key folder has lost its manifest; restore it from the backup",
                where=str(folder / MANIFEST),
                expected="a manifest beside the keys",
                found=f"{len(lost)} key files without one",
            )
        manifest = Manifest(
            store_id=identity.store_id, kind=str(identity.kind), complete=False, signing=(), kek=()
        )
        files.replace_file(folder / MANIFEST, manifest.encode())
    require_owner(manifest, identity, folder)
    if manifest.complete:
        return manifest
    for name in _key_files(folder):  # of a creation that was interrupted: nobody has used them
        (folder / name).unlink()
    files.write_new(folder / NONCE_KEY, random.bytes(KEY_BYTES))
    manifest = replace(
        manifest, complete=True, signing=(add_signing(folder),), kek=(add_kek(folder, random),)
    )
    files.replace_file(folder / MANIFEST, manifest.encode())
    return manifest


def _key_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix in {".pem", ".key"}]


def add_signing(folder: Path) -> str:
    """A new signing key on disk, not yet in the manifest; its kid."""
    private = ec.generate_private_key(ec.SECP256R1())
    kid = thumbprint(private.public_key())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files.write_new(_signing_path(folder, kid), pem)
    return kid


def add_kek(folder: Path, random: Random) -> str:
    """A new key-encryption key on disk, not yet in the manifest; its id."""
    key = random.bytes(KEY_BYTES)
    kek_id = _kek_id(key)
    files.write_new(_kek_path(folder, kek_id), key)
    return kek_id


def read_signing(folder: Path, kid: str) -> SigningKey:
    """Raises GatewayError: KEYS_PERMISSIONS, KEYS_MALFORMED (no P-256 key, or not the one of that name)."""
    path = _signing_path(folder, kid)
    raw = _read(path, _MAX_PEM)
    try:
        private = serialization.load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise malformed(path, "a P-256 private key in PEM", "something else") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise malformed(path, "a P-256 private key in PEM", "a key of another type")
    if thumbprint(private.public_key()) != kid:
        raise malformed(path, "the key that the file is named after", "another key")
    return SigningKey(kid, private)


def read_kek(folder: Path, kek_id: str) -> bytes:
    """32 bytes. Raises GatewayError: KEYS_PERMISSIONS, KEYS_MALFORMED."""
    path = _kek_path(folder, kek_id)
    key = _read_exactly(path)
    if _kek_id(key) != kek_id:
        raise malformed(path, "the key that the file is named after", "another key")
    return key


def read_nonce_key(folder: Path) -> bytes:
    """32 bytes. Raises GatewayError: KEYS_PERMISSIONS, KEYS_MALFORMED."""
    return _read_exactly(folder / NONCE_KEY)


def jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The required members of RFC 7638 section 3.2, in their order."""
    numbers = public.public_numbers()
    x, y = (b64.encode_url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def thumbprint(public: ec.EllipticCurvePublicKey) -> str:
    """RFC 7638 with SHA-256, base64url: 43 characters."""
    text = json.dumps(jwk(public), separators=(",", ":"), sort_keys=True)
    return b64.encode_url(hashlib.sha256(text.encode()).digest())


def malformed(path: Path, expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.KEYS_MALFORMED,
        "a file of the key folder cannot be used",
        where=str(path),
        expected=expected,
        found=found,
    )


def _signing_path(folder: Path, kid: str) -> Path:
    return folder / f"signing-{kid}.pem"


def _kek_path(folder: Path, kek_id: str) -> Path:
    return folder / f"{kek_id}.key"


def _kek_id(key: bytes) -> str:
    return "kek-" + hashlib.sha256(b"sealgate/1 kek id\0" + key).hexdigest()[:32]


def _read(path: Path, limit: int) -> bytes:
    return files.read_private(path, GatewayReason.KEYS_PERMISSIONS, limit=limit)


def _read_exactly(path: Path) -> bytes:
    key = _read(path, KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise malformed(path, f"{KEY_BYTES} bytes", "another length")
    return key
