"""Hub chunks told as this protocol's events, one block after the other.

Upstreams may mix what they say; clients of this protocol want a block to end before the next begins. So blocks
stand in a queue. What comes for the first is told at once, what comes for another waits for its turn. Text and
thinking end when something stands behind them, a call when its JSON is whole as well.

What does not live here: whole messages (`answer.py`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.surfaces.messages.answer import Teller, keepsake, thought, usage_of
from compatgw.wire.messages import CLAUDE, portable_id

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from compatgw.dialects.base import Piece

_JOINED = frozenset({"text", "summary", "data", "signature"})


def event(kind: str, members: Mapping[str, Any]) -> bytes:
    """One event with its frame."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))


class _Block:
    """A block on its way."""

    __slots__ = ("checked", "delta", "end", "key", "opened", "start", "text", "told")

    def __init__(self, key: Hashable, start: dict[str, Any], delta: str) -> None:
        self.key = key
        self.start = start
        self.delta = delta
        self.end: dict[str, Any] | None = None
        self.opened = False
        self.text: list[str] = []
        self.told = 0
        self.checked = 0

    @property
    def call(self) -> bool:
        return self.delta == "input_json_delta"

    def whole(self) -> bool:
        """Nothing more can come for it."""
        if not self.call:
            return True
        if self.checked == len(self.text):  # nothing new since the last look
            return False
        self.checked = len(self.text)
        if not self.text[-1].rstrip().endswith("}"):  # most pieces end within
            return False
        try:
            orjson.loads("".join(self.text))
        except orjson.JSONDecodeError:
            return False
        return True


class Telling:
    """The events of one stream.

    Args:
        teller: Of the request.
    """

    __slots__ = (
        "_blocks", "_called", "_calls", "_choice", "_details", "_index", "_out", "_refused", "_said", "_started",
        "_teller", "_tier", "_usage",
    )  # fmt: skip

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._out: list[bytes] = []
        self._blocks: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}
        self._details: dict[Hashable, dict[str, Any]] = {}
        self._index = 0
        self._started = False
        self._said = self._called = False
        self._refused = ""
        self._choice: Mapping[str, Any] = {}
        self._usage: Any = None
        self._tier: Any = None

    def take(self, piece: Piece) -> None:
        """The next piece."""
        chunk: Mapping[str, Any] = piece.chunk
        if not self._started:
            self._started = True
            message = {**self._teller.head(chunk), "usage": {"input_tokens": 0, "output_tokens": 0}}
            self._out.append(event("message_start", {"message": message}))
        self._usage = chunk.get("usage") or self._usage
        self._tier = chunk.get("service_tier") or self._tier
        for choice in chunk["choices"]:
            if choice["index"] == 0:
                self._delta(choice["delta"])
                if choice.get("finish_reason"):
                    self._choice = choice
        self._flush()

    def finish(self) -> None:
        """The answer is whole: what waited, why it ended, and its totals."""
        if self._refused and not self._said and self._choice.get("finish_reason") != "content_filter":
            self._said = True
            self._say("text", "text", self._refused)
        if not self._said and not self._called:
            self._push(_Block("text", {"type": "text", "text": ""}, "text_delta"))
        if kept := keepsake(self._details.values(), self._teller, called=self._called):
            self._push(_Block("kept", kept, ""))
        while self._blocks:
            self._flush()
            if self._blocks:
                self._close()
        stop = self._teller.stop(self._choice, called=self._called, refused=self._refused)
        self._out.append(event("message_delta", {"delta": stop, "usage": usage_of(self._usage, self._tier)}))
        self._out.append(event("message_stop", {}))

    def told(self) -> bytes:
        """The frames since the last call."""
        out, self._out = self._out, []
        return b"".join(out)

    # --- what a delta says -------------------------------------------------------------------

    def _delta(self, delta: Mapping[str, Any]) -> None:
        self._think(delta)
        if text := delta.get("content"):
            self._said = True
            self._say("text", "text", text)
        if refused := delta.get("refusal"):
            self._refused += refused
        for piece in delta.get("tool_calls") or ():
            self._call(piece)

    def _say(self, kind: str, key: Hashable, text: str) -> None:
        """Text for the block that stands last, or for a new one."""
        if not self._blocks or self._blocks[-1].key != key:
            start = {"type": "text", "text": ""}
            if kind == "thinking":
                start = {"type": "thinking", "thinking": "", "signature": ""}
            self._push(_Block(key, start, f"{kind}_delta"))
        self._blocks[-1].text.append(text)

    def _push(self, block: _Block) -> None:
        self._blocks.append(block)

    def _call(self, piece: Mapping[str, Any]) -> None:
        self._called = True
        function = piece.get("function") or {}
        block = self._calls.get(piece["index"])
        if block is None:
            name = self._teller.name(str(function.get("name") or ""))
            start = {"type": "tool_use", "id": portable_id(str(piece.get("id") or "")), "name": name, "input": {}}
            block = self._calls[piece["index"]] = _Block(("call", piece["index"]), start, "input_json_delta")
            self._push(block)
        if fragment := function.get("arguments"):
            block.text.append(fragment)

    # --- thinking ----------------------------------------------------------------------------

    def _think(self, delta: Mapping[str, Any]) -> None:
        told = False
        for entry in delta.get("reasoning_details") or ():
            told = self._detail(entry) or told
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if text and not told and self._teller.thoughts != "none":
            self._say("thinking", "thinking", text)

    def _detail(self, entry: Mapping[str, Any]) -> bool:
        """Takes an entry or a piece of one; True for text of this protocol's own."""
        key = entry.get("index")
        known = self._details.setdefault(key if isinstance(key, int) else len(self._details), {})
        for name, value in entry.items():
            if name in _JOINED and isinstance(value, str) and isinstance(known.get(name), str):
                known[name] += value
            elif value is not None:
                known[name] = value
        if known.get("format") != CLAUDE or self._teller.thoughts == "none":
            return False
        if known.get("type") == "reasoning.encrypted":
            self._push(_Block(("thought", key), {"type": "redacted_thinking", "data": known.get("data", "")}, ""))
            return False
        text, signature = entry.get("text"), entry.get("signature")
        if text or signature:
            self._say("thinking", ("thought", key), text or "")
        if signature:
            self._blocks[-1].end = {"type": "signature_delta", "signature": signature}
        return bool(text)

    # --- the queue ---------------------------------------------------------------------------

    def _flush(self) -> None:
        while self._blocks:
            self._tell(self._blocks[0])
            if len(self._blocks) == 1 or not self._blocks[0].whole():
                return
            self._close()

    def _tell(self, block: _Block) -> None:
        """What of a block is known and was not told yet."""
        if not block.opened:
            block.opened = True
            self._out.append(event("content_block_start", {"index": self._index, "content_block": block.start}))
        text = "".join(block.text[block.told :])
        block.told = len(block.text)
        if text and not (self._teller.thoughts == "sealed" and block.delta == "thinking_delta"):
            member = {"text_delta": "text", "thinking_delta": "thinking"}.get(block.delta, "partial_json")
            self._add({"type": block.delta, member: text})

    def _add(self, delta: Mapping[str, Any]) -> None:
        self._out.append(event("content_block_delta", {"index": self._index, "delta": delta}))

    def _close(self) -> None:
        block = self._blocks.popleft()
        end = block.end
        if end is None and block.delta == "thinking_delta" and self._teller.thoughts == "sealed":
            end = {"type": "signature_delta", "signature": thought("".join(block.text), "", self._teller)["signature"]}
        if end is not None:
            self._add(end)
        self._out.append(event("content_block_stop", {"index": self._index}))
        self._index += 1
