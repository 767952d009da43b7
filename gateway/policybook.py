"""Active documents of a tenant, compiled: which policy judges, and which owns a secret path."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.ports import DocumentStore, StoredDocument
from policies import compiler, load
from policies.compiler import Policy
from policies.model import Baseline, Document, ReferenceSet, ReleasePolicy
from policies.paths import matches
from verifiers.claims import BY_NAME

BASELINE, REFERENCE, RELEASE = "baseline", "reference", "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """Everything that counts for one tenant. platform: the baselines alone, for evidence that nobody asks a
    secret for. releases: by name of the release policy."""

    platform: Policy
    releases: Mapping[str, Policy]
    owners: tuple[tuple[str, str], ...]
    """(path pattern, name of the release policy that owns it); patterns never overlap."""
    references: Mapping[str, ReferenceSet]

    def owner_of(self, path: str) -> str | None:
        return next((name for pattern, name in self.owners if matches(pattern, path)), None)

    @property
    def only(self) -> str | None:
        """Name of the one release policy, when there is exactly one."""
        return next(iter(self.releases)) if len(self.releases) == 1 else None


def kind_of(document: Document) -> str:
    if isinstance(document, Baseline):
        return BASELINE
    return REFERENCE if isinstance(document, ReferenceSet) else RELEASE


def read(raw: bytes, name: str) -> tuple[Document, ...]:
    """One file's documents. Raises PolicyErrors."""
    return load.load(raw, name, claims=BY_NAME)


def compile_all(documents: Sequence[Document]) -> Compiled:
    """Documents that shall count together. Raises PolicyErrors when they do not fit."""
    baselines = tuple(d for d in documents if isinstance(d, Baseline))
    references = tuple(d for d in documents if isinstance(d, ReferenceSet))
    releases = tuple(d for d in documents if isinstance(d, ReleasePolicy))
    compiler.check_overlap(releases)
    return Compiled(
        platform=compiler.platform_only(baselines),
        releases={r.name: compiler.compile(baselines, references, r) for r in releases},
        owners=tuple((pattern, r.name) for r in releases for pattern in r.secrets),
        references={r.name: r for r in references},
    )


def from_store(stored: Sequence[StoredDocument]) -> tuple[Document, ...]:
    """Stored documents, read again. A file may hold several; the row says which one it stands for."""
    out: list[Document] = []
    for row in stored:
        out += [
            document
            for document in read(row.source, row.name)
            if (kind_of(document), document.name, document.version) == (row.kind, row.name, row.version)
        ]
    return tuple(out)


class PolicyBook:
    """Compiled policies by tenant, as of the store's epoch. Safe to use from several threads."""

    def __init__(self, store: DocumentStore) -> None:
        self._store, self._lock = store, threading.Lock()
        self._compiled: dict[str, tuple[int, Compiled]] = {}

    def of(self, tenant: str) -> Compiled:
        """Raises PolicyErrors if what is active no longer compiles: then nothing is released."""
        epoch = self._store.epoch()
        known = self._compiled.get(tenant)
        if known is not None and known[0] == epoch:
            return known[1]
        with self._lock:
            epoch, stored = self._store.active(tenant)
            compiled = compile_all(from_store(stored))
            if len(self._compiled) >= 1024:  # tenants are named by callers: what is remembered is bounded
                self._compiled.clear()
            self._compiled[tenant] = (epoch, compiled)
            return compiled
