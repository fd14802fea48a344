"""What can be said to a fake, and to one rule of a fake: the same words for both.

What does not live here: what the words mean (`script.py`), to which calls they apply (`rules.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from compatgw_testing import script
from compatgw_testing.script import Raw, Script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self, Unpack

    from compatgw_testing.faults import FaultWay
    from compatgw_testing.script import CallLike, CallsMembers, FailMembers, ReplyMembers, Step, Turn


class Verbs(ABC):
    """Appends steps to a script, each in one line."""

    def __init__(self) -> None:
        self.script = Script()

    @abstractmethod
    def _known(self, step: Step) -> Step:
        """`step`, unless the vendor has no answer for the way it fails, or there is nothing that could go wrong."""

    def enqueue(self, *steps: Step, times: int = 1) -> Self:
        """Appends steps to the script, each to be played `times` times.

        Raises:
            ScriptError: A failure has a name that this vendor does not know.
        """
        for step in steps:
            self.script.add(self._known(step), times)
        return self

    def always(self, step: Step | str) -> Self:
        """Answers so whenever nothing else is scripted here."""
        self.script.stand(script.reply(step) if isinstance(step, str) else self._known(step))
        return self

    def reply(self, text: str | None = None, *, times: int = 1, **members: Unpack[ReplyMembers]) -> Self:
        """Answers a call with text, and with what else `ReplyMembers` names."""
        return self.enqueue(script.reply(text, **members), times=times)

    def improvise(self, *, times: int = 1, **members: Unpack[ReplyMembers]) -> Self:
        """Answers a call with something made up that obeys it: its tools, its schema, its limit."""
        return self.enqueue(script.improvise(**members), times=times)

    def tool_call(self, name: str, /, **arguments: object) -> Self:
        """Answers a call with one tool call; every keyword is an argument of the tool."""
        return self.enqueue(script.tool_call(name, **arguments))

    def tool_calls(self, *calls: CallLike, **members: Unpack[CallsMembers]) -> Self:
        """Answers a call with several tool calls at once, after text and reasoning if given."""
        return self.enqueue(script.tool_calls(*calls, **members))

    def refuse(self, text: str = "I cannot help with that.") -> Self:
        """Answers a call by declining, in the vendor's own way."""
        return self.enqueue(script.refuse(text))

    def fail(
        self, what: int | str, message: str | None = None, *, times: int = 1, **members: Unpack[FailMembers]
    ) -> Self:
        """Answers a call with an error; see `compatgw_testing.fail`."""
        return self.enqueue(script.fail(what, message, **members), times=times)

    def fault(self, answer: Turn | str | None = None, /, *, times: int = 1, **way: Unpack[FaultWay]) -> Self:
        """Answers a call, but something goes wrong on the way: exactly one of `FaultWay`."""
        return self.enqueue(script.fault(answer, **way), times=times)

    def raw(self, *pieces: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Answers a call with exactly these bytes. Default content type: JSON."""
        return self.enqueue(Raw(pieces=pieces, status=status, headers=headers or {"content-type": "application/json"}))
