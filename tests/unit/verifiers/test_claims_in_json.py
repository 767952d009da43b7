"""A claim that was written as JSON comes back as it was; what is no claim does not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.policies.support import SNP_CLAIMS, TDX_CLAIMS
from verifiers.claims import BY_NAME
from verifiers.claimtypes import ClaimType, from_json, to_json
from verifiers.model import TcbVersion

VALUES: dict[ClaimType, list[Any]] = {
    ClaimType.DIGEST: [bytes(48), b"\xff" * 48],
    ClaimType.BYTES: [b"", b"\x01"],
    ClaimType.FLAG: [True, False],
    ClaimType.INTEGER: [0, 2**64 - 1],
    ClaimType.MASK: [0, 0x3001F],
    ClaimType.TEXT: ["Milan", ""],
    ClaimType.VERSION: [(1, 55, 29)],
    ClaimType.LIST: [(0, 255)],
    ClaimType.TCB: [
        TcbVersion(bootloader=1, tee=0, snp=2, microcode=3),
        TcbVersion(bootloader=1, tee=0, snp=2, microcode=3, fmc=0),
    ],
    ClaimType.DURATION: [timedelta(0), timedelta(days=3), -timedelta(seconds=5)],
    ClaimType.SET: [frozenset(), frozenset({"a", "b"})],
}
NO_VALUES: dict[ClaimType, list[Any]] = {
    ClaimType.DIGEST: ["zz", 5, None, "0"],
    ClaimType.FLAG: [0, "true", None],
    ClaimType.INTEGER: [True, "1", 1.0],
    ClaimType.MASK: [5, "x"],
    ClaimType.VERSION: ["1.x", 1],
    ClaimType.LIST: [[True], "1"],
    ClaimType.TCB: [
        {},
        {"bl": 1, "tee": 0, "snp": 0, "ucode": 0, "more": 1},
        {"bl": "1", "tee": 0, "snp": 0, "ucode": 0},
    ],
    ClaimType.TIME: ["yesterday", 5],
    ClaimType.DURATION: ["5", 1.5, 10**30],
    ClaimType.SET: [[1], "a"],
}


def a_spec(kind: ClaimType) -> Any:
    return next(spec for spec in BY_NAME.values() if spec.type is kind)


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k, values in VALUES.items() for v in values])
def test_what_was_written_comes_back(kind: ClaimType, value: Any) -> None:
    spec = a_spec(kind)
    assert from_json(spec, json.loads(json.dumps(to_json(spec, value)))) == value


@pytest.mark.parametrize("claims", [SNP_CLAIMS, TDX_CLAIMS])
def test_whole_results_come_back(claims: Any) -> None:
    for name, value in claims.items():
        spec = BY_NAME[name]
        assert from_json(spec, json.loads(json.dumps(to_json(spec, value)))) == value


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k, values in NO_VALUES.items() for v in values])
def test_what_is_no_claim_is_refused(kind: ClaimType, value: Any) -> None:
    with pytest.raises(ValueError, match="in JSON"):
        from_json(a_spec(kind), value)
