"""`sealgate: release-policy/1`: which evidence may have which secret paths, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import combinations
from types import MappingProxyType

from policies import conditions, paths, scalars
from policies.errors import Place, Problems, did_you_mean, quote
from policies.model import AcceptRisk, All, AllowRule, Condition, DenyRule, Lease, Profile, ReleasePolicy
from policies.reading import Context, Fields, distinct
from policies.strictyaml import Map, Node

KIND = "release-policy/1"

MAX_LEASE = timedelta(days=31)
MAX_APPROVERS = 32

REQUIRED = ("sealgate", "name", "version", "tenant", "owner", "secrets", "uses", "lease", "allow")
OPTIONAL = ("deny", "accept_risk")
USES = ("baselines", "references")
LEASE_REQUIRED, LEASE_OPTIONAL = ("lasts", "renew_every"), ("on_change", "holders")
ALLOW_REQUIRED, ALLOW_OPTIONAL = ("id", "when", "require"), ("profiles",)
DENY_REQUIRED, DENY_OPTIONAL = ("id", "when"), ("because",)
RISK_REQUIRED = ("id", "finding", "only_in", "reason", "owner", "approved_by", "from", "expires")
RISK_OPTIONAL = ("only_when", "ticket")


def read(node: Map, context: Context) -> ReleasePolicy | None:
    problems = context.problems
    before = len(problems)
    what = "the release policy"
    fields = Fields(node, what, problems, required=REQUIRED, optional=OPTIONAL)
    name, version = fields.id("name"), fields.positive("version")
    tenant, owner = fields.id("tenant"), fields.text("owner")
    secrets = _secrets(fields)
    baselines, references, places = _uses(fields)
    lease = _lease(fields)
    allow = [rule for item in fields.items("allow") if (rule := _allow(item, context)) is not None]
    deny = [bar for item in fields.items("deny") if (bar := _deny(item, context)) is not None]
    risks = [risk for item in fields.items("accept_risk") if (risk := _risk(item, context)) is not None]
    rules: list[AllowRule | DenyRule] = [*allow, *deny]
    distinct(((rule.id, rule.at) for rule in rules), "rule", problems)
    distinct(((risk.id, risk.at) for risk in risks), "accepted risk", problems)
    if len(problems) > before or name is None or version is None or lease is None:
        return None
    assert tenant is not None and owner is not None
    return ReleasePolicy(
        name=name,
        version=version,
        tenant=tenant,
        owner=owner,
        secrets=secrets,
        baselines=baselines,
        references=references,
        lease=lease,
        allow=tuple(allow),
        deny=tuple(deny),
        accept_risk=tuple(risks),
        digest=node.at.source.digest,
        places=MappingProxyType({"secrets": fields.place("secrets"), **places}),
        source=node.at.source,
    )


def _secrets(fields: Fields) -> tuple[str, ...]:
    problems = fields.problems
    found: dict[str, Place] = {}
    for item in fields.items("secrets"):
        word = scalars.scalar(item, "secrets", problems)
        if word is None:
            continue
        if not paths.is_pattern(word.text):
            message = (
                f"{quote(word.text)} is no path: 1 to 8 segments of A-Z a-z 0-9 . _ -, each 1 to 64 long, "
                "* for the rest of a segment"
            )
            problems.add("path", word.at, message)
        elif word.text in found:
            problems.add("duplicate-value", word.at, f"{word.text} is in this list already")
        else:
            found[word.text] = word.at
    return tuple(found)


def _uses(fields: Fields) -> tuple[Mapping[str, int], Mapping[str, int], dict[str, Place]]:
    places = {"uses": fields.place("uses")}
    node = fields.node("uses")
    if node is None:
        return {}, {}, places
    uses = Fields(node, "uses", fields.problems, required=USES[:1], optional=USES[1:])
    out: list[Mapping[str, int]] = []
    for key in USES:
        versions: dict[str, int] = {}
        inner = uses.node(key)
        if inner is not None and not isinstance(inner, Map):
            fields.problems.add(
                "type-mismatch", inner.at, f"{key} maps names to lowest versions: {{name: 1}}"
            )
        for name, value in inner.pairs if isinstance(inner, Map) else ():
            places[f"{key} {name.text}"] = name.at
            number = scalars.integer(value, f"version of {name.text}", fields.problems)
            if number is not None:
                versions[name.text] = number
        out.append(MappingProxyType(versions))
    if not out[0]:
        fields.problems.add(
            "empty-list", uses.place("baselines"), "a release policy uses at least one baseline"
        )
    return out[0], out[1], places


def _lease(fields: Fields) -> Lease | None:
    node = fields.node("lease")
    if node is None:
        return None
    problems = fields.problems
    lease = Fields(node, "lease", problems, required=LEASE_REQUIRED, optional=LEASE_OPTIONAL)
    lasts, renew = lease.duration("lasts"), lease.duration("renew_every")
    change = lease.read("on_change", scalars.scalar)
    if change is not None and change.text != "re-evaluate":
        problems.add("value", change.at, "on_change is re-evaluate; there is no other way yet")
    holders_node, limit = lease.node("holders"), None
    if holders_node is not None:
        limit = Fields(holders_node, "holders", problems, required=("at_most",)).positive("at_most")
    if lasts is None or renew is None:
        return None
    if not timedelta(0) < lasts <= MAX_LEASE:
        problems.add("duration", lease.place("lasts"), "a lease lasts 1s to 31d")
    if not timedelta(0) < renew <= lasts:
        problems.add("duration", lease.place("renew_every"), "renew_every is more than zero, at most lasts")
    return Lease(lasts=lasts, renew_every=renew, max_holders=limit)


def _allow(node: Node, context: Context) -> AllowRule | None:
    problems = context.problems
    before = len(problems)
    fields = Fields(node, "an allow rule", problems, required=ALLOW_REQUIRED, optional=ALLOW_OPTIONAL)
    rule_id = fields.id("id")
    when_node, require_node = fields.node("when"), fields.node("require")
    when = None if when_node is None else _when(when_node, context)
    require = () if require_node is None else conditions.read_all(require_node, context, "require")
    profiles = frozenset({Profile.NATIVE})
    if fields.node("profiles") is not None:
        profiles = _profiles(fields)
    if len(problems) > before or rule_id is None or when is None:
        return None
    return AllowRule(id=rule_id, profiles=profiles, when=when, require=require, at=fields.at)


def _when(node: Node, context: Context) -> Condition | None:
    parts = conditions.read_all(node, context, "when")
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else All(parts, node.at)


def _profiles(fields: Fields) -> frozenset[Profile]:
    known = {profile.value: profile for profile in Profile}
    found = set()
    for item in fields.items("profiles"):
        word = scalars.scalar(item, "profiles", fields.problems)
        if word is not None and word.text not in known:
            message = f"a profile is one of {', '.join(known)}; this is {quote(word.text)}"
            fields.problems.add("value", word.at, message, hint=did_you_mean(word.text, known))
        elif word is not None:
            found.add(known[word.text])
    return frozenset(found)


def _deny(node: Node, context: Context) -> DenyRule | None:
    problems = context.problems
    before = len(problems)
    fields = Fields(node, "a deny rule", problems, required=DENY_REQUIRED, optional=DENY_OPTIONAL)
    rule_id = fields.id("id")
    fields.text("because")
    when_node = fields.node("when")
    when = None if when_node is None else _when(when_node, context)
    if len(problems) > before or rule_id is None or when is None:
        return None
    return DenyRule(id=rule_id, when=when, at=fields.at)


def _risk(node: Node, context: Context) -> AcceptRisk | None:
    problems = context.problems
    before = len(problems)
    fields = Fields(node, "accept_risk", problems, required=RISK_REQUIRED, optional=RISK_OPTIONAL)
    risk_id, finding, only_in = fields.id("id"), fields.id("finding"), fields.id("only_in")
    reason, ticket = fields.text("reason"), fields.text("ticket")
    owner, approvers = fields.read("owner", scalars.person), _approvers(fields)
    start, end = fields.time("from"), fields.time("expires")
    when_node = fields.node("only_when")
    only_when = () if when_node is None else conditions.read_all(when_node, context, "only_when")
    _check_approval(owner, approvers, fields)
    if start is not None and end is not None and end <= start:
        problems.add("time-order", fields.place("expires"), "expires is later than from")
    if len(problems) > before:
        return None
    assert risk_id is not None and finding is not None and only_in is not None
    assert reason is not None and owner is not None and start is not None and end is not None
    return AcceptRisk(
        id=risk_id,
        finding=finding,
        only_in=only_in,
        only_when=only_when,
        reason=reason,
        ticket=ticket,
        owner=owner,
        approved_by=approvers,
        valid_from=start,
        expires=end,
        at=fields.at,
        finding_at=fields.place("finding"),
        only_in_at=fields.place("only_in"),
    )


def _approvers(fields: Fields) -> tuple[str, ...]:
    items = fields.items("approved_by")
    if len(items) > MAX_APPROVERS:
        fields.problems.add("too-many", fields.place("approved_by"), f"at most {MAX_APPROVERS} approvers")
        return ()
    found = (scalars.person(item, "approved_by", fields.problems) for item in items)
    return tuple(person for person in found if person is not None)


def _check_approval(owner: str | None, approvers: tuple[str, ...], fields: Fields) -> None:
    problems: Problems = fields.problems
    if owner is None:
        return
    if any(scalars.same_person(approver, owner) for approver in approvers):
        message = f"{owner} owns this risk and cannot approve it"
        problems.add("self-approved", fields.place("approved_by"), message)
    if any(scalars.same_person(*pair) for pair in combinations(approvers, 2)):
        problems.add("duplicate-value", fields.place("approved_by"), "an approver is named twice")
