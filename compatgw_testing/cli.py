"""The command `compatgw-testing`: `serve`, `check`, `cassette`.

Only the sub-command that is asked for is imported. What does not live here: what they do
(`serve/`, `check/`, `cassettes/`).
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Command(NamedTuple):
    module: str
    help: str


_COMMANDS = {
    "serve": _Command("compatgw_testing.serve.command", "serve the fakes on a port, for applications in any language"),
    "check": _Command("compatgw_testing.check.command", "print how well an OpenAI-compatible server keeps to the wire"),
    "cassette": _Command("compatgw_testing.cassettes.command", "look after recorded answers: lint, show, diff, prune"),
}


def parser_for(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for a command line: with the sub-command that it names, and the others by name alone."""
    parser = argparse.ArgumentParser(
        prog="compatgw-testing",
        description="An offline test double for applications that talk to language models.",
        epilog="compatgw-testing COMMAND --help tells more.",
    )
    parser.add_argument("--version", action="version", version=f"compatgw-testing {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, command in _COMMANDS.items():
        if name == chosen:
            _imported(command.module).add(commands)
        else:
            commands.add_parser(name, help=command.help)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; gives the exit code: 0 well, 1 not well, 2 asked for the wrong thing."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser_for(words).parse_args(words)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        # 128 and the number of SIGINT, as shells have it.
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough of it; nothing more can be said to it, not even at exit.
        sys.stdout = None
        return 0


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == __package__:
            raise
        sys.stderr.write(f"compatgw-testing: {missing.name} is missing; pip install 'compatgw[testing]' has it\n")
        raise SystemExit(1) from missing


def _version() -> str:
    try:
        return version("compatgw")
    except PackageNotFoundError:
        return "0"
