"""`sealgate policy`: write, check and test documents here, activate them there."""

from __future__ import annotations

import click

from gateway.cli import policy_lifecycle, policy_shadow, policy_trustee
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
    Try:       propose, report, shadow, status
    Approve:   sign, verify, approve
    Activate:  apply, list, retire, rollback, history, leases
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
    documents.list_,
    *policy_lifecycle.COMMANDS,
    policy_shadow.shadow,
    policy_trustee.import_,
):
    policy.add_command(command)

__all__ = ["policy"]
