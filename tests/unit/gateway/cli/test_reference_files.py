"""`sealgate reference import` and `export`, as their user meets them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import policybook
from policies.corim import writing
from policies.model import ReferenceSet
from tests.unit.gateway.cli.world import Ran, run
from verifiers.claims import BY_NAME

KEY = ec.derive_private_key(7, ec.SECP256R1())
ENDS = (datetime.now(UTC) + timedelta(days=90)).strftime("%Y-%m-%dT00:00:00Z")
SET = f"""\
sealgate: reference-values/1
name: guests
version: 4
owner: platform@acme.example
valid: {{from: 2026-06-01T00:00:00Z, until: {ENDS}}}
entries:
  - id: kata
    note: the one
    snp.measurement: sha384:{"ab" * 48}
    snp.policy.debug: false
  - id: old
    snp.measurement: sha384:{"cd" * 48}
revoked:
  - entry: old
    since: 2026-07-01T00:00:00Z
    reason: null cipher
"""
ABOUT = ("--name", "guests", "--owner", "platform@acme.example", "--until", ENDS)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "set.yaml").write_text(SET)
    private = KEY.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    for name, key in (("pub.pem", KEY), ("other.pem", ec.derive_private_key(8, ec.SECP256R1()))):
        public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / name).write_bytes(public)
    return tmp_path


def found(ran: Ran) -> ReferenceSet:
    assert ran.code == 0, ran.err
    (document,) = policybook.read(ran.out.encode(), "out.yaml")
    assert isinstance(document, ReferenceSet)
    return document


def exported(here: Path) -> Path:
    out = here / "set.corim"
    ran = run("reference", "export", here / "set.yaml", "--key", here / "key.pem", "--out", out)
    assert ran.code == 0, ran.err
    assert "corim does not carry: entry old: revoked" in ran.err
    assert "corim does not carry: entry kata: note" in ran.err
    return out


def test_a_signed_corim_there_and_back(here: Path) -> None:
    made = found(run("reference", "import", exported(here), "--signer", here / "pub.pem", "--owner", "x@y.z"))
    assert (made.name, made.version) == ("guests", 4)
    assert [(e.id, len(e.claims)) for e in made.entries] == [("kata", 2)]
    said = dict(made.provenance)
    assert said["signer"] == "platform@acme.example" and said["signer_key"].startswith("sha256:")


def test_a_corim_of_another_signer_is_refused(here: Path) -> None:
    ran = run("reference", "import", exported(here), "--signer", here / "other.pem", "--owner", "x@y.z")
    assert ran.code == 2 and "[collateral.signature]" in ran.err and ran.out == ""


def test_a_corim_needs_a_signer_or_the_word_unsigned(here: Path) -> None:
    out = exported(here)
    assert "--signer KEY.pem" in run("reference", "import", out).err
    both = run("reference", "import", out, "--unsigned", "--signer", here / "pub.pem")
    assert both.code == 2
    assert run("reference", "import", out, "--unsigned", "--owner", "x@y.z").code == 2  # it is signed


def test_an_unsigned_corim_is_marked(here: Path) -> None:
    (document,) = policybook.read(SET.encode(), "set.yaml")
    assert isinstance(document, ReferenceSet)
    (here / "bare.corim").write_bytes(writing.payload(document, BY_NAME)[0])
    refused = run(
        "reference", "import", here / "bare.corim", "--signer", here / "pub.pem", "--owner", "x@y.z"
    )
    assert refused.code == 2 and refused.out == ""
    made = found(run("reference", "import", here / "bare.corim", "--unsigned", "--owner", "x@y.z"))
    assert dict(made.provenance)["signer"].startswith("nobody: unsigned")
    assert "signer_key" not in dict(made.provenance)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_tables_there_and_back(here: Path, kind: str) -> None:
    out = here / f"set.{kind}"
    assert run("reference", "export", here / "set.yaml", "--out", out).code == 0
    made = found(run("reference", "import", out, *ABOUT))
    assert [e.id for e in made.entries] == (["kata"] if kind == "csv" else ["kata", "old"])
    assert len(made.revoked) == (0 if kind == "csv" else 1)


def test_what_is_missing_is_asked_for(here: Path) -> None:
    (here / "x.csv").write_text(f"id,snp.measurement\na,{'ab' * 48}\n")
    ran = run("reference", "import", here / "x.csv")
    assert ran.code == 2 and "give --name, --owner, --until" in ran.err
    (here / "x.csv").write_text("id,snp.measurement\na,abcd\n")
    ran = run("reference", "import", here / "x.csv", *ABOUT)
    assert ran.code == 2 and "x.csv:2:3" in ran.err


def test_a_check_warns_of_sets_that_end_soon(here: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert run("reference", "check", here / "set.yaml").err == ""
    (here / "set.yaml").write_text(SET.replace(ENDS, soon))
    ran = run("reference", "check", here / "set.yaml")
    assert ran.code == 0 and "guests@4 ends in 4 days" in ran.err
