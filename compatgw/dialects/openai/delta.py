"""What a streamed choice has said so far, and each of its deltas as OpenAI would have sent it.

Strings of a delta are concatenated by clients, so whatever an upstream repeats (role, ids,
names, `format` of reasoning) must be said once; and lists of objects need an `index`.

What does not live here: chunks and their order (`stream.py`), pieces of tool calls (`calls.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.dialects.openai import content
from compatgw.dialects.openai.calls import Calls

if TYPE_CHECKING:
    from collections.abc import Hashable

    from compatgw.wire.chat import FinishReason

_LOOKED_AFTER = frozenset({"role", "content", "refusal", "tool_calls", "reasoning_details", *content.REASONING})
# Members of an entry of `reasoning_details` that are said with its first piece only.
_SAID_ONCE = ("format", "id")


class ChoiceState:
    """One choice of a stream.

    Args:
        origin: What ids of tool calls without one are made from.

    Attributes:
        calls: Its tool calls.
        finish: Its finish reason, once that was written.
        annotated: True when the upstream sent annotations itself.
    """

    __slots__ = ("_details", "_listed", "_think", "annotated", "calls", "finish")

    def __init__(self, origin: str) -> None:
        self.calls = Calls(origin)
        self.finish: FinishReason | None = None
        self.annotated = False
        self._think = content.ThinkSplitter()
        self._details: dict[Hashable, tuple[int, dict[str, Any]]] = {}
        self._listed: dict[str, int] = {}

    @property
    def settled(self) -> bool:
        """True when text needs no more looking at."""
        return self._think.settled

    def delta(self, given: dict[str, Any], *, first: bool, last: bool) -> dict[str, Any]:
        """`given` without what was said before; empty when nothing is left.

        Args:
            given: The upstream's own.
            first: It opens the choice, so it gets the role.
            last: Nothing follows: text that was held back is let go.
        """
        out: dict[str, Any] = {"role": "assistant"} if first else {}
        said = self._said(given.get("content"), last=last)
        if said.text:
            out["content"] = said.text
        elif first and "content" in given:
            out["content"] = None if given["content"] is None else ""
        refusal = given.get("refusal")
        if (refusal and isinstance(refusal, str)) or (first and refusal is None and "refusal" in given):
            out["refusal"] = refusal
        if thought := content.reasoning(given) + said.reasoning:
            out["reasoning_content"] = out["reasoning"] = thought
        details = given.get("reasoning_details")
        if isinstance(details, list) and details:
            out["reasoning_details"] = [self._detail(entry) for entry in details if isinstance(entry, dict)]
        pieces = given.get("tool_calls")
        if isinstance(pieces, list) and pieces and (calls := self.calls.take(pieces)):
            out["tool_calls"] = calls
        if said.images:
            out["images"] = self._indexed("images", list(said.images))
        for name, value in given.items():
            if name not in _LOOKED_AFTER and value not in (None, "", [], {}) and content.fits(name, value):
                out[name] = self._indexed(name, value) if isinstance(value, list) else value
        self.annotated = self.annotated or "annotations" in out
        return out

    def _said(self, value: Any, *, last: bool) -> content.Said:
        if isinstance(value, list):
            said = content.of_list(value)
        elif value is None or value == "":
            said = content.Said("")
        else:
            said = self._think.feed(content.as_text(value))
        if not last:
            return said
        held = self._think.finish()
        return content.Said(said.text + held.text, said.reasoning + held.reasoning, said.images)

    def _detail(self, entry: dict[str, Any]) -> dict[str, Any]:
        # OpenRouter gives a summary and what it encrypts the same index: they are two entries.
        index = entry.get("index")
        key = (str(entry.get("type")), index if isinstance(index, int) else str(entry.get("id")))
        if key not in self._details:
            number = len(self._details)
            self._details[key] = (number, {name: entry[name] for name in _SAID_ONCE if entry.get(name)})
            return {**entry, "index": number}
        number, said = self._details[key]
        fresh = {name: value for name, value in entry.items() if name not in said}
        said.update({name: entry[name] for name in _SAID_ONCE if entry.get(name)})
        return {**fresh, "index": number}

    def _indexed(self, name: str, entries: list[Any]) -> list[Any]:
        """Entries with an index each: a client cannot join lists of objects without."""
        out = []
        for entry in entries:
            if isinstance(entry, dict):
                number = entry.get("index")
                if not isinstance(number, int):
                    number = self._listed.get(name, 0)
                    entry = {"index": number, **entry}
                self._listed[name] = max(self._listed.get(name, 0), number + 1)
            out.append(entry)
        return out
