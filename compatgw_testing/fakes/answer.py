"""What passes between a fake and its dialect: what was asked, what shall be said, how it is written.

A dialect gives a `Chat`, made per call, that turns what shall be said into the vendor's plain
answer and into its stream events. What does not live here: anything that a vendor defines,
sending (`delivery.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw_testing import script
from compatgw_testing.faults import Fault
from compatgw_testing.script import ToolCall, Turn, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from compatgw_testing.journal import Call
    from compatgw_testing.request import Request
    from compatgw_testing.sample import Ids

Json = dict[str, Any]
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error answer, before a vendor's envelope is put round it.

    Attributes:
        status: HTTP status.
        message: For humans.
        type: The vendor's class of error.
        code: The vendor's finer code, where it has one.
        param: The member at fault, where the vendor names it.
        details: Further parts of the envelope.
        headers: Extra response headers.
    """

    status: int
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    details: tuple[Any, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The vendor would not serve this request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Frame(NamedTuple):
    """One event of a stream, framed. `end` marks the events that end an answer: finish, usage, end marks."""

    data: bytes
    end: bool = False


@dataclass(slots=True, kw_only=True)
class Answer:
    """What goes back: one body, or frames.

    Attributes:
        status: HTTP status.
        headers: All but those of framing.
        body: Of a plain answer.
        frames: Of a stream.
        fault: How it goes wrong on its way.
        first: Seconds before the first frame, or before a plain answer.
        rate: Frames a second after that; None for at once.
        cut: Most bytes in a piece; None for whole frames.
    """

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    frames: Iterable[Frame] | None = None
    fault: Fault | None = None
    first: float = 0.0
    rate: float | None = None
    cut: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer with nothing left open: pieces, ids, usage and finish reason are settled.

    Attributes:
        reasoning: Pieces of thought.
        redacted: The thought is encrypted.
        text: Pieces of text; None for no text at all.
        refusal: Pieces of a refusal; None for none.
        calls: Tool calls, each with its id.
        usage: Tokens.
        finish: `stop`, `length`, `tool_calls`, `content_filter`, `refusal`, or a vendor's own word.
    """

    reasoning: tuple[str, ...]
    redacted: bool
    text: tuple[str, ...] | None
    refusal: tuple[str, ...] | None
    calls: tuple[ToolCall, ...]
    usage: Usage
    finish: str


class Chat(ABC):
    """One accepted chat request, and how its vendor answers it. Made per call.

    Attributes:
        sent: Events of the stream before the error inside it.
    """

    def __init__(self, call: Call, ids: Ids, request: Request) -> None:
        self.sent = 0
        self.call = call
        self.ids = ids
        self.request = request

    @abstractmethod
    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`, in the vendor's form."""

    @abstractmethod
    def plain(self, said: Said) -> Json:
        """The body of an answer that is not streamed."""

    @abstractmethod
    def frames(self, said: Said) -> Iterator[Frame]:
        """The events of a streamed answer."""

    @abstractmethod
    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """An error inside a stream."""

    def garbage(self) -> bytes:
        """An event whose JSON is broken."""
        return b'data: {"broken": \n\n'


def settle(turn: Turn, chat: Chat) -> Said:
    """Fills in what a turn leaves open."""
    calls = tuple(
        one if one.id is not None else replace(one, id=chat.tool_id(index, one.name))
        for index, one in enumerate(turn.calls)
    )
    reasoning = script.words(turn.reasoning or "")
    if isinstance(turn.chunks, tuple):
        text: tuple[str, ...] | None = turn.chunks
    else:
        text = None if turn.text is None else script.pieces(turn.text, turn.chunks)
    refusal = None if turn.refusal is None else script.words(turn.refusal)
    usage = turn.usage
    if usage is None:
        arguments = sum(len(one.text) // 4 + 1 for one in calls)
        written = len(reasoning) + len(text or ()) + len(refusal or ()) + arguments
        read = len(script.dump(chat.request.prompt)) // 4 + 1
        usage = Usage(input=read, output=max(1, written), reasoning=len(reasoning))
    finish = turn.finish or ("refusal" if refusal is not None else "tool_calls" if calls else "stop")
    return Said(
        reasoning=reasoning,
        redacted=turn.redacted,
        text=text,
        refusal=refusal,
        calls=calls,
        usage=usage,
        finish=finish,
    )


def fragments(text: str, count: int = 3) -> list[str]:
    """`text` in about `count` pieces, none empty."""
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)]
