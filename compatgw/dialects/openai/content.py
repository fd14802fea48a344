"""Content that is not just a string: lists of chunks, objects, `<think>` tags, reasoning under many names.

What does not live here: whole messages and deltas (`response.py`, `stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONING = ("reasoning_content", "reasoning")
OPEN, CLOSE = "<think>", "</think>"


# Members of a message or delta that clients read without looking: with another type they are left out.
_TYPES: Mapping[str, type] = {
    "refusal": str, "audio": dict, "function_call": dict, "extra_content": dict,
    "annotations": list, "images": list, "reasoning_details": list,
}  # fmt: skip


class Said(NamedTuple):
    """Visible text, reasoning text, and images that stood among them."""

    text: str
    reasoning: str = ""
    images: tuple[Any, ...] = ()


class ThinkSplitter:
    """Takes a leading `<think>...</think>` out of text that arrives in pieces.

    Only a tag at the very beginning counts: later ones are something that the model talks about.
    """

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    @property
    def settled(self) -> bool:
        """True when all further text is visible text, to be passed on as it is."""
        return self._state == "text"

    def feed(self, text: str) -> Said:
        """What of `text`, and of what was held back, is now known to be text or reasoning."""
        if self._state == "text":
            return Said(text)
        text = self._held + text
        self._held = ""
        if self._state == "start":
            head = text.lstrip()
            if len(head) < len(OPEN) and OPEN.startswith(head):
                self._held = text
                return Said("")
            if not head.startswith(OPEN):
                self._state = "text"
                return Said(text)
            self._state = "think"
            text = head[len(OPEN) :].lstrip()
        if self._state == "think":
            return self._think(text)
        return self._after(text)

    def finish(self) -> Said:
        """What is still held back when the text is over."""
        held, self._held = self._held, ""
        state, self._state = self._state, "text"
        return Said("", held) if state == "think" else Said(held if state == "start" else "")

    def _think(self, text: str) -> Said:
        inside, closed, rest = text.partition(CLOSE)
        if closed:
            self._state = "after"
            return Said(self._after(rest).text, inside)
        for size in range(min(len(CLOSE) - 1, len(text)), 0, -1):
            if text.endswith(CLOSE[:size]):
                self._held = text[-size:]
                return Said("", text[:-size])
        return Said("", text)

    def _after(self, text: str) -> Said:
        text = text.lstrip()
        if text:
            self._state = "text"
        return Said(text)


def split(text: str) -> Said:
    """A whole text without its leading `<think>` block."""
    splitter = ThinkSplitter()
    first, last = splitter.feed(text), splitter.finish()
    return Said(first.text + last.text, first.reasoning + last.reasoning)


def of_list(parts: list[Any]) -> Said:
    """Content given as a list of chunks, as Mistral has it; references have no text of their own."""
    text, reasoning, images = "", "", []
    for part in parts:
        if isinstance(part, str):
            text += part
        elif isinstance(part, dict):
            kind = part.get("type")
            if kind == "thinking":
                inner = part.get("thinking")
                reasoning += of_list(inner).text if isinstance(inner, list) else _string(inner)
            elif kind == "image_url":
                images.append(part)
            else:
                text += _string(part.get("text"))
    return Said(text, reasoning, tuple(images))


def as_text(value: Any) -> str:
    """Content or arguments as the string that they should have been: objects become JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def reasoning(message: Mapping[str, Any]) -> str:
    """The reasoning text of a message or delta, under whatever name it came."""
    for name in REASONING:
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
    details = message.get("reasoning_details")
    if not isinstance(details, list):
        return ""
    return "".join(
        _string(entry.get("text")) or _string(entry.get("summary")) for entry in details if isinstance(entry, dict)
    )


def citations(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Citations that stand beside the choices (Perplexity), as OpenAI's annotations.

    Where in the text they belong is not said there, so their range is empty.
    """
    sources = answer.get("search_results") or answer.get("citations")
    found = []
    for source in sources if isinstance(sources, list) else ():
        url = source if isinstance(source, str) else source.get("url") if isinstance(source, dict) else None
        if isinstance(url, str):
            title = source.get("title") if isinstance(source, dict) else None
            citation = {"start_index": 0, "end_index": 0, "title": title or url, "url": url}
            found.append({"type": "url_citation", "url_citation": citation})
    return found


def fits(name: str, value: Any) -> bool:
    """True when `value` is what clients expect under `name`: of a message, a delta or a choice."""
    expected = _TYPES.get(name)
    return expected is None or isinstance(value, expected)


def logprobs(value: Any) -> dict[str, Any] | None:
    """Log probabilities in OpenAI's form; Together's lists of tokens are another one."""
    if not isinstance(value, dict) or not value:
        return None
    return {name: tokens for name, tokens in value.items() if tokens is None or isinstance(tokens, list)}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
