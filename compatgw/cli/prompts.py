"""`compatgw prompts`: templates of the ledger, their versions and labels.

What does not live here: templates of the settings, using them (`flow/prompts.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import orjson

from compatgw.admin import documents
from compatgw.admin.prompts import subject
from compatgw.cli.desk import Desk, at_desk
from compatgw.cli.tables import Value, When, column, on_terminal, show_json, show_record, show_table, whole
from compatgw.cli.words import clean, fail, ledger_options
from compatgw.policy.prompts import of_record, variables_of
from compatgw.state.base import Prompt
from compatgw.wire.prompts import PRODUCTION

_STDIN = "-"


@click.group()
def prompts() -> None:
    """Prompt templates: their versions and labels.

    Calls name one in 'prompt_id', and fill in its {{variables}} in 'prompt_variables'. A version is never
    changed; labels such as production move from one version to another at once. A template of the ledger
    wins over one of the settings.
    """


@prompts.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--messages", is_flag=True, help="FILE is a JSON list of messages with 'role' and 'content'.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Such as production; repeat it.")
@ledger_options
def add(name: str, file: str, messages: bool, labels: Sequence[str], config: str | None, as_json: bool) -> None:
    """Store a new version of a prompt.

    FILE holds the text of a system message; - reads it from stdin. Calls that name no version get the one
    that is labelled production.

    \b
    Example:
      compatgw prompts add greet greet.txt --label production
      echo 'Answer in {{language}}.' | compatgw prompts add greet -
    """
    text = _read(file)
    given = _json(text, file) if messages else None

    async def work(desk: Desk) -> Prompt:
        return await desk.office.prompts.add(
            name, text=None if messages else text, messages=given, labels=labels, by=desk.by
        )

    prompt = at_desk(config, work)
    _shown(prompt, as_json)
    if not as_json and not prompt.labels:
        click.echo(
            f"No call gets it before it has a label: compatgw prompts label {prompt.name} {PRODUCTION} {prompt.number}",
            err=True,
        )


@prompts.command("list")
@click.option("--name", help="Of this prompt only.")
@ledger_options
def listed(name: str | None, config: str | None, as_json: bool) -> None:
    """List all versions of all prompts in the ledger.

    \b
    Example:
      compatgw prompts list --name greet
    """
    where = {"removed": False, **({"name": name} if name is not None else {})}

    async def work(desk: Desk) -> list[Prompt]:
        return await desk.all(Prompt, where)

    found = at_desk(config, work)
    if as_json:
        show_json(whole(map(documents.of_prompt_row, found)))
        return
    columns = (
        column("name", folds=True),
        column("number"),
        column("labels", folds=True),
        column("variables", 3, folds=True),
        column("by", 2),
        column("created", 1),
    )
    rows = [
        (each.name, each.number, each.labels, variables_of(of_record(each)), each.by, When(each.created))
        for each in found
    ]
    show_table(columns, rows, empty="No prompts. Store one: compatgw prompts add NAME FILE")


@prompts.command()
@click.argument("name")
@click.argument("version", default=PRODUCTION)
@ledger_options
def show(name: str, version: str, config: str | None, as_json: bool) -> None:
    """Show one version of a prompt with its text.

    VERSION is a number, a label, or latest; production if it is left out.

    \b
    Example:
      compatgw prompts show greet 3
    """

    async def work(desk: Desk) -> Prompt:
        return await desk.office.prompts.find(name, version)

    _shown(at_desk(config, work), as_json)


@prompts.command()
@click.argument("name")
@click.argument("label")
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--off", is_flag=True, help="Take the label off the version that has it.")
@ledger_options
def label(name: str, label: str, number: int | None, off: bool, config: str | None, as_json: bool) -> None:
    """Give a label to a version.

    The version that had it has it no more from the same moment on.

    \b
    Example:
      compatgw prompts label greet production 3
      compatgw prompts label greet next --off
    """
    if off == (number is not None):
        raise click.UsageError("Name the number of a version, or --off to take the label away.")

    async def work(desk: Desk) -> Prompt:
        if number is None:
            return await desk.office.prompts.unlabel(name, label, by=desk.by)
        return await desk.office.prompts.label(name, label, number, by=desk.by)

    _shown(at_desk(config, work), as_json)


@prompts.command()
@click.argument("name")
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--all", "everything", is_flag=True, help="All versions, whatever their labels.")
@ledger_options
def rm(name: str, number: int | None, everything: bool, config: str | None, as_json: bool) -> None:
    """Remove a version that has no label, or with --all a whole prompt.

    Numbers are not given out again.

    \b
    Example:
      compatgw prompts rm greet 2
      compatgw prompts rm greet --all
    """
    if everything == (number is not None):
        raise click.UsageError("Name the number of a version, or --all for all of them.")

    async def work(desk: Desk) -> str:
        if number is None:
            await desk.office.prompts.remove_all(name, by=desk.by)
            return name
        return subject(await desk.office.prompts.remove(name, number, by=desk.by))

    removed = at_desk(config, work)
    if as_json:
        deleted: documents.DeletedDocument = {"object": "prompt.deleted", "id": removed, "deleted": True}
        show_json(deleted)
    else:
        click.echo(f"The prompt {removed} was removed.", err=True)


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
        # The line break that ends a file is no part of what is in it.
        return data.decode().removesuffix("\n")
    except OSError as error:
        fail(f"Cannot read {file}: {error.strerror}. Name a file with the template, or - for stdin.")
    except UnicodeDecodeError as error:
        fail(f"{file} is no UTF-8 at byte {error.start}. Save it as UTF-8.")


def _json(text: str, file: str) -> object:
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fail(f"{file} is not JSON: {error}. Give a list of messages with 'role' and 'content'.")
    return found


def _shown(prompt: Prompt, as_json: bool) -> None:
    if as_json:
        show_json(documents.of_prompt(prompt))
        return
    members: dict[str, Value] = {
        "name": prompt.name,
        "number": prompt.number,
        "labels": prompt.labels,
        "variables": variables_of(of_record(prompt)),
        "created": When(prompt.created),
        "by": prompt.by,
    }
    if prompt.changed is not None:
        members |= {"changed": When(prompt.changed), "changed by": prompt.changed_by}
    show_record(f"Prompt {prompt.name}", members)
    for message in of_record(prompt).messages:
        click.echo()
        click.secho(f"{message.role}:", dim=on_terminal())
        click.echo("\n".join(map(clean, message.content.split("\n"))))
