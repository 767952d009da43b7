"""The bundle's format: equal contents are equal bytes, and every change has its code."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import keyring
from gateway.collateral import bundle
from gateway.collateral.bundle import Head, Row
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Slot
from verifiers.codec import b64

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PRIVATE = ec.derive_private_key(7, ec.SECP256R1())
KEY = keyring.jwk(PRIVATE.public_key())
CRL, INFO, ROOT = b"the CRL of two slots", b"a TCB info, longer than the rest", b"a root"
R = GatewayReason


def signer(private: ec.EllipticCurvePrivateKey = PRIVATE) -> bundle.Sign:

    def sign(header: Any, payload: bytes) -> str:
        kid = keyring.thumbprint(private.public_key())
        return jwt.PyJWS().encode(payload, private, algorithm="ES256", headers={**header, "kid": kid})

    return sign


def row(kind: str, key: str, raw: bytes, channel: str = "standard") -> Row:
    digest = hashlib.sha256(raw).hexdigest()
    return Row(Slot(kind, key, channel, "", True), digest, len(raw), "vendor", "2026-06-01T00:00:00Z")


ROWS = [
    row("amd.crl", "kind=vlek product=Milan", CRL),
    row("intel.tcb-info", "fmspc=00806F050000 tee=tdx", INFO),
    row("amd.crl", "kind=vcek product=Milan", CRL),
    row("intel.issuer", "role=root", ROOT),
]


def made(rows: list[Row] = ROWS) -> tuple[Head, bytes]:
    head = bundle.make_head(rows, issuer="https://gw.example", created=NOW, key=KEY, sign=signer())
    raws = {hashlib.sha256(raw).hexdigest(): raw for raw in (CRL, INFO, ROOT)}
    return head, head.raw + b"".join(raws[member.sha256] for member in head.members)


def read(raw: bytes) -> tuple[Head, list[bytes]]:
    file = io.BytesIO(raw)
    head = bundle.read_head(file)
    return head, [piece for _, piece in bundle.members(head, file)]


def refused(raw: bytes) -> GatewayReason:
    with pytest.raises(GatewayError) as caught:
        read(raw)
    return caught.value.reason


def test_what_was_written_is_read() -> None:
    head, raw = made()
    found, pieces = read(raw)
    assert found == head
    assert pieces == [ROOT, CRL, INFO], "issuers first, and what two slots share once"
    assert found.signer == keyring.thumbprint(PRIVATE.public_key())
    assert (found.issuer, found.created, found.size) == (
        "https://gw.example",
        "2026-07-01T12:00:00Z",
        len(raw),
    )
    assert found.rows[0].source == "vendor"


def test_equal_contents_are_equal_bytes_from_the_manifest_on() -> None:
    first, again = made()[1], made(list(reversed(ROWS)))[1]
    assert first.split(b"\n", 2)[2] == again.split(b"\n", 2)[2]
    assert read(first)[0].digest == read(again)[0].digest


ROOM = len(ROOT) + len(CRL) + len(INFO)


def swap(raw: bytes) -> bytes:
    return raw[:-ROOM] + CRL + ROOT + INFO


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: raw[:-1], R.BUNDLE_TRUNCATED),
        (lambda raw: raw[:-ROOM], R.BUNDLE_TRUNCATED),
        (lambda raw: raw[: -ROOM - 1], R.BUNDLE_TRUNCATED),
        (lambda raw: raw[: len(bundle.MAGIC) + 30], R.BUNDLE_TRUNCATED),
        (lambda raw: raw[:5], R.BUNDLE_MALFORMED),
        (lambda raw: b"", R.BUNDLE_MALFORMED),
        (lambda raw: raw + b"\0", R.BUNDLE_SURPLUS),
        (lambda raw: raw + INFO, R.BUNDLE_SURPLUS),
        (lambda raw: raw[:-1] + b"\0", R.BUNDLE_MEMBER),
        (swap, R.BUNDLE_MEMBER),
        (lambda raw: raw[:-ROOM] + ROOT + ROOT + CRL + INFO, R.BUNDLE_MEMBER),
        (lambda raw: raw.replace(b"product=Milan", b"product=Genoa", 1), R.BUNDLE_SIGNATURE),
        (lambda raw: raw.replace(b"2026-06-01", b"2026-06-02", 1), R.BUNDLE_SIGNATURE),
        (lambda raw: raw.replace(b"/1\n", b"/2\n", 1), R.BUNDLE_MALFORMED),
        (lambda raw: raw.replace(b".", b"", 1), R.BUNDLE_MALFORMED),
    ],
    ids=[
        "one-byte-short", "no-members", "manifest-line-cut", "token-line-cut", "magic-cut", "empty",
        "one-byte-long", "member-twice-at-the-end", "last-byte-changed", "members-swapped", "member-twice",
        "row-changed", "origin-changed", "other-version", "token-of-two-parts",
    ],
)  # fmt: skip
def test_one_change_and_its_code(change: Callable[[bytes], bytes], reason: GatewayReason) -> None:
    assert refused(change(made()[1])) is reason


def test_another_key_cannot_sign_for_the_one_that_is_named() -> None:
    other = ec.derive_private_key(8, ec.SECP256R1())
    with pytest.raises(GatewayError) as caught:
        bundle.make_head(ROWS, issuer="x", created=NOW, key=KEY, sign=signer(other))
    assert caught.value.reason is R.BUNDLE_SIGNATURE


def signed(manifest: bytes, origins: bytes, **claims: Any) -> bytes:
    """A head whose lines were signed as they are, whatever they say."""
    value = {
        "created": "2026-07-01T12:00:00Z", "format": bundle.MAGIC.decode(), "issuer": "x", "key": KEY,
        "manifest": hashlib.sha256(manifest).hexdigest(), "origins": hashlib.sha256(origins).hexdigest(),
        **claims,
    }  # fmt: skip
    payload = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    token = signer()({"typ": bundle.TYP}, payload).encode()
    return b"\n".join((bundle.MAGIC, token, origins, manifest, b""))


def lines() -> tuple[list[Any], list[Any]]:
    _, _, origins, manifest, _ = made()[0].raw.split(b"\n")
    return json.loads(manifest), json.loads(origins)


def compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda rows, origins: rows.reverse(),
        lambda rows, origins: (rows.insert(1, rows[0]), origins.append(["", ""])),
        lambda rows, origins: origins.pop(),
        lambda rows, origins: origins.__setitem__(0, ["vendor"]),
        lambda rows, origins: rows[0].update(kind="amd.ark"),
        lambda rows, origins: rows[0].update(channel="late"),
        lambda rows, origins: rows[0].update(bytes=0),
        lambda rows, origins: rows[0].update(bytes=True),
        lambda rows, origins: rows[0].update(bytes=1024 * 1024 + 1),
        lambda rows, origins: rows[1].update(bytes=1),
        lambda rows, origins: rows[0].update(sha256=rows[0]["sha256"].upper()),
        lambda rows, origins: rows[0].update(more=1),
        lambda rows, origins: rows[0].pop("variant"),
        lambda rows, origins: rows.__setitem__(0, "row"),
    ],
    ids=[
        "rows-reversed", "row-twice", "origin-missing", "origin-short", "unknown-kind", "unknown-channel",
        "no-bytes", "size-no-number", "member-too-large", "two-sizes", "digest-in-capitals", "unknown-member",
        "member-missing", "no-row",
    ],
)  # fmt: skip
def test_a_signed_head_is_read_as_strictly(change: Callable[[Any, Any], object]) -> None:
    rows, origins = lines()
    change(rows, origins)
    assert refused(signed(compact(rows), compact(origins))) is R.BUNDLE_MALFORMED


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (signed(b"[ ]", b"[]"), R.BUNDLE_MALFORMED),
        (signed(b"{}", b"[]"), R.BUNDLE_MALFORMED),
        (signed(b"[" * 50, b"[]"), R.BUNDLE_MALFORMED),
        (signed(b"[]", b"[]", more="x"), R.BUNDLE_MALFORMED),
        (signed(b"[]", b"[]", issuer=1), R.BUNDLE_MALFORMED),
        (signed(b"[]", b"[]", key={**KEY, "d": "x"}), R.BUNDLE_MALFORMED),
        (signed(b"[]", b"[]", key={**KEY, "x": KEY["y"]}), R.BUNDLE_MALFORMED),
        (bundle.MAGIC + b"\n" + b"a" * 9000 + b"\n", R.BUNDLE_MALFORMED),
    ],
    ids=["blank", "object", "deep", "claim", "issuer", "private-key", "no-point", "long-token"],
)
def test_hostile_heads(raw: bytes, reason: GatewayReason) -> None:
    assert refused(raw + (b"\n\n" if raw.count(b"\n") < 4 else b"")) is reason


def test_a_token_of_another_type_signs_no_bundle() -> None:
    raw = made()[0].raw
    payload = b64.decode_url(raw.split(b"\n")[1].split(b".")[1].decode(), "payload", limit=4096)
    token = signer()({"typ": "sealgate-ear+jwt"}, payload).encode()
    parts = raw.split(b"\n")
    assert refused(b"\n".join((parts[0], token, *parts[2:]))) is R.BUNDLE_MALFORMED


class Endless(io.RawIOBase):
    """A file that never ends, and counts what was read."""

    taken = 0

    def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        assert size is not None and 0 < size <= bundle.MAX_HEAD + 1, "a bounded read"
        self.taken += size
        return bundle.MAGIC + b"\n" if self.taken == size else b"a" * size


def test_a_line_without_end_is_read_no_further_than_the_limit() -> None:
    file = Endless()
    with pytest.raises(GatewayError) as caught:
        bundle.read_head(file)  # type: ignore[arg-type]
    assert caught.value.reason is R.BUNDLE_TOO_LARGE
    assert file.taken <= 2 * bundle.MAX_HEAD + 2


@pytest.mark.parametrize("count", [bundle.MAX_OBJECTS, bundle.MAX_OBJECTS + 1])
def test_as_many_objects_as_one_bundle_holds_and_one_more(count: int) -> None:
    rows = [row("amd.vcek", f"n={number:05}", CRL) for number in range(count)]
    if count <= bundle.MAX_OBJECTS:
        assert len(made(rows)[0].rows) == count
        return
    with pytest.raises(GatewayError) as caught:
        made(rows)
    assert caught.value.reason is R.BUNDLE_TOO_LARGE


def test_pieces_are_cut_where_members_begin() -> None:
    head, raw = made()
    rest = raw[len(head.raw) :]
    assert [piece for _, piece in bundle.cut(head, 1, rest[len(ROOT) :])] == [CRL, INFO]
    assert [piece for _, piece in bundle.cut(head, 1, CRL)] == [CRL]
    assert list(bundle.cut(head, 3, b"")) == []
    for start, piece, reason in (
        (0, CRL + INFO, R.BUNDLE_MEMBER),
        (1, CRL[:-1], R.BUNDLE_TRUNCATED),
        (2, INFO + b"x", R.BUNDLE_SURPLUS),
    ):
        with pytest.raises(GatewayError) as caught:
            list(bundle.cut(head, start, piece))
        assert caught.value.reason is reason
