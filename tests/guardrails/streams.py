"""Texts cut at any place, and fed to guardrails.

What does not live here: what is expected of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from compatgw.guardrails.base import Action, Ask, Checker, Guardrail, Spot, Steps, T, Verdict, settled

ANSWER = Spot("output", "content", "assistant")
ARGUMENTS = Spot("output", "arguments", "assistant", json=True, tool="send")


def checker_of(guardrail: Guardrail, spot: Spot = ANSWER) -> Checker:
    """A new checker of a new call."""
    checker = guardrail.open().over(spot)
    assert checker is not None
    return checker


def streamed(checker: Checker, pieces: Iterable[str]) -> Verdict:
    """What a checker that never asks makes of pieces: all that went out, and the strongest action."""
    out: list[str] = []
    actions: list[Action] = []
    categories: list[str] = []
    for verdict in [*(checker.feed(piece) for piece in pieces), checker.finish()]:
        assert isinstance(verdict, Verdict)
        out.append(verdict.text)
        actions.append(verdict.action)
        categories += verdict.categories
        if verdict.action == "block":
            return Verdict("block")
    action: Action = next((each for each in actions if each != "pass"), "pass")
    return Verdict(action, "".join(out), tuple(sorted(set(categories))))


def cut_everywhere(text: str) -> Iterator[Sequence[str]]:
    """The text whole, in two pieces cut at each place, and character by character."""
    yield (text,)
    for place in range(1, len(text)):
        yield text[:place], text[place:]
    yield tuple(text)


def answered(steps: Steps[T], reply: Callable[[Ask], object]) -> T:
    """Runs steps, with an answer to each question."""
    answer: Any = None
    while True:
        try:
            asked = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what a generator returns has no type of its own
        answer = None if asked is None else reply(asked)


def ready(steps: Steps[T]) -> T:
    """Runs steps that ask nothing."""
    return settled(steps)
