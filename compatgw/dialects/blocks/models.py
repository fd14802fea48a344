"""What a model can do that such a protocol asks of it; and what each Claude can, wherever it is hosted.

Ids are read as every host writes them: `claude-sonnet-4-5-20250929`, `claude-opus-4-1@20250805`,
`us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `anthropic/claude-sonnet-4.5`. Each trait may be
overridden for one model by configuration (`Target.traits`), under the names of the attributes.

What does not live here: what only one host has or lacks, models of other vendors (the dialects' `models.py`);
context windows, prices (the catalogue).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model can do. The defaults are those of a model that nothing is known of.

    Attributes:
        thinking: Values of `thinking.type` that are taken; () for models that are no Claude.
        thinks: Thinks when the request does not say.
        efforts: Efforts that are taken, lowest first.
        sampling: temperature, top_p and top_k may have other than their default values.
        one_sampling: Only one of temperature and top_p is taken.
        structured: It can be held to a JSON schema.
        strict_tools: `strict` is taken in tools.
        prefill: The last message may be the assistant's, for the model to go on with.
        max_output: Most that the limit of the answer may be, None when not known.
    """

    thinking: tuple[str, ...] = ()
    thinks: bool = False
    efforts: tuple[str, ...] = ()
    sampling: bool = True
    one_sampling: bool = False
    structured: bool = False
    strict_tools: bool = False
    prefill: bool = False
    max_output: int | None = None

    @property
    def manual(self) -> bool:
        """Thinking is given a budget, because the model does not find its own."""
        return "enabled" in self.thinking and "adaptive" not in self.thinking

    @property
    def able(self) -> bool:
        """It can be told to think."""
        return "adaptive" in self.thinking or "enabled" in self.thinking

    @property
    def quiet(self) -> Literal["disabled", "least", ""]:
        """How it is kept from thinking: by a word, by the least effort, or by saying nothing."""
        if "disabled" in self.thinking:
            return "disabled"
        return "least" if self.able and self.efforts else ""


@dataclass(frozen=True, slots=True)
class Claude(Traits):
    """What one Claude can do. The defaults are those of Claude Sonnet 5 and its like.

    Attributes:
        forced: It can be made to call a tool.
        system_role: System text is taken between the other messages.
    """

    thinking: tuple[str, ...] = ("adaptive", "between_tools", "disabled")
    thinks: bool = True
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    sampling: bool = False
    one_sampling: bool = True
    structured: bool = True
    strict_tools: bool = True
    max_output: int | None = 128_000
    forced: bool = True
    system_role: bool = True


class _Row(NamedTuple):
    """Models in whose id `pattern` is found."""

    pattern: re.Pattern[str]
    traits: Claude


_NEWEST = Claude()
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
# What servers have in common that speak a Claude's protocol for a model that is none.
LIKE = replace(_40, max_output=None)


def _row(pattern: str, traits: Claude) -> _Row:
    return _Row(re.compile(pattern), traits)


# In `4[-.]5` the second number must not be the beginning of a date: `claude-opus-4-20250514` is a 4.0.
_ROWS: tuple[_Row, ...] = (
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


def claude(name: str) -> Claude | None:
    """What the table says of the model, the first row that fits; None for a model that is no Claude.

    Args:
        name: Its id, in lower case. A Claude without a row is taken for one of the newest.
    """
    return next((row.traits for row in _ROWS if row.pattern.search(name)), None)


Found = TypeVar("Found", bound=Traits)


def shaped(found: Traits, into: type[Found], **more: Any) -> Found:
    """`found` as another kind of traits: the members that both have, and `more`."""
    ours = {field.name for field in fields(found)} & {field.name for field in fields(into)}
    return into(**{name: getattr(found, name) for name in ours} | more)


def settled(found: Found, target: Target) -> Found:
    """`found` with what the configuration and the catalogue say of the target's model."""
    changed: dict[str, Any] = {}
    if target.max_output is not None:
        changed["max_output"] = target.max_output
    if target.traits:
        for field in fields(found):
            if field.name in target.traits:
                value = target.traits[field.name]
                # Configuration files have lists where a frozen value wants a tuple.
                changed[field.name] = tuple(value) if isinstance(field.default, tuple) else value
    return replace(found, **changed) if changed else found
