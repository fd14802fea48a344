"""What decoders of streams of blocks do alike: text, thinking, citations and the end of the answer.

What does not live here: events and their order (the dialects' `stream.py`), calls (`calls.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects.blocks import thoughts
from compatgw.dialects.blocks.answers import finish_of
from compatgw.dialects.blocks.calls import Calls
from compatgw.dialects.chunks import ChunkWriter
from compatgw.dialects.events import interrupted
from compatgw.dialects.fence import Fence

if TYPE_CHECKING:
    from compatgw.dialects.base import Context, Piece
    from compatgw.wire.chat import Delta, FinishReason, Usage


class Thought:
    """A thinking block on its way: where it stands, whether it was written of, its signature or sealed data so far."""

    __slots__ = ("data", "index", "signature", "written")

    def __init__(self) -> None:
        self.index: int | None = None
        self.signature = ""
        self.data = ""
        self.written = False


class Text:
    """A text block on its way: where its text begins, and what it cites."""

    __slots__ = ("citations", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.citations: list[Any] = []


class BlockStream(ABC):
    """The decoder of one stream (see `dialects/base.py`), but for the reading of events.

    Args:
        context: Of the call; its memo comes from the encoding of the request.
    """

    __slots__ = (
        "_annotations", "_blocks", "_calls", "_context", "_details", "_done", "_fence", "_held", "_length", "_started",
        "_stopped", "_target", "_tier", "_writer",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._target = context.target
        self._writer = ChunkWriter(context)
        self._calls = Calls(context, self._writer, self._say)
        self._fence = Fence() if context.memo.get("json_object") else None
        # Where a tool stands for the answer, text is only the answer when that tool was not called.
        self._held: list[str] | None = [] if context.memo.get("json_tool") else None
        self._blocks: dict[int | None, Any] = {}
        self._details = 0
        self._annotations = 0
        self._length = 0
        self._tier: str | None = None
        self._started = False
        self._stopped: str | None = None
        self._done = False

    @property
    def done(self) -> bool:
        """True once the protocol's own end was read."""
        return self._done

    def _take(self) -> list[Piece]:
        pieces = self._writer.take()
        if self._tier is not None:
            for piece in pieces:
                piece.chunk["service_tier"] = self._tier
        return pieces

    # --- the answer --------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._started and (self._length or self._calls.made):
            # What was shown cannot be taken back, and two half answers are no answer.
            raise interrupted(self._target, "began another answer in the middle of one")
        self._started = True

    def _end(self, reason: FinishReason, usage: Usage | None, refusal: str | None = None) -> None:
        """The answer is whole.

        Args:
            reason: Why it ended, as the upstream says it.
            usage: What it came to.
            refusal: What is said of a refusal.
        """
        for key in list(self._blocks):
            self._close(key)
        self._calls.close_all()
        if self._held and not self._calls.answered:
            held, self._held = self._held, None
            self._say("".join(held))
        if self._fence is not None:
            self._writer.text(self._fence.finish())
        if refusal:
            self._writer.refusal(refusal)
        legacy = bool(self._context.memo.get("legacy"))
        self._writer.finish(finish_of(reason, called=self._calls.made, legacy=legacy))
        if usage:
            self._writer.usage(usage)
        self._writer.end()
        self._done = True

    def _close(self, key: int | None) -> None:
        """Block `key`, if there is one, is complete."""
        self._calls.close(key)
        block = self._blocks.pop(key, None)
        if isinstance(block, Thought):
            if block.data:
                self._sealed(block.data)
            elif block.signature:
                self._write_thought(block, {"signature": block.signature})
        elif block is not None:
            self._ended(block)

    @abstractmethod
    def _ended(self, block: Any) -> None:
        """A block that is no thinking is complete."""

    # --- text --------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        if self._held is None:
            self._say(text)
        elif not self._calls.answered:
            self._held.append(text)

    def _say(self, text: str) -> None:
        self._length += len(text)
        self._writer.text(text if self._fence is None else self._fence.feed(text))

    def _cited(self, found: list[dict[str, Any]]) -> None:
        """Annotations of the text so far."""
        if found:
            # Clients join entries by their index.
            marks = [{"index": self._annotations + place, **mark} for place, mark in enumerate(found)]
            self._annotations += len(marks)
            self._writer.extend(cast("Delta", {"annotations": marks}))

    # --- thinking ----------------------------------------------------------------------------

    def _thought(self, key: int | None) -> Thought:
        block = self._blocks.get(key)
        if not isinstance(block, Thought):  # a delta whose block was not announced
            block = self._blocks[key] = Thought()
        return block

    def _think(self, thought: Thought, text: str) -> None:
        if text and not self._context.memo.get("hidden"):
            self._write_thought(thought, {"text": text})

    def _sealed(self, data: str) -> None:
        """A thinking block that only its vendor can read."""
        block = {"type": "redacted_thinking", "data": data}
        self._detail(thoughts.detail(block, self._details, self._target))
        self._details += 1

    def _write_thought(self, thought: Thought, piece: dict[str, Any]) -> None:
        """A piece of a thinking block, plainly and as an entry of `reasoning_details`."""
        if thought.index is None:
            thought.index = self._details
            self._details += 1
        entry: dict[str, Any] = {"index": thought.index, "type": "reasoning.text", **piece}
        if not thought.written:  # SDKs join the strings of an entry: what stays the same comes once
            thought.written = True
            entry |= {"format": thoughts.FORMAT, "id": thoughts.origin(self._target)}
        self._detail(entry, piece.get("text"))

    def _detail(self, entry: dict[str, Any], text: str | None = None) -> None:
        delta: dict[str, Any] = {"reasoning_content": text, "reasoning": text} if text else {}
        self._writer.extend(cast("Delta", {**delta, "reasoning_details": [entry]}))
