"""The scripted half of every fake: its script and rules, its journal, and what is answered when nothing is scripted.

What does not live here: anything of HTTP (`base.py`, `delivery.py`), anything that a vendor defines.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self, Unpack

from compatgw_testing import sample, script
from compatgw_testing.clock import Clock, VirtualClock
from compatgw_testing.fakes.quota import Quota
from compatgw_testing.journal import Call, Journal
from compatgw_testing.rules import Rule, RuleError, Rules, When, loops
from compatgw_testing.script import Failure, Raw, ScriptError, Step, ToolCall, Turn
from compatgw_testing.vectors import Vectors
from compatgw_testing.verbs import Verbs
from compatgw_testing.verdict import Grade, Limits, Seen, grade

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
        super().__init__()
        self.seed = seed
        self.unscripted: Unscripted = unscripted
        self.clock = VirtualClock() if clock is None else clock
        self.calls = Journal()
        self.rules = Rules()
        self.complaints: list[str] = []
        self.vectors = Vectors(seed)
        self.limits: Quota | None = None
        self._chaos: Chaos | None = None

    # The script.

    def on(self, *, repeat: bool = False, **when: Unpack[When]) -> Rule:
        """A rule: what is said to it (`reply`, `fail`, ...) holds for calls that meet the conditions.

        Args:
            repeat: A standing tool call may fire again on its own result.
            when: The conditions; see `When`.
        """
        return self.rules.add(Rule(when, self._known, repeat=repeat))

    def conversation(self, *turns: tuple[When, Step | str | Sequence[Step | str]], times: int = 1) -> Self:
        """A whole conversation: the n-th pair answers the n-th turn of the assistant.

        Which conversation a call goes on with, and at which turn, is told by the messages that it sends along: the
        conditions of every earlier turn hold for them, too. So conversations may run side by side.

        Args:
            turns: Pairs of conditions (`when(...)`) and the step that answers; or several, for a turn that is asked
                for again after an error.
            times: How often the conversation may be held.

        Raises:
            ScriptError: A condition is unknown, or a failure that this vendor does not know.
        """
        for number, (conditions, steps) in enumerate(turns):
            here: When = {**conditions, "turn": number}
            rule = self.rules.add(Rule(here, self._known, before=[one for one, _ in turns[:number]]))
            for _ in range(times):
                rule.enqueue(*steps_of(steps))
        return self

    def quota(self, *, rpm: int | None = None, tpm: int | None = None) -> Self:
        """Sets a true quota: requests and tokens a minute, refilled as the clock goes (`clock.advance(60)`).

        Raises:
            ScriptError: A limit is not above 0.
        """
        self.limits = Quota(self.clock, rpm=rpm, tpm=tpm)
        return self

    def chaos(self, p: float, *steps: Step, seed: int = 0) -> Self:
        """With this probability, one of `steps` in place of the answer, which then waits for the next call.

        A fault without an answer of its own happens to the answer that the call would have got. Which calls are
        struck follows from the seed and from what is asked, and how often: calls at once do not disturb each other.

        Raises:
            ScriptError: `p` is no probability, or there is no step.
        """
        if not 0 <= p <= 1 or not steps:
            raise ScriptError(f"chaos needs a probability from 0 to 1 and a step, got p={p} and {len(steps)} steps")
        self._chaos = Chaos(p, tuple(self._known(step) for step in steps), seed)
        return self

    def _known(self, step: Step) -> Step:
        fault = step.fault if isinstance(step, Turn) else None
        failure = step if isinstance(step, Failure) else fault and fault.error
        if failure and failure.name is not None and failure.name not in self.failures:
            known = ", ".join(sorted(self.failures))
            raise ScriptError(f"{self.dialect} has no failure named {failure.name!r}; it knows {known}, and any status")
        if isinstance(step, Turn) and fault is not None and fault.kind == "split_utf8" and not _open(step):
            said = [step.text, step.reasoning, step.refusal, *(call.text for call in step.calls)]
            if "".join(one or "" for one in said).isascii():
                raise ScriptError("split_utf8 cuts within characters, and this answer is all ASCII; say it in others")
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

    def assert_called_once_with(self, **expected: object) -> Call:
        """The only call, which is as expected; see `Journal.assert_called_once_with`."""
        return self.calls.assert_called_once_with(**expected)

    def assert_attempts(self, count: int, **which: object) -> Journal:
        """Each request was tried exactly so often; see `Journal.assert_attempts`."""
        return self.calls.assert_attempts(count, **which)

    def grade(self, *, saw: Sequence[Seen] = (), **limits: Unpack[Limits]) -> Grade:
        """How the client behaved towards this fake.

        Args:
            saw: What the application showed its user; see `Seen`.
            limits: Where a finding begins; see `Limits`.
        """
        return grade(self.calls, saw=saw, **limits)

    def verify(self) -> None:
        """Everything scripted was played, and nothing came that the script does not know.

        Raises:
            AssertionError: Otherwise; the message lists every complaint.
        """
        found = list(self.complaints)
        found += [f"never used: {rule!r}{_left(len(rule.script.unused))}" for rule in self.rules.unused]
        found += [f"never played: {step!r}" for step in self.script.unused]
        if found:
            raise AssertionError("\n".join([f"the fake {self.dialect}:", *(f"  {one}" for one in found)]))

    def reset(self) -> None:
        """Forgets script, rules, quota, chaos and journal; ids start over."""
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
        struck = None if self._chaos is None else self._chaos.strikes(request)
        if struck is not None and not _only_fault(struck):
            call.rule = f"chaos(p={self._chaos.p:g})" if self._chaos else None
            return struck
        rule = self.rules.choose(request)
        if rule is not None:
            call.rule = repr(rule)
            step: Step | None = rule.take(request)
        else:
            step = self._queued(request, takes=takes)
        if step is None and takes and self.unscripted == "fail":
            raise RuleError(self._unmatched(call, request))
        if isinstance(struck, Turn):
            step = replace(step, fault=struck.fault) if isinstance(step, Turn) else step or struck
        return self._with_characters(step, request)

    def _queued(self, request: Request, *, takes: bool) -> Step | None:
        """The next step of the script that is no rule's."""
        waiting = self.script.peek()
        if waiting is None or not (takes or bare(waiting)):
            return None
        standing = not self.script.unused
        if standing and (looped := loops(waiting, request)):
            raise RuleError(
                f"tool loop: always(...) would call {looped} again on its own result. Script the answer to the "
                "result, or say `on(repeat=True).always(...)`"
            )
        return self.script.next()

    def _with_characters(self, step: Step | None, request: Request) -> Step | None:
        """A fault within characters needs some that have more than one byte: a made-up text gets them."""
        fault = step.fault if isinstance(step, Turn) else None
        if not isinstance(step, Turn) or fault is None or fault.kind != "split_utf8" or not _open(step):
            return step
        made = self.made_up(request)
        if made.text is None or request.surface != "chat" or request.schema is not None or request.json:
            return step
        return replace(made, fault=fault, text=f"{made.text} Grüße, 日本 👋")

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


class Chaos:
    """Strikes some calls, by chance that follows from a seed.

    Args:
        p: The chance of each call.
        steps: What may strike it.
        seed: From which the chances follow.
    """

    def __init__(self, p: float, steps: tuple[Step, ...], seed: int) -> None:
        self.p = p
        self._steps = steps
        self._seed = seed
        self._asked: Counter[str] = Counter()

    def strikes(self, request: Request) -> Step | None:
        """What strikes this request; None if nothing does."""
        asked = hashlib.sha256(repr(request).encode()).hexdigest()
        self._asked[asked] += 1
        source = random.Random(f"{self._seed}|{asked}|{self._asked[asked]}")
        return source.choice(self._steps) if source.random() < self.p else None


def _left(count: int) -> str:
    return "" if not count else f" ({count} answer{'s' if count > 1 else ''} left)"


def _only_fault(step: Step) -> bool:
    return isinstance(step, Turn) and step.fault is not None and bare(step)


def _open(turn: Turn) -> bool:
    """The fake makes the answer up."""
    return bare(turn) or turn.improvised


def bare(step: Step | None) -> bool:
    """A step that says nothing itself: it can happen to any call."""
    return isinstance(step, Failure | Raw) or (isinstance(step, Turn) and step == Turn(fault=step.fault))


def steps_of(given: Step | str | Sequence[Step | str]) -> list[Step]:
    """One or several steps, texts being answers."""
    many = [given] if isinstance(given, str | Turn | Failure | Raw) else list(given)
    return [script.reply(one) if isinstance(one, str) else one for one in many]
