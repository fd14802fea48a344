"""Prompt templates: messages with `{{variables}}`, filled in once and put before the caller's own.

A value takes the place of its name inside of one message and nowhere else: it is never read again, so that
whatever it holds it stays words of that message.

What does not live here: where templates come from (`flow/prompts.py`, `upstream/langfuse.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw.errors import InvalidRequest
from compatgw.wire.prompts import PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compatgw.wire.prompts import Prompt

# No quantifier stands within another: time is linear in the text.
_VARIABLE = re.compile(r"\{\{[ \t]{0,8}([A-Za-z_][A-Za-z0-9_.\-]{0,63})[ \t]{0,8}\}\}")


def variables_of(prompt: Prompt) -> tuple[str, ...]:
    """Names that have to be filled in, each once, in the order in which they stand."""
    found = [name for message in prompt.messages for name in _VARIABLE.findall(message.content)]
    return tuple(dict.fromkeys(found))


def chosen(versions: Iterable[Prompt], wanted: int | str | None) -> Prompt | None:
    """The version of that number or label; the newest where several have it, None where none has.

    Args:
        wanted: None: the one that is labelled `production`; the newest where none is labelled at all.
    """
    known = sorted(versions, key=lambda prompt: prompt.version, reverse=True)
    if isinstance(wanted, int):
        return next((prompt for prompt in known if prompt.version == wanted), None)
    label = wanted or PRODUCTION
    found = next((prompt for prompt in known if label in prompt.labels), None)
    if found is None and wanted is None and known and not any(prompt.labels for prompt in known):
        return known[0]
    return found


def rendered(prompt: Prompt, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """The messages of `prompt`, filled in.

    Args:
        variables: Text by name; more than the template has do no harm.

    Raises:
        InvalidRequest: One is missing; `param` names it.
    """
    for name in variables_of(prompt):
        if name not in variables:
            raise InvalidRequest(
                f"The prompt '{prompt.name}' (version {prompt.version}) needs the variable '{name}'. "
                "Send it in 'prompt_variables'.",
                param=f"prompt_variables.{name}",
                code="missing_parameter",
            )
    return [
        {"role": message.role, "content": _VARIABLE.sub(lambda found: variables[found[1]], message.content)}
        for message in prompt.messages
    ]


def before(prompt: Sequence[Mapping[str, Any]], messages: Sequence[Any]) -> list[Any]:
    """The messages of a template and then the caller's."""
    return [*prompt, *messages]
