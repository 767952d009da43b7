"""Any file is a replay bundle, which is replayed without an accident, or refused by one of our errors."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

from gateway.errors import GatewayError
from gateway.replay import again, bundle
from verifiers.errors import AttestationError


@functools.cache
def _sample() -> bytes:
    from tests.integration.test_replay import SNP, attempted, opened, site_bundle

    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as site:
        return site_bundle(site, attempted(site, SNP), with_now=True)


def seeds() -> list[bytes]:
    whole = json.loads(_sample())
    bare = whole | {"collateral": [], "policies": []}
    return [_sample(), json.dumps(bare).encode(), b'{"format":"sealgate-replay/1"}', b"{}"]


def target(data: bytes) -> None:
    try:
        kept = bundle.parse(data)
        appraisal = again.repeat(kept, at=kept.at, pieces=kept.collateral)
        again.compare(kept, appraisal, kept.collateral)
    except (AttestationError, GatewayError) as error:
        assert error.reason
