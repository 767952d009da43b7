"""Evidence at rest: sealed, bound to its place, named by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import build, evidence
from gateway.appraisals import CollateralSet, StoredAppraisal
from gateway.errors import GatewayError, GatewayReason
from gateway.evidence import Submission
from gateway.keys import FileKeys
from gateway.ports import Supplied
from tests.stores import START, file_keys, sqlite_store

SENT = Submission(b'{"type":"sev-snp"}', b'{"nonce":"n"}')


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[FileKeys]:
    with sqlite_store(tmp_path) as store:
        yield file_keys(tmp_path, store)


def stored(keys: FileKeys, tenant: str = "acme", jti: str = "j1") -> StoredAppraisal:
    return StoredAppraisal(
        tenant=tenant,
        jti=jti,
        created=START,
        expires=START,
        releasable=True,
        verdict="accepted",
        record=b"{}",
        submission=evidence.seal(keys, tenant, jti, SENT),
    )


def reason_of(keys: FileKeys, row: StoredAppraisal) -> GatewayReason:
    with pytest.raises(GatewayError) as caught:
        evidence.open_stored(keys, row)
    return caught.value.reason


def test_what_was_sealed_is_opened_and_is_not_there_in_clear(keys: FileKeys) -> None:
    row = stored(keys)
    assert evidence.open_stored(keys, row) == SENT
    assert row.submission is not None
    assert SENT.evidence not in row.submission.sealed and SENT.runtime_data not in row.submission.sealed
    assert (
        row.submission.digest
        == SENT.digest
        == hashlib.sha256(
            len(SENT.evidence).to_bytes(4, "big") + SENT.evidence + SENT.runtime_data
        ).hexdigest()
    )
    assert "sev-snp" not in repr(SENT)


def test_where_one_ends_and_the_other_begins_is_part_of_the_digest() -> None:
    assert Submission(b"ab", b"c").digest != Submission(b"a", b"bc").digest


def test_another_attempt_on_the_same_content_reads_it_too(keys: FileKeys) -> None:
    first = stored(keys)
    again = evidence.again(first)
    assert first.submission is not None and again is not None
    assert (again.sealed, again.held_by, again.digest) == (b"", "j1", first.submission.digest)
    assert evidence.open_stored(keys, replace(first, jti="j2")) == SENT


def test_evidence_counts_only_where_it_was_put(keys: FileKeys) -> None:
    row = stored(keys)
    kept = row.submission
    assert kept is not None
    changed = bytes([kept.sealed[-1] ^ 1])
    for other in (
        replace(row, tenant="other"),
        replace(row, submission=replace(kept, held_by="j2")),
        replace(row, submission=replace(kept, digest="00" * 32)),
        replace(row, submission=replace(kept, sealed=kept.sealed[:-1] + changed)),
        replace(row, submission=replace(kept, sealed=b"short")),
    ):
        assert reason_of(keys, other) is GatewayReason.SEAL_BROKEN
    assert reason_of(keys, replace(row, submission=replace(kept, key_id="x"))) is GatewayReason.KEYS_UNKNOWN
    assert reason_of(keys, replace(row, submission=None)) is GatewayReason.REPLAY_NOT_KEPT
    assert (
        reason_of(keys, replace(row, submission=replace(kept, sealed=b""))) is GatewayReason.REPLAY_NOT_KEPT
    )


def supplied(certificates: tuple[bytes, ...], crls: tuple[bytes, ...]) -> Supplied:
    digests = tuple(hashlib.sha256(raw).hexdigest() for raw in (*certificates, *crls))
    return Supplied(certificates=certificates, crls=crls, digests=digests)


def test_a_set_names_what_was_handed_over_in_its_order() -> None:
    found = evidence.set_of(supplied((b"b", b"a"), (b"c",)))
    digests = {raw: hashlib.sha256(raw).hexdigest() for raw in (b"a", b"b", b"c")}
    assert evidence.members(found) == (
        ("certificate", digests[b"b"]),
        ("certificate", digests[b"a"]),
        ("crl", digests[b"c"]),
    )
    assert found.digest == hashlib.sha256(found.listing).hexdigest()
    assert found != evidence.set_of(supplied((b"a", b"b"), (b"c",)))
    assert evidence.members(evidence.set_of(supplied((), ()))) == ()


def test_a_set_that_is_not_the_one_of_its_name_is_refused() -> None:
    found = evidence.set_of(supplied((), (b"c",)))
    with pytest.raises(GatewayError) as caught:
        evidence.members(CollateralSet(digest=found.digest, listing=b""))
    assert caught.value.reason is GatewayReason.REPLAY_ALTERED


def test_the_build_is_named_by_what_decides() -> None:
    version, _, code = build.identity().partition(" ")
    assert version == build.VERSION
    assert len(bytes.fromhex(code)) == 8
