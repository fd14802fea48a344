"""What a scenario asks and what a client sees, in no dialect's words.

A client surface writes an `Asked` as its own request and reads its own answer into a `Seen`.
What does not live here: any surface (`chat.py`), any expectation (`expect.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from compatgw_testing.script import ToolCall

Mode = Literal["plain", "stream"]
Ended = Literal["whole", "error", "broken", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that is offered.

    Attributes:
        name: Its name.
        parameters: JSON Schema of its arguments; None for a tool that takes none.
    """

    name: str
    parameters: Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message of the conversation so far.

    Attributes:
        role: Who speaks.
        text: What is said; of a tool its result.
        pieces: The text in several parts; used in place of `text`.
        calls: Tool calls of an assistant, with ids.
        answers: Id of the call whose result this is.
        image: A PNG in base64.
        document: A PDF in base64.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    text: str = ""
    pieces: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    answers: str | None = None
    image: str | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request.

    Attributes:
        entries: The conversation.
        tools: Tools that are offered.
        choice: `auto`, `none`, `required`, or the name of a tool; None says nothing.
        schema: The answer is JSON that satisfies this.
        json: The answer is some JSON object.
        effort: Thought is asked for, with this effort.
        limit: Most tokens to write.
        temperature: Sampling temperature.
        stop: Stop sequences.
        thinker: The upstream's model that thinks is asked in place of its usual one.
        kept: The server keeps the conversation, and the client sends only what is new.
    """

    entries: tuple[Entry, ...]
    tools: tuple[Tool, ...] = ()
    choice: str | None = None
    schema: Mapping[str, object] | None = None
    json: bool = False
    effort: str | None = None
    limit: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    thinker: bool = False
    kept: bool = False

    @property
    def features(self) -> frozenset[str]:
        """What a client has to be able to ask for this: `json`, `stop`, `kept`, `developer`, `silence` (a turn without
        words), `assistant_first` (the assistant opens the conversation) and `pictured_result` (a tool gives a picture).
        """
        spoken = [one for one in self.entries if one.role not in ("system", "developer")]
        holds = {
            "json": self.json,
            "stop": bool(self.stop),
            "kept": self.kept,
            "pictured_result": any(one.role == "tool" and one.image is not None for one in self.entries),
            "developer": any(one.role == "developer" for one in self.entries),
            "silence": any(one.pieces and not any(one.pieces) for one in self.entries),
            "assistant_first": bool(spoken) and spoken[0].role == "assistant",
        }
        return frozenset(name for name, held in holds.items() if held)


def user(text: str) -> tuple[Entry, ...]:
    """A conversation of one user message."""
    return (Entry(role="user", text=text),)


@dataclass(slots=True, kw_only=True)
class SeenCall:
    """A tool call as the client has it: `arguments` is what a client would parse."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True, kw_only=True)
class SeenError:
    """An error as the client has it; members that are not said are None."""

    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a client sees of one answer.

    Attributes:
        status: HTTP status; 0 when there was none.
        id: The answer's own id.
        headers: Names in lower case.
        text: The answer's words; None for none.
        reasoning: Thought that is shown.
        refusal: Words of a refusal, where the surface keeps them apart.
        calls: Tool calls.
        finish: Why it ended: `stop`, `length`, `tool_calls` or `content_filter`, whatever the surface's own word is.
        usage: Counts by `input`, `output`, `cached`, `cache_write`, `reasoning`; empty when none is told.
        error: An error, as an answer or inside a stream; its code as `context_length_exceeded` where a surface says
            that in other words.
        ended: `whole` with all that ends an answer; `error` with an error; `broken` by the connection; `open`: it
            just stops, without an end mark.
        kept: The answer as a client would keep it for its next request, in the surface's own form.
        problems: Where the answer goes against the surface's own protocol.
        raw: The body.
    """

    status: int = 0
    id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    calls: list[SeenCall] = field(default_factory=list)
    finish: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    error: SeenError | None = None
    ended: Ended = "open"
    kept: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    raw: bytes = b""

    def __str__(self) -> str:
        parts = [f"{self.status} {self.ended}"]
        told = {name: getattr(self, name) for name in ("text", "reasoning", "refusal", "finish")}
        parts += [f"{name}={value!r}" for name, value in told.items() if value is not None]
        if self.calls:
            parts.append("calls=[" + ", ".join(f"{one.name}({one.arguments}) #{one.id}" for one in self.calls) + "]")
        if self.usage:
            parts.append(f"usage={self.usage}")
        if self.error is not None:
            parts.append(f"error={self.error.type}/{self.error.code}: {self.error.message!r}")
        return ", ".join(parts)
