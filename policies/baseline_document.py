"""`sealgate: platform-baseline/1`: what every machine of a kind must be, whoever owns the secret."""

from __future__ import annotations

from datetime import timedelta

from policies import conditions, scalars
from policies.errors import Problems, did_you_mean, quote
from policies.model import All, Baseline, BaselineRule, Condition, Floor, Requirement
from policies.reading import Context, Fields, distinct, listed
from policies.strictyaml import Map, Node, Scalar
from policies.vocabulary import ADMISSIBLE, DEBUG_CLAIMS
from verifiers.model import TeeKind

KIND = "platform-baseline/1"

MAX_WAIVER = timedelta(days=365)

REQUIRED = ("sealgate", "name", "version", "issued", "review_by", "applies_to", "rules")
OPTIONAL = ("admits",)
RULE_REQUIRED = ("id", "waivable")
RULE_OPTIONAL = ("when", "require", "because", "fix", "asks", "floor")
BECAUSE = ("advisory", "cve", "confidence", "read", "source", "note")


def read(node: Map, context: Context) -> Baseline | None:
    problems = context.problems
    before = len(problems)
    fields = Fields(node, "the baseline", problems, required=REQUIRED, optional=OPTIONAL)
    name, version = fields.id("name"), fields.positive("version")
    issued, review_by = fields.time("issued"), fields.time("review_by")
    kinds = _applies_to(fields, context)
    rules = [rule for item in fields.items("rules") if (rule := _rule(item, kinds, context)) is not None]
    admits = _admits(fields, kinds)
    distinct(((rule.id, rule.at) for rule in rules), "rule", problems)
    if issued is not None and review_by is not None and review_by <= issued:
        problems.add("time-order", fields.place("review_by"), "review_by is later than issued")
    if len(problems) > before or None in (name, version, issued, review_by):
        return None
    assert name is not None and version is not None and issued is not None and review_by is not None
    return Baseline(
        name=name,
        version=version,
        issued=issued,
        review_by=review_by,
        kinds=kinds,
        rules=tuple(rules),
        admits=admits,
        digest=node.at.source.digest,
        source=node.at.source,
    )


def _applies_to(fields: Fields, context: Context) -> frozenset[TeeKind]:
    node = fields.node("applies_to")
    condition = None if node is None else conditions.read(node, context)
    if condition is None:
        return frozenset()
    kinds = conditions.kinds_named((condition,))
    if kinds is None or len(conditions.tests_of(condition)) != 1:
        message = "applies_to names kinds of evidence and nothing else: {evidence.type: {equals: …}}"
        context.problems.add("applies-to", fields.place("applies_to"), message)
        return frozenset()
    return kinds


def _admits(fields: Fields, kinds: frozenset[TeeKind]) -> frozenset[str]:
    """What this baseline lets through that is refused otherwise: known words, each once, about its kinds."""
    problems = fields.problems
    words = [word for item in fields.items("admits") if (word := scalars.scalar(item, "admits", problems))]
    for word in words:
        known = ADMISSIBLE.get(word.text)
        if known is None:
            message = f"admits has no {quote(word.text)}; it can name {', '.join(ADMISSIBLE)}"
            problems.add("value", word.at, message, hint=did_you_mean(word.text, ADMISSIBLE))
        elif known.kind not in kinds:
            message = f"{word.text} is about {known.kind.value} evidence, and this baseline is not"
            problems.add("value", word.at, message)
    distinct(((word.text, word.at) for word in words), "entry", problems)
    return frozenset(word.text for word in words)


def _rule(node: Node, kinds: frozenset[TeeKind], context: Context) -> BaselineRule | None:
    problems = context.problems
    before = len(problems)
    fields = Fields(node, "a baseline rule", problems, required=RULE_REQUIRED, optional=RULE_OPTIONAL)
    rule_id, fix = fields.id("id"), fields.text("fix")
    floor, asks = _floor(fields), _asks(fields)
    if rule_id is not None and rule_id.startswith("minimum."):
        message = f"{quote(rule_id)}: minimum.… are findings of release policies"
        problems.add("identifier", fields.place("id"), message)
    when = _joined(fields.node("when"), context, "when")
    require = _joined(fields.node("require"), context, "require")
    waivable = _waivable(fields.node("waivable"), problems)
    because = tuple(_because(item, problems) for item in listed(fields.node("because")))
    if floor is Floor.NONE and require is not None:
        problems.add("floor", fields.place("require"), "floor: none says that nothing can be required")
    if floor is not Floor.NONE and fields.node("require") is None:
        problems.add("missing-key", fields.at, "a baseline rule lacks require")
    if floor is Floor.NONE and asks is not None:
        problems.add("floor", fields.place("asks"), "a rule without a floor answers no question")
    for condition in (when, require):
        _check_kinds(condition, kinds, context)
    _check_debug(require, waivable, fields)
    if len(problems) > before or rule_id is None:
        return None
    return BaselineRule(
        id=rule_id,
        when=when,
        require=require,
        waivable=waivable,
        asks=asks,
        floor=floor,
        because=because,
        fix=fix,
        at=fields.at,
    )


def _joined(node: Node | None, context: Context, what: str) -> Condition | None:
    """A condition, or a list of which all must hold."""
    if node is None:
        return None
    parts = conditions.read_all(node, context, what)
    if len(parts) == 1:
        return parts[0]
    return All(parts, node.at) if parts else None


def _check_kinds(condition: Condition | None, kinds: frozenset[TeeKind], context: Context) -> None:
    """Every kind the baseline is for must be able to answer."""
    for kind in sorted(kinds) if condition is not None else ():
        assert condition is not None
        if conditions.for_kind(condition, kind) is None:
            message = f"{kind.value} evidence cannot have what this asks for"
            context.problems.add("claim-type", condition.at, message)
        for test in conditions.tests_of(condition):
            if test.operator == "in_set":
                context.problems.add("reference", test.at, "a baseline does not refer to reference sets")


def _check_debug(require: Condition | None, waivable: timedelta | None, fields: Fields) -> None:
    claims = set(DEBUG_CLAIMS.values())
    if require is None or waivable is None:
        return
    if any(test.claim in claims for test in conditions.tests_of(require)):
        message = "debug can never be waived: waivable: never"
        fields.problems.add("not-waivable", fields.place("waivable"), message)


def _waivable(node: Node | None, problems: Problems) -> timedelta | None:
    """`never` (None), or `{up_to: 90d}`."""
    if node is None or (isinstance(node, Scalar) and node.text == "never" and not node.quoted):
        return None
    if not isinstance(node, Map):
        hint = did_you_mean(node.text, ["never"]) if isinstance(node, Scalar) and not node.quoted else None
        problems.add("type-mismatch", node.at, "waivable is never or {up_to: 90d}", hint=hint)
        return None
    fields = Fields(node, "waivable", problems, required=("up_to",))
    limit = fields.duration("up_to")
    if limit is not None and not timedelta(0) < limit <= MAX_WAIVER:
        problems.add("duration", fields.place("up_to"), "a risk can be accepted for 1s to 365d")
    return limit


def _floor(fields: Fields) -> Floor:
    node = fields.node("floor")
    if node is None:
        return Floor.NO
    if isinstance(node, Scalar) and not node.quoted and node.text in {"true", "none"}:
        return Floor.YES if node.text == "true" else Floor.NONE
    fields.problems.add("type-mismatch", node.at, f"floor is true or none; this is {scalars.kind_of(node)}")
    return Floor.NO


def _asks(fields: Fields) -> Requirement | None:
    node = fields.node("asks")
    word = None if node is None else scalars.scalar(node, "asks", fields.problems)
    if word is None:
        return None
    try:
        return Requirement(word.text)
    except ValueError:
        known = [requirement.value for requirement in Requirement]
        message = f"asks is one of {', '.join(known)}; this is {quote(word.text)}"
        fields.problems.add("value", word.at, message, hint=did_you_mean(word.text, known))
        return None


def _because(node: Node, problems: Problems) -> str:
    """One reason, as a line for people."""
    if isinstance(node, Scalar):
        return scalars.text(node, "because", problems) or ""
    fields = Fields(node, "because", problems, required=(), optional=BECAUSE)
    said = {key: fields.text(key) for key in BECAUSE}
    head = " ".join(text for key in ("advisory", "cve", "source", "note") if (text := said[key]))
    tail = [text for text in (said["confidence"], f"read {said['read']}" if said["read"] else None) if text]
    return head + (f" ({', '.join(tail)})" if tail else "")
