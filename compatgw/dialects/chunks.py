"""Writes hub chunks so that the rules of a stream hold by construction.

Decoders of translated protocols say what they read (`text`, `reasoning`, `open_tool`, ...)
and take the chunks with `take()`. The writer sees to it that the role comes first and once,
that tool indexes count from 0 by first appearance, that ids and names come once with the
opener, that a call without arguments ends as `{}`, that each choice has one finish reason
and that usage comes once and last.

What does not live here: any protocol; the pass-through of OpenAI-like streams (`openai/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.dialects.base import Context, Piece
from compatgw.dialects.events import interrupted

if TYPE_CHECKING:
    from collections.abc import Hashable

    from compatgw.wire.chat import ChatChunk, Delta, FinishReason, Usage


class _Tool:
    __slots__ = ("closed", "index", "wrote")

    def __init__(self, index: int) -> None:
        self.index = index
        self.wrote = False
        self.closed = False


class _Choice:
    __slots__ = ("details", "finish", "tools")

    def __init__(self) -> None:
        self.tools: dict[Hashable, _Tool] = {}
        self.details: dict[Hashable, int] = {}
        self.finish: FinishReason | None = None


class ChunkWriter:
    """Chunks of one streamed answer.

    Args:
        context: Gives target, and `id` and `created` where the upstream gives none.
    """

    __slots__ = ("_choices", "_out", "_usage", "_usage_sent", "created", "id", "model", "target")

    def __init__(self, context: Context) -> None:
        self.id = context.id
        self.created = context.created
        self.model = context.target.model
        self.target = context.target
        self._choices: dict[int, _Choice] = {}
        self._out: list[Piece] = []
        self._usage: Usage | None = None
        self._usage_sent = False

    # Identity may be learned from the upstream until the first chunk is out.
    def identify(self, *, id: str | None = None, model: str | None = None, created: int | None = None) -> None:
        """Takes the upstream's own id, model and time, unless a chunk was already written."""
        if self._choices:
            return
        self.id = id or self.id
        self.model = model or self.model
        self.created = created or self.created

    def start(self, choice: int = 0) -> None:
        """Opens `choice` with its role, once; the other methods do so by themselves."""
        if choice not in self._choices:
            for missing in range(choice):  # clients index choices: 0 must come before 1
                self.start(missing)
            self._choices[choice] = _Choice()
            self._emit(choice, {"role": "assistant", "content": ""})

    def text(self, text: str, choice: int = 0, logprobs: dict[str, Any] | None = None) -> None:
        """Visible text; nothing for an empty string without `logprobs`."""
        self.start(choice)
        if text or logprobs:
            self._emit(choice, {"content": text}, logprobs=logprobs)

    def refusal(self, text: str, choice: int = 0) -> None:
        """Text of a refusal."""
        self.start(choice)
        if text:
            self._emit(choice, {"refusal": text})

    def reasoning(self, text: str, choice: int = 0, *, key: Hashable = None, format: str | None = None) -> None:
        """Reasoning text, under both plain names; with `format` also as an entry of `reasoning_details`.

        Args:
            text: The piece of text.
            choice: Which choice.
            key: Tells entries of `reasoning_details` apart; pieces of one entry share it.
            format: Names whose signature may follow, such as `anthropic-claude-v1`.
        """
        self.start(choice)
        if not text:
            return
        delta: Delta = {"reasoning_content": text, "reasoning": text}
        if format is not None:
            delta["reasoning_details"] = [self._detail(choice, key, format, {"type": "reasoning.text", "text": text})]
        self._emit(choice, delta)

    def signature(self, signature: str, choice: int = 0, *, key: Hashable, format: str) -> None:
        """The signature of the reasoning entry `key`."""
        self.start(choice)
        entry = self._detail(choice, key, format, {"type": "reasoning.text", "signature": signature})
        self._emit(choice, {"reasoning_details": [entry]})

    def encrypted(
        self,
        data: str,
        choice: int = 0,
        *,
        key: Hashable,
        format: str,
        id: str | None = None,
    ) -> None:
        """Reasoning that only its vendor can read."""
        self.start(choice)
        entry: dict[str, Any] = {"type": "reasoning.encrypted", "data": data}
        if id is not None:
            entry["id"] = id
        self._emit(choice, {"reasoning_details": [self._detail(choice, key, format, entry)]})

    def open_tool(
        self,
        key: Hashable,
        id: str,
        name: str,
        choice: int = 0,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """A tool call begins; `key` names it for the pieces that follow. Idempotent."""
        self.start(choice)
        tools = self._choices[choice].tools
        if key in tools:
            return
        tools[key] = _Tool(len(tools))
        call: dict[str, Any] = {
            "index": tools[key].index,
            "id": id,
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        if extra:
            call["extra_content"] = extra
        self._emit(choice, {"tool_calls": [call]})  # type: ignore[list-item]

    def arguments(self, key: Hashable, fragment: str, choice: int = 0) -> None:
        """A piece of the arguments of tool call `key`."""
        tool = self._choices[choice].tools[key]
        if fragment:
            tool.wrote = True
            self._emit(choice, {"tool_calls": [{"index": tool.index, "function": {"arguments": fragment}}]})

    def close_tool(self, key: Hashable, choice: int = 0) -> None:
        """Tool call `key` is complete; without arguments it gets `{}`."""
        tool = self._choices[choice].tools[key]
        if not tool.closed:
            tool.closed = True
            if not tool.wrote:
                self.arguments(key, "{}", choice)

    def extend(self, delta: Delta, choice: int = 0) -> None:
        """Any other delta members (annotations, images, audio), as they are."""
        self.start(choice)
        self._emit(choice, delta)

    def finish(self, reason: FinishReason, choice: int = 0) -> None:
        """The finish reason of `choice`; later ones are ignored. Open tool calls are closed."""
        self.start(choice)
        state = self._choices[choice]
        if state.finish is None:
            for key in state.tools:
                self.close_tool(key, choice)
            state.finish = reason
            self._emit(choice, {}, finish=reason)

    @property
    def finished(self) -> bool:
        """True when every choice that began has its finish reason."""
        return bool(self._choices) and all(c.finish is not None for c in self._choices.values())

    def usage(self, usage: Usage) -> None:
        """Remembers the totals; the last ones given are written at the end."""
        self._usage = usage

    def end(self) -> None:
        """The stream is over: writes the usage chunk.

        Raises:
            StreamInterrupted: A choice has no finish reason, or there is none at all.
        """
        if not self.finished:
            raise interrupted(self.target)
        if self._usage is not None and not self._usage_sent:
            self._usage_sent = True
            chunk = self._chunk()
            chunk["usage"] = self._usage
            self._out.append(Piece(chunk))

    def take(self) -> list[Piece]:
        """The chunks written since the last call."""
        out, self._out = self._out, []
        return out

    def _detail(self, choice: int, key: Hashable, format: str, entry: dict[str, Any]) -> dict[str, Any]:
        # SDKs concatenate string members over deltas: `format` comes with the first one only.
        details = self._choices[choice].details
        first = key not in details
        index = details.setdefault(key, len(details))
        return {"index": index, **entry, **({"format": format} if first else {})}

    def _chunk(self) -> ChatChunk:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [],
        }

    def _emit(
        self,
        choice: int,
        delta: Delta,
        *,
        finish: FinishReason | None = None,
        logprobs: dict[str, Any] | None = None,
    ) -> None:
        chunk = self._chunk()
        chunk["choices"] = [{"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]
        self._out.append(Piece(chunk))
