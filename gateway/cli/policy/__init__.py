"""`sealgate policy`: write, check and test documents here, activate them there."""

from __future__ import annotations

import click

from gateway.cli import policy_trustee
from gateway.cli.policy import (
    authoring,
    backtesting,
    checking,
    documents,
    explaining,
    init,
    questions,
    testing,
)


@click.group()
def policy() -> None:
    """Say what is acceptable: baselines, reference values, release policies.

    \b
    Write:     init, import, claims, schema, fmt
    Examine:   check, test, explain, diff, prove, backtest
    Activate:  apply, list, retire
    """


for command in (
    init.init,
    authoring.claims,
    authoring.schema,
    authoring.fmt,
    checking.check,
    testing.test,
    explaining.explain,
    questions.diff,
    questions.prove,
    backtesting.backtest,
    documents.apply,
    documents.list_,
    documents.retire,
    policy_trustee.import_,
):
    policy.add_command(command)

__all__ = ["policy"]
