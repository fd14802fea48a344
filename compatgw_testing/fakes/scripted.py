"""The scripted half of every fake: its script and rules, its journal, and what is answered when nothing is scripted.

What does not live here: anything of HTTP (`base.py`, `delivery.py`), anything that a vendor defines.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self, Unpack

from compatgw_testing import sample, script
from compatgw_testing.clock import Clock, VirtualClock
from compatgw_testing.fakes.quota import Quota
from compatgw_testing.journal import Call, Journal
from compatgw_testing.rules import Rule, RuleError, Rules, When
from compatgw_testing.script import Failure, Raw, Script, ScriptError, Step, ToolCall, Turn
from compatgw_testing.vectors import Vectors
from compatgw_testing.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw_testing.fakes.answer import Problem
    from compatgw_testing.request import Request

Unscripted = Literal["answer", "fail"]


class Scripted(Verbs):
    """A script, rules and a journal.

    Args:
        seed: From which ids, times and made-up texts follow.
        unscripted: What a chat call gets that nothing is scripted for: a made-up `answer` that obeys it, or a
            vendor's 400 and a complaint (`fail`).
        clock: Where the time is read. Default: one that stands still.
    """

    dialect: ClassVar[str]
    failures: ClassVar[Mapping[str, Problem]] = {}

    def __init__(self, *, seed: int | str = 0, unscripted: Unscripted = "answer", clock: Clock | None = None) -> None:
        self.seed = seed
        self.unscripted: Unscripted = unscripted
        self.clock = VirtualClock() if clock is None else clock
        self.calls = Journal()
        self.script = Script()
        self.rules = Rules()
        self.complaints: list[str] = []
        self.vectors = Vectors(seed)
        self.limits: Quota | None = None
        self._chaos: tuple[float, random.Random, tuple[Step, ...]] | None = None

    # The script.

    def on(self, *, repeat: bool = False, **when: Unpack[When]) -> Rule:
        """A rule: what is said to it (`reply`, `fail`, ...) holds for calls that meet the conditions.

        Args:
            repeat: A standing tool call may fire again on its own result.
            when: The conditions; see `When`.
        """
        return self.rules.add(Rule(when, self._known, repeat=repeat))

    def conversation(self, *turns: tuple[When, Step], times: int = 1) -> Self:
        """A whole conversation: the n-th pair answers the n-th turn of the assistant, if its conditions hold.

        It is told by the request which turn it is, so conversations may run side by side.

        Args:
            turns: Pairs of conditions (`when(...)`) and the step that answers.
            times: How often the conversation may be held.
        """
        for number, (conditions, step) in enumerate(turns):
            here: When = {**conditions, "turn": number}
            self.rules.add(Rule(here, self._known)).enqueue(step, times=times)
        return self

    def enqueue(self, *steps: Step, times: int = 1) -> Self:
        """Appends steps to the script, each to be played `times` times.

        Raises:
            ScriptError: A failure has a name that this vendor does not know.
        """
        for step in steps:
            self.script.add(self._known(step), times)
        return self

    def always(self, step: Step | str) -> Self:
        """Answers so whenever nothing else is scripted."""
        self.script.stand(script.reply(step) if isinstance(step, str) else self._known(step))
        return self

    def quota(self, *, rpm: int | None = None, tpm: int | None = None) -> Self:
        """Sets a true quota: requests and tokens a minute, refilled as the clock goes."""
        self.limits = Quota(self.clock, rpm=rpm, tpm=tpm)
        return self

    def chaos(self, p: float, *steps: Step, seed: int = 0) -> Self:
        """With this probability, one of `steps` in place of the answer; the same calls for the same seed.

        A fault without an answer of its own happens to the answer that the call would have got.

        Raises:
            ScriptError: `p` is no probability, or there is no step.
        """
        if not 0 <= p <= 1 or not steps:
            raise ScriptError(f"chaos needs a probability from 0 to 1 and a step, got p={p} and {len(steps)} steps")
        self._chaos = (p, random.Random(f"{seed}|chaos"), tuple(self._known(step) for step in steps))
        return self

    def _known(self, step: Step) -> Step:
        """`step`, unless it fails in a way that the vendor has no answer for."""
        fault = step.fault if isinstance(step, Turn) else None
        failure = step if isinstance(step, Failure) else fault and fault.error
        if failure and failure.name is not None and failure.name not in self.failures:
            known = ", ".join(sorted(self.failures))
            raise ScriptError(f"{self.dialect} has no failure named {failure.name!r}; it knows {known}, and any status")
        return step

    # The journal.

    @property
    def journal(self) -> Journal:
        """The same object as `calls`."""
        return self.calls

    @property
    def last(self) -> Call:
        """The latest call."""
        return self.calls.last

    @property
    def unused(self) -> tuple[Step, ...]:
        """Scripted steps that no call has taken, those of rules included."""
        return (*self.script.unused, *(step for rule in self.rules.unused for step in rule.script.unused))

    def assert_called_once(self) -> Call:
        """The only call; raises AssertionError if there was another number of them."""
        return self.calls.assert_called_once()

    def verify(self) -> None:
        """Everything scripted was played, and nothing came that the script does not know.

        Raises:
            AssertionError: Otherwise; the message lists every complaint.
        """
        found = list(self.complaints)
        found += [f"never used: {rule!r} ({len(rule.script.unused)} answers left)" for rule in self.rules.unused]
        found += [f"never played: {step!r}" for step in self.script.unused]
        if found:
            raise AssertionError("\n".join([f"the fake {self.dialect}:", *(f"  {one}" for one in found)]))

    def reset(self) -> None:
        """Forgets script, rules, quota and journal; ids start over."""
        self.script.clear()
        self.rules.clear()
        self.calls.clear()
        self.complaints.clear()
        self.vectors.clear()
        self.limits = None
        self._chaos = None

    # Choosing what to answer.

    def choose(self, call: Call, request: Request, *, takes: bool) -> Step | None:
        """The step for a call; None if nothing is scripted for it.

        Args:
            call: Notes which rule answers.
            request: The call in the shape over all dialects.
            takes: The surface is answered by turns. Otherwise only failures, raw bytes and bare faults apply.

        Raises:
            RuleError: The rules do not say what to answer.
        """
        rule = self.rules.choose(request)
        if rule is not None:
            call.rule = repr(rule)
            step: Step | None = rule.take(request)
        else:
            waiting = self.script.peek()
            step = self.script.next() if takes or bare(waiting) else None
        if self._chaos is not None:
            step = self._disturbed(step)
        if step is None and takes and self.unscripted == "fail":
            raise RuleError(self._unmatched(call, request))
        return step

    def _disturbed(self, step: Step | None) -> Step | None:
        p, source, steps = self._chaos or (0.0, random.Random(0), ())
        if source.random() >= p:
            return step
        other = source.choice(steps)
        if isinstance(other, Turn) and other == Turn(fault=other.fault) and isinstance(step, Turn):
            return replace(step, fault=other.fault)
        return other

    def _unmatched(self, call: Call, request: Request) -> str:
        lines = [f"call #{call.ordinal} ({call.method} {call.path}, model {request.model!r}) has no answer"]
        if nearest := self.rules.nearest(request):
            lines += ["nearest rules:", *(f"  {line}" for line in nearest)]
        elif self.calls and call.ordinal > 1:
            lines.append(f"everything scripted was given to the {call.ordinal - 1} calls before")
        else:
            lines.append("nothing is scripted: say `reply(...)`, `on(...)` or `always(...)` before the call")
        return "\n".join(lines)

    def made_up(self, request: Request) -> Turn:
        """An answer that obeys the request and is the same each time it is asked."""
        source = sample.rng(self.seed, request.user)
        thought = "This asks for a short answer." if request.thinks else None
        if request.force is not None and request.tools:
            name = request.force or next(iter(request.tools))
            arguments = sample.value_for(request.tools.get(name), source)
            calls = (ToolCall(name, arguments if isinstance(arguments, dict) else {}),)
            return Turn(calls=calls, reasoning=thought)
        if request.schema is not None:
            return Turn(text=script.dump(sample.value_for(request.schema, source)), reasoning=thought)
        text = sample.sentence(source)
        if request.json:
            return Turn(text=script.dump({"answer": text}), reasoning=thought)
        pieces = script.words(text)
        if request.limit is not None and request.limit < len(pieces):
            return Turn(text="".join(pieces[: request.limit]), finish="length", reasoning=thought)
        return Turn(text=text, reasoning=thought)

    def similar(self, one: str, other: str, *, cos: float) -> Self:
        """Sets how near the embeddings of two texts are, from -1 to 1."""
        self.vectors.similar(one, other, cos=cos)
        return self


def bare(step: Step | None) -> bool:
    """A step that says nothing itself: it can happen to any call."""
    return isinstance(step, Failure | Raw) or (isinstance(step, Turn) and step == Turn(fault=step.fault))


def steps_of(given: Step | str | Sequence[Step | str]) -> list[Step]:
    """One or several steps, texts being answers."""
    many = [given] if isinstance(given, str | Turn | Failure | Raw) else list(given)
    return [script.reply(one) if isinstance(one, str) else one for one in many]
