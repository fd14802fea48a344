"""The command line: `compatgw serve` and its kin, and the commands that manage what a gateway keeps.

A command's module is loaded when the command is called, or its own help: nobody waits for the
database to read what there is. Every failure ends in one line, and an interruption with 130.

What does not live here: the commands.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

try:
    import click
except ModuleNotFoundError:
    sys.exit("The command line needs more packages: pip install 'compatgw[standalone]'")

from compatgw.cli.words import fail
from compatgw.errors import GatewayError
from compatgw.state.base import StateError
from compatgw.version import __version__

INTERRUPTED = 130


class Place(NamedTuple):
    """Where a command is, and its line in the list of commands."""

    module: str
    name: str
    help: str


SERVING: Mapping[str, Place] = MappingProxyType(
    {
        "serve": Place("serve", "serve", "Run the gateway."),
        "demo": Place("serve", "demo", "Try the gateway offline: four fake providers, no key, no network."),
        "config": Place("config", "config", "The settings: what they are, and where each came from."),
        "import": Place("bring", "bring", "Write settings from what is there: a LiteLLM configuration, or variables."),
        "explain": Place("explain", "explain", "Say where a chat request would go, and why; nobody is called."),
    }
)
MANAGING: Mapping[str, Place] = MappingProxyType(
    {
        "teams": Place("teams", "teams", "Who pays, and what all its keys may at most do."),
        "keys": Place("keys", "keys", "Keys that callers send: made, changed, rotated, revoked."),
        "plans": Place("plans", "plans", "Limits under a name, for teams and keys."),
        "wallet": Place("wallet", "wallet", "A team's money: opened, topped up, corrected, shown."),
        "prompts": Place("prompts", "prompts", "Prompt templates: their versions and labels."),
        "provider-keys": Place("provider_keys", "provider_keys", "Teams' own keys at providers, kept sealed."),
        "usage": Place("usage", "usage", "What was called and what it cost, in sums."),
        "db": Place("database", "database", "The ledger's database: its schema and its rows."),
    }
)
_SECTIONS = (("Run it", SERVING), ("Manage it, also while it runs", MANAGING))


class Commands(click.Group):
    """The commands, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return [*SERVING, *MANAGING]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads a command.

        An installation without the packages that it needs is told which extra has them.
        """
        place = SERVING.get(cmd_name) or MANAGING.get(cmd_name)
        if place is None:
            return None
        try:
            module = importlib.import_module(f"compatgw.cli.{place.module}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "compatgw":
                raise
            fail(f"'compatgw {cmd_name}' needs {error.name}: pip install 'compatgw[standalone]'")
        found: click.Command = getattr(module, place.name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without loading any."""
        for title, places in _SECTIONS:
            with formatter.section(title):
                formatter.write_dl([(name, place.help) for name, place in places.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Runs a command; what fails is said in one line."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            # The terminal has written ^C where the line stopped.
            click.echo(err=True)
            ctx.exit(INTERRUPTED)
        except (GatewayError, StateError) as error:
            fail(str(error))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="compatgw")
def main() -> None:
    """An OpenAI-compatible AI gateway: mount it in an application, or run it here.

    \b
    compatgw demo      try it now: no key, no network
    compatgw serve     run it with your providers' keys (OPENAI_API_KEY, ANTHROPIC_API_KEY, ...)
    compatgw config    say what each setting is and where it came from
    """
