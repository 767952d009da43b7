"""The native requests: one reading, exact codes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.protocol import native
from tests.unit.gateway.protocol.test_jwk import elliptic
from verifiers.codec import b64
from verifiers.errors import EvidenceFormatError

RUNTIME: dict[str, Any] = {
    "nonce": "n" * 40,
    "key": elliptic(),
    "aud": "https://gateway.example",
    "tenant": "default",
}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def attest(**changes: Any) -> bytes:
    body = {"evidence": {"type": "sev-snp"}, "runtime_data": b64.encode_url(encoded(RUNTIME))} | changes
    return encoded({name: value for name, value in body.items() if value is not ...})


def test_report_data_is_the_labelled_hash_of_the_bytes_as_sent() -> None:
    spaced = json.dumps(RUNTIME, indent=3).encode()
    expected = hashlib.sha512(b"sealgate/1 runtime-data" + b"\0" + spaced).digest()
    assert native.parse_runtime_data(spaced).report_data == expected
    assert native.report_data(encoded(RUNTIME)) != expected


def test_device_nonce_is_labelled_and_indexed() -> None:
    expected = hashlib.sha256(b"sealgate/1 device\x00" + b"n" * 32 + b"t" * 32 + b"\0\0\0\1").digest()
    assert native.device_nonce(b"n" * 32, b"t" * 32, 1) == expected


def test_runtime_data_is_read() -> None:
    value = native.parse_runtime_data(encoded(RUNTIME))
    assert (value.nonce, value.aud, value.tenant, value.devices) == (
        RUNTIME["nonce"],
        RUNTIME["aud"],
        "default",
        None,
    )
    assert dict(value.key.jwk) == elliptic()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": ...}, "request.malformed"),
        ({"key": ...}, "request.malformed"),
        ({"aud": ...}, "request.malformed"),
        ({"tenant": ...}, "request.malformed"),
        ({"extra": 1}, "request.unknown-member"),
        ({"nonce": 1}, "request.malformed"),
        ({"nonce": ""}, "request.malformed"),
        ({"nonce": "n" * 513}, "request.malformed"),
        ({"aud": ["https://gateway.example"]}, "request.malformed"),
        ({"tenant": "../other"}, "request.malformed"),
        ({"tenant": "Default"}, "request.malformed"),
        ({"tenant": ""}, "request.malformed"),
        ({"key": elliptic() | {"d": "AQ"}}, "request.private-key"),
        ({"devices": []}, "request.malformed"),
        ({"devices": [b64.encode_url(b"x" * 31)]}, "request.malformed"),
        ({"devices": [b64.encode_url(b"x" * 32)] * 17}, "request.malformed"),
    ],
)
def test_each_fault_of_runtime_data_has_its_code(change: dict[str, Any], reason: str) -> None:
    value = {name: item for name, item in (RUNTIME | change).items() if item is not ...}
    with pytest.raises(GatewayError) as caught:
        native.parse_runtime_data(encoded(value))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "evidence.empty"),
        (b"{" + b'"nonce":"a","nonce":"b"' + b"}", "evidence.duplicate"),
        (b"[" * 40, "evidence.too-deep"),
        (b'{"nonce":NaN}', "evidence.bad-value"),
        (b"\xff", "evidence.bad-encoding"),
        (b'{"nonce":"' + b"a" * 8192 + b'"}', "evidence.too-large"),
    ],
)
def test_runtime_data_is_strict_json(raw: bytes, reason: str) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        native.parse_runtime_data(raw)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("size", "accepted"), [(8191, True), (8192, True), (8193, False)])
def test_runtime_data_has_at_most_8_kib(size: int, accepted: bool) -> None:
    raw = encoded(RUNTIME)
    raw += b" " * (size - len(raw))
    body = attest(runtime_data=b64.encode_url(raw))
    if accepted:
        assert native.parse_attest(body).runtime_data == raw
    else:
        with pytest.raises(EvidenceFormatError) as caught:
            native.parse_runtime_data(native.parse_attest(body).runtime_data)
        assert caught.value.reason == "evidence.too-large"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"evidence": ...}, "request.malformed"),
        ({"runtime_data": ...}, "request.malformed"),
        ({"evidence": []}, "request.malformed"),
        ({"other": 1}, "request.unknown-member"),
        ({"release": "disk-key"}, "request.malformed"),
        ({"release": ["a"] * 17}, "request.malformed"),
        ({"release": ["a", "a"]}, "request.malformed"),
        ({"release": ["../a"]}, "release.path"),
        ({"release": ["a//b"]}, "release.path"),
        ({"release": ["/a"]}, "release.path"),
        ({"release": ["a/./b"]}, "release.path"),
        ({"release": ["a b"]}, "release.path"),
        ({"release": ["a\u0000"]}, "release.path"),
        ({"release": ["a/" * 16 + "a"]}, "release.path"),
        ({"release": [1]}, "release.path"),
        ({"policy": 1}, "request.malformed"),
        ({"policy": ""}, "request.malformed"),
    ],
)
def test_each_fault_of_attest_has_its_code(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(GatewayError) as caught:
        native.parse_attest(attest(**change))
    assert caught.value.reason == reason


def test_attest_is_read() -> None:
    request = native.parse_attest(attest(release=["db/password", "disk-key"]))
    assert (request.release, request.policy) == (("db/password", "disk-key"), None)
    assert request.runtime_data == encoded(RUNTIME)
    assert native.parse_attest(attest(policy="payments")).policy == "payments"


def test_a_policy_is_not_named_beside_paths() -> None:
    with pytest.raises(GatewayError) as caught:
        native.parse_attest(attest(release=["disk-key"], policy="payments"))
    assert caught.value.reason == "request.malformed"


@pytest.mark.parametrize(
    "body",
    [
        {"ear": "a.b.c"},
        {"paths": ["a"]},
        {"ear": "", "paths": ["a"]},
        {"ear": 1, "paths": ["a"]},
        {"ear": "é", "paths": ["a"]},
        {"ear": "a.b.c", "paths": []},
        {"ear": "t" * (64 * 1024 + 1), "paths": ["a"]},
    ],
)
def test_each_fault_of_release_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as caught:
        native.parse_release(encoded(body))
    assert caught.value.reason == "request.malformed"


def test_a_release_names_an_ear_and_paths() -> None:
    request = native.parse_release(encoded({"ear": "a.b.c", "paths": ["x/y", "z"]}))
    assert (request.ear, request.paths) == ("a.b.c", ("x/y", "z"))
    with pytest.raises(GatewayError) as caught:
        native.parse_release(encoded({"ear": "a.b.c", "paths": ["x"], "token": "a.b.c"}))
    assert caught.value.reason == "request.unknown-member"


def test_verify_takes_one_binding_or_none() -> None:
    evidence = {"type": "tdx"}
    assert native.parse_verify(encoded({"evidence": evidence})).report_data is None
    given = b64.encode_url(bytes(64))
    assert native.parse_verify(encoded({"evidence": evidence, "report_data": given})).report_data == bytes(64)
    for bad in (
        {"evidence": evidence, "report_data": given, "runtime_data": "AA"},
        {"evidence": evidence, "report_data": b64.encode_url(bytes(63))},
    ):
        with pytest.raises(GatewayError) as caught:
            native.parse_verify(encoded(bad))
        assert caught.value.reason == "request.malformed"


@pytest.mark.parametrize(
    ("body", "accepted"), [(b"", True), (b"{}", True), (b"[]", False), (b'{"a":1}', False)]
)
def test_a_challenge_asks_for_nothing(body: bytes, accepted: bool) -> None:
    if accepted:
        native.parse_challenge(body)
    else:
        with pytest.raises(GatewayError):
            native.parse_challenge(body)


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_raise_our_errors(raw: bytes) -> None:
    for parse in (native.parse_attest, native.parse_release, native.parse_verify, native.parse_runtime_data):
        with pytest.raises((GatewayError, EvidenceFormatError)):
            parse(raw)
