"""Init-data and ID keys."""

from __future__ import annotations

import base64
import gzip
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policies.foundry import idblock, initdata
from policies.foundry.errors import FoundryError, FoundryReason

DOCUMENT = 'version = "0.1.0"\nalgorithm = "{}"\n[data]\n"aa.toml" = "x"\n'


@pytest.mark.parametrize("algorithm", initdata.ALGORITHMS)
def test_init_data_is_cut_or_filled(algorithm: str) -> None:
    document = DOCUMENT.format(algorithm).encode()
    digest = hashlib.new(algorithm, document).digest()
    found = initdata.read(document)
    assert (found.algorithm, found.digest) == (algorithm, digest)
    assert found.fields["snp.host_data"] == digest[:32]
    assert found.fields["tdx.mr_config_id"] == (digest + bytes(48))[:48]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"\xff", FoundryReason.MALFORMED),
        (b"version = ", FoundryReason.MALFORMED),
        (b"", FoundryReason.UNSUPPORTED),
        (DOCUMENT.format("sm3").encode(), FoundryReason.UNSUPPORTED),
        (DOCUMENT.format("sha256").replace("0.1.0", "0.2.0").encode(), FoundryReason.UNSUPPORTED),
        (DOCUMENT.format("sha256").replace('"x"', "1").encode(), FoundryReason.MALFORMED),
        (b'version = "0.1.0"\nalgorithm = "sha256"\n', FoundryReason.MALFORMED),
        (b"a" * (initdata.MAX_DOCUMENT + 1), FoundryReason.TOO_MUCH),
        (b"a = " + b"[" * 50_000, FoundryReason.MALFORMED),
    ],
    ids=["utf-8", "toml", "empty", "algorithm", "version", "data", "no-data", "long", "deep"],
)
def test_bad_init_data_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(FoundryError) as caught:
        initdata.read(document)
    assert caught.value.reason == reason


def test_an_annotation_is_unpacked() -> None:
    assert initdata.from_annotation(base64.b64encode(gzip.compress(b"document")).decode()) == b"document"


@pytest.mark.parametrize(
    "packed",
    [b"", b"plain", gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"y", gzip.compress(bytes(1 << 21))],
    ids=["empty", "no-gzip", "cut", "more", "bomb"],
)
def test_bad_annotations_are_refused(packed: bytes) -> None:
    with pytest.raises(FoundryError):
        initdata.from_annotation(base64.b64encode(packed).decode())


def test_annotations_are_strict_base64() -> None:
    with pytest.raises(FoundryError):
        initdata.from_annotation("ä")


def test_a_key_is_written_as_the_firmware_reads_it() -> None:
    private = ec.derive_private_key(7, ec.SECP384R1())
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    point = private.public_key().public_numbers()
    raw = idblock.public_key(pem, "key")
    assert len(raw) == 0x404 and raw[:4] == b"\2\0\0\0" and not any(raw[148:])
    assert int.from_bytes(raw[4:76], "little") == point.x
    assert int.from_bytes(raw[76:148], "little") == point.y
    assert idblock.key_digest(pem, "key") == hashlib.sha384(raw).digest()


def test_other_keys_are_refused() -> None:
    pem = (
        ec.derive_private_key(7, ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    for raw, reason in ((pem, FoundryReason.UNSUPPORTED), (b"no key", FoundryReason.MALFORMED)):
        with pytest.raises(FoundryError) as caught:
            idblock.public_key(raw, "key")
        assert caught.value.reason == reason


def test_id_block() -> None:
    ids = {"family_id": bytes(16), "image_id": bytes(16), "guest_svn": 0, "policy": 0x30000}
    digest = bytes(range(48))
    tail = bytes(32) + bytes.fromhex("01000000 00000000 0000030000000000")
    assert idblock.id_block(digest, **ids) == digest + tail  # type: ignore[arg-type]
    for change in ({"family_id": bytes(15)}, {"image_id": bytes(17)}, {"guest_svn": 1 << 32}, {"policy": -1}):
        with pytest.raises(FoundryError):
            idblock.id_block(digest, **{**ids, **change})  # type: ignore[arg-type]
    with pytest.raises(FoundryError):
        idblock.id_block(digest[:-1], **ids)  # type: ignore[arg-type]
