"""The `sealgate` command. Subcommands are imported when they are called, so `verify` starts no server."""

from __future__ import annotations

import functools
import importlib
import io
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

import click

from gateway import VERSION

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "serve": ("gateway.cli.serve:command", "Run the gateway."),
        "demo": ("gateway.cli.demo:demo", "See it work: two guests, a secret, refusals, the ledger."),
        "verify": ("gateway.cli.verify:verify", "Judge evidence offline: genuine, current, safe, mine?"),
        "inspect": ("gateway.cli.inspect:inspect", "Show what is in evidence or collateral. Judges nothing."),
        "policy": ("gateway.cli.policy:policy", "Say what is acceptable: write, check, test, apply."),
        "reference": (
            "gateway.cli.reference:reference",
            "Reference values: approved measurements.",
        ),
        "secret": ("gateway.cli.secret:secret", "Store secrets; they leave only to a TEE that passed."),
        "collateral": (
            "gateway.cli.collateral:collateral",
            "Vendors' certificates, CRLs, TCB info.",
        ),
        "ledger": ("gateway.cli.ledger:ledger", "Who got what, on what grounds; check the chain."),
        "token": ("gateway.cli.token:token", "Check a result token, as a relying party should."),
        "guest": ("gateway.cli.guest:guest", "Inside a TEE: get secrets, and check them."),
        "sim": ("gateway.cli.sim:sim", "Mint SIMULATED evidence, for trials without TEE hardware."),
        "admin": ("gateway.cli.admin:admin", "Why was it refused? Is the gateway well?"),
    }
)
"""Name to (module:attribute, short help)."""

INTERNAL_ERROR = 70
"""Exit code of our own bugs: none of those that answer a question (sysexits.h, EX_SOFTWARE)."""


class Root(click.Group):
    """Lists commands without importing them; says every error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        run = functools.partial(super().main, args, prog_name, complete_var, False, **extra)
        if not standalone_mode:
            return run()
        try:
            sys.exit(run() or 0)
        except click.ClickException as error:
            _say(error.format_message())
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            _say("interrupted")
            sys.exit(130)
        except BrokenPipeError:
            # Whoever read our output has seen enough; nothing more can be said to them.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except Exception as error:
            _internal(error)


def _internal(error: Exception) -> NoReturn:
    if os.environ.get("SEALGATE_DEBUG"):
        raise error
    name = type(error).__name__
    _say(f"internal error ({name}); this is a bug. SEALGATE_DEBUG=1 shows where")
    sys.exit(INTERNAL_ERROR)


def _say(message: str) -> None:
    for line in message.splitlines() or [""]:
        click.echo(f"sealgate: {line}", err=True)


@click.command(cls=Root, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(VERSION, prog_name="sealgate", message="%(prog)s %(version)s")
def cli() -> None:
    """Attestation gateway for confidential computing: verifies evidence, releases secrets to what passed."""


def main() -> None:
    """Entry point of the `sealgate` script and of `python -m gateway`."""
    # AMD certifies every VCEK and VLEK with serial number 0 (AMD 57230); cryptography warns on parsing it.
    warnings.filterwarnings("ignore", message="Parsed a serial number which wasn't positive")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets a question mark, not a failure.
            stream.reconfigure(errors="replace")
    cli.main(prog_name="sealgate")


if __name__ == "__main__":
    main()
