"""Active documents of a tenant, compiled: which policy judges, and which owns a secret path."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import DocumentStore, StoredDocument
from policies import compiler, load
from policies.compiler import Policy
from policies.errors import PolicyErrors
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


class Sources:
    """Stored files, read again: each is parsed once, however many documents it holds and however many tenants
    and compilations rest on it. Safe to use from several threads."""

    def __init__(self, most: int = 32 * 1024 * 1024) -> None:
        """most: bytes of the files that are remembered, the last used ones."""
        self._most, self._held, self._lock = most, 0, threading.Lock()
        self._read: OrderedDict[tuple[bytes, str], tuple[int, tuple[Document, ...]]] = OrderedDict()

    def documents(self, stored: Sequence[StoredDocument]) -> tuple[Document, ...]:
        """The document that each row stands for, in the order of the rows. Messages call a file by the name
        of the last of these documents that came in it. Raises PolicyErrors; GatewayError(STORE_FOREIGN) when
        a row's document is not in its file: to go on without it would be to judge by less."""
        digests = [hashlib.sha256(row.source).digest() for row in stored]
        names = {digest: row.name for digest, row in zip(digests, stored, strict=True)}
        return tuple(
            _document_of(row, self._file(digest, names[digest], row.source))
            for digest, row in zip(digests, stored, strict=True)
        )

    def _file(self, digest: bytes, name: str, source: bytes) -> tuple[Document, ...]:
        key = (digest, name)
        with self._lock:
            if key in self._read:
                self._read.move_to_end(key)
                return self._read[key][1]
        found = read(source, name)
        with self._lock:
            if key not in self._read:
                self._read[key] = (len(source), found)
                self._held += len(source)
            while self._held > self._most:
                self._held -= self._read.popitem(last=False)[1][0]
        return found


def _document_of(row: StoredDocument, found: Sequence[Document]) -> Document:
    for document in found:
        if (kind_of(document), document.name, document.version) == (row.kind, row.name, row.version):
            return document
    raise GatewayError(
        GatewayReason.STORE_FOREIGN,
        "a stored document is not in the file that it came in",
        where=f"{row.kind} {row.name}",
        expected=f"{row.name} version {row.version}",
        found="other documents",
    )


@dataclass(slots=True, eq=False)
class _Kept:
    """What was compiled for one tenant: the epoch and the outcome, replaced as one. lock: who compiles. rows:
    of what; a version never changes, so the same ones give the same outcome."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcome: tuple[int, Compiled | PolicyErrors] | None = None
    rows: tuple[tuple[str, str, str, int], ...] = ()


class PolicyBook:
    """Compiled policies by tenant, never older than the store's epoch at the time of the question.

    Whoever comes while a tenant's documents are compiled waits, and only who asks for the same tenant. All
    tenants without documents of their own share one compilation: their names come from callers, and neither
    cost anything nor push others out. Safe to use from several threads.
    """

    def __init__(self, store: DocumentStore, sources: Sources | None = None, *, most: int = 256) -> None:
        """most: tenants that are remembered, the last used ones."""
        self._store, self._sources, self._most = store, sources or Sources(), most
        self._lock = threading.Lock()
        self._owners: tuple[int, frozenset[str]] = (-1, frozenset())
        self._platform, self._tenants = _Kept(), OrderedDict[str, _Kept]()

    def of(self, tenant: str) -> Compiled:
        """Raises PolicyErrors if what is active no longer compiles: then nothing is released."""
        return self.at(tenant)[1]

    def at(self, tenant: str) -> tuple[int, Compiled]:
        """As `of`, with the epoch at which this is what counts: what is released is committed under it."""
        epoch = self._store.epoch()
        owner = tenant if tenant in self._owners_at(epoch) else ""
        kept = self._kept(owner)
        found = kept.outcome
        if found is None or found[0] != epoch:
            found = self._compile(owner, kept)
        if isinstance(found[1], PolicyErrors):
            raise PolicyErrors(found[1].errors)  # a new one: each raise adds to an exception's traceback
        return found[0], found[1]

    def _owners_at(self, epoch: int) -> frozenset[str]:
        """Tenants with documents of their own, at `epoch` or later."""
        found = self._owners
        if found[0] != epoch:
            self._owners = found = self._store.tenants()
        return found[1]

    def _kept(self, owner: str) -> _Kept:
        if owner == "":
            return self._platform
        with self._lock:
            kept = self._tenants.setdefault(owner, _Kept())
            self._tenants.move_to_end(owner)
            if len(self._tenants) > self._most:
                self._tenants.popitem(last=False)
            return kept

    def _compile(self, owner: str, kept: _Kept) -> tuple[int, Compiled | PolicyErrors]:
        with kept.lock:
            if kept.outcome is not None and kept.outcome[0] == self._store.epoch():
                return kept.outcome
            epoch, stored = self._store.active(owner)
            rows = tuple((row.tenant, row.kind, row.name, row.version) for row in stored)
            if kept.outcome is not None and kept.rows == rows:  # others changed theirs
                kept.outcome = (epoch, kept.outcome[1])
                return kept.outcome
            outcome: Compiled | PolicyErrors
            try:
                outcome = compile_all(self._sources.documents(stored))
            except PolicyErrors as error:
                outcome = PolicyErrors(error.errors)
            kept.outcome, kept.rows = (epoch, outcome), rows
            return kept.outcome
