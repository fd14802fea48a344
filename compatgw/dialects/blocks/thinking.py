"""How much a model is to think and how long its answer may be, which are one question to a Claude.

Read are, the first that is there: `thinking` in Claude's own form, `reasoning_effort`,
`reasoning` (OpenRouter's), and the switches `enable_thinking`, `chat_template_kwargs` and
`include_reasoning`. Models that find their own budget get an effort; older ones get tokens.
A Claude's thinking counts in the limit of its answer.

What does not live here: thinking blocks (`thoughts.py`), sampling (`request.py`), where a protocol
has the effort and the limit (the dialects).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.dialects.blocks.request import object_at
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.blocks.models import Traits

READ = frozenset(
    {"thinking", "reasoning_effort", "reasoning", "enable_thinking", "chat_template_kwargs", "include_reasoning",
     "max_tokens", "max_completion_tokens"}
)  # fmt: skip
LEAST = 1024
ANSWER = 8192
THOUGHTFUL = 32_768
# Share of the whole answer that thinking may take.
_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
_ORDER = ("low", "medium", "high", "xhigh", "max")
_WORDS = ("none", "minimal", *_ORDER)


class Wish(NamedTuple):
    """What the caller asks for.

    Attributes:
        param: The member that asks, "" when none does.
        value: What it says, for notes.
        effort: One of OpenAI's words, None when none is given.
        budget: Tokens, None when no number is given.
        off: Thinking is not wanted.
        native: Claude's own `thinking`, if that is what was given.
        hidden: The text of the thinking is not wanted.
    """

    param: str = ""
    value: Any = None
    effort: str | None = None
    budget: int | None = None
    off: bool = False
    native: Mapping[str, Any] | None = None
    hidden: bool = False


class Plan(NamedTuple):
    """What is sent.

    Attributes:
        max_tokens: Of the whole answer, None when the caller does not say.
        thinking: The member, None to leave it to the model.
        effort: A word for it, None to leave it to the model.
        hidden: The decoder leaves the text of the thinking out.
        thinks: The model thinks, and shares out the limit by itself.
    """

    max_tokens: int | None
    thinking: dict[str, Any] | None = None
    effort: str | None = None
    hidden: bool = False
    thinks: bool = False

    @property
    def on(self) -> bool:
        """Thinking is asked for."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def read(members: Mapping[str, Any]) -> Wish:
    """The wish that a request holds.

    Raises:
        InvalidRequest: A member has another type or word than it may have.
    """
    asked = object_at(members, "reasoning")
    hidden = asked.get("exclude") is True or _boolean(members, "include_reasoning") is False
    effort, param = members.get("reasoning_effort"), "reasoning_effort"
    if effort is None:
        effort, param = asked.get("effort"), "reasoning.effort"
    if effort is not None and effort not in _WORDS:
        raise InvalidRequest(f"'{param}' must be one of: {', '.join(_WORDS)}.", param=param)
    if native := object_at(members, "thinking"):
        budget = _tokens(native.get("budget_tokens"), "thinking.budget_tokens")
        off = native.get("type") == "disabled"
        return Wish("thinking", native, None if effort == "none" else effort, budget, off, native, hidden)
    member = param.partition(".")[0]
    budget = _tokens(asked.get("max_tokens"), "reasoning.max_tokens")
    if effort is not None:
        return Wish(member, members[member], effort, budget, effort == "none", None, hidden)
    enabled = asked.get("enabled")
    if budget is not None or isinstance(enabled, bool):
        return Wish("reasoning", asked, None, budget, enabled is False or budget == 0, None, hidden)
    for name, switch in (
        ("enable_thinking", _boolean(members, "enable_thinking")),
        ("chat_template_kwargs", object_at(members, "chat_template_kwargs").get("enable_thinking")),
        ("include_reasoning", _boolean(members, "include_reasoning") or None),
    ):
        if isinstance(switch, bool):
            return Wish(name, switch, None, None, not switch, None, hidden)
    # An empty object, or one that only says how much to show, asks for nothing more.
    return Wish(hidden=hidden)


def budgeted(members: Mapping[str, Any], traits: Traits) -> bool:
    """True when the caller's own `thinking` gives this model a budget, with which no call can be forced."""
    native = members.get("thinking")
    if not isinstance(native, dict) or not native or native.get("type") == "disabled":
        return False
    return _kind(Wish(native=native), traits) == "enabled"


def plan(members: Mapping[str, Any], traits: Traits, left: Leftovers, *, barred: bool, display: bool) -> Plan:
    """Thinking and the length of the answer.

    Args:
        members: The request.
        traits: Of the model.
        left: Notes what is left out or changed.
        barred: A budget cannot be sent with the rest of this request.
        display: The protocol is told how much of the thinking to show.

    Raises:
        InvalidRequest: A member has another type or word than it may have.
    """
    wish = read(members)
    limit = _Limit(members, traits, left)
    if not wish.param:
        return Plan(limit.plain(), hidden=wish.hidden, thinks=traits.thinks)
    if wish.off:
        return _without(wish, traits, left, limit)
    if not traits.able:
        left.hint(wish.param, wish.value)
        return Plan(limit.plain(), hidden=wish.hidden)
    if not traits.thinking:
        return _worded(wish, traits, left, limit)
    kind = _kind(wish, traits)
    if kind != "enabled":
        return _adaptive(wish, kind, traits, left, limit, display=display)
    if barred or (traits.max_output is not None and traits.max_output <= LEAST):
        left.hint(wish.param, wish.value)
        return Plan(limit.plain(), hidden=wish.hidden)
    return _manual(wish, left, limit)


def _kind(wish: Wish, traits: Traits) -> str:
    given = wish.native.get("type") if wish.native else None
    if given in traits.thinking:
        return str(given)
    return "enabled" if traits.manual else "adaptive"


def _without(wish: Wish, traits: Traits, left: Leftovers, limit: _Limit) -> Plan:
    if traits.quiet == "disabled":
        return Plan(limit.plain(), {"type": "disabled"}, hidden=wish.hidden)
    if traits.quiet == "least":
        left.clamp(wish.param, traits.efforts[0])
        return Plan(limit.plain(), None, traits.efforts[0], wish.hidden, traits.thinks)
    return Plan(limit.plain(), hidden=wish.hidden)


def _worded(wish: Wish, traits: Traits, left: Leftovers, limit: _Limit) -> Plan:
    """The effort of a model that is no Claude: there is no other member to say it in."""
    most = limit.plain()
    effort = wish.effort or _from_budget(wish.budget) or "medium"
    sent = _fitting(effort, traits.efforts) or effort
    if wish.effort is not None and sent != wish.effort:
        left.clamp(wish.param, sent)
    return Plan(most, None, sent, wish.hidden)


def _adaptive(wish: Wish, kind: str, traits: Traits, left: Leftovers, limit: _Limit, *, display: bool) -> Plan:
    if wish.native is not None and wish.native.get("type") == kind:
        thinking = _own(wish.native, left)
        effort = wish.effort
    else:
        thinking = {"type": kind}
        if display:
            shown = wish.native.get("display") if wish.native else None
            thinking["display"] = shown or ("omitted" if wish.hidden else "summarized")
        effort = wish.effort or _from_budget(wish.budget)
        if wish.native is not None:
            left.clamp("thinking", kind)
    sent = _fitting(effort, traits.efforts)
    if sent != wish.effort and wish.effort is not None:
        left.clamp("reasoning_effort" if wish.native else wish.param, sent or "default")
    return Plan(limit.plain(), thinking, sent, wish.hidden, thinks=True)


def _own(native: Mapping[str, Any], left: Leftovers) -> dict[str, Any]:
    """The caller's `thinking` without members that other vendors have added to it."""
    for name, value in native.items():
        if name not in ("type", "budget_tokens", "display"):
            left.hint(f"thinking.{name}", value)
    return {name: native[name] for name in ("type", "display") if native.get(name) is not None}


def _from_budget(budget: int | None) -> str | None:
    if budget is None:
        return None
    return "low" if budget < 2048 else "medium" if budget < 8192 else "high"


def _fitting(effort: str | None, efforts: tuple[str, ...]) -> str | None:
    """The highest effort that is taken and not above the one that was asked for."""
    if effort is None or not efforts:
        return None
    asked = _ORDER.index("low" if effort == "minimal" else effort)
    below = [known for known in efforts if known in _ORDER and _ORDER.index(known) <= asked]
    return max(below, key=_ORDER.index) if below else efforts[0]


def _manual(wish: Wish, left: Leftovers, limit: _Limit) -> Plan:
    whole, budget = limit.shared(wish.budget, _SHARES[wish.effort or "medium"])
    thinking: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
    if wish.native is not None:
        thinking = {**_own(wish.native, left), **thinking}
        if wish.native.get("type") != "enabled":
            left.clamp("thinking", "enabled")
    if wish.budget is not None and wish.budget != budget:
        left.clamp(wish.param, budget)
    return Plan(whole, thinking, hidden=wish.hidden)


class _Limit:
    """The length of the answer, with and without thinking in it."""

    __slots__ = ("_given", "_left", "_most", "_name", "_visible")

    def __init__(self, members: Mapping[str, Any], traits: Traits, left: Leftovers) -> None:
        self._left = left
        self._most = traits.max_output
        self._name = "max_completion_tokens" if "max_completion_tokens" in members else "max_tokens"
        self._given: int | None = members.get(self._name)
        # The older name never counted thinking; the newer one does so by its definition.
        self._visible = self._name == "max_tokens"

    def _capped(self, tokens: int) -> int:
        return tokens if self._most is None else min(tokens, self._most)

    def _noted(self, tokens: int) -> int:
        if self._given is not None and tokens != self._given:
            self._left.clamp(self._name, tokens)
        return tokens

    def plain(self) -> int | None:
        """The whole answer, where the model shares it out by itself; None when the caller does not say."""
        return None if self._given is None else self._noted(self._capped(self._given))

    def shared(self, budget: int | None, share: float) -> tuple[int, int]:
        """The whole answer, and how much of it is for thinking.

        Args:
            budget: What the caller says, None for `share` of the answer.
            share: Between 0 and 1.
        """
        room = ANSWER if self._given is None else self._given
        if budget is not None:
            budget = max(budget, LEAST)
            whole = THOUGHTFUL if self._given is None else self._given
            if whole <= budget:
                whole = budget + room
        elif self._given is None:
            whole = THOUGHTFUL
            budget = int(whole * share)
        else:
            budget = max(LEAST, int(self._given * share))
            whole = self._given + budget if self._visible or self._given <= LEAST else self._given
        if (capped := self._capped(whole)) < whole:
            whole = capped
            budget = min(budget, max(LEAST, whole - min(room, whole // 2)))
        return self._noted(whole), min(max(budget, LEAST), whole - 1)


def _boolean(members: Mapping[str, Any], name: str) -> bool | None:
    value = members.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise InvalidRequest(f"'{name}' must be true or false.", param=name, code="invalid_type")


def _tokens(value: Any, param: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"'{param}' must be a whole number of tokens.", param=param, code="invalid_type")
    return value
