"""One shape for what was asked, whatever the dialect: for matching, for made-up answers, for assertions.

Each dialect reads its own requests into this shape. What does not live here: reading any of
them (`fakes/*/reading.py`), matching (`rules.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from compatgw_testing.script import ToolCall

Role = Literal["system", "user", "assistant", "tool"]
Surface = Literal["chat", "embeddings", "images", "moderations", "transcription", "speech", "rerank", "tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: `system` also for developer messages; `tool` for one result of one tool call.
        text: All its text, joined by line ends.
        media: Media types of images, documents, audio and video in it, in order; `image/*` and the like when the
            request gives only a URL.
        reasoning: Earlier thought that is sent back.
        calls: Tool calls of an assistant.
        tool: Name of the tool whose result this is; None where the dialect does not say and no call tells.
        call_id: Id of the call that is answered.
    """

    role: Role
    text: str = ""
    media: tuple[str, ...] = ()
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    tool: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, in no dialect's words.

    Attributes:
        model: As the vendor is asked for it, without `models/` and the like.
        surface: What is wanted.
        messages: The conversation; system text first.
        tools: Schemas of the arguments, by name.
        force: A tool call is demanded: of this tool, or of any if empty. None: no demand.
        schema: The answer is JSON that satisfies this.
        json: The answer is some JSON object.
        limit: Most tokens to write.
        thinks: Thought was asked for.
        stream: A stream was asked for.
        settings: Sampling and the like under OpenAI's names: `temperature`, `top_p`, `stop`, `n`, `seed`,
            `dimensions`, ...
        inputs: Texts to embed, rank, judge, speak or paint.
        prompt: Everything that the model reads, in the dialect's own form; counted for usage.
    """

    model: str
    surface: Surface = "chat"
    messages: tuple[Message, ...] = ()
    tools: Mapping[str, object] = field(default_factory=dict)
    force: str | None = None
    schema: object = None
    json: bool = False
    limit: int | None = None
    thinks: bool = False
    stream: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    prompt: object = None

    @property
    def user(self) -> str:
        """The latest words of the user; empty if there are none."""
        return next((one.text for one in reversed(self.messages) if one.role == "user"), "")

    @property
    def system(self) -> str:
        """All system text."""
        return "\n".join(one.text for one in self.messages if one.role == "system")

    @property
    def turn(self) -> int:
        """How often the assistant has spoken already."""
        return sum(one.role == "assistant" for one in self.messages)

    @property
    def results(self) -> tuple[Message, ...]:
        """The tool results that wait for the model: those after its last message."""
        found: list[Message] = []
        for one in reversed(self.messages):
            if one.role == "assistant":
                break
            if one.role == "tool":
                found.append(one)
        return tuple(reversed(found))

    @property
    def media(self) -> tuple[str, ...]:
        """Media types of everything that is not text, in order."""
        return tuple(kind for one in self.messages for kind in one.media)


def named(messages: list[Message]) -> tuple[Message, ...]:
    """`messages`, each tool result with the name of the call that it answers, where an id tells."""
    names = {call.id: call.name for one in messages for call in one.calls if call.id is not None}
    found: list[Message] = []
    for one in messages:
        if one.role == "tool" and one.tool is None and one.call_id in names:
            one = Message(role="tool", text=one.text, media=one.media, tool=names[one.call_id], call_id=one.call_id)
        found.append(one)
    return tuple(found)
