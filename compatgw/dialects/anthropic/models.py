"""What Claude models can do, as rows: the first row whose pattern is found in a model's id counts.

Ids are read as every host writes them: `claude-sonnet-4-5-20250929`, `claude-opus-4-1@20250805`,
`us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `anthropic/claude-sonnet-4.5`. Each trait may be
overridden for one model by configuration (`Target.traits`), under the names of the `Traits`
attributes. A Claude without a row is taken for one of the newest; an id that is no Claude
(another vendor's server that speaks this protocol, a name of the operator's own) gets what
such servers have in common.

What does not live here: context windows, prices (the catalogue), translation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model can do. The defaults are those of Claude Sonnet 5 and its like.

    Attributes:
        thinking: Values of `thinking.type` that are taken.
        thinks: Thinks when the request does not say.
        forced: `tool_choice` of type any and tool is taken.
        sampling: temperature, top_p and top_k may have other than their default values.
        one_sampling: Only one of temperature and top_p is taken.
        efforts: Values of `output_config.effort` that are taken, lowest first.
        structured: `output_config.format` is taken.
        strict_tools: `strict` is taken in tools.
        prefill: The last message may be the assistant's, for the model to go on with.
        system_role: Messages of role system are taken between the others.
        max_output: Most that `max_tokens` may be, None when not known.
        web_search: Type of the vendor's search tool that `web_search_options` switches on, "" for none.
    """

    thinking: tuple[str, ...] = ("adaptive", "between_tools", "disabled")
    thinks: bool = True
    forced: bool = True
    sampling: bool = False
    one_sampling: bool = True
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    structured: bool = True
    strict_tools: bool = True
    prefill: bool = False
    system_role: bool = True
    max_output: int | None = 128_000
    web_search: str = ""

    @property
    def manual(self) -> bool:
        """Thinking is given a budget, because the model does not find its own."""
        return "enabled" in self.thinking and "adaptive" not in self.thinking

    @property
    def able(self) -> bool:
        """The model can think at all."""
        return "adaptive" in self.thinking or "enabled" in self.thinking


class Row(NamedTuple):
    """Models in whose id `pattern` is found."""

    pattern: re.Pattern[str]
    traits: Traits


_NEWEST = Traits()
_ALWAYS = replace(_NEWEST, thinking=("adaptive", "between_tools"))
_UNFORCED = replace(_ALWAYS, forced=False)
_48 = replace(_NEWEST, thinks=False)
_47 = replace(_48, system_role=False)
_46 = replace(
    _47,
    thinking=("adaptive", "enabled", "disabled"),
    sampling=True,
    efforts=("low", "medium", "high", "max"),
)
_45 = replace(_46, thinking=("enabled", "disabled"), efforts=(), prefill=True, max_output=64_000)
_41 = replace(_45, structured=False, strict_tools=False, max_output=32_000)
_40 = replace(_41, one_sampling=False, max_output=64_000)
_35 = replace(_40, thinking=(), max_output=8192)
_3 = replace(_35, max_output=4096)
_OTHER = replace(_40, max_output=None)


def _row(pattern: str, traits: Traits) -> Row:
    return Row(re.compile(pattern), traits)


# In `4[-.]5` the second number must not be the beginning of a date: `claude-opus-4-20250514` is a 4.0.
ROWS: tuple[Row, ...] = (
    _row(r"claude-(fable|mythos)-(5[-.][1-9](?!\d)|[6-9](?!\d))", _UNFORCED),
    _row(r"claude-(fable|mythos)", _ALWAYS),
    _row(r"claude-opus-(5[-.][5-9](?!\d)|[6-9](?!\d))", _UNFORCED),
    _row(r"claude-(opus|sonnet|haiku)-[5-9](?!\d)", _NEWEST),
    _row(r"claude-opus-4[-.]8(?!\d)", _48),
    _row(r"claude-(opus|sonnet|haiku)-4[-.][78](?!\d)", _47),
    _row(r"claude-sonnet-4[-.]6(?!\d)", replace(_46, max_output=64_000)),
    _row(r"claude-(opus|haiku)-4[-.]6(?!\d)", _46),
    _row(r"claude-opus-4[-.]5(?!\d)", replace(_45, efforts=("low", "medium", "high"))),
    _row(r"claude-(opus|sonnet|haiku)-4[-.]5(?!\d)", _45),
    _row(r"claude-opus-4[-.]1(?!\d)", _41),
    _row(r"claude-opus-4(?!\d)", replace(_40, max_output=32_000)),
    _row(r"claude-(sonnet|haiku)-4(?!\d)", _40),
    _row(r"claude-3[-.]7", _40),
    _row(r"claude-3[-.]5", _35),
    _row(r"claude-(3|2|v2|instant)", _3),
    _row(r"claude", _NEWEST),
)
_DEFAULTS = {field.name: field.default for field in fields(Traits)}


@lru_cache(maxsize=1024)
def known(model: str) -> Traits:
    """What the table says of `model`."""
    name = model.lower()
    return next((row.traits for row in ROWS if row.pattern.search(name)), _OTHER)


def traits(target: Target) -> Traits:
    """The traits of the target's model, with what its configuration and the catalogue say of it."""
    found = known(target.model)
    changed: dict[str, Any] = {}
    if target.max_output is not None:
        changed["max_output"] = target.max_output
    for name, value in target.traits.items():
        if name in _DEFAULTS:
            # Configuration files have lists where a frozen value wants a tuple.
            changed[name] = tuple(value) if isinstance(_DEFAULTS[name], tuple) else value
    return replace(found, **changed) if changed else found
