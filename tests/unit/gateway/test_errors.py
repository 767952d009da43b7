"""The gateway's codes: one home each, a status and a title for all."""

from __future__ import annotations

import pickle
import re

import pytest

from gateway.errors import ABOUT, GatewayError, GatewayReason
from verifiers.errors import Reason


def test_no_code_means_two_things() -> None:
    ours, theirs = {str(r) for r in GatewayReason}, {str(r) for r in Reason}
    assert ours & theirs == set()
    assert len(ours) == len(GatewayReason.__members__)


@pytest.mark.parametrize("reason", list(GatewayReason))
def test_every_code_is_spelled_alike_and_described(reason: GatewayReason) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", reason)
    assert 400 <= ABOUT[reason].status <= 599
    assert ABOUT[reason].title


def test_an_error_tells_the_operator_everything_and_survives_pickling() -> None:
    error = GatewayError(GatewayReason.STORE_KIND, "no", where="store", expected="a", found="b")
    assert str(error) == "store: expected a, found b [store.kind-mismatch]"
    assert (error.status, error.title) == (500, ABOUT[GatewayReason.STORE_KIND].title)
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, again.detail, str(again)) == (error.reason, error.detail, str(error))
