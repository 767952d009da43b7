"""`sealgate: policy-cases/1`: what a policy shall say of which evidence, beside the policy itself.

A case names evidence and what is expected of it. The evidence comes from one of four places (`SOURCES`); what
follows changes single claims of it: `entries` takes those of reference entries, `but` sets them, `without`
takes them away. Nothing here reads a file or mints evidence: the shell does, and gives back a `Verification`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from policies import scalars, values
from policies.errors import Place, PolicyErrors, Problems, Source, did_you_mean, quote
from policies.model import Profile
from policies.paths import is_path
from policies.reading import Context, Fields, distinct, pairs
from policies.strictyaml import MAX_BYTES, Map, Node, Seq, parse
from policies.values import Literal
from policies.vocabulary import EVIDENCE_TYPE, INIT_DATA, Vocabulary, kinds_of
from verifiers.claimtypes import ClaimSpec
from verifiers.model import ClaimValue, TeeKind, Verdict

KIND = "policy-cases/1"

REQUIRED, OPTIONAL = ("sealgate", "policy", "at", "cases"), ("documents",)
CASE_REQUIRED, CASE_OPTIONAL = ("name", "evidence", "expect"), ("at", "profile")
SOURCES = ("simulate", "file", "like", "claims")
RECIPE = ("product", "signing_key", "level", "format")
"""What a simulated machine is made with, besides `set`, its fields."""
EVIDENCE_OPTIONAL = (*RECIPE, "set", "collateral", "entries", "but", "without", "assume")
EXPECT_REQUIRED = ("verdict",)
EXPECT_OPTIONAL = ("reason", "reasons", "rule", "waived", "lease", "releases", "withholds", "unchecked")
ASSUMPTIONS = ("revocation",)

# Which keys go with which source, beyond those that change claims.
_FITTING: Mapping[str, tuple[str, ...]] = {
    "simulate": (*RECIPE, "set"),
    "file": ("collateral",),
    "like": (),
    "claims": (),
}
_CHANGES = ("entries", "but", "without", "assume")
MAX_CASES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """source: one of SOURCES but "like"; what: kind to simulate or state, or the file. settings: recipe and
    fields, as written, by name. entries: (set, entry). at: where it stands."""

    source: str
    what: str
    settings: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    collateral: tuple[str, ...] = ()
    entries: tuple[tuple[str, str], ...] = ()
    but: tuple[tuple[str, ClaimValue], ...] = ()
    without: tuple[str, ...] = ()
    assume: tuple[str, ...] = ()
    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """None and () where nothing is expected."""

    verdict: Verdict
    reason: str | None
    reasons: tuple[str, ...]
    rule: str | None
    waived: frozenset[str] | None
    lease: timedelta | None
    releases: tuple[str, ...]
    withholds: tuple[str, ...]
    unchecked: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    evidence: Evidence
    now: datetime
    profile: Profile
    expect: Expectation
    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """policy, documents: files, relative to the one that names them."""

    policy: str
    documents: tuple[str, ...]
    cases: tuple[Case, ...]
    source: Source = field(compare=False, repr=False)


def is_cases(raw: bytes, name: str) -> bool:
    """Whether a file holds cases, and not the documents that they are about. Raises PolicyErrors."""
    first = parse(raw, name)[0]
    kind = first.get("sealgate") if isinstance(first, Map) else None
    return getattr(kind, "text", None) == KIND


def read(raw: bytes, name: str, claims: Mapping[str, ClaimSpec]) -> Cases:
    """One file of cases. Raises PolicyErrors."""
    problems = Problems()
    nodes = parse(raw, name, max_bytes=MAX_BYTES)
    if len(nodes) != 1:
        problems.add("document", nodes[1].at, "a file of cases holds one document")
    found = _cases(nodes[0], Context(problems, Vocabulary.of(claims)))
    problems.check()
    assert found is not None
    return found


def _cases(node: Node, context: Context) -> Cases | None:
    problems = context.problems
    fields = Fields(node, "the cases", problems, required=REQUIRED, optional=OPTIONAL)
    kind = fields.read("sealgate", scalars.scalar)
    if kind is not None and kind.text != KIND:
        problems.add("document", kind.at, f"expected {KIND}, found {quote(kind.text)}")
    policy, at = fields.text("policy"), fields.time("at")
    documents = _texts(fields, "documents")
    items = fields.items("cases")
    if len(items) > MAX_CASES:
        problems.add("too-many", fields.place("cases"), f"at most {MAX_CASES} cases in one file")
        return None
    earlier: dict[str, Case] = {}
    found = []
    for item in items if at is not None else ():
        assert at is not None
        case = _case(item, at, earlier, context)
        if case is not None:
            found.append(case)
            earlier.setdefault(case.name, case)
    distinct(((case.name, case.at) for case in found), "case", problems)
    if policy is None:
        return None
    return Cases(policy=policy, documents=documents, cases=tuple(found), source=node.at.source)


def _texts(fields: Fields, key: str) -> tuple[str, ...]:
    if fields.node(key) is None:
        return ()
    found = (scalars.text(item, key, fields.problems) for item in fields.items(key))
    return tuple(text for text in found if text is not None)


def _case(node: Node, at: datetime, earlier: Mapping[str, Case], context: Context) -> Case | None:
    problems = context.problems
    before = len(problems)
    fields = Fields(node, "a case", problems, required=CASE_REQUIRED, optional=CASE_OPTIONAL)
    name = fields.text("name")
    own = fields.time("at")
    profile = fields.read("profile", scalars.scalar)
    if profile is not None and profile.text not in {p.value for p in Profile}:
        names = [p.value for p in Profile]
        hint = did_you_mean(profile.text, names)
        problems.add("value", profile.at, f"profile is one of {', '.join(names)}", hint=hint)
    evidence = None if fields.node("evidence") is None else _evidence(fields, earlier, context)
    expect = None if fields.node("expect") is None else _expect(fields)
    if len(problems) > before or name is None or evidence is None or expect is None:
        return None
    inherited = evidence[1]
    return Case(
        name=name,
        evidence=evidence[0],
        now=own or (inherited.now if inherited is not None else at),
        profile=Profile.NATIVE if profile is None else Profile(profile.text),
        expect=expect,
        at=fields.at,
    )


# --- evidence --------------------------------------------------------------------------------------


def _evidence(
    fields: Fields, earlier: Mapping[str, Case], context: Context
) -> tuple[Evidence, Case | None] | None:
    """The evidence, and the case whose evidence it is a change of."""
    problems = context.problems
    node = fields.node("evidence")
    assert node is not None
    own = Fields(node, "evidence", problems, required=(), optional=(*SOURCES, *EVIDENCE_OPTIONAL))
    named = [source for source in SOURCES if own.node(source) is not None]
    if len(named) != 1:
        message = (
            f"evidence comes from one of {', '.join(SOURCES)}; this names {' and '.join(named) or 'none'}"
        )
        problems.add("missing-key", own.at, message)
        return None
    source = named[0]
    for key in EVIDENCE_OPTIONAL:
        if own.node(key) is not None and key not in (*_FITTING[source], *_CHANGES):
            problems.add("unknown-key", own.key_place(key), f"{key} says nothing about {source}")
    what = own.text(source)
    base = earlier.get(what) if source == "like" and what is not None else None
    if source == "like" and what is not None and base is None:
        hint = did_you_mean(what, earlier)
        message = f"no case above is called {quote(what)}"
        problems.add("reference", own.place("like"), message, hint=hint)
        return None
    if source in {"simulate", "claims"} and what not in {kind.value for kind in TeeKind}:
        kinds = [kind.value for kind in TeeKind]
        hint = None if what is None else did_you_mean(what, kinds)
        problems.add("value", own.place(source), f"{source} is one of {', '.join(kinds)}", hint=hint)
        return None
    if what is None:
        return None
    return _changed(own, source, what, base, context), base


def _changed(own: Fields, source: str, what: str, base: Case | None, context: Context) -> Evidence:
    """What `own` says, upon what the case it is like says."""
    first = None if base is None else base.evidence
    but = dict(first.but) if first is not None else {}
    without = dict.fromkeys(first.without) if first is not None else {}
    entries = _entries(own)
    changed = _but(own, context)
    for name in changed:
        without.pop(name, None)
    gone = _without(own, context)
    for name in gone:
        but.pop(name, None)
        changed.pop(name, None)
    return Evidence(
        source=source if first is None else first.source,
        what=what if first is None else first.what,
        settings=_settings(own) if first is None else first.settings,
        fields=_set(own) if first is None else first.fields,
        collateral=_texts(own, "collateral") if first is None else first.collateral,
        entries=(*(first.entries if first is not None else ()), *entries),
        but=tuple({**but, **changed}.items()),
        without=tuple(dict.fromkeys((*without, *gone))),
        assume=tuple(dict.fromkeys((*(first.assume if first is not None else ()), *_assume(own)))),
        at=own.at,
    )


def _settings(own: Fields) -> tuple[tuple[str, str], ...]:
    found = ((key, own.read(key, scalars.scalar)) for key in RECIPE)
    return tuple((key, word.text) for key, word in found if word is not None)


def _set(own: Fields) -> tuple[tuple[str, str], ...]:
    node = own.node("set")
    return () if node is None else pairs(node, "set", own.problems)


def _entries(own: Fields) -> tuple[tuple[str, str], ...]:
    out = []
    for item in own.items("entries") if own.node("entries") is not None else ():
        word = scalars.scalar(item, "entries", own.problems)
        name, slash, entry = (word.text if word is not None else "").partition("/")
        if word is not None and (not slash or not name or not entry):
            own.problems.add("reference", word.at, f"{quote(word.text)}: expected SET/ENTRY")
        elif word is not None:
            out.append((name, entry))
    return tuple(out)


def _but(own: Fields, context: Context) -> dict[str, ClaimValue]:
    node = own.node("but")
    out: dict[str, ClaimValue] = {}
    if node is None:
        return out
    if not isinstance(node, Map):
        context.problems.add(
            "type-mismatch", node.at, f"but maps claims to values, not {scalars.kind_of(node)}"
        )
        return out
    for key, value in node.pairs:
        spec = context.words.specs.get(key.text)
        if spec is None or spec.name == EVIDENCE_TYPE:
            hint = context.words.suggest(key.text) if spec is None else "simulate or state the other kind"
            context.problems.add("claim-unknown", key.at, f"no claim {quote(key.text)} can be set", hint=hint)
            continue
        literal = values.one(value, spec, "equals", context.problems)
        if literal is not None:
            out[spec.name] = _as_claim(literal)
    return out


def _as_claim(literal: Literal) -> ClaimValue:
    assert not isinstance(literal, values.TcbFloor | values.Components)  # `equals` gives neither
    return literal  # type: ignore[return-value]


def _without(own: Fields, context: Context) -> tuple[str, ...]:
    out = []
    for item in own.items("without") if own.node("without") is not None else ():
        word = scalars.scalar(item, "without", own.problems)
        if word is not None and word.text not in context.words.specs:
            hint = context.words.suggest(word.text)
            own.problems.add("claim-unknown", word.at, f"there is no claim {quote(word.text)}", hint=hint)
        elif word is not None:
            out.append(word.text)
    return tuple(out)


def _assume(own: Fields) -> tuple[str, ...]:
    found = _texts(own, "assume")
    for name in found:
        if name not in ASSUMPTIONS:
            message = f"{quote(name)} cannot be assumed; only {', '.join(ASSUMPTIONS)}"
            own.problems.add("value", own.place("assume"), message)
    return found


def fits_kind(claim: str, kind: TeeKind) -> bool:
    """Whether evidence of `kind` can have `claim`."""
    return kind in kinds_of(claim) and claim != INIT_DATA


# --- what is expected ------------------------------------------------------------------------------


def _expect(fields: Fields) -> Expectation | None:
    problems = fields.problems
    node = fields.node("expect")
    assert node is not None
    own = Fields(node, "expect", problems, required=EXPECT_REQUIRED, optional=EXPECT_OPTIONAL)
    word = own.read("verdict", scalars.scalar)
    known = [verdict.value for verdict in Verdict if verdict is not Verdict.MALFORMED]
    if word is None or word.text not in known:
        if word is not None:
            hint = did_you_mean(word.text, known)
            problems.add("value", word.at, f"a verdict is one of {', '.join(known)}", hint=hint)
        return None
    verdict = Verdict(word.text)
    accepted_only, refused_only = ("rule", "lease", "releases"), ("reason", "reasons")
    for key in refused_only if verdict is Verdict.ACCEPTED else accepted_only:
        if own.node(key) is not None:
            message = f"{key} does not go with {verdict.value}"
            problems.add("unknown-key", own.key_place(key), message)
    lists = {key: _texts(own, key) for key in ("reasons", "releases", "withholds")}
    for key in ("releases", "withholds"):
        for path in lists[key]:
            if not is_path(path):
                problems.add("path", own.place(key), f"{quote(path)} is no path of a secret")
    return Expectation(
        verdict=verdict,
        reason=own.text("reason"),
        reasons=lists["reasons"],
        rule=own.id("rule"),
        waived=None if own.node("waived") is None else _names(own, "waived"),
        lease=own.duration("lease"),
        releases=lists["releases"],
        withholds=lists["withholds"],
        unchecked=None if own.node("unchecked") is None else _names(own, "unchecked"),
    )


def _names(own: Fields, key: str) -> frozenset[str]:
    """A list of ids; an empty one says that there are none."""
    node, problems = own.node(key), own.problems
    if not isinstance(node, Seq):
        problems.add("type-mismatch", own.place(key), f"{key} takes a list of ids")
        return frozenset()
    found = (scalars.identifier(item, key, problems) for item in node.items)
    return frozenset(name for name in found if name is not None)


__all__ = ["Case", "Cases", "Evidence", "Expectation", "PolicyErrors", "is_cases", "read"]
