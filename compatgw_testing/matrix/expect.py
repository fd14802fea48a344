"""What a scenario expects, and how what a client saw differs from it.

What does not live here: playing a scenario (`case.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compatgw_testing.journal import Call
    from compatgw_testing.matrix.asked import Seen

RETRYABLE = (429, 500, 502, 503, 504, 529)
BROKEN = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that the upstream has to be told: in words, and how that shows in its call."""

    words: str
    holds: Callable[[Call], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """A good answer, and what it has to say. What is None or empty is not looked at.

    Attributes:
        text: The answer's words, exactly; "" also stands for none.
        reasoning: Thought that is shown, exactly.
        refusal: Words that stand in the refusal or in the text.
        calls: Tool calls in order: name and arguments.
        finish: The finish reason is one of these.
        usage: These counts.
        value: The text is JSON with this value.
        heard: What the upstream has to be told.
        attempts: How often the upstream is called at most.
    """

    text: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    calls: Sequence[tuple[str, Mapping[str, object]]] | None = None
    finish: tuple[str, ...] = ()
    usage: Mapping[str, int] = field(default_factory=dict)
    value: object = None
    heard: tuple[Heard, ...] = ()
    attempts: int = 1

    def differences(self, seen: Seen) -> list[str]:
        """How `seen` is not what is expected."""
        found = []
        if seen.status != 200 or seen.ended != "whole":
            found.append(f"a whole answer with status 200 was expected, came {seen.status} {seen.ended}")
        if self.text is not None and (seen.text or "") != self.text:
            found.append(f"text: expected {self.text!r}, came {seen.text!r}")
        if self.reasoning is not None and seen.reasoning != self.reasoning:
            found.append(f"reasoning: expected {self.reasoning!r}, came {seen.reasoning!r}")
        if self.refusal is not None and self.refusal not in (seen.refusal or "") + (seen.text or ""):
            found.append(f"refusal: expected {self.refusal!r}, came {seen.refusal!r} and the text {seen.text!r}")
        if self.finish and seen.finish not in self.finish:
            found.append(f"finish: expected {' or '.join(self.finish)}, came {seen.finish}")
        for name, count in self.usage.items():
            if seen.usage.get(name) != count:
                found.append(f"usage.{name}: expected {count}, came {seen.usage.get(name)}")
        if self.value is not None and _value(seen.text) != self.value:
            found.append(f"value: expected {self.value!r}, came the text {seen.text!r}")
        return [*found, *self._calls(seen)]

    def _calls(self, seen: Seen) -> list[str]:
        if self.calls is None:
            return []
        if len(seen.calls) != len(self.calls):
            names = [one.name for one in seen.calls]
            return [f"tool calls: expected {[name for name, _ in self.calls]}, came {names}"]
        found = []
        for number, ((name, arguments), call) in enumerate(zip(self.calls, seen.calls, strict=True)):
            if call.name != name:
                found.append(f"tool call {number}: expected {name}, came {call.name!r}")
            if _value(call.arguments) != dict(arguments):
                found.append(f"arguments of call {number}: expected {dict(arguments)}, came {call.arguments!r}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A failure that the client has to be able to tell from a good answer.

    Attributes:
        status: What a plain answer's status, or that of a stream that never began, may be.
        begun: A stream may have begun: then it ends in an error event or breaks, and never looks whole.
        code: The error's code.
        retry_after: The client is told to wait at least so many seconds.
        finish: A whole answer that finishes with one of these tells it as well.
        text: What had come before, if the stream had begun.
        heard: What the upstream has to be told.
        attempts: How often the upstream is called at most; a gateway may try again where that is harmless.
    """

    status: tuple[int, ...]
    begun: bool = False
    code: str | None = None
    retry_after: float | None = None
    finish: tuple[str, ...] = ()
    text: str | None = None
    heard: tuple[Heard, ...] = ()
    attempts: int = 10

    def differences(self, seen: Seen) -> list[str]:
        """How `seen` is not what is expected."""
        found = []
        if seen.ended == "whole" and seen.finish in self.finish:
            return []
        if seen.status == 200 and self.begun:
            if seen.ended not in ("error", "broken"):
                found.append(f"the failure is not told: the stream ended {seen.ended}, as {seen.finish}")
            if self.text is not None and (seen.text or "") != self.text:
                found.append(f"text before the failure: expected {self.text!r}, came {seen.text!r}")
            return found
        if seen.status not in self.status:
            allowed = ", ".join(map(str, self.status))
            found.append(f"the failure is not told: expected a status of {allowed}, came {seen.status} {seen.ended}")
            return found
        if seen.error is None:
            found.append("the answer has no error envelope")
        elif self.code is not None and seen.error.code != self.code:
            found.append(f"code: expected {self.code}, came {seen.error.code}")
        if self.retry_after is not None and _waits(seen) < self.retry_after:
            found.append(f"retry-after: expected at least {self.retry_after:g} s, came {_waits(seen):g}")
        return found


Expectation = Expect | Failed


def _value(text: str | None) -> object:
    try:
        value: object = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return value


def _waits(seen: Seen) -> float:
    """Seconds that the answer tells the client to wait; 0 for none."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(seen.headers[name]) / scale
        except (KeyError, ValueError):
            continue
    return 0.0
