"""`compatgw import`: writes settings from what people already have.

What does not live here: what becomes of it (`importing.py`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from compatgw.cli.words import clean, fail
from compatgw.config import FILE
from compatgw.importing import env, litellm

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.importing import Imported

Command = TypeVar("Command", bound="Callable[..., Any]")

_STDOUT = "-"


def _writing(command: Command) -> Command:
    target = click.option(
        "--to", default=FILE, show_default=True, type=click.Path(dir_okay=False, allow_dash=True), help="- for stdout."
    )
    return target(click.option("--force", is_flag=True, help="Write over a file that is there.")(command))


@click.group("import")
def bring() -> None:
    """Write settings from what is there: a LiteLLM configuration, or variables.

    What cannot be carried over is said on stderr and in the file, a line each.
    """


@bring.command("litellm")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@_writing
def from_litellm(file: str, to: str, force: bool) -> None:
    """Write settings from the config.yaml of a LiteLLM proxy; - reads it from stdin.

    Keys that were references to variables stay references.

    \b
    Example:
      compatgw import litellm config.yaml
      compatgw import litellm config.yaml --to - | less
    """
    try:
        import yaml
    except ModuleNotFoundError:
        fail("Reading YAML needs PyYAML: pip install 'compatgw[yaml]'")
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        found = litellm(yaml.safe_load(text), Path(file).name if file != "-" else "stdin")
    except OSError as error:
        fail(f"Cannot read {file}: {error.strerror}. Name the config.yaml of a LiteLLM proxy, or - for stdin.")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark is not None else file
        fail(f"{where}: this is no YAML: {error.problem or error.context}.")
    except (yaml.YAMLError, RecursionError):
        fail(f"{file} is no YAML. Name the config.yaml of a LiteLLM proxy.")
    except ValueError as error:
        fail(f"{file}: {error}")
    _write(found, to, force=force)


@bring.command("env")
@_writing
def from_env(to: str, force: bool) -> None:
    """Write settings from the variables of this shell, such as OPENAI_API_KEY, OPENAI_BASE_URL, AZURE_API_BASE.

    Keys stay where they are: the file names providers, and holds none.

    \b
    Example:
      compatgw import env --to -
    """
    _write(env(os.environ), to, force=force)


def _write(found: Imported, to: str, *, force: bool) -> None:
    for where, why in found.notes:
        click.echo(clean(f"{where}: {why}"), err=True)
    text = found.toml()
    if to == _STDOUT:
        click.echo(text, nl=False)
        return
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        # It may hold keys that stood in the file that it is made from.
        with os.fdopen(os.open(to, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        fail(f"{to} is there already. Name another with --to, or write over it with --force.")
    except OSError as error:
        fail(f"Cannot write {to}: {error.strerror}.")
    providers, models = len(found.values.get("providers", {})), len(found.values.get("models", {}))
    click.echo(
        f"Wrote {to}: {providers} providers, {models} models. See what it means: compatgw config check", err=True
    )
