"""Tool calls of a streamed answer: functions, custom tools, the oldest form, and the tool whose input is the answer.

All of them count together, which the chunk writer's own calls would not, so they are written
from here. The input of a custom tool is known once its JSON is whole, and comes in one piece.

What does not live here: events (`stream.py`), the tools of a request (`tools.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import ids
from compatgw.dialects.blocks.answers import compact, custom_input

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from compatgw.dialects.base import Context
    from compatgw.dialects.chunks import ChunkWriter
    from compatgw.wire.chat import DeltaToolCall


class _Open:
    """A call on its way."""

    __slots__ = ("fragments", "index", "kind", "whole", "wrote")

    def __init__(self, kind: str, index: int, whole: Any) -> None:
        self.kind = kind
        self.index = index
        self.whole = whole if isinstance(whole, dict) else {}
        self.fragments: list[str] = []
        self.wrote = False


class Calls:
    """The calls of one answer.

    Args:
        context: Of the stream; its memo tells what each tool is.
        writer: Takes the chunks.
        say: Takes the input of the tool that stands for the answer, as text.
    """

    __slots__ = ("_context", "_count", "_open", "_say", "_writer", "answered")

    def __init__(self, context: Context, writer: ChunkWriter, say: Callable[[str], None]) -> None:
        self._context = context
        self._writer = writer
        self._say = say
        self._open: dict[Hashable, _Open] = {}
        self._count = 0
        self.answered = False

    @property
    def made(self) -> bool:
        """True when there was any call for the caller."""
        return self._count > 0

    def open(self, key: Hashable, id: str, name: str, whole: Any = None) -> None:
        """A call begins.

        Args:
            key: Names it for the pieces that follow.
            id: The upstream's, "" when it gives none.
            name: As it was sent.
            whole: Its input, where that is known from the start and no pieces follow.
        """
        self.close(key)
        kind = self._kind(name)
        self._open[key] = call = _Open(kind, self._count, whole)
        if kind == "json":
            self.answered = True
        if kind in ("json", "hidden"):
            return
        memo = self._context.memo
        given = id or ids.minted(self._context.id, str(self._count))
        given, name = memo.get("ids", {}).get(given, given), memo.get("names", {}).get(name, name)
        self._count += 1
        if kind == "legacy":
            self._writer.extend({"function_call": {"name": name, "arguments": ""}})
            return
        inner = {"name": name, "input" if kind == "custom" else "arguments": ""}
        self._piece({"index": call.index, "id": given, "type": kind, kind: inner})

    def _kind(self, name: str) -> str:
        memo = self._context.memo
        if name and name == memo.get("json_tool"):
            return "hidden" if self.answered else "json"
        if self._count and (memo.get("legacy") or memo.get("single_call")):
            return "hidden"
        if memo.get("legacy"):
            return "legacy"
        return "custom" if name in memo.get("custom", ()) else "function"

    def add(self, key: Hashable, fragment: str) -> None:
        """A piece of the input of `key`; nothing for calls of the vendor's own tools, which were not opened."""
        call = self._open.get(key)
        if call is None or not fragment:
            return
        call.wrote = True
        if call.kind == "custom":
            call.fragments.append(fragment)
        else:
            self._write(call, fragment)

    def close(self, key: Hashable) -> None:
        """Call `key`, if there is one, is complete; without input it gets `{}`."""
        call = self._open.pop(key, None)
        if call is None:
            return
        target = self._context.target
        if call.kind == "custom":
            try:
                value = orjson.loads("".join(call.fragments)) if call.wrote else call.whole
                self._write(call, custom_input(value, target))
            except orjson.JSONDecodeError:  # cut off by the limit of tokens: what there is
                self._write(call, "".join(call.fragments))
        elif not call.wrote:
            self._write(call, compact(call.whole, target))

    def close_all(self) -> None:
        """The answer is over."""
        for key in list(self._open):
            self.close(key)

    def _write(self, call: _Open, text: str) -> None:
        if call.kind == "json":
            self._say(text)
        elif call.kind == "legacy":
            self._writer.extend({"function_call": {"arguments": text}})
        elif call.kind != "hidden" and text:
            inner = {"input" if call.kind == "custom" else "arguments": text}
            self._piece({"index": call.index, call.kind: inner})

    def _piece(self, piece: dict[str, Any]) -> None:
        self._writer.extend({"tool_calls": [cast("DeltaToolCall", piece)]})
