"""Hostile and careless YAML: every refusal has a code and a place, with both of PyYAML's parsers."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from policies import strictyaml
from policies.errors import PolicyErrors
from policies.strictyaml import Map, Scalar, Seq

PARSERS = [pytest.param(yaml.SafeLoader, id="pure")]
if hasattr(yaml, "CSafeLoader"):
    PARSERS.append(pytest.param(yaml.CSafeLoader, id="libyaml"))

pytestmark = pytest.mark.parametrize("parser", PARSERS)

BILLION_LAUGHS = b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"


def refusal(raw: bytes, parser: type[Any]) -> tuple[str, int, int]:
    with pytest.raises(PolicyErrors) as caught:
        strictyaml.parse(raw, "f.yaml", parser=parser)
    assert len(caught.value.errors) == 1
    assert str(caught.value).startswith("f.yaml:")
    return caught.value.reason, caught.value.line, caught.value.column


@pytest.mark.parametrize(
    ("raw", "code", "line", "column"),
    [
        pytest.param(BILLION_LAUGHS, "policy.anchor", 1, 4, id="billion-laughs"),
        pytest.param(b"a: *x", "policy.alias", 1, 4, id="alias"),
        pytest.param(b"x:\n  - &q 1", "policy.anchor", 2, 5, id="anchor-on-scalar"),
        pytest.param(b"a: !!python/object:os.system x", "policy.tag", 1, 4, id="python-tag"),
        pytest.param(b"a: !!str 1", "policy.tag", 1, 4, id="core-tag"),
        pytest.param(b"a: ! 1", "policy.tag", 1, 4, id="non-specific-tag"),
        pytest.param(b"a: 1\nb: 2\na: 3", "policy.duplicate-key", 3, 1, id="duplicate-key"),
        pytest.param(b'a: 1\n"a": 3', "policy.duplicate-key", 2, 1, id="duplicate-key-quoted"),
        pytest.param(b"a: {<<: 1}", "policy.merge-key", 1, 5, id="merge-key"),
        pytest.param(b"? [a]\n: 1", "policy.key", 1, 3, id="list-as-key"),
        pytest.param(b"? \n: 1", "policy.key", 1, 2, id="empty-key"),
        pytest.param(b"k" * 129 + b": 1", "policy.key", 1, 1, id="long-key"),
        pytest.param(b"%YAML 1.1\n---\na: 1", "policy.directive", 1, 1, id="directive"),
        pytest.param(b"a:\tb", "policy.character", 1, 3, id="tab"),
        pytest.param(b"a: b\0", "policy.character", 1, 5, id="nul"),
        pytest.param(b"x: 1\na: \x07", "policy.character", 2, 4, id="bell"),
        pytest.param(b"a: b\rc: d", "policy.character", 1, 5, id="lone-carriage-return"),
        pytest.param(b'a: "\\0"', "policy.character", 1, 4, id="nul-by-escape"),
        pytest.param(b'a: "x\\u202e"', "policy.character", 1, 4, id="bidi-by-escape"),
        pytest.param("a: \u202eb".encode(), "policy.character", 1, 4, id="bidi"),
        pytest.param("a: x\u200by".encode(), "policy.character", 1, 5, id="zero-width-space"),
        pytest.param("a: x\u2028y".encode(), "policy.character", 1, 5, id="line-separator"),
        pytest.param("a: x\u0085y".encode(), "policy.character", 1, 5, id="next-line"),
        pytest.param(b"\xef\xbb\xbfa: 1", "policy.character", 1, 1, id="byte-order-mark"),
        pytest.param(b"x: 1\na: \xff", "policy.encoding", 2, 1, id="not-utf8"),
        pytest.param("a: 1".encode("utf-16"), "policy.encoding", 1, 1, id="utf16"),
        pytest.param(b"", "policy.empty", 1, 1, id="empty"),
        pytest.param(b"# only a comment\n", "policy.empty", 1, 1, id="comment"),
        pytest.param(b"a: @x", "policy.yaml-syntax", 1, 4, id="reserved-indicator"),
        pytest.param(b"a: b: c", "policy.yaml-syntax", 1, 5, id="two-colons"),
        pytest.param(b"a: " + b"[" * 100_000, "policy.too-deep", 1, 19, id="deep-lists"),
        pytest.param(b"{a: " * 50_000, "policy.too-deep", 1, 65, id="deep-mappings"),
        pytest.param(b"- " * 50_000, "policy.too-deep", 1, 33, id="deep-block-lists"),
        pytest.param(b"a: " + b"x" * 16_385, "policy.too-large", 1, 4, id="long-scalar"),
        pytest.param(b"--- 1\n" * 33, "policy.too-many", 33, 1, id="many-documents"),
        pytest.param(b"[" + b"1," * 200_001 + b"]", "policy.too-many", 1, 400_000, id="many-nodes"),
    ],
)
def test_refused(raw: bytes, code: str, line: int, column: int, parser: type[Any]) -> None:
    assert refusal(raw, parser) == (code, line, column)


def test_unfinished_flow_is_a_syntax_error(parser: type[Any]) -> None:
    assert refusal(b"a: [1, 2", parser)[0] == "policy.yaml-syntax"


@pytest.mark.parametrize("escape", [b'"\\ud800"', b'"\\U00110000"'])
def test_impossible_escapes(escape: bytes, parser: type[Any]) -> None:
    assert refusal(b"a: " + escape, parser)[0] in {"policy.yaml-syntax", "policy.character"}


@pytest.mark.parametrize("size", [9, 10, 11])
def test_size_limit(size: int, parser: type[Any]) -> None:
    raw = b"a: " + b"x" * (size - 3)
    if size <= 10:
        assert len(strictyaml.parse(raw, "f", max_bytes=10, parser=parser)) == 1
        return
    with pytest.raises(PolicyErrors) as caught:
        strictyaml.parse(raw, "f", max_bytes=10, parser=parser)
    assert caught.value.reason == "policy.too-large"


@pytest.mark.parametrize("depth", [15, 16, 17])
def test_depth_limit(depth: int, parser: type[Any]) -> None:
    raw = b"[" * depth + b"]" * depth
    if depth <= 16:
        assert len(strictyaml.parse(raw, "f", parser=parser)) == 1
    else:
        assert refusal(raw, parser)[0] == "policy.too-deep"


@pytest.mark.parametrize(
    "word", ["no", "on", "~", "null", "1e3", "0123", ".nan", "1_000", "2026-07-01", "0x10", "12:30:00"]
)
def test_nothing_is_interpreted(word: str, parser: type[Any]) -> None:
    (node,) = strictyaml.parse(f"a: {word}".encode(), "f", parser=parser)
    assert isinstance(node, Map)
    value = node.get("a")
    assert isinstance(value, Scalar) and (value.text, value.quoted) == (word, False)


def test_shapes_styles_and_places(parser: type[Any]) -> None:
    text = "a: {b: [1, 'two']}\nblock: |\n  text\n---\né: \"q\"\r\n"
    one, two = strictyaml.parse(text.encode(), "f", parser=parser)
    assert isinstance(one, Map) and isinstance(two, Map)
    inner = one.get("a")
    assert isinstance(inner, Map)
    items = inner.get("b")
    assert isinstance(items, Seq)
    assert [(i.text, i.quoted, i.at.line, i.at.column) for i in items.items if isinstance(i, Scalar)] == [
        ("1", False, 1, 9),
        ("two", True, 1, 12),
    ]
    block = one.get("block")
    assert isinstance(block, Scalar) and (block.text, block.quoted, block.at.line) == ("text\n", True, 2)
    key, value = two.pairs[0]
    assert (key.text, key.at.line, key.at.column) == ("é", 5, 1)
    assert isinstance(value, Scalar) and (value.text, value.quoted, value.at.column) == ("q", True, 4)
    assert one.get("nothing") is None
