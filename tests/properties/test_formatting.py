"""Formatting keeps meaning and comments, and changes nothing the second time, on generated layouts."""

from __future__ import annotations

import dataclasses
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import load
from policies.errors import PolicyErrors
from policies.formatting import comments, format_document, meaning
from policies.layout import read
from policies.strictyaml import parse
from tests.unit.policies.support import BUNDLES, GUESTS, PODS, RELEASE
from verifiers.claims import BY_NAME

SAMPLES = [RELEASE, GUESTS, PODS, *(path.read_text() for path in sorted(BUNDLES.glob("*.yaml")))]


def check(text: str) -> bytes:
    raw = text.encode()
    out = format_document(raw, "f")
    assert [meaning(n) for n in parse(out, "f")] == [meaning(n) for n in parse(raw, "f")]
    assert comments(read(out.decode())) == comments(read(text))
    assert format_document(out, "f") == out
    return out


WORDS = ["a", "false", "7d", "x y", "it's", "0x1F", "a#b", "http://x/y", "2026-11-01T00:00:00Z"]


class Writer:
    """Writes a tree in one of the many layouts that YAML allows."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0
        self.in_text = False

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    def comment(self) -> str:
        self.count += 1
        space, end = self.random.choice(["", " ", "  "]), self.random.choice(["", "# x", ": {"])
        return f"#{space}remark {self.count} {end}"

    def scalar(self, flow: bool) -> str:
        word = self.random.choice(WORDS)
        if self.maybe(0.3):
            return f'"{word} # no comment"'
        return f"'{word.replace(chr(39), chr(39) * 2)}'" if self.maybe(0.3) else word

    def flow(self, depth: int) -> str:
        def gap() -> str:
            if not self.maybe(0.25):
                return " " * self.random.randint(0, 1)
            return f"  {self.comment()}\n{' ' * 60}" if self.maybe(0.7) else f"\n{' ' * 60}"

        count = self.random.randint(0 if depth else 1, 3)
        if self.maybe(0.5):
            parts = [f"k{i}: {self.value_in_flow(depth)}{gap()}" for i in range(count)]
            return "{" + gap() + ", ".join(parts) + "}"
        return "[" + gap() + ", ".join(f"{self.value_in_flow(depth)}{gap()}" for _ in range(count)) + "]"

    def value_in_flow(self, depth: int) -> str:
        return self.flow(depth + 1) if depth < 3 and self.maybe(0.3) else self.scalar(True)

    def above(self, pad: str) -> str:
        out = ""
        while self.maybe(0.3):
            # Far in, below a block of text, it would be part of the text.
            wild = " " * self.random.randint(0, len(pad) if self.in_text else 12)
            place = self.random.choice([None, pad, wild])
            out += "\n" if place is None else f"{place}{self.comment()}\n"
        return out

    def behind(self) -> str:
        return f"   {self.comment()}\n" if self.maybe(0.3) else "\n"

    def block(self, indent: int, depth: int) -> str:
        pad, out = " " * indent, ""
        keys = self.maybe(0.6) or depth == 0
        for number in range(self.random.randint(1, 4)):
            start = f"k{number}:" if keys else "-"
            out += self.above(pad) + pad + start
            kind, self.in_text = self.random.random(), False
            if depth < 4 and kind < 0.4:
                deeper = indent + self.random.randint(1, 4)
                out += self.behind() + self.block(deeper, depth + 1)
            elif kind < 0.55:
                out += " " + self.flow(0) + self.behind()
            elif kind < 0.65:
                style = self.random.choice(["|", ">", "|-", ">-"])
                inner, self.in_text = " " * (indent + 2), True
                out += f" {style}{self.behind()}{inner}some text # kept\n{inner}and more\n"
            elif kind < 0.72:
                out += f" first words\n{pad}  and then some{self.behind()}"
            else:
                out += " " + self.scalar(False) + self.behind()
        return out


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 3))
def test_any_layout(seed: int, documents: int) -> None:
    writer = Writer(seed)
    text = "---\n".join(writer.block(0, 0) + writer.above("") for _ in range(documents))
    try:
        parse(text.encode(), "f")
    except PolicyErrors as error:
        assert error.reason != "policy.layout"
        return
    out = check(text)
    assert sum(comments(read(out.decode())).values()) == writer.count


@pytest.mark.parametrize("text", SAMPLES)
def test_our_documents(text: str) -> None:
    out = check(text)
    assert [type(d) for d in load.load(out, "f", claims=BY_NAME)] == [
        type(d) for d in load.load(text.encode(), "f", claims=BY_NAME)
    ]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 1 << 30))
def test_our_documents_with_comments_anywhere(text: str, seed: int) -> None:
    """The same documents, not only the same trees: what is loaded from both is equal but for the digest."""
    writer = Writer(seed)
    lines = []
    for line in text.splitlines():
        lines.append(writer.above(re.match(" *", line)[0]) + line)  # type: ignore[index]
        if writer.maybe(0.2) and "#" not in line:
            lines[-1] += "  " + writer.comment()
    messy = "\n".join(lines) + "\n"
    out = check(messy)
    before = load.load(messy.encode(), "f", claims=BY_NAME)
    after = load.load(out, "f", claims=BY_NAME)
    assert [dataclasses.replace(d, digest="") for d in before] == [
        dataclasses.replace(d, digest="") for d in after
    ]


def test_the_layout() -> None:
    messy = """\
# header
version:   3
sealgate: release-policy/1
allow:

- require:
    - {snp.vmpl: {equals: 0}}   # the lowest
    - snp.product:
        equals: 'Genoa'


    # why not
    - snp.signing_key:  {in: [VCEK,   # chip
        VLEK]}
  id: one
  # end of the list
deny: []
"""
    assert (
        check(messy).decode()
        == """\
# header
sealgate: release-policy/1
version: 3
allow:
  - id: one
    require:
      - snp.vmpl: {equals: 0}  # the lowest
      - snp.product: {equals: "Genoa"}

      # why not
      - snp.signing_key:
          in:
            - VCEK  # chip
            - VLEK
    # end of the list
deny: []
"""
    )
