"""The tool calls of one streamed choice: which piece belongs to which call.

Servers disagree about nearly all of it: indexes may be missing, always 0 or start at 1, ids
may be missing, empty, or change from piece to piece, names may be repeated with each piece.
A piece belongs to the call with its id; a new id with a name is a new call; a piece without
an id belongs to the call at its index, or to the last one. Indexes are counted anew.

What does not live here: the rest of a delta (`stream.py`), calls in whole answers (`response.py`).
"""

from __future__ import annotations

from typing import Any

from compatgw.dialects import ids
from compatgw.dialects.openai.content import as_text


class _Call:
    __slots__ = ("custom", "held", "id", "index", "named", "wrote")

    def __init__(self, index: int, id: str, custom: bool) -> None:
        self.index = index
        self.id = id
        self.custom = custom
        self.named = False
        self.wrote = False
        # What was said before its name came: the opener needs one.
        self.held = ""

    def said(self, name: str, text: str) -> dict[str, Any]:
        """A piece of this call; its opener when `name` is its first."""
        kind, text_name = ("custom", "input") if self.custom else ("function", "arguments")
        opener = bool(name) and not self.named
        if not opener and not self.named:
            self.held += text
            return {}
        text = self.held + text
        self.held = ""
        self.wrote = self.wrote or bool(text.strip())
        if opener:
            self.named = True
            return {"id": self.id, "type": kind, kind: {"name": name, text_name: text}}
        return {kind: {text_name: text}} if text else {}


class Calls:
    """Collects the calls of one choice.

    Args:
        origin: What ids of calls without one are made from.
    """

    __slots__ = ("_at", "_by_id", "_calls", "_origin")

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._at: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, pieces: list[Any]) -> list[dict[str, Any]]:
        """The pieces as OpenAI would have sent them; those that add nothing are left out."""
        return [out for piece in pieces if isinstance(piece, dict) and (out := self._piece(piece)) is not None]

    def continued(self, piece: dict[str, Any]) -> bool:
        """True when `piece` only adds arguments to a call, under the right index: it needs no change."""
        at, function = piece["index"], piece["function"]
        call = self._at.get(at)
        text = function.get("arguments")
        if call is None or call.index != at or call.custom or not call.named or len(piece) != 2 or len(function) != 1:
            return False
        if not text or text.__class__ is not str:
            return False
        call.wrote = call.wrote or not text.isspace()
        return True

    def empty(self) -> list[dict[str, Any]]:
        """Pieces that complete the calls for which no arguments, or no name, came."""
        out = []
        for call in self._calls:
            if not call.named:
                call.named = True
                call.wrote = bool(call.held.strip())
                kind, text_name = ("custom", "input") if call.custom else ("function", "arguments")
                text = call.held if call.wrote or call.custom else "{}"
                out.append({"index": call.index, "id": call.id, "type": kind, kind: {"name": "", text_name: text}})
            elif not call.wrote and not call.custom:
                out.append({"index": call.index, "function": {"arguments": "{}"}})
            call.wrote = True
        return out

    def _piece(self, piece: dict[str, Any]) -> dict[str, Any] | None:
        inner, text_name = piece.get("function"), "arguments"
        custom = piece.get("custom")
        is_custom = isinstance(custom, dict) and bool(custom.get("name") or custom.get("input"))
        if is_custom:
            inner, text_name = custom, "input"
        if not isinstance(inner, dict):
            inner = {}
        id, name, at = piece.get("id"), inner.get("name"), piece.get("index")
        if not isinstance(id, str) or id == "null":
            id = ""
        if not isinstance(name, str):
            name = ""
        place = at if isinstance(at, int) else None
        call = self._find(id, name, place) or self._open(id, place, is_custom)
        out = call.said(name, as_text(inner.get(text_name)))
        for member, value in piece.items():
            if member not in ("index", "id", "type", "function", "custom") and value:
                out[member] = value
        return {"index": call.index, **out} if out and call.named else None

    def _find(self, id: str, name: str, at: int | None) -> _Call | None:
        if id and id in self._by_id:
            return self._by_id[id]
        there = self._at.get(at) if at is not None else self._calls[-1] if self._calls else None
        if there is None:
            return None
        # A name opens a call: under a new id, or where there is no index that could tell two calls apart.
        if name and there.named and (id or at is None):
            return None
        if id:
            self._by_id[id] = there
        return there

    def _open(self, id: str, at: int | None, custom: bool) -> _Call:
        call = _Call(len(self._calls), id or ids.minted(f"{self._origin}|{len(self._calls)}"), custom)
        self._calls.append(call)
        self._by_id[call.id] = call
        if at is not None:
            self._at[at] = call
        return call
