"""Where the real evidence is, and what happens when it is not there.

The vectors are used in place, beside the checkout. Without them the suites that need them are skipped by
name, except in CI (CI=true), where a missing folder is a failure: a suite must not go quietly hollow.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
VECTORS = ROOT.parent / "shared" / "vectors"
IN_CI = os.environ.get("CI") == "true"


def have_vectors(kind: str) -> bool:
    """True when the folder is there; in CI always, so that its absence fails instead of skipping."""
    return IN_CI or (VECTORS / kind / "manifest.json").is_file()


def needs_vectors(kind: str) -> pytest.MarkDecorator:
    """Marks a test, class or module (`pytestmark`) that runs on the vectors of `kind`."""
    return pytest.mark.skipif(not have_vectors(kind), reason=f"vectors/{kind} not beside this checkout")


@functools.cache
def load_manifest(kind: str) -> dict[str, Any]:
    """The manifest of one kind; {} when the folder is absent outside CI, so that modules still import."""
    if not have_vectors(kind):
        return {}
    manifest: dict[str, Any] = json.loads((VECTORS / kind / "manifest.json").read_text())
    return manifest


@functools.cache
def _digests(kind: str) -> dict[str, str]:
    manifest = load_manifest(kind)
    listed = manifest.get("files", {})
    named = listed.items() if isinstance(listed, dict) else ((entry["file"], entry) for entry in listed)
    out = {name: entry["sha256"] for name, entry in named}
    for vector in manifest.get("vectors", []):
        files = vector.get("files")
        if isinstance(files, list):
            out |= {entry["file"]: entry["sha256"] for entry in files}
    return out


def vector_bytes(kind: str, name: str) -> bytes:
    """One vector file, with the SHA-256 that its manifest gives checked."""
    raw = (VECTORS / kind / name).read_bytes()
    expected = _digests(kind).get(name)
    if expected is not None:
        assert hashlib.sha256(raw).hexdigest() == expected, f"{kind}/{name} is not the file of the manifest"
    return raw
