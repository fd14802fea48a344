"""Prompt templates: messages with `{{variables}}`, filled in once and put before the caller's own.

A value takes the place of its name inside of one message and nowhere else: it is never read again, so that
whatever it holds it stays words of that message.

What does not live here: where templates come from (`flow/prompts.py`, `upstream/langfuse.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.errors import InvalidRequest
from compatgw.wire.prompts import LATEST, PRODUCTION, Prompt, PromptMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compatgw.state import base

_SHOWN = 80
_LABEL = re.compile(r"[A-Za-z0-9._\-]{1,64}")

# No quantifier stands within another: time is linear in the text.
_VARIABLE = re.compile(r"\{\{[ \t]{0,8}([A-Za-z_][A-Za-z0-9_.\-]{0,63})[ \t]{0,8}\}\}")


def variables_of(prompt: Prompt) -> tuple[str, ...]:
    """Names that have to be filled in, each once, in the order in which they stand."""
    return tuple(dict.fromkeys(name for message in prompt.messages for name in _VARIABLE.findall(message.content)))


def of_record(record: base.Prompt) -> Prompt:
    """A version as the ledger has it."""
    body: Any = orjson.loads(record.body)
    given: Any = [{"role": "system", "content": body}] if isinstance(body, str) else body
    return Prompt(
        name=record.name,
        version=record.number,
        labels=frozenset(record.labels),
        messages=tuple([PromptMessage(message["role"], message["content"]) for message in given]),
    )


def chosen(versions: Iterable[Prompt], wanted: int | str | None) -> Prompt | None:
    """The version of that number or label; the newest where several have it, None where none has.

    Args:
        wanted: `latest`: the newest. None: the one that is labelled `production`; the newest where none is labelled
            at all.
    """
    known = sorted(versions, key=lambda prompt: prompt.version, reverse=True)
    if isinstance(wanted, int):
        return next((prompt for prompt in known if prompt.version == wanted), None)
    if wanted == LATEST:
        return known[0] if known else None
    label = wanted or PRODUCTION
    found = next((prompt for prompt in known if label in prompt.labels), None)
    if found is None and wanted is None and known and not any(prompt.labels for prompt in known):
        return known[0]
    return found


def rendered(prompt: Prompt, variables: Mapping[str, str], *, most: int) -> list[dict[str, Any]]:
    """The messages of `prompt`, filled in.

    Args:
        variables: Text by name; more than the template has do no harm.
        most: Characters of all messages together.

    Raises:
        InvalidRequest: A variable is missing, and `param` names it; or all of it is too long.
    """
    size, own = 0, []
    for message in prompt.messages:
        # Text and names by turns.
        pieces = _VARIABLE.split(message.content)
        names = pieces[1::2]
        for name in names:
            if name not in variables:
                raise InvalidRequest(
                    f"The prompt '{prompt.name[:_SHOWN]}' (version {prompt.version}) needs the variable '{name}'. "
                    "Send it in 'prompt_variables'.",
                    param=f"prompt_variables.{name}",
                    code="missing_parameter",
                )
        pieces[1::2] = [variables[name] for name in names]
        # A text that stands in many places grows far beyond the request that brought it.
        size += sum(map(len, pieces))
        own.append((message.role, pieces))
    if size > most:
        raise InvalidRequest(
            f"The prompt '{prompt.name[:_SHOWN]}' has {size:,} characters with these variables, the most is {most:,}. "
            "Send shorter ones.",
            param="prompt_variables",
        )
    return [{"role": role, "content": "".join(pieces)} for role, pieces in own]


def before(prompt: Sequence[Mapping[str, Any]], messages: Sequence[Any]) -> list[Any]:
    """The messages of a template and then the caller's."""
    return [*prompt, *messages]


def label_fault(label: str) -> str | None:
    """What is wrong with a name for a version; None for a sound one."""
    if label == LATEST:
        return f"the label '{LATEST}' always stands for the newest version. Choose another."
    if label.isdigit():
        return f"the label '{label[:_SHOWN]}' would be taken for a number. Begin it with a letter."
    if not _LABEL.fullmatch(label):
        return f"the label '{label[:_SHOWN]}' is none: 1 to 64 letters, digits, '.', '_' or '-'."
    return None
