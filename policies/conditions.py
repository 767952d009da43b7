"""Conditions as documents write them, read into trees; and trees cut down to one kind of evidence.

    condition := {claim: {operator: constant}}
               | {guest|workload|platform: {in_set: NAME}}
               | {all: [condition…]} | {any: [condition…]} | {not: condition}

Each mapping has exactly one key, so that nothing depends on what several keys beside each other mean.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies import scalars, strictyaml, values
from policies.errors import Problems, did_you_mean, quote
from policies.model import All, AllowRule, Any, Condition, Not, Test
from policies.operators import OPERATORS, Form, Operator, for_type
from policies.reading import Context
from policies.strictyaml import Map, Node, Scalar, Seq
from policies.values import Literal
from policies.vocabulary import EVIDENCE_TYPE, Role, Vocabulary, describe, kinds_of
from verifiers.claimtypes import ClaimSpec
from verifiers.model import TeeKind

_CONNECTIVES = ("all", "any", "not")
_ROLES = tuple(role.value for role in Role)
_DEVICES = frozenset({"devices", "device"})
"""Kept for quantifiers over devices, which need a verifier of device evidence first."""


def read(node: Node, context: Context) -> Condition | None:
    """One condition; None after reporting what is wrong with it."""
    problems = context.problems
    if isinstance(node, Seq):
        problems.add("condition", node.at, "one condition is expected here, not a list; use all: […]")
        return None
    if not isinstance(node, Map) or len(node.pairs) != 1:
        found = f"{len(node.pairs)} keys" if isinstance(node, Map) else scalars.kind_of(node)
        message = f"a condition is a mapping with one key, {{claim: {{operator: value}}}}; this has {found}"
        problems.add("condition", node.at, message)
        return None
    key, value = node.pairs[0]
    if key.text in {"all", "any"}:
        parts = _parts(key.text, value, context)
        if parts is None:
            return None
        return All(parts, key.at) if key.text == "all" else Any(parts, key.at)
    if key.text == "not":
        inner = read(value, context)
        return None if inner is None else Not(inner, key.at)
    return _test(key, value, context)


def parse(text: str, name: str, claims: Mapping[str, ClaimSpec]) -> Condition:
    """One condition that stands alone, as documents write it. name: for messages. Raises PolicyErrors."""
    problems = Problems()
    nodes = strictyaml.parse(text.encode(), name)
    found = read(nodes[0], Context(problems, Vocabulary.of(claims))) if len(nodes) == 1 else None
    if len(nodes) != 1:
        problems.add("condition", nodes[1].at, "one condition is expected here")
    problems.check()
    assert found is not None
    return found


def read_all(node: Node, context: Context, what: str) -> tuple[Condition, ...]:
    """`require` and its like: one condition, or a list of which all must hold; () after reporting."""
    if not isinstance(node, Seq):
        one = read(node, context)
        return () if one is None else (one,)
    return _parts(what, node, context) or ()


def _parts(what: str, node: Node, context: Context) -> tuple[Condition, ...] | None:
    items = values.items_of(node, what, context.problems)
    if items is None:
        return None
    parts = [read(item, context) for item in items]
    return None if None in parts else tuple(part for part in parts if part is not None)


def _test(key: Scalar, value: Node, context: Context) -> Test | None:
    problems, name = context.problems, key.text
    spec = context.words.specs.get(name)
    if name in _DEVICES:
        message = "this version verifies no device evidence, so no rule can ask about devices"
        problems.add("devices", key.at, message)
        return None
    if spec is None and name not in _ROLES:
        hint = context.words.suggest(name) or did_you_mean(name, (*_ROLES, *_CONNECTIVES))
        problems.add("claim-unknown", key.at, f"there is no claim {quote(name)}", hint=hint)
        return None
    if not isinstance(value, Map) or len(value.pairs) != 1:
        example = f"{name}: {{in_set: NAME}}" if spec is None else f"{name}: {{{for_type(spec.type)[0]}: …}}"
        problems.add("condition", value.at, f"{name} takes exactly one operator: {example}")
        return None
    word, constant = value.pairs[0]
    operator = OPERATORS.get(word.text)
    fitting = ("in_set",) if spec is None else for_type(spec.type)
    if operator is None or operator.name not in fitting:
        kind = "a role" if spec is None else describe(spec)
        code = "operator-unknown" if operator is None else "operator-type"
        message = f"{name} ({kind}) has no operator {quote(word.text)}; it has {', '.join(fitting)}"
        problems.add(code, word.at, message, hint=did_you_mean(word.text, fitting))
        return None
    literal: Literal | None
    if spec is None:
        literal = scalars.identifier(constant, f"{name} in_set", problems)
    elif operator.form is Form.LIST:
        literal = values.many(constant, spec, operator.name, problems)
    else:
        literal = values.one(constant, spec, operator.name, problems)
    if literal is None:
        return None
    claim_type = None if spec is None else spec.type
    return Test(name, claim_type, operator.name, literal, _expected(operator, literal, constant), key.at)


def _expected(operator: Operator, literal: Literal, constant: Node) -> str:
    if isinstance(constant, Scalar) and type(literal) is int:
        return operator.phrase.format(constant.text)  # 0x… stays 0x…
    shown = values.show(literal)
    phrase = operator.phrase
    if isinstance(literal, frozenset) and len(literal) == 1 and operator.name == "in":
        phrase = "{}"
    return phrase.format(shown)


def for_kind(condition: Condition, kind: TeeKind) -> Condition | None:
    """`condition` as far as evidence of `kind` can answer it; None when it says nothing about that kind.

    A branch of `any` about another kind falls away; `all` is about a kind only if each of its parts is.
    """
    if isinstance(condition, Test):
        return condition if kind in kinds_of(condition.claim) else None
    if isinstance(condition, Not):
        inner = for_kind(condition.of, kind)
        return None if inner is None else Not(inner, condition.at)
    parts = [for_kind(part, kind) for part in condition.of]
    kept = tuple(part for part in parts if part is not None)
    if isinstance(condition, Any):
        return Any(kept, condition.at) if kept else None
    return All(kept, condition.at) if len(kept) == len(parts) else None


def kinds_named(conditions: tuple[Condition, ...]) -> frozenset[TeeKind] | None:
    """The kinds of evidence that `conditions`, all of which must hold, admit; None when none is named."""
    named: frozenset[TeeKind] | None = None
    for condition in conditions:
        found: frozenset[TeeKind] | None = None
        if isinstance(condition, All):
            found = kinds_named(condition.of)
        elif isinstance(condition, Test) and condition.claim == EVIDENCE_TYPE:
            words = condition.literal if isinstance(condition.literal, frozenset) else {condition.literal}
            found = frozenset(kind for kind in TeeKind if kind.value in words)
        if found is not None:
            named = found if named is None else named & found
    return named


def kinds_of_rule(rule: AllowRule) -> frozenset[TeeKind] | None:
    """The kinds of evidence that an allow rule names; None when it names none."""
    return kinds_named((rule.when, *rule.require))


def tests_of(condition: Condition) -> tuple[Test, ...]:
    """Every test in a tree, in order."""
    if isinstance(condition, Test):
        return (condition,)
    if isinstance(condition, Not):
        return tests_of(condition.of)
    out: list[Test] = []
    for part in condition.of:
        if isinstance(part, Test):
            out.append(part)
        else:
            out += tests_of(part)
    return tuple(out)
