"""What Anthropic's models take, by their names.

A name that says no family and version gets no limits: the fake then refuses nothing that
depends on a model. What does not live here: the rules that ask (`rules.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEW = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d+)(?:-(\d{1,2})(?!\d))?")
_OLD = re.compile(r"claude-(\d)(?:-(\d)(?!\d))?-(opus|sonnet|haiku)")
_ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_THINKS = ("adaptive", "between_tools", "disabled", "enabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """One model's limits; the defaults are those of a model that nothing is known of.

    Attributes:
        name: Family and version, or the whole id; thinking signatures are bound to it.
        thinking: Values of `thinking.type` that are taken.
        forced: Takes `tool_choice` of type any and tool.
        sampling: Takes temperature, top_p and top_k other than their defaults.
        one_sampling: Does not take temperature and top_p together.
        prefill: The last message may be the assistant's.
        system_role: Takes messages of role system.
        efforts: Values of `output_config.effort`.
        structured: Takes `output_config.format`.
        max_output: Most that `max_tokens` may be.
        max_input: Most tokens that are read.
        shows_thought: Thought is shown unless asked otherwise.
    """

    name: str
    thinking: tuple[str, ...] = _THINKS
    forced: bool = True
    sampling: bool = True
    one_sampling: bool = False
    prefill: bool = True
    system_role: bool = True
    efforts: tuple[str, ...] = _ALL_EFFORTS
    structured: bool = True
    max_output: int | None = None
    max_input: int = 200_000
    shows_thought: bool = True


def limits_of(model: str) -> Limits:
    """The limits of `model`."""
    if match := _NEW.search(model):
        family, version = match[1], (int(match[2]), int(match[3] or 0))
    elif match := _OLD.search(model):
        family, version = match[3], (int(match[1]), int(match[2] or 0))
    else:
        return Limits(name=model)
    late = version >= (5, 1) if family in ("fable", "mythos") else family == "opus" and version >= (5, 5)
    return Limits(
        name=f"{family}-{version[0]}-{version[1]}",
        thinking=_thinking(family, version),
        forced=not late,
        sampling=version <= (4, 6),
        one_sampling=version >= (4, 1),
        prefill=version < (4, 6),
        system_role=version >= ((4, 8) if family == "opus" else (5, 0)),
        efforts=_efforts(family, version),
        structured=version >= (4, 1),
        max_output=_max_output(family, version),
        max_input=1_000_000 if version >= (4, 6) or (family, version) == ("sonnet", (4, 5)) else 200_000,
        shows_thought=version <= (4, 6),
    )


def _thinking(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version < (3, 7):
        return ("disabled",)
    if version <= (4, 5):
        return ("disabled", "enabled")
    if version == (4, 6):
        return ("adaptive", "disabled", "enabled")
    if family in ("fable", "mythos") or (family == "opus" and version >= (5, 5)):
        return ("adaptive", "between_tools")
    return ("adaptive", "between_tools", "disabled")


def _efforts(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return _ALL_EFFORTS
    if version == (4, 6):
        return ("high", "low", "max", "medium")
    return ("high", "low", "medium") if (family, version) == ("opus", (4, 5)) else ()


def _max_output(family: str, version: tuple[int, int]) -> int:
    if version < (3, 5):
        return 4096
    if version < (3, 7):
        return 8192
    if family == "opus" and version <= (4, 1):
        return 32_000
    return 64_000 if version <= (4, 5) else 128_000
