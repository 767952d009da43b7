"""The one layout of a document: same meaning, every comment kept, and stable when applied again.

* keys in the order in which the documents explain themselves; conditions and claims as the author has them;
* two spaces for each level, items of a list under their key; `{…}` and `[…]` stay on one line while they fit;
* an operator and its constant on one line; two spaces before a comment; at most one blank line in a row;
* texts in double quotes if they were quoted, else bare: quoting is part of the meaning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from policies import baseline_document, cases_document, layout, reference_document, release_document
from policies.errors import Place, PolicyError, PolicyErrors, Source
from policies.layout import Collection, Leaf, Page, Unit
from policies.operators import OPERATORS
from policies.strictyaml import MAX_BYTES, Map, Node, Scalar, Seq, parse

WIDTH = 110
_FLOW_INDICATORS = frozenset(",[]{}")

_release = release_document
_REST = "…"
"""Where keys that are not named stand: the claims of an entry."""

_RULE = ("id", "floor", "asks", "when", "require", "waivable", "because", "fix")
_ORDERS: Mapping[str, Mapping[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        baseline_document.KIND: {
            (): (*baseline_document.REQUIRED[:-1], *baseline_document.OPTIONAL, "rules"),
            ("rules",): _RULE,
        },
        reference_document.KIND: {
            (): ("sealgate", "name", "version", "owner", "valid", "provenance", "entries", "revoked"),
            ("entries",): ("id", "origin", _REST, "note", "from_file"),
            ("revoked",): ("entry", "since", "reason", _REST),
            ("valid",): reference_document.VALID,
        },
        release_document.KIND: {
            (): (*_release.REQUIRED, *_release.OPTIONAL),
            ("uses",): _release.USES,
            ("lease",): (*_release.LEASE_REQUIRED, *_release.LEASE_OPTIONAL),
            ("allow",): ("id", "profiles", "when", "require"),
            ("deny",): ("id", "when", "because"),
            ("accept_risk",): (
                *("id", "finding", "only_in", "only_when", "reason", "ticket"),
                *("owner", "approved_by", "from", "expires"),
            ),
        },
        cases_document.KIND: {
            (): ("sealgate", "policy", "documents", "at", "cases"),
            ("cases",): ("name", "at", "profile", "evidence", "expect"),
        },
    }
)


def format_document(raw: bytes, name: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The file in its one layout. Raises PolicyErrors: what `strictyaml.parse` raises, and policy.layout when
    this layout would lose something (then the file is better left as it is)."""
    before = parse(raw, name, max_bytes=max_bytes)
    page = layout.read(raw.decode("utf-8"))
    wanted = comments(page)
    text = "\n---\n".join("\n".join(_document(root)) for root in page.roots) + "\n"
    out = text.encode()
    lost = _lost(before, wanted, out, name, max_bytes)
    if lost is not None:
        source = Source(name, (), before[0].at.source.digest)
        message = f"formatting would not keep {lost}; the file stays as it is"
        raise PolicyErrors([PolicyError("policy.layout", Place(source, 1, 1), message)])
    return out


def _lost(before: tuple[Node, ...], wanted: Counter[str], out: bytes, name: str, limit: int) -> str | None:
    try:
        after = parse(out, name, max_bytes=limit)
    except PolicyErrors as error:
        return f"what can be read ({error.reason})"
    if [meaning(node) for node in before] != [meaning(node) for node in after]:
        return "the meaning"
    kept = comments(layout.read(out.decode("utf-8")))
    return None if kept == wanted else "every comment"


def meaning(node: Node) -> object:
    """A document without layout: the order of keys says nothing, the order of lists and quotes do."""
    if isinstance(node, Scalar):
        return (node.text, node.quoted)
    if isinstance(node, Seq):
        return [meaning(item) for item in node.items]
    assert isinstance(node, Map)
    return {(key.text, key.quoted): meaning(value) for key, value in node.pairs}


def comments(page: Page) -> Counter[str]:
    """Every comment of a file, and how often it occurs."""
    found: Counter[str] = Counter(page.loose)

    def visit(node: Leaf | Collection) -> None:
        if isinstance(node, Leaf):
            return
        found.update(line for line in node.foot if line)
        for unit in node.units:
            found.update(line for line in (*unit.lead, unit.head, unit.tail) if line)
            visit(unit.value)

    for root in page.roots:
        visit(root)
    return found


# --- writing ---------------------------------------------------------------------------------------


def _document(root: Leaf | Collection) -> list[str]:
    if isinstance(root, Leaf):
        return [_leaf(root, 0)]
    if not root.units:
        return [*_clean(root.foot), "{}" if root.is_map else "[]"]
    kind = next(
        (
            unit.value.text
            for unit in root.units
            if unit.key is not None and unit.key.text == "sealgate" and isinstance(unit.value, Leaf)
        ),
        "",
    )
    orders = _ORDERS.get(kind, {})
    header, first = root.units[0].lead, root.units[0]
    first.lead = []
    lines = _block(root, 0, (), orders)
    return [*_clean(header), *lines]


def _ordered(
    node: Collection, path: tuple[str, ...], orders: Mapping[tuple[str, ...], tuple[str, ...]]
) -> list[Unit]:
    order = orders.get(path) if node.is_map else None
    if order is None:
        return node.units
    places = {key: place for place, key in enumerate(order)}
    rest = places.get(_REST, len(order))
    return sorted(node.units, key=lambda u: places.get(u.key.text if u.key is not None else "", rest))


def _block(
    node: Collection, indent: int, path: tuple[str, ...], orders: Mapping[tuple[str, ...], tuple[str, ...]]
) -> list[str]:
    """The units of a collection, one below the other."""
    pad = " " * indent
    lines: list[str] = []
    for number, unit in enumerate(_ordered(node, path, orders)):
        lead = _clean(unit.lead, first=number == 0)
        lines += [pad + line if line else "" for line in lead]
        lines += _unit(unit, indent, path, orders)
    lines += [pad + line if line else "" for line in _clean(node.foot, first=False)]
    return lines


def _clean(lines: list[str], *, first: bool = True) -> list[str]:
    """At most one blank line in a row, and none where a block begins."""
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]) or (not out and not first):
            out.append(line)
    return out


def _unit(
    unit: Unit, indent: int, path: tuple[str, ...], orders: Mapping[tuple[str, ...], tuple[str, ...]]
) -> list[str]:
    pad = " " * indent
    start = f"{pad}{_leaf(unit.key, 0)}:" if unit.key is not None else f"{pad}-"
    inner = (*path, unit.key.text) if unit.key is not None else path
    value = unit.value
    inline = _inline(unit, len(start) + 1)
    if inline is not None:
        line = f"{start} {inline}" if inline else start
        marks = [mark for mark in (unit.head, unit.tail) if mark]
        if len(marks) == 2:  # only one fits behind; the other goes above
            return [pad + marks[0], f"{line}  {marks[1]}"]
        return [f"{line}  {marks[0]}" if marks else line]
    if isinstance(value, Leaf):
        return _long_leaf(value, start, unit.tail, indent)
    only = value.units[0] if unit.key is None and value.is_map and len(value.units) == 1 else None
    if only is not None and only.tail is None:
        only.tail, unit.tail = unit.tail, None  # the item loses its braces, and its one key gets the remark
    below = [mark for mark in (unit.head if unit.key is None else None, unit.tail) if mark]
    lines = _block(value, indent + 2, inner, orders)
    if unit.key is None and value.is_map and not lines[0].lstrip().startswith("#"):
        lines[0] = f"{pad}- {lines[0].lstrip()}"
    else:
        lines.insert(0, start + (f"  {unit.head}" if unit.head and unit.key is not None else ""))
    return [*(pad + line for line in below), *lines]


def _inline(unit: Unit, column: int) -> str | None:
    """The value on the line of its key; None when it has to stand below."""
    value = unit.value
    if isinstance(value, Leaf):
        if value.style in {"|", ">"} or (value.style == "" and "\n" in value.text):
            return None
        return _leaf(value, column)
    if value.units and not value.flow and not _is_operator(value):
        return None
    if unit.key is None and value.is_map and len(value.units) == 1:
        return None  # an item with one key reads better without braces
    text = _flow(value)
    return text if text is not None and column + len(text) <= WIDTH else None


def _is_operator(value: Collection) -> bool:
    if not value.is_map or len(value.units) != 1:
        return False
    key, inner = value.units[0].key, value.units[0].value
    return key is not None and key.text in OPERATORS and (isinstance(inner, Leaf) or inner.flow)


def _flow(node: Leaf | Collection) -> str | None:
    """A value on one line; None when it has comments inside, or a text that could not stand there."""
    if isinstance(node, Leaf):
        bare = node.style == ""
        if node.style in {"|", ">"} or (bare and ("\n" in node.text or _FLOW_INDICATORS & set(node.text))):
            return None
        return _leaf(node, 0)
    if any(node.foot) or any(any(u.lead) or u.head or u.tail for u in node.units):
        return None
    parts = []
    for unit in node.units:
        value = _flow(unit.value)
        key = "" if unit.key is None else _flow(unit.key)
        if value is None or key is None or (not value and unit.key is None):
            return None
        parts.append(value if unit.key is None else f"{key}: {value}" if value else key)
    inner = ", ".join(parts)
    return f"{{{inner}}}" if node.is_map else f"[{inner}]"


def _leaf(leaf: Leaf, column: int) -> str:
    if leaf.style == "":
        return leaf.text
    escaped = leaf.text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _long_leaf(leaf: Leaf, start: str, tail: str | None, indent: int) -> list[str]:
    """A text over several lines: as a block, or bare with an empty line for each break."""
    pad = " " * (indent + 2)
    mark = f"  {tail}" if tail else ""
    if leaf.style == "":
        first, *rest = leaf.text.split("\n")
        lines = [f"{start} {first}"]
        for part in rest:
            lines += ["", pad + part] if part else [""]
        lines[-1] += mark
        return lines
    body, newlines = leaf.text.rstrip("\n"), len(leaf.text) - len(leaf.text.rstrip("\n"))
    parts = body.split("\n")
    plain = bool(body) and newlines <= 1 and all(part.strip() == part for part in parts)
    if not plain or (newlines == 0 and not body):
        return [f"{start} {_leaf(leaf, 0)}{mark}"]
    chomp = "" if newlines else "-"
    if leaf.style == ">" and len(parts) == 1 and "  " not in body:
        return [f"{start} >{chomp}{mark}", *_wrapped(body, pad)]
    return [f"{start} |{chomp}{mark}", *(pad + part if part else "" for part in parts)]


def _wrapped(text: str, pad: str) -> list[str]:
    lines, current = [], ""
    for word in text.split(" "):
        if current and len(pad) + len(current) + 1 + len(word) > WIDTH:
            lines.append(pad + current)
            current = word
        else:
            current = f"{current} {word}" if current else word
    return [*lines, pad + current]


__all__ = ["comments", "format_document", "meaning"]
