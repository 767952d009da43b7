"""Any body is a request or refused by one of our errors."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.http import lifecycle
from gateway.protocol import native
from verifiers.errors import AttestationError


def seeds() -> list[bytes]:
    return [
        b'{"evidence":{"type":"sev-snp","report":"AAAA"},"runtime_data":"e30","release":["a/b"]}',
        b'{"nonce":"AA","key":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},"aud":"https://a","tenant":"default"}',
        b'{"files":[{"name":"a.yaml","source":"AAAA"}],"signatures":["e30..AAAA"]}',
        b"{}",
    ]


def target(data: bytes) -> None:
    for parse in (
        native.parse_attest,
        native.parse_release,
        native.parse_verify,
        native.parse_runtime_data,
        _activation,
    ):
        try:
            parse(data)
        except (AttestationError, GatewayError) as error:
            assert error.reason


def _activation(data: bytes) -> object:
    members = lifecycle._members(data, {"files"}, {"signatures"})
    return lifecycle._files(members), lifecycle._signatures(members)
