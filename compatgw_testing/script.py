"""The vocabulary of a script: what a fake shall answer, in no vendor's words.

A script is a queue of steps. Each call that a fake accepts takes the next one; when none is
left, the standing answer (`always`) serves, and without one the fake makes up an answer that
obeys the request.

    Turn      an answer: text, reasoning, tool calls, a refusal, usage, a finish reason
    Failure   an error answer, by HTTP status or by name
    Raw       bytes exactly as given, for whatever the rest cannot say
    Fault     how an answer goes wrong on its way; carried by a Turn

What does not live here: how a vendor writes any of it (`fakes/`).
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict, Unpack, get_args

from compatgw_testing.faults import Fault, FaultWay, faults_of

Chunking = Literal["whole", "words", "letters", "bytes", "torture"]
RetryForm = Literal["seconds", "ms", "date", "both"]


class ScriptError(ValueError):
    """A script that cannot be played; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call.

    Attributes:
        input: All tokens read, those of the cache included.
        output: All tokens written, reasoning included.
        cached: Part of `input` that came from a cache.
        cache_write: Part of `input` that was put into a cache.
        reasoning: Part of `output` that is reasoning.
    """

    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def __post_init__(self) -> None:
        if self.cached + self.cache_write > self.input or self.reasoning > self.output:
            raise ScriptError(f"usage does not add up: {self}; the parts are counted within input and output")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call.

    Attributes:
        name: The tool.
        arguments: An object, or a string that is sent as it is (it may be broken JSON).
        id: Default: made in the vendor's form.
    """

    name: str
    arguments: Mapping[str, object] | str = field(default_factory=dict)
    id: str | None = None

    @property
    def text(self) -> str:
        """The arguments as JSON text."""
        return self.arguments if isinstance(self.arguments, str) else dump(self.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer.

    Attributes:
        text: What the model says; None for nothing.
        chunks: The pieces that `text` streams in: given, or a `Chunking`. Default: words.
        calls: Tool calls, after the text.
        reasoning: What the model thinks, before the text.
        redacted: The reasoning is encrypted (where the vendor has that).
        refusal: The model declines, with these words.
        usage: Default: counted from request and answer.
        finish: `stop`, `length`, `tool_calls`, `content_filter`, or a vendor's own word, sent as it is.
            Default: follows from the answer.
        fault: How it goes wrong on its way.
        headers: Extra response headers.
        improvised: What the turn leaves open is made up so that it obeys the request: tools, schema, limit.
        first: Seconds before the first event of a stream, or before a plain answer.
        rate: Events a second after that; None for at once. A plain answer comes when its stream would have ended.
    """

    text: str | None = None
    chunks: tuple[str, ...] | Chunking = "words"
    calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None
    redacted: bool = False
    refusal: str | None = None
    usage: Usage | None = None
    finish: str | None = None
    fault: Fault | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    improvised: bool = False
    first: float = 0.0
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error answer in the vendor's envelope.

    Attributes:
        status: HTTP status. None: that of `name`.
        name: What went wrong, such as `context_length`, `quota`, `key`, `model`, `overloaded`. None: what the
            vendor means by `status`.
        message: Default: the vendor's usual one.
        retry_after: Seconds, said in the vendor's way.
        retry_form: How the headers say it: `seconds`, `ms` (with `retry-after-ms` alone), `date`, or `both` seconds
            and milliseconds. None: the vendor's usual form.
        should_retry: Sent as `x-should-retry`, which some SDKs obey; None: not sent.
        headers: Extra response headers.
    """

    status: int | None = None
    name: str | None = None
    message: str | None = None
    retry_after: float | None = None
    retry_form: RetryForm | None = None
    should_retry: bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Bytes exactly as given.

    Attributes:
        pieces: Sent one by one.
        status: HTTP status.
        headers: All response headers but those of framing.
    """

    pieces: tuple[bytes, ...]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


Step = Turn | Failure | Raw


def dump(value: object) -> str:
    """Compact JSON, other scripts than Latin unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pieces(text: str, chunking: Chunking) -> tuple[str, ...]:
    """`text` in the pieces that it streams in."""
    if chunking == "whole":
        return (text,) if text else ()
    return tuple(text) if chunking in ("letters", "torture") else words(text)


def words(text: str) -> tuple[str, ...]:
    """`text` in pieces of a word and the space before it; joined they are `text` again."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


UsageLike = Usage | tuple[int, int] | Mapping[str, int]
CallLike = ToolCall | tuple[str, Mapping[str, object]]


class ReplyMembers(TypedDict, total=False):
    """What `reply` takes beside the text; `Turn` says what each is.

    `usage` may be a pair of input and output, `calls` pairs of name and arguments.
    """

    chunks: Sequence[str] | Chunking
    calls: Iterable[CallLike]
    reasoning: str
    redacted: bool
    usage: UsageLike
    finish: str
    headers: Mapping[str, str]
    first: float
    rate: float


class CallsMembers(TypedDict, total=False):
    """What `tool_calls` takes beside the calls."""

    text: str
    reasoning: str
    usage: UsageLike


class FailMembers(TypedDict, total=False):
    """What `fail` takes beside what went wrong and the message."""

    retry_after: float
    retry_form: RetryForm
    should_retry: bool
    headers: Mapping[str, str]


def reply(text: str | None = None, **members: Unpack[ReplyMembers]) -> Turn:
    """An answer; see `Turn` for the members.

    Raises:
        ScriptError: `chunks` do not join to `text`, or the usage does not add up.
    """
    chunks = members.get("chunks", "words")
    if not isinstance(chunks, str):
        joined = "".join(chunks)
        if text is not None and joined != text:
            raise ScriptError(f"chunks join to {joined!r}, which is not the text {text!r}")
        text = joined
    return Turn(
        text=text,
        chunks=_chunking(chunks) if isinstance(chunks, str) else tuple(chunks),
        calls=tuple(one if isinstance(one, ToolCall) else ToolCall(*one) for one in members.get("calls", ())),
        reasoning=members.get("reasoning"),
        redacted=members.get("redacted", False),
        usage=_usage(members.get("usage")),
        finish=members.get("finish"),
        headers=members.get("headers", {}),
        first=members.get("first", 0.0),
        rate=members.get("rate"),
    )


def tool_call(name: str, /, **arguments: object) -> Turn:
    """An answer that is one tool call; every keyword is an argument of the tool."""
    return Turn(calls=(ToolCall(name, arguments),))


def tool_calls(*calls: CallLike, **members: Unpack[CallsMembers]) -> Turn:
    """An answer of several tool calls at once, with text before them if given."""
    turn = reply(members.get("text"), calls=calls)
    return replace(turn, reasoning=members.get("reasoning"), usage=_usage(members.get("usage")))


def refuse(text: str = "I cannot help with that.", *, usage: UsageLike | None = None) -> Turn:
    """An answer that declines, in the vendor's own way."""
    return Turn(refusal=text, usage=_usage(usage))


def improvise(**members: Unpack[ReplyMembers]) -> Turn:
    """An answer that obeys the request: a call of the tool that is demanded, JSON for the schema, or a sentence."""
    return replace(reply(**members), improvised=True)


def fail(what: int | str, message: str | None = None, **members: Unpack[FailMembers]) -> Failure:
    """An error answer.

    Args:
        what: An HTTP status, or a name (`context_length`, `quota`, `key`, `model`, `overloaded`).
        message: Default: the vendor's usual one.
        members: `retry_after` in seconds, `retry_form`, `should_retry`, extra `headers`.
    """
    status, name = (what, None) if isinstance(what, int) else (None, what)
    return Failure(
        status=status,
        name=name,
        message=message,
        retry_after=members.get("retry_after"),
        retry_form=members.get("retry_form"),
        should_retry=members.get("should_retry"),
        headers=members.get("headers", {}),
    )


def fault(answer: Turn | str | None = None, /, **way: Unpack[FaultWay]) -> Turn:
    """An answer that goes wrong on its way.

    Args:
        answer: What would have been answered. Default: made up.
        way: Exactly one of `FaultWay`.

    Raises:
        ScriptError: No way, or more than one.
    """
    ways = faults_of(way, fail(way.get("error", 500)))
    if len(ways) != 1:
        raise ScriptError(f"a fault goes wrong in exactly one way, {len(ways)} were given")
    turn = answer if isinstance(answer, Turn) else Turn(text=answer)
    return replace(turn, fault=ways[0])


def _chunking(given: str) -> Chunking:
    known: tuple[Chunking, ...] = get_args(Chunking)
    for one in known:
        if one == given:
            return one
    raise ScriptError(f"chunks={given!r} is no way of cutting; there are {', '.join(known)}, or a list of texts")


def _usage(given: UsageLike | None) -> Usage | None:
    if given is None or isinstance(given, Usage):
        return given
    return Usage(*given) if isinstance(given, tuple) else Usage(**given)


class Script:
    """The queue of steps of one fake."""

    def __init__(self) -> None:
        self._queue: deque[Step] = deque()
        self._standing: Step | None = None

    def add(self, step: Step, times: int = 1) -> None:
        """Appends `step`, to be played `times` times."""
        self._queue.extend([step] * times)

    def stand(self, step: Step | None) -> None:
        """Sets what is answered whenever the queue is empty; None for nothing."""
        self._standing = step

    def next(self) -> Step | None:
        """The step of the next call; None when nothing is scripted for it."""
        return self._queue.popleft() if self._queue else self._standing

    def peek(self) -> Step | None:
        """What `next` would give."""
        return self._queue[0] if self._queue else self._standing

    @property
    def standing(self) -> Step | None:
        """What is answered whenever the queue is empty."""
        return self._standing

    @property
    def unused(self) -> tuple[Step, ...]:
        """Steps that no call has taken yet."""
        return tuple(self._queue)

    def clear(self) -> None:
        """Forgets every step and the standing one."""
        self._queue.clear()
        self._standing = None
