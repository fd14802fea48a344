"""Which call gets which answer: conditions on a request, rules made of them, and the choice among rules.

A rule with more conditions goes before one with fewer, then one with more exact conditions. Two
that are equal and both fit are an error, not a guess. What does not live here: what is
answered (`script.py`), reading requests (`request.py`).
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

from compatgw_testing import script
from compatgw_testing.script import Step, Turn, dump
from compatgw_testing.verbs import Verbs

if TYPE_CHECKING:
    from compatgw_testing.request import Request, Surface


class RuleError(AssertionError):
    """The rules do not say what to answer; the message lists those that come into question."""


class Matcher(ABC):
    """Says whether a text fits. Its repr stands in messages."""

    @abstractmethod
    def fits(self, text: str) -> bool:
        """Whether `text` does."""


@dataclass(frozen=True, slots=True)
class contains(Matcher):  # noqa: N801 - reads as a word of the script
    """Any text with this in it; upper and lower case count."""

    part: str

    def fits(self, text: str) -> bool:
        """Whether `part` stands in it."""
        return self.part in text

    def __repr__(self) -> str:
        return f"contains({self.part!r})"


@dataclass(frozen=True, slots=True)
class regex(Matcher):  # noqa: N801 - reads as a word of the script
    """Any text in which this regular expression is found."""

    pattern: str

    def fits(self, text: str) -> bool:
        """Whether the pattern is found in it."""
        return re.search(self.pattern, text) is not None

    def __repr__(self) -> str:
        return f"regex({self.pattern!r})"


@dataclass(frozen=True, slots=True)
class glob(Matcher):  # noqa: N801 - reads as a word of the script
    """Any text of this form, `*` and `?` standing for what they stand for in file names."""

    pattern: str

    def fits(self, text: str) -> bool:
        """Whether all of it has the form."""
        return fnmatch.fnmatchcase(text, self.pattern)

    def __repr__(self) -> str:
        return f"glob({self.pattern!r})"


Text = str | Matcher


class When(TypedDict, total=False):
    """What a request has to be like: every member that is given holds.

    Attributes:
        model: Its model; a string with `*` is a form, as in file names.
        user: The latest words of the user: exactly these, or what a matcher says.
        system: The system text: exactly this, or what a matcher says.
        tools: A tool of this name is offered; or every one of these names.
        tool_result: A result of this tool waits for the model.
        result: The text of some waiting tool result.
        results: So many tool results wait for the model; 0 for none.
        turn: How often the assistant has spoken already.
        stream: A stream is asked for, or is not.
        surface: What is wanted; `chat` unless said.
        media: A media type of something sent along; `image/*` fits any image.
        input: One of the texts to embed, rank, judge, speak or paint.
        where: Anything else.
    """

    model: Text
    user: Text
    system: Text
    tools: str | Sequence[str]
    tool_result: str
    result: Text
    results: int
    turn: int
    stream: bool
    surface: Surface
    media: str
    input: Text
    where: Callable[[Request], bool]


def when(**members: Unpack[When]) -> When:
    """Conditions, for `conversation`."""
    return members


class Condition(NamedTuple):
    """One condition of a rule: its words, whether it is exact, its test, and what it looks at."""

    words: str
    exact: bool
    holds: Callable[[Request], bool]
    saw: Callable[[Request], object]


def _text(name: str, expected: Text, saw: Callable[[Request], str]) -> Condition:
    if isinstance(expected, Matcher):
        return Condition(f"{name}={expected!r}", False, lambda request: expected.fits(saw(request)), saw)
    return Condition(f"{name}={expected!r}", True, lambda request: saw(request) == expected, saw)


def _any(name: str, expected: Text, saw: Callable[[Request], Sequence[str]]) -> Condition:
    exact = not isinstance(expected, Matcher)
    fits = expected.fits if isinstance(expected, Matcher) else expected.__eq__
    return Condition(f"{name}={expected!r}", exact, lambda request: any(map(fits, saw(request))), saw)


def conditions_of(when: When) -> tuple[Condition, ...]:
    """The conditions that `when` names.

    Raises:
        ScriptError: A member is unknown.
    """
    if unknown := sorted(set(when) - set(When.__annotations__)):
        raise script.ScriptError(
            f"a rule has no condition {unknown[0]!r}; there are {', '.join(sorted(When.__annotations__))}"
        )
    found: list[Condition] = []
    if (model := when.get("model")) is not None:
        form = glob(model) if isinstance(model, str) and "*" in model else model
        found.append(_text("model", form, lambda request: request.model))
    if (user := when.get("user")) is not None:
        found.append(_text("user", user, lambda request: request.user))
    if (system := when.get("system")) is not None:
        found.append(_text("system", system, lambda request: request.system))
    if (tools := when.get("tools")) is not None:
        wanted = {tools} if isinstance(tools, str) else set(tools)
        found.append(
            Condition(
                f"tools={tools!r}", True, lambda request: wanted <= set(request.tools), lambda one: list(one.tools)
            )
        )
    if (tool := when.get("tool_result")) is not None:
        found.append(_any("tool_result", tool, lambda request: [one.tool or "" for one in request.results]))
    if (result := when.get("result")) is not None:
        found.append(_any("result", result, lambda request: [one.text for one in request.results]))
    if (count := when.get("results")) is not None:
        found.append(_equal("results", count, lambda request: len(request.results)))
    if (turn := when.get("turn")) is not None:
        found.append(_equal("turn", turn, lambda request: request.turn))
    if (stream := when.get("stream")) is not None:
        found.append(_equal("stream", stream, lambda request: request.stream))
    if (media := when.get("media")) is not None:
        found.append(_any("media", glob(media), lambda request: request.media))
    if (given := when.get("input")) is not None:
        found.append(_any("input", given, lambda request: request.inputs))
    if (where := when.get("where")) is not None:
        found.append(_where(where))
    return tuple(found)


def _where(where: Callable[[Request], bool]) -> Condition:
    name = getattr(where, "__qualname__", type(where).__name__).replace(".<locals>", "")

    def holds(request: Request) -> bool:
        try:
            return bool(where(request))
        except Exception as error:
            raise RuleError(f"the condition where={name} failed: {type(error).__name__}: {error}") from error

    return Condition(f"where={name}", False, holds, lambda _: "a request for which it is false")


def _earlier(turn: int, when: When) -> tuple[Condition, ...]:
    """The conditions of a turn of a conversation, for a request of a later one."""

    def at(request: Request) -> Request:
        ends = [number for number, one in enumerate(request.messages) if one.role == "assistant"]
        return replace(request, messages=request.messages[: ends[turn]]) if turn < len(ends) else request

    def moved(one: Condition) -> Condition:
        words = f"before, at turn {turn}: {one.words}"
        return Condition(words, one.exact, lambda request: one.holds(at(request)), lambda request: one.saw(at(request)))

    kept: When = {name: value for name, value in when.items() if name in _IN_HISTORY}  # type: ignore[assignment]
    return tuple(moved(one) for one in conditions_of(kept))


# What of a turn can still be seen when a later one is asked for.
_IN_HISTORY = ("user", "system", "tool_result", "result", "results", "media", "where")


def _equal(name: str, expected: object, saw: Callable[[Request], object]) -> Condition:
    return Condition(f"{name}={expected!r}", True, lambda request: saw(request) == expected, saw)


class Rule(Verbs):
    """Conditions and the script for the calls that meet them.

    Args:
        when: The conditions.
        known: Checks a step before it is taken into the script; from the fake.
        repeat: A standing tool call may fire again on its own result.
        before: Conditions of the earlier turns of the same conversation.

    Raises:
        ScriptError: A condition is unknown.
    """

    def __init__(
        self, when: When, known: Callable[[Step], Step], *, repeat: bool = False, before: Sequence[When] = ()
    ) -> None:
        super().__init__()
        self.surface: Surface = when.get("surface", "chat")
        earlier = [one for turn, given in enumerate(before) for one in _earlier(turn, given)]
        self.conditions = (*conditions_of(when), *earlier)
        self.repeat = repeat
        self.played = 0
        self._check = known

    def _known(self, step: Step) -> Step:
        return self._check(step)

    @property
    def specificity(self) -> tuple[int, int]:
        """How many conditions, and how many of them are exact."""
        return len(self.conditions), sum(one.exact for one in self.conditions)

    @property
    def spent(self) -> bool:
        """All its steps are played."""
        return self.script.peek() is None

    def fits(self, request: Request) -> bool:
        """Whether every condition holds."""
        return request.surface == self.surface and all(one.holds(request) for one in self.conditions)

    def misses(self, request: Request) -> list[str]:
        """Why the rule does not answer `request`, one line each."""
        if request.surface != self.surface:
            return [f"it is for {self.surface}, the call wants {request.surface}"]
        found = [f"{one.words}, got {_short(one.saw(request))}" for one in self.conditions if not one.holds(request)]
        if not found and self.spent:
            given = "the only answer" if self.played == 1 else f"all of its {self.played} answers"
            found.append(f"it is spent: {given} was given" if self.played else "nothing is scripted for it")
        return found

    def distance(self, request: Request) -> float:
        """How far the rule is from answering `request`; 0 only misses an answer."""
        if request.surface != self.surface:
            return 1000.0
        missed = [one for one in self.conditions if not one.holds(request)]
        return sum(2.0 - _alike(one.words, str(one.saw(request))) for one in missed) - len(self.conditions) / 1000

    def take(self, request: Request) -> Step:
        """The rule's next step for `request`.

        Raises:
            RuleError: A standing tool call would fire again on its own result.
        """
        step = self.script.next()
        if step is None:
            raise RuleError(f"{self!r} has nothing left to answer")
        self.played += 1
        if not self.repeat and step is self.script.standing and (looped := loops(step, request)):
            raise RuleError(
                f"tool loop: {self!r} would call {looped} again on its own result. Add a rule for the result "
                "(`on(tool_result=...)`), or say `on(repeat=True, ...)`"
            )
        return step

    def __repr__(self) -> str:
        words = [one.words for one in self.conditions]
        if self.surface != "chat":
            words.append(f"surface={self.surface!r}")
        return f"on({', '.join(words)})"


def loops(step: Step, request: Request) -> str:
    """The tools that `step` would call once more, right on their own results; empty if it does not."""
    names = {one.name for one in step.calls} if isinstance(step, Turn) else set()
    again = request.results and names and all(one.tool in names for one in request.results)
    return ", ".join(sorted(names)) if again else ""


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one[:200], other[:200]).ratio()


def _short(value: object) -> str:
    text = dump(value) if isinstance(value, list | tuple) else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


class Rules:
    """The rules of one fake."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> Rule:
        """Adds one."""
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forgets all."""
        self._rules.clear()

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def unused(self) -> tuple[Rule, ...]:
        """Rules with steps that no call has taken, or that never answered at all."""
        return tuple(one for one in self._rules if one.script.unused or not one.played)

    def choose(self, request: Request) -> Rule | None:
        """The rule for `request`; None if none fits.

        Raises:
            RuleError: Two equally specific rules fit.
        """
        fitting = [one for one in self._rules if not one.spent and one.fits(request)]
        if not fitting:
            return None
        best = max(one.specificity for one in fitting)
        first, *more = (one for one in fitting if one.specificity == best)
        if more:
            listed = ", ".join(repr(one) for one in (first, *more))
            raise RuleError(f"ambiguous: these rules fit equally well: {listed}. Give one of them a further condition")
        return first

    def nearest(self, request: Request, count: int = 3) -> list[str]:
        """The rules that came nearest to fit, and why each did not."""
        judged = sorted((one.distance(request), number, one) for number, one in enumerate(self._rules))
        return [f"{rule!r}: {'; '.join(rule.misses(request))}" for _, _, rule in judged[:count]]
