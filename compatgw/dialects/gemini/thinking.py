"""How much a model is to think, in every form that callers have for it, as `thinkingConfig`.

Read are, the first that is there: the native `thinking_config`, `thinking` (Anthropic's form),
`reasoning` (OpenRouter's), `reasoning_effort`, and the switches `enable_thinking` and
`include_reasoning`. Whoever asks for thinking gets its summary as well; tokens are billed
either way.

What does not live here: what a model takes (`models.py`), reading thoughts (`candidate.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.gemini.models import Traits

READ = frozenset({"reasoning_effort", "reasoning", "thinking", "enable_thinking", "include_reasoning"})

# Tokens for an effort, as the vendor's own OpenAI-like layer has them; the two highest are the model's most.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
# Levels for an effort, best first.
_LEVELS = {
    "none": ("MINIMAL", "LOW"),
    "minimal": ("MINIMAL", "LOW"),
    "low": ("LOW", "MINIMAL"),
    "medium": ("MEDIUM", "HIGH"),
    "high": ("HIGH",),
    "xhigh": ("XHIGH", "HIGH"),
    "max": ("XHIGH", "HIGH"),
}
_EFFORTS = frozenset({*_LEVELS})


class _Wish(NamedTuple):
    """What the caller asks for.

    Attributes:
        param: Path of the member that asks, for errors and notes.
        effort: One of OpenAI's words.
        budget: Tokens.
        shown: The summary is wanted, not wanted, or as it follows from the rest.
    """

    param: str = ""
    effort: str | None = None
    budget: int | None = None
    shown: bool | None = None


def config(members: Mapping[str, Any], native: Any, left: Leftovers, traits: Traits) -> dict[str, Any]:
    """The `thinkingConfig`, empty when there is nothing to say.

    Args:
        members: The request.
        native: The caller's own `thinking_config` in Gemini's form, None when there is none.
        left: Notes what is left out or changed.
        traits: Of the model.

    Raises:
        InvalidRequest: A member has another type or word than it may have.
    """
    if native is not None:
        if traits.thinking == "none":
            left.hint("google.thinking_config", native)
            return {}
        return dict(native)
    wish = _wish(members)
    off = wish.effort == "none" or wish.budget == 0
    if traits.thinking == "none":
        if wish.param and not off:  # a model that never thinks already does what `none` asks for
            left.hint(wish.param.partition(".")[0], members[wish.param.partition(".")[0]])
        return {}
    out = _level(wish, left, traits) if traits.thinking == "level" else _budget(wish, left, traits)
    if (bool(wish.param) and not off) if wish.shown is None else wish.shown:
        out["includeThoughts"] = True
    return out


def _wish(members: Mapping[str, Any]) -> _Wish:
    shown = _boolean(members, "include_reasoning")
    thinking = members.get("thinking")
    if thinking is not None:
        return _anthropic(_object(thinking, "thinking"))._replace(shown=shown)
    asked = _object(members.get("reasoning", {}), "reasoning")
    if asked.get("exclude") is True:
        shown = False
    effort, param = members.get("reasoning_effort"), "reasoning_effort"
    if effort is None and asked.get("effort") is not None:
        effort, param = asked["effort"], "reasoning.effort"
    if effort is not None and effort not in _EFFORTS:
        raise InvalidRequest(f"'{param}' must be one of: {', '.join(_LEVELS)}.", param=param)
    budget = asked.get("max_tokens")
    if budget is not None:
        return _Wish("reasoning.max_tokens", effort, _tokens(budget, "reasoning.max_tokens"), shown)
    if effort is not None:
        return _Wish(param, effort, None, shown)
    switched, param = asked.get("enabled"), "reasoning.enabled"
    if not isinstance(switched, bool):
        switched, param = _boolean(members, "enable_thinking"), "enable_thinking"
    if switched is not None:
        return _Wish(param, None if switched else "none", None, shown)
    if asked and not asked.keys() <= {"exclude", "summary"}:
        return _Wish("reasoning", None, None, shown)
    return _Wish("include_reasoning" if shown else "", None, None, shown)


def _anthropic(thinking: Mapping[str, Any]) -> _Wish:
    if thinking.get("type") == "disabled":
        return _Wish("thinking", "none")
    budget = thinking.get("budget_tokens", thinking.get("thinking_budget"))
    if budget is None:
        return _Wish("thinking")
    return _Wish("thinking.budget_tokens", None, _tokens(budget, "thinking.budget_tokens"))


def _level(wish: _Wish, left: Leftovers, traits: Traits) -> dict[str, Any]:
    effort = wish.effort
    if wish.budget is not None and wish.budget >= 0:
        effort = "none" if wish.budget == 0 else "low" if wish.budget <= 1024 else "medium"
        effort = "high" if wish.budget > 8192 else effort
    if effort is None or not traits.levels:
        return {}
    preferred = [level for level in _LEVELS[effort] if level in traits.levels]
    level = preferred[0] if preferred else traits.levels[-1 if effort == "medium" else 0]
    if wish.budget is None and level.lower() != effort and (effort, level) != ("max", "XHIGH"):
        left.clamp(wish.param, level.lower())
    return {"thinkingLevel": level}


def _budget(wish: _Wish, left: Leftovers, traits: Traits) -> dict[str, Any]:
    budget = wish.budget
    if budget is None:
        if wish.effort is None:
            return {}
        budget = 0 if wish.effort == "none" else _BUDGETS.get(wish.effort, traits.budget_max)
        sent = _within(budget, traits)
        if sent != budget and wish.effort == "none":
            left.clamp(wish.param, sent)
        return {"thinkingBudget": sent}
    sent = _within(budget, traits)
    if sent != budget:
        left.clamp(wish.param, sent)
    return {"thinkingBudget": sent}


def _within(budget: int, traits: Traits) -> int:
    if budget < 0:
        return -1  # as much as the model finds right
    if budget == 0 and traits.thinking_off:
        return 0
    return min(max(budget, traits.budget_min), traits.budget_max)


def _tokens(value: Any, param: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"'{param}' must be a whole number of tokens.", param=param, code="invalid_type")
    return value


def _boolean(members: Mapping[str, Any], name: str) -> bool | None:
    value = members.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise InvalidRequest(f"'{name}' must be true or false.", param=name, code="invalid_type")


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise InvalidRequest(f"'{name}' must be an object.", param=name, code="invalid_type")
