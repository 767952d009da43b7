"""Policy files: bytes in, documents out, or every problem with its line and column.

    sealgate: platform-baseline/1   → Baseline       (baseline_document.py)
    sealgate: reference-values/1    → ReferenceSet   (reference_document.py)
    sealgate: release-policy/1      → ReleasePolicy  (release_document.py)

A file may hold several documents, separated by `---`. Whether documents fit together is `compiler.py`'s part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from policies import baseline_document, reference_document, release_document, scalars, strictyaml
from policies.errors import Place, PolicyErrors, Problems, did_you_mean, quote
from policies.model import Document
from policies.reading import Context
from policies.strictyaml import MAX_BYTES, Map, Node
from policies.vocabulary import Vocabulary
from verifiers.claimtypes import ClaimSpec

KINDS: Mapping[str, Callable[[Map, Context], Document | None]] = {
    baseline_document.KIND: baseline_document.read,
    reference_document.KIND: reference_document.read,
    release_document.KIND: release_document.read,
}


def load(
    raw: bytes, name: str, *, claims: Mapping[str, ClaimSpec], max_bytes: int = MAX_BYTES
) -> tuple[Document, ...]:
    """Read one file.

    raw: the file as it is; its SHA-256 becomes each document's digest. name: what messages call it.
    claims: the published claim table (`verifiers.claims.BY_NAME`). Raises PolicyErrors.
    """
    problems = Problems()
    context = Context(problems, Vocabulary.of(claims))
    documents = [_document(node, context) for node in strictyaml.parse(raw, name, max_bytes=max_bytes)]
    _distinct(documents, problems)
    problems.check()
    found = tuple(document for document in documents if document is not None)
    if len(found) != len(documents):
        raise AssertionError("a document was refused without a reason")
    return found


def _distinct(documents: Iterable[Document | None], problems: Problems) -> None:
    """One file says one thing about a document: two versions of it have to be two files."""
    seen: set[tuple[type[Document], str]] = set()
    for document in documents:
        if document is None:
            continue
        key = (type(document), document.name)
        if key in seen:
            place = Place(document.source, 1, 1)
            problems.add("duplicate-document", place, f"this file holds {document.name} twice")
        seen.add(key)


def _document(node: Node, context: Context) -> Document | None:
    problems = context.problems
    if not isinstance(node, Map):
        message = f"a document is a mapping that begins with sealgate: …, not {scalars.kind_of(node)}"
        problems.add("document", node.at, message)
        return None
    kind = node.get("sealgate")
    if kind is None:
        problems.add("document", node.at, f"sealgate: says which document this is: {', '.join(KINDS)}")
        return None
    word = scalars.scalar(kind, "sealgate", problems)
    if word is None:
        return None
    reader = KINDS.get(word.text)
    if reader is None:
        message = f"there is no document {quote(word.text)}; there are {', '.join(KINDS)}"
        problems.add("document", word.at, message, hint=did_you_mean(word.text, KINDS))
        return None
    return reader(node, context)


__all__ = ["KINDS", "PolicyErrors", "load"]
