"""Which fields the code binds: read from the code, so that the model cannot fall behind it in silence."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable
from dataclasses import fields as members_of
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway import admission, evidence, keys, nonces, secrets
from gateway.guest import public_jwk
from gateway.protocol import jwk, native
from gateway.release import native as release
from gateway.release.wrap import wrap
from gateway.token import ear, jws
from verifiers.codec import b64


def bound() -> dict[str, tuple[str, ...]]:
    """Place → fields that are authenticated there, as the code has them now."""
    return {
        "runtime data": runtime_data(),
        "device nonce": tuple(
            sorted("label" if "LABEL" in w else w for w in _words(_returned(native.device_nonce)))
        ),
        "challenge": challenge(),
        "release": signed_release(),
        "wrap": wrapped(),
        "result token": result_token(),
        "stored appraisal": stored_appraisal(),
        "sealed secret": sealed(secrets.associated_data),
        "sealed evidence": sealed(evidence._bound_to),
    }


def runtime_data() -> tuple[str, ...]:
    """The members that are read, and the label that the digest begins with."""
    assert "LABEL" in _words(_returned(native.report_data))
    members = tuple(f.name for f in members_of(native.RuntimeData) if f.name != "raw")
    assert set(native._RUNTIME_MEMBERS) | {"devices"} == set(members)
    return ("label", *members)


def challenge() -> tuple[str, ...]:
    """The terms of the sum that is authenticated, and what the MAC takes besides."""
    (unsigned,) = [
        node.value
        for node in ast.walk(_tree(nonces.issue))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "unsigned"
    ]
    terms = [_word(term) for term in _terms(unsigned)]
    (mac,) = _calls(nonces._mac, "fields")
    outside = [_word(argument) for argument in mac.args]
    return tuple(word for word in (*outside, *terms) if word != "unsigned")


def signed_release() -> tuple[str, ...]:
    """Header and payload of a release that is really made."""
    key = ec.generate_private_key(ec.SECP256R1())
    said = release.statement(
        iss="i", aud="a", nonce="n", path="p", version=1, lease=timedelta(hours=1), jwe="j"
    )
    token = jws.sign({"typ": release.TYP, "kid": "k"}, said, key)
    return (*sorted(_header(token)), *json.loads(said))


def wrapped() -> tuple[str, ...]:
    """The protected header of a JWE that is really made, and the key that it is made to."""
    key = jwk.parse(public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()), "key")
    return ("key", *sorted(_header(wrap(b"x", key, "tenant"))))


def result_token() -> tuple[str, ...]:
    """Members of an EAR: those of the literal, and those that are added."""
    tree = _tree(ear.claims)
    names = [
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    ]
    added = [
        node.targets[0].slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Subscript)
        and isinstance(node.targets[0].slice, ast.Constant)
    ]
    return tuple(str(name) for name in (*names, *added))


def read_of_a_token() -> frozenset[str]:
    """Members of an EAR that decide anything when it is presented for a release."""
    found = set()
    for function in (admission.own_token, admission.releasable):
        for node in ast.walk(_tree(function)):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "claims":
                found.add(ast.literal_eval(node.slice))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "claims.get":
                found.add(ast.literal_eval(node.args[0]))
    return frozenset(found)


def stored_appraisal() -> tuple[str, ...]:
    """What must fit of a stored appraisal: what it is found by, and what is read of it."""
    tree = _tree(admission.releasable)
    (found,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "store.get"
    ]
    by = [ast.unparse(argument) for argument in found.args]
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "stored"
    }
    return (*("jti" if "jti" in word else word for word in by), *sorted(read))


def sealed(function: Callable[..., bytes]) -> tuple[str, ...]:
    """What a sealed row is bound to: the caller's fields, and what `Keys` adds to all."""
    (own,) = _calls(function, "fields")
    (common,) = _calls(keys.bound, "fields")
    added = [_word(argument) for argument in common.args[1:]]
    return (*(_word(argument) for argument in own.args), *(word for word in added if word != "associated"))


# --- reading source ------------------------------------------------------------------------------------


def _tree(function: Callable[..., Any]) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _returned(function: Callable[..., Any]) -> ast.expr:
    (value,) = [node.value for node in ast.walk(_tree(function)) if isinstance(node, ast.Return)]
    assert value is not None
    return value


def _calls(function: Callable[..., Any], name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(_tree(function))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]


def _terms(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_terms(node.left), *_terms(node.right)]
    return [node]


_PLUMBING = {"hashlib", "store", "u64", "fields"}


def _words(node: ast.expr) -> list[str]:
    """Names that go into an expression, without the functions that only spell them."""
    return [found.id for found in ast.walk(node) if isinstance(found, ast.Name) and found.id not in _PLUMBING]


def _word(node: ast.expr) -> str:
    """The one thing that a term is about: a variable, or whom it asks."""
    if isinstance(node, ast.Constant):
        return "label"
    asked = [
        found.attr for found in ast.walk(node) if isinstance(found, ast.Attribute) and found.attr == "epoch"
    ]
    words = asked or _words(node)
    return {"_LABEL": "label", "VERSION": "version", "LABEL": "label"}.get(words[0], words[0])


def _header(token: str) -> dict[str, Any]:
    return dict(json.loads(b64.decode_url(token.split(".")[0], "header", limit=4096)))
