"""What Cohere's models can do, as rows: the longest prefix of a model's id that has a row counts.

Each trait may be overridden for one model by configuration (`Target.traits`), under the
names of the `Traits` attributes. A model without a row gets the defaults, which are those of
the current Command family without reasoning.

What does not live here: context windows, prices (the catalogue), translation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model can do.

    Attributes:
        reasoning: Takes `thinking`, and thinking parts in earlier turns.
        tool_choice: Takes `tool_choice`, so a call can be forced or forbidden.
        strict_tools: Takes `strict_tools`.
        json_beside_tools: Takes a JSON `response_format` together with tools or documents.
            The vendor's own client rules it out without naming an exception, so no row has it.
    """

    reasoning: bool = False
    tool_choice: bool = True
    strict_tools: bool = True
    json_beside_tools: bool = False


_OLD = Traits(tool_choice=False, strict_tools=False)

ROWS: dict[str, Traits] = {
    "command": _OLD,  # `command`, `command-light`, `command-nightly`
    "command-a": Traits(),
    "command-a-reasoning": Traits(reasoning=True),
    "command-r": Traits(tool_choice=False),  # `command-r`, `command-r-plus` and their dated versions
    "command-r7b": Traits(),
    "c4ai-aya": _OLD,
}
DEFAULT = Traits()
_NAMES = frozenset(field.name for field in fields(Traits))


def traits(target: Target) -> Traits:
    """The traits of the target's model, with the overrides that configuration gives."""
    prefix = max((row for row in ROWS if target.model.startswith(row)), key=len, default="")
    known = ROWS.get(prefix, DEFAULT)
    overrides = {name: bool(value) for name, value in target.traits.items() if name in _NAMES}
    return replace(known, **overrides) if overrides else known
