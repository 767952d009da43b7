"""Trees, notes, tiles and proofs of the published formats, from the vectors beside the checkout."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.ledger import checkpoint, merkle, note, receipt, tiles
from gateway.ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from gateway.ledger.tiles import Tile
from tests.support import needs_vectors, vector_bytes
from tests.unit.gateway.ledger.test_merkle import nodes

pytestmark = needs_vectors("standards")


@pytest.fixture(scope="module")
def tree() -> Any:
    return json.loads(vector_bytes("standards", "merkle_rfc6962.json"))


@pytest.fixture(scope="module")
def log() -> Any:
    return json.loads(vector_bytes("standards", "tlog_note.json"))


def raw(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def test_all_roots_and_proofs_of_eight_leaves(tree: Any) -> None:
    leaves = [leaf_hash(each) for each in raw(tree["leaves"])]
    assert leaves == raw(tree["leaf_hashes"])
    assert [merkle.root_of(leaves[:size]).hex() for size in range(9)] == tree["roots"]
    assert len(tree["inclusion"]) == len(tree["consistency"]) == 36
    for each in tree["inclusion"]:
        path = merkle.inclusion_path(each["index"], each["size"], nodes(leaves))
        assert list(path) == raw(each["path"])
        assert verify_inclusion(
            leaves[each["index"]], each["index"], each["size"], path, raw([each["root"]])[0]
        )
    for each in tree["consistency"]:
        path = merkle.consistency_path(each["old"], each["new"], nodes(leaves))
        assert list(path) == raw(each["path"])
        roots = raw([each["old_root"], each["new_root"]])
        assert verify_consistency(each["old"], each["new"], path, *roots)


def test_proofs_that_must_fail_do(tree: Any) -> None:
    assert len(tree["inclusion_must_fail"]) == 6
    for each in tree["inclusion_must_fail"]:
        leaf, root = raw([each["leaf_hash"], each["root"]])
        assert not verify_inclusion(leaf, each["index"], each["size"], raw(each["path"]), root), each["why"]


def test_notes_keys_and_cosignatures(log: Any) -> None:
    for name in ("log_vkey", "witness_vkey"):
        assert note.parse_key(log[name]).text == log[name]
    own, witness = note.parse_key(log["log_vkey"]), note.parse_key(log["witness_vkey"])
    found = checkpoint.read(log["checkpoint"].encode(), own, [witness])
    assert (found.checkpoint.size, found.by) == (7, ((witness.name, 1_790_000_000),))
    assert note.cosigned(found.checkpoint.text, 1_790_000_000) == log["cosigned_message"].encode()
    published = log["published_example"]
    assert note.verified(note.parse(published["note"].encode()), [note.parse_key(published["vkey"])])


def test_tiles_and_bundles(log: Any, tree: Any) -> None:
    leaves = raw(tree["leaves"])[:7]
    partial = bytes.fromhex(log["partial_tile_hex"])
    assert Tile(0, 0, 7).path == log["partial_tile_path"]
    assert b"".join(leaf_hash(leaf) for leaf in leaves) == partial
    assert merkle.root(7, tiles.nodes_of(7, lambda tile: partial)).hex() == tree["roots"][7]
    assert Tile(None, 0, 7).path == log["entries_path"]
    assert tiles.entry_bundle(leaves).hex() == log["entries_hex"]
    assert tiles.parse_bundle(bytes.fromhex(log["entries_hex"]), 7) == tuple(leaves)


def test_a_proof_of_another_log_is_read_but_has_no_entry_of_ours(log: Any, tree: Any) -> None:
    """It has no `extra`, where ours have salt and entry; with one, path and checkpoint are as ours."""
    text = log["tlog_proof_index3"]
    with_extra = text.replace("index 3", f"extra {note.standard(bytes(32))}\nindex 3")
    found = receipt.parse(with_extra.encode())
    leaf = leaf_hash(raw(tree["leaves"])[3])
    assert verify_inclusion(leaf, found.index, 7, found.path, bytes.fromhex(tree["roots"][7]))
    assert found.note.decode() == log["checkpoint"]


def test_what_a_witness_is_sent(log: Any) -> None:
    body = log["add_checkpoint_body_old4"].encode()
    old, path, signed = checkpoint.parse_add_checkpoint(body)
    assert checkpoint.add_checkpoint(old, path, signed) == body
