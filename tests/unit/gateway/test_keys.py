"""The key folder: private, of one store, complete; and tokens that only its keys can make."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import os
import pickle
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from gateway import files, keyring
from gateway.errors import GatewayError, GatewayReason
from gateway.keys import FileKeys
from gateway.store import Store, StoreIdentity, StoreKind
from tests.stores import START, FakeRandom, file_keys, sqlite_store

AAD = b"where it belongs"
TYP = "sealgate-test+jwt"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def keys(tmp_path: Path, store: Store) -> FileKeys:
    return file_keys(tmp_path, store)


def reason_of(call: Callable[[], object]) -> GatewayReason:
    with pytest.raises(GatewayError) as caught:
        call()
    return caught.value.reason


# --- the folder ---


def test_the_folder_is_private_and_names_its_store(tmp_path: Path, store: Store, keys: FileKeys) -> None:
    folder = tmp_path / "keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["store_id"], manifest["kind"]) == (store.store_id, "development")
    assert keys.key_ids() == (tuple(manifest["signing"]), tuple(manifest["kek"]))


def test_creating_twice_and_loading_give_the_same_keys(tmp_path: Path, store: Store, keys: FileKeys) -> None:
    for again in (
        file_keys(tmp_path, store, "others"),
        FileKeys.load(tmp_path / "keys", store.identity, FakeRandom()),
    ):
        assert again.jwks() == keys.jwks()
        assert again.nonce_mac(b"x") == keys.nonce_mac(b"x")
        assert again.open(*keys.seal(b"s", AAD), AAD) == b"s"


def test_threads_that_create_at_once_agree(tmp_path: Path, store: Store) -> None:
    made: list[object] = []

    def create(seed: str) -> None:
        made.append(file_keys(tmp_path, store, seed).key_ids())

    threads = [threading.Thread(target=create, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [made[0]] * 8


def test_no_folder_no_keys(tmp_path: Path, store: Store) -> None:
    load = lambda: FileKeys.load(tmp_path / "keys", store.identity, FakeRandom())  # noqa: E731
    assert reason_of(load) is GatewayReason.KEYS_ABSENT
    (tmp_path / "keys").mkdir(mode=0o700)
    assert reason_of(load) is GatewayReason.KEYS_ABSENT


@pytest.mark.parametrize("place", ["db", "db/keys", ".", "link", "link/keys"])
def test_keys_do_not_lie_with_the_database(tmp_path: Path, store: Store, place: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "db")
    for make in (FileKeys.create, FileKeys.load):
        found = reason_of(lambda make=make: make(tmp_path / place, store.identity, FakeRandom()))  # type: ignore[misc]
        assert found is GatewayReason.KEYS_LOCATION


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601])
@pytest.mark.parametrize("name", ["manifest.json", "nonce.key", "kek-", "signing-"])
def test_a_file_that_others_can_use_is_refused(
    tmp_path: Path, store: Store, keys: FileKeys, name: str, mode: int
) -> None:
    (path,) = [path for path in (tmp_path / "keys").iterdir() if path.name.startswith(name)]
    path.chmod(mode)
    with pytest.raises(GatewayError) as caught:
        file_keys(tmp_path, store)
    assert caught.value.reason is GatewayReason.KEYS_PERMISSIONS
    assert (caught.value.where, caught.value.found) == (str(path), f"mode {mode:04o}")


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701, 0o710])
def test_a_folder_that_others_can_use_is_refused(
    tmp_path: Path, store: Store, keys: FileKeys, mode: int
) -> None:
    (tmp_path / "keys").chmod(mode)
    assert reason_of(lambda: file_keys(tmp_path, store)) is GatewayReason.KEYS_PERMISSIONS
    load = lambda: FileKeys.load(tmp_path / "keys", store.identity, FakeRandom())  # noqa: E731
    assert reason_of(load) is GatewayReason.KEYS_PERMISSIONS


def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    files.write_new(path, b"x")
    values = list(path.stat())
    values[4] = os.geteuid() + 4242
    other = os.stat_result(values)
    assert (
        reason_of(lambda: files.check_private(other, path, GatewayReason.KEYS_PERMISSIONS))
        is GatewayReason.KEYS_PERMISSIONS
    )


@pytest.mark.parametrize("name", ["manifest.json", "nonce.key", "kek-", "signing-"])
def test_a_link_in_the_place_of_a_file_is_refused(
    tmp_path: Path, store: Store, keys: FileKeys, name: str
) -> None:
    (path,) = [path for path in (tmp_path / "keys").iterdir() if path.name.startswith(name)]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert reason_of(lambda: file_keys(tmp_path, store)) is GatewayReason.KEYS_PERMISSIONS


def test_keys_of_another_store_are_refused(tmp_path: Path, keys: FileKeys) -> None:
    with sqlite_store(tmp_path / "other", seed="other") as other:
        for make in (FileKeys.create, FileKeys.load):
            found = reason_of(lambda make=make: make(tmp_path / "keys", other.identity, FakeRandom()))  # type: ignore[misc]
            assert found is GatewayReason.KEYS_FOREIGN


def test_development_keys_never_serve_a_production_store(
    tmp_path: Path, store: Store, keys: FileKeys
) -> None:
    production = StoreIdentity(
        store_id=store.store_id, kind=StoreKind.PRODUCTION, created=START, folder=store.identity.folder
    )
    load = lambda: FileKeys.load(tmp_path / "keys", production, FakeRandom())  # noqa: E731
    assert reason_of(load) is GatewayReason.KEYS_FOREIGN


def test_keys_without_their_manifest_are_not_touched(tmp_path: Path, store: Store, keys: FileKeys) -> None:
    (tmp_path / "keys" / "manifest.json").unlink()
    before = sorted(path.name for path in (tmp_path / "keys").iterdir())
    assert reason_of(lambda: file_keys(tmp_path, store)) is GatewayReason.KEYS_INCOMPLETE
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == before


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_an_interrupted_creation_is_finished(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """A crash at the start, after the nonce key, after the signing key, before the final manifest."""
    real, calls = files.write_new, iter(range(10))

    def write_new(path: Path, content: bytes) -> None:
        if next(calls) == left + 1:  # the first call writes the manifest
            path.write_bytes(content[:5])
            path.chmod(0o600)
            raise KeyboardInterrupt
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_new", write_new)
        with pytest.raises(KeyboardInterrupt):
            file_keys(tmp_path, store)
    load = lambda: FileKeys.load(tmp_path / "keys", store.identity, FakeRandom())  # noqa: E731
    assert reason_of(load) is GatewayReason.KEYS_ABSENT
    keys = file_keys(tmp_path, store)
    assert keys.open(*keys.seal(b"s", AAD), AAD) == b"s"
    assert keys.jwks() == load().jwks()


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    change(value)
    files.replace_file(path, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda m: m.update(format="sealgate-keys/2"), GatewayReason.KEYS_MALFORMED, id="format"),
        pytest.param(lambda m: m.update(more=1), GatewayReason.KEYS_MALFORMED, id="member-more"),
        pytest.param(lambda m: m.pop("kek"), GatewayReason.KEYS_MALFORMED, id="member-less"),
        pytest.param(lambda m: m.update(kek=[]), GatewayReason.KEYS_MALFORMED, id="no-kek"),
        pytest.param(lambda m: m.update(signing=[]), GatewayReason.KEYS_MALFORMED, id="no-signing-key"),
        pytest.param(lambda m: m.update(kek=["../x"]), GatewayReason.KEYS_MALFORMED, id="climbing-name"),
        pytest.param(lambda m: m["kek"].append(m["kek"][0]), GatewayReason.KEYS_MALFORMED, id="twice"),
        pytest.param(lambda m: m.update(complete=1), GatewayReason.KEYS_MALFORMED, id="complete-1"),
        pytest.param(lambda m: m.update(complete=False), GatewayReason.KEYS_ABSENT, id="incomplete"),
        pytest.param(
            lambda m: m.update(kek=["kek-" + "0" * 32]), GatewayReason.KEYS_PERMISSIONS, id="no-file"
        ),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(
    tmp_path: Path,
    store: Store,
    keys: FileKeys,
    change: Callable[[dict[str, Any]], None],
    reason: GatewayReason,
) -> None:
    rewrite(tmp_path / "keys", change)
    assert reason_of(lambda: FileKeys.load(tmp_path / "keys", store.identity, FakeRandom())) is reason


def p384() -> bytes:
    return ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def p256() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("nonce.key", bytes(31), id="nonce-key-31"),
        pytest.param("nonce.key", bytes(33), id="nonce-key-33"),
        pytest.param("kek-", bytes(31), id="kek-31"),
        pytest.param("kek-", bytes(32), id="another-kek"),
        pytest.param("signing-", b"", id="signing-empty"),
        pytest.param("signing-", p384(), id="signing-p384"),
        pytest.param("signing-", p256(), id="another-signing-key"),
    ],
)
def test_a_key_that_is_not_what_it_is_called_is_refused(
    tmp_path: Path, store: Store, keys: FileKeys, name: str, content: bytes
) -> None:
    (path,) = [path for path in (tmp_path / "keys").iterdir() if path.name.startswith(name)]
    path.write_bytes(content)
    assert reason_of(lambda: file_keys(tmp_path, store)) is GatewayReason.KEYS_MALFORMED


def test_nothing_secret_shows(tmp_path: Path, keys: FileKeys) -> None:
    loaded = keys._loaded
    shown = f"{keys!r} {keys} {loaded!r} {loaded.signing!r} {loaded.keks!r} {loaded.mac!r}"
    kek = next((tmp_path / "keys").glob("kek-*.key")).read_bytes()
    nonce = (tmp_path / "keys" / "nonce.key").read_bytes()
    for secret in (kek, nonce):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="do not leave"):
            leave(keys)  # type: ignore[operator]


# --- sealing ---


def test_what_was_sealed_opens_only_under_the_same_name(keys: FileKeys) -> None:
    key_id, sealed = keys.seal(b"secret", AAD)
    assert len(sealed) == 12 + 6 + 16
    assert keys.open(key_id, sealed, AAD) == b"secret"
    assert keys.seal(b"secret", AAD)[1] != sealed
    for other in (AAD + b"\0", AAD[:-1], b""):
        with pytest.raises(ValueError, match="not what was sealed"):
            keys.open(key_id, sealed, other)


@pytest.mark.parametrize("position", range(34))
def test_every_byte_of_a_sealed_secret_counts(keys: FileKeys, position: int) -> None:
    key_id, sealed = keys.seal(b"secret", AAD)
    broken = bytearray(sealed)
    broken[position] ^= 1
    with pytest.raises(ValueError, match="not what was sealed"):
        keys.open(key_id, bytes(broken), AAD)


@pytest.mark.parametrize(("size", "message"), [(0, "shorter"), (27, "shorter"), (28, "not what was sealed")])
def test_a_sealed_secret_has_a_nonce_and_a_tag(keys: FileKeys, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keys.open(keys.key_ids()[1][0], bytes(size), AAD)


def test_an_unknown_key_id_is_a_key_error(keys: FileKeys) -> None:
    with pytest.raises(KeyError):
        keys.open("kek-" + "0" * 32, keys.seal(b"x", AAD)[1], AAD)


def test_the_key_id_is_bound_to_what_is_sealed(keys: FileKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if two ids led to the same key."""
    key_id, sealed = keys.seal(b"x", AAD)
    loaded = keys._loaded
    monkeypatch.setattr(keys, "_current", lambda: type("L", (), {"keks": {"other": loaded.keks[key_id]}})())
    with pytest.raises(ValueError, match="not what was sealed"):
        keys.open("other", sealed, AAD)


# --- rotation ---


def test_a_new_kek_seals_and_the_old_one_still_opens(tmp_path: Path, store: Store, keys: FileKeys) -> None:
    elsewhere = FileKeys.load(tmp_path / "keys", store.identity, FakeRandom("elsewhere"))
    old = keys.seal(b"old", AAD)
    fresh = keys.rotate_kek()
    new = keys.seal(b"new", AAD)
    assert (new[0], old[0] == fresh) == (fresh, False)
    assert [k.open(*old, AAD) + k.open(*new, AAD) for k in (keys, elsewhere)] == [b"oldnew"] * 2
    with pytest.raises(ValueError, match="not what was sealed"):
        keys.open(fresh, old[1], AAD)


def test_a_new_signing_key_signs_and_the_old_one_is_accepted_until_retired(
    tmp_path: Path, store: Store, keys: FileKeys
) -> None:
    elsewhere = FileKeys.load(tmp_path / "keys", store.identity, FakeRandom("elsewhere"))
    (first,), old = keys.key_ids()[0], keys.sign_jws({"typ": TYP}, b"old")
    fresh = keys.rotate_signing()
    new = keys.sign_jws({"typ": TYP}, b"new")
    assert header_of(new)["kid"] == fresh
    assert [key["kid"] for key in elsewhere.jwks()["keys"]] == [fresh, first]
    assert [k.verify_jws(t, TYP) for k in (keys, elsewhere) for t in (old, new)] == [b"old", b"new"] * 2
    with pytest.raises(ValueError, match="current"):
        keys.retire_signing(fresh)
    keys.retire_signing(first)
    with pytest.raises(KeyError):
        keys.retire_signing(first)
    with pytest.raises(ValueError, match="signature"):
        elsewhere.verify_jws(old, TYP)
    assert elsewhere.verify_jws(new, TYP) == b"new"


def test_keys_in_use_survive_the_loss_of_their_folder(tmp_path: Path, keys: FileKeys) -> None:
    sealed = keys.seal(b"x", AAD)
    shutil.rmtree(tmp_path / "keys")
    assert keys.open(*sealed, AAD) == b"x"


# --- tokens ---


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header_of(token: str) -> dict[str, Any]:
    part = token.split(".")[0]
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


def resigned(keys: FileKeys, header: object, payload: bytes = b"{}") -> str:
    """A token with any header, with a right ES256 signature of the current key."""
    text = header if isinstance(header, str) else json.dumps(header)
    signed = f"{b64(text.encode())}.{b64(payload)}"
    r, s = utils.decode_dss_signature(keys._loaded.signing.private.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def good_header(keys: FileKeys) -> dict[str, Any]:
    return {"alg": "ES256", "kid": keys.key_ids()[0][-1], "typ": TYP}


def test_a_token_is_signed_and_read(keys: FileKeys) -> None:
    token = keys.sign_jws({"typ": TYP, "cty": "json"}, b'{"a":1}')
    assert header_of(token) == {**good_header(keys), "cty": "json"}
    assert keys.verify_jws(token, TYP) == b'{"a":1}'
    assert keys.verify_jws(resigned(keys, good_header(keys)), TYP) == b"{}"


def test_the_kid_is_the_thumbprint(keys: FileKeys) -> None:
    (key,) = keys.jwks()["keys"]
    text = f'{{"crv":"P-256","kty":"EC","x":"{key["x"]}","y":"{key["y"]}"}}'
    assert key["kid"] == b64(hashlib.sha256(text.encode()).digest())
    assert key.keys() == {"alg", "crv", "kid", "kty", "use", "x", "y"}


@pytest.mark.parametrize("name", ["alg", "kid", "crit", "b64", "jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256"])
def test_a_caller_cannot_choose_keys_or_algorithms(keys: FileKeys, name: str) -> None:
    with pytest.raises(ValueError, match="cannot set"):
        keys.sign_jws({"typ": TYP, name: "x"}, b"{}")


@pytest.mark.parametrize("header", [{}, {"typ": ""}, {"typ": None}, {"typ": 1}])
def test_a_token_says_its_type(keys: FileKeys, header: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="type"):
        keys.sign_jws(header, b"{}")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"typ": "JWT"}, id="typ"),
        pytest.param({"typ": TYP.upper()}, id="typ-in-capitals"),
        pytest.param({"typ": None}, id="typ-null"),
        pytest.param({"alg": "none"}, id="alg-none"),
        pytest.param({"alg": "None"}, id="alg-None"),
        pytest.param({"alg": "HS256"}, id="alg-hs256"),
        pytest.param({"alg": "ES384"}, id="alg-es384"),
        pytest.param({"alg": ["ES256"]}, id="alg-list"),
        pytest.param({"kid": "x"}, id="kid-unknown"),
        pytest.param({"kid": None}, id="kid-null"),
        pytest.param({"kid": 1}, id="kid-number"),
        pytest.param({"crit": ["exp"]}, id="crit"),
        pytest.param({"crit": []}, id="crit-empty"),
        pytest.param({"crit": ["b64"], "b64": True}, id="crit-b64"),
        pytest.param({"b64": False}, id="b64"),
        pytest.param({"jku": "https://evil.example/jwks"}, id="jku"),
        pytest.param({"x5u": "https://evil.example/cert"}, id="x5u"),
        pytest.param({"x5c": []}, id="x5c"),
        pytest.param({"jwk": {}}, id="jwk"),
        pytest.param({"x5t": "x"}, id="x5t"),
    ],
)
def test_a_header_that_is_not_ours_is_refused_whoever_signed(keys: FileKeys, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="token"):
        keys.verify_jws(resigned(keys, good_header(keys) | change), TYP)


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_a_header_that_lacks_something_is_refused(keys: FileKeys, name: str) -> None:
    header = {key: value for key, value in good_header(keys).items() if key != name}
    with pytest.raises(ValueError, match="token"):
        keys.verify_jws(resigned(keys, header), TYP)


def test_a_header_with_a_key_twice_is_refused(keys: FileKeys) -> None:
    text = json.dumps(good_header(keys)).replace('{"alg"', '{"alg": "none", "alg"')
    with pytest.raises(ValueError, match="token"):
        keys.verify_jws(resigned(keys, text), TYP)


def test_a_foreign_key_under_our_kid_is_refused(tmp_path: Path, keys: FileKeys) -> None:
    with sqlite_store(tmp_path / "other", seed="other") as other:
        foreign = file_keys(tmp_path / "other", other)
        token = resigned(foreign, good_header(keys))
        assert foreign.verify_jws(resigned(foreign, good_header(foreign)), TYP) == b"{}"
    with pytest.raises(ValueError, match="signature"):
        keys.verify_jws(token, TYP)


def test_our_public_key_is_no_hmac_secret(keys: FileKeys) -> None:
    public = keys._loaded.signing.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{b64(json.dumps(good_header(keys) | {'alg': 'HS256'}).encode())}.{b64(b'{}')}"
    token = f"{signed}.{b64(hmac.digest(public, signed.encode(), 'sha256'))}"
    with pytest.raises(ValueError, match="token"):
        keys.verify_jws(token, TYP)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_every_part_of_a_token_is_signed(keys: FileKeys, part: int) -> None:
    token = keys.sign_jws({"typ": TYP}, b'{"sub":"a"}')
    pieces = token.split(".")
    for position in range(0, len(pieces[part]), 7):
        letter = "A" if pieces[part][position] != "A" else "B"
        changed = pieces[part][:position] + letter + pieces[part][position + 1 :]
        with pytest.raises(ValueError, match="token"):
            keys.verify_jws(".".join([*pieces[:part], changed, *pieces[part + 1 :]]), TYP)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: "", id="empty"),
        pytest.param(lambda t: t.rsplit(".", 1)[0], id="two-parts"),
        pytest.param(lambda t: t.rsplit(".", 1)[0] + ".", id="no-signature"),
        pytest.param(lambda t: t + ".x", id="four-parts"),
        pytest.param(lambda t: t + "=", id="padding"),
        pytest.param(lambda t: t + "\n", id="newline"),
        pytest.param(lambda t: " " + t, id="space"),
        pytest.param(lambda t: "é" + t, id="not-ascii"),
        pytest.param(lambda t: "." + t.split(".", 1)[1], id="no-header"),
    ],
)
def test_what_is_no_token_is_refused(keys: FileKeys, change: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match="token"):
        keys.verify_jws(change(keys.sign_jws({"typ": TYP}, b"{}")), TYP)


def test_a_manifest_is_never_seen_half_written(tmp_path: Path, keys: FileKeys) -> None:
    folder = tmp_path / "keys"
    assert keyring.read_manifest(folder) is not None
    (folder / "manifest.json.new").write_bytes(b"{")  # left by a crash
    keys.rotate_kek()
    assert len(keys.key_ids()[1]) == 2
