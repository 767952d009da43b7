"""`Keys` from files: one ES256 signing key, one key-encryption key and one nonce key in use.

What must stay true: nothing here shows key material in a repr, an error or a pickle; the algorithm follows
from the key, never from a header; older keys open and verify, only the newest of each kind seals and signs.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import files, keyring
from gateway.encoding import fields
from gateway.errors import GatewayError, GatewayReason
from gateway.locks import TurnLock
from gateway.ports import Random
from gateway.store import StoreIdentity
from gateway.token import jws

T = TypeVar("T")

_GCM_NONCE, _GCM_TAG = 12, 16
_NAME_OF_NONCE_KEY = b"sealgate/1 name of the nonce key"
_LOCK_SECONDS = 10.0
_RESERVED = frozenset({"alg", "kid", "crit", "b64", "jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256"})
"""Header members that a caller of `sign_jws` cannot set: they choose keys, algorithms or meaning."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Loaded:
    """One state of the folder. stamp: what `stat` said of the manifest."""

    stamp: tuple[int, int, int]
    manifest: keyring.Manifest
    signing: keyring.SigningKey
    published: tuple[Mapping[str, str], ...]
    keks: Mapping[str, AESGCM]
    mac: hmac.HMAC


class FileKeys:
    """Safe for threads and processes. Another process's rotation is noticed at the next use.

    A key-encryption key seals with random 96-bit nonces, so it must not seal more than 2**32 times
    (NIST SP 800-38D, section 8.3): rotate long before.
    """

    def __init__(self, folder: Path, identity: StoreIdentity, random: Random) -> None:
        """Use `FileKeys.create` or `FileKeys.load`."""
        self._folder, self._identity, self._random = folder, identity, random
        self._manifest_path = os.fspath(folder / keyring.MANIFEST)
        self._lock = threading.Lock()
        self._loaded = self._load()

    @classmethod
    def create(cls, folder: Path, identity: StoreIdentity, random: Random) -> FileKeys:
        """The keys of a store, made now unless they are there. Several processes may do this at once.

        Raises GatewayError: KEYS_LOCATION (same folder as the database, or one inside the other),
        KEYS_PERMISSIONS, KEYS_FOREIGN (keys of another store), KEYS_INCOMPLETE, KEYS_MALFORMED.
        """
        _require_apart(folder, identity)
        files.make_private_folder(folder, GatewayReason.KEYS_PERMISSIONS)
        _locked(folder, lambda: keyring.create_first(folder, identity, random))
        return cls(folder, identity, random)

    @classmethod
    def load(cls, folder: Path, identity: StoreIdentity, random: Random) -> FileKeys:
        """The keys of a store that has some. Raises as `create`, and KEYS_ABSENT."""
        _require_apart(folder, identity)
        return cls(folder, identity, random)

    def __repr__(self) -> str:
        return f"FileKeys(store {self._identity.store_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys do not leave their process")

    # --- secrets at rest ---

    def seal(self, plaintext: bytes, associated: bytes) -> tuple[str, bytes]:
        loaded = self._current()
        key_id = loaded.manifest.kek[-1]
        nonce = self._random.bytes(_GCM_NONCE)
        sealed = loaded.keks[key_id].encrypt(nonce, plaintext, bound(key_id, associated))
        return key_id, nonce + sealed

    def open(self, key_id: str, sealed: bytes, associated: bytes) -> bytes:
        key = self._current().keks.get(key_id) or self._reload().keks.get(key_id)
        if key is None:
            raise KeyError("no key of that id")
        if len(sealed) < _GCM_NONCE + _GCM_TAG:
            raise ValueError("shorter than a nonce and a tag")
        try:
            return key.decrypt(sealed[:_GCM_NONCE], sealed[_GCM_NONCE:], bound(key_id, associated))
        except InvalidTag:
            raise ValueError("not what was sealed under that key and name") from None

    # --- tokens ---

    def sign_jws(self, header: Mapping[str, Any], payload: bytes) -> str:
        """Raises ValueError for a header without `typ` or with a member that is not the caller's to set."""
        reserved = sorted(_RESERVED & header.keys())
        if reserved:
            raise ValueError(f"the caller cannot set {reserved[0]!r}")
        if not isinstance(header.get("typ"), str) or not header["typ"]:
            raise ValueError("a token says its type")
        key = self._current().signing
        return jws.sign({**header, "kid": key.kid}, payload, key.private)

    def verify_jws(self, token: str, typ: str) -> bytes:
        try:
            return jws.verify(token, self.jwks(), typ=typ)
        except GatewayError as error:
            raise ValueError(str(error)) from None

    def jwks(self) -> Mapping[str, Any]:
        """Every signing key that was not retired, the current one first (RFC 7517 section 5)."""
        return {"keys": [dict(key) for key in self._current().published]}

    # --- challenges ---

    def nonce_mac(self, message: bytes) -> bytes:
        mac = self._current().mac.copy()
        mac.update(message)
        return mac.digest()

    # --- rotation ---

    def rotate_signing(self) -> str:
        """Sign with a new key from now on; its kid. The old ones stay published until they are retired."""
        return self._rotate(lambda: keyring.add_signing(self._folder), "signing")

    def rotate_kek(self) -> str:
        """Seal under a new key from now on; its id. What the old ones sealed can still be opened."""
        return self._rotate(lambda: keyring.add_kek(self._folder, self._random), "kek")

    def retire_signing(self, kid: str) -> None:
        """Publish and accept `kid` no longer; its file stays. Raises KeyError for an unknown kid, ValueError
        for the current one."""

        def change() -> None:
            manifest = self._manifest()
            if kid not in manifest.signing:
                raise KeyError("no key of that kid")
            if kid == manifest.signing[-1]:
                raise ValueError("the current key is replaced before it is retired")
            self._save(replace(manifest, signing=tuple(k for k in manifest.signing if k != kid)))

        _locked(self._folder, change)

    def key_ids(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(signing kids, key-encryption key ids), oldest first, the last of each in use."""
        manifest = self._current().manifest
        return manifest.signing, manifest.kek

    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Which keys these are, by kind, oldest first: "signing", "kek", and "nonce" by what it makes of a
        text of its own."""
        signing, kek = self.key_ids()
        return {"signing": signing, "kek": kek, "nonce": (self.nonce_mac(_NAME_OF_NONCE_KEY).hex()[:32],)}

    def _rotate(self, add: Callable[[], str], kind: str) -> str:
        def change() -> str:
            manifest, fresh = self._manifest(), add()
            names = (*getattr(manifest, kind), fresh)
            self._save(
                replace(manifest, signing=names) if kind == "signing" else replace(manifest, kek=names)
            )
            return fresh

        return _locked(self._folder, change)

    def _manifest(self) -> keyring.Manifest:
        manifest = keyring.read_manifest(self._folder)
        if manifest is None or not manifest.complete:
            raise _absent(self._folder)
        keyring.require_owner(manifest, self._identity, self._folder)
        return manifest

    def _save(self, manifest: keyring.Manifest) -> None:
        files.replace_file(self._folder / keyring.MANIFEST, manifest.encode())

    # --- reading the folder ---

    def _current(self) -> _Loaded:
        """What the folder says now; what it said last when it cannot be asked (the keys are the same)."""
        loaded = self._loaded
        try:
            fresh = _stamp(self._manifest_path)
        except OSError:
            return loaded
        if fresh == loaded.stamp:
            return loaded
        with self._lock:
            if self._loaded.stamp != fresh:
                self._loaded = self._load()
            return self._loaded

    def _reload(self) -> _Loaded:
        with self._lock:
            self._loaded = self._load()
            return self._loaded

    def _load(self) -> _Loaded:
        try:
            stamp = _stamp(self._manifest_path)
        except OSError:
            raise _absent(self._folder) from None
        files.require_private(self._folder, GatewayReason.KEYS_PERMISSIONS, folder=True)
        manifest = self._manifest()
        if not manifest.signing or not manifest.kek:
            raise keyring.malformed(self._folder / keyring.MANIFEST, "a key of each kind", "none of one kind")
        signing = [keyring.read_signing(self._folder, kid) for kid in reversed(manifest.signing)]
        return _Loaded(
            stamp=stamp,
            manifest=manifest,
            signing=signing[0],
            published=tuple(_published(key) for key in signing),
            keks={kek_id: AESGCM(keyring.read_kek(self._folder, kek_id)) for kek_id in manifest.kek},
            mac=hmac.new(keyring.read_nonce_key(self._folder), digestmod="sha256"),
        )


def _require_apart(folder: Path, identity: StoreIdentity) -> None:
    if identity.folder is not None:
        files.require_apart(folder, identity.folder, GatewayReason.KEYS_LOCATION)


def bound(key_id: str, associated: bytes) -> bytes:
    """The associated data that really goes in: the caller's, and the key's id."""
    return fields(b"sealgate/1 sealed", key_id.encode(), associated)


def _published(key: keyring.SigningKey) -> Mapping[str, str]:
    return {**keyring.jwk(key.private.public_key()), "alg": jws.ALGORITHM, "kid": key.kid, "use": "sig"}


def _stamp(manifest: str) -> tuple[int, int, int]:
    found = os.stat(manifest)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _absent(folder: Path) -> GatewayError:
    return GatewayError(
        GatewayReason.KEYS_ABSENT,
        "the keys of this store are not there; restore the key folder from its backup",
        where=str(folder),
        expected="a key folder with a manifest",
        found="none, or one whose creation was interrupted",
    )


def _locked(folder: Path, change: Callable[[], T]) -> T:
    """Run `change` while no other process changes the folder. Raises GatewayError(KEYS_PERMISSIONS)."""
    try:
        lock = TurnLock(folder / "keys")
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        with lock.held(_LOCK_SECONDS):
            return change()
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        lock.close()


def _unwritable(folder: Path, error: OSError) -> GatewayError:
    found = "another process holds its lock" if isinstance(error, TimeoutError) else error.strerror
    return GatewayError(
        GatewayReason.KEYS_PERMISSIONS,
        "the key folder cannot be changed",
        where=str(folder),
        expected="a folder that can be written",
        found=found or "an error",
    )
