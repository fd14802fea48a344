"""What a response says, as the hub has it: text, refusals, reasoning, calls, citations, totals.

Items of tools that the upstream runs itself have no place in the hub; they reach only clients of the same protocol.

What does not live here: bodies, frames and errors (`responses.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects import ids as call_ids
from compatgw.dialects.openai.response import TIERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from compatgw.dialects.base import Context
    from compatgw.dialects.chunks import ChunkWriter
    from compatgw.wire.chat import ChatCompletion, Delta, FinishReason, Usage

Json = dict[str, Any]

FORMAT = "openai-responses-v1"
"""`format` of the entries of `reasoning_details` that are sealed by such an upstream."""

_REASONS: Mapping[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_CALLS = ("function_call", "custom_tool_call")


def completion(response: Mapping[str, Any], context: Context) -> ChatCompletion:
    """A response that is done as a completion."""
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[str] = []
    details, calls, notes, logprobs = (list[Json]() for _ in range(4))
    for place, item in enumerate(_dicts(response.get("output"))):
        kind = item.get("type")
        if kind == "message":
            for part in _dicts(item.get("content")):
                if part.get("type") == "refusal":
                    refusals.append(_text(part.get("refusal")))
                else:
                    texts.append(_text(part.get("text")))
                    notes += _notes(part)
                    logprobs += _dicts(part.get("logprobs"))
        elif kind == "reasoning":
            if thought := thought_of(item):
                thoughts.append(thought)
            if (sealed := _sealed(item)) is not None:
                details.append({"index": len(details), **sealed})
        elif kind in _CALLS:
            calls.append(_call(item, f"{response.get('id') or context.id}|{place}"))
    if texts or not (calls or refusals):
        message["content"] = "".join(texts)
    if refusals:
        message["refusal"] = "".join(refusals)
    if thoughts:
        message["reasoning_content"] = message["reasoning"] = "\n\n".join(thoughts)
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    if notes:
        message["annotations"] = notes
    out: Json = {
        "id": _text(response.get("id")) or context.id,
        "object": "chat.completion",
        "created": _created(response) or context.created,
        "model": _text(response.get("model")) or context.target.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
                "finish_reason": finish_of(response, bool(calls)),
            }
        ],
    }
    if (usage := usage_of(response)) is not None:
        out["usage"] = usage
    if response.get("service_tier") in TIERS:
        out["service_tier"] = response["service_tier"]
    return cast("ChatCompletion", out)


def finish_of(response: Mapping[str, Any], calls: bool) -> FinishReason:
    """Why a response that is done ended."""
    if response.get("status") == "incomplete":
        why = response.get("incomplete_details")
        reason = why.get("reason") if isinstance(why, dict) else None
        return _REASONS.get(_text(reason), "length")
    return "tool_calls" if calls else "stop"


def usage_of(response: Mapping[str, Any]) -> Usage | None:
    """The totals of a response, None when it has none."""
    usage = response.get("usage")
    if not isinstance(usage, dict) or not (usage.get("input_tokens") or usage.get("output_tokens")):
        return None
    given, made = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    out: Json = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    details = usage.get("input_tokens_details")
    if isinstance(details, dict):
        names = ("cached_tokens", "cache_write_tokens")
        out["prompt_tokens_details"] = {name: _count(details[name]) for name in names if details.get(name) is not None}
    details = usage.get("output_tokens_details")
    if isinstance(details, dict):
        out["completion_tokens_details"] = {"reasoning_tokens": _count(details.get("reasoning_tokens"))}
    return cast("Usage", out)


def thought_of(item: Mapping[str, Any]) -> str:
    """The reasoning that an item tells: its summary, or else the reasoning itself."""
    for name in ("summary", "content"):
        if found := [_text(part.get("text")) for part in _dicts(item.get(name)) if part.get("text")]:
            return "\n\n".join(found)
    return ""


def _sealed(item: Mapping[str, Any]) -> Json | None:
    secret = item.get("encrypted_content")
    if not isinstance(secret, str) or not secret:
        return None
    entry = {"type": "reasoning.encrypted", "data": secret, "format": FORMAT}
    return {**entry, "id": item["id"]} if item.get("id") else entry


def _call(item: Mapping[str, Any], origin: str) -> Json:
    id = _text(item.get("call_id")) or call_ids.minted(origin)
    name = _text(item.get("name"))
    if item["type"] == "custom_tool_call":
        return {"id": id, "type": "custom", "custom": {"name": name, "input": _text(item.get("input"))}}
    arguments = _text(item.get("arguments")).strip() and _text(item.get("arguments"))
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments or "{}"}}


def _notes(part: Mapping[str, Any]) -> list[Json]:
    return [note for one in _dicts(part.get("annotations")) if (note := _note(one)) is not None]


def _note(given: Any) -> Json | None:
    """A citation as chats have it, where its members stand under its type; None for kinds that they do not have."""
    if not isinstance(given, dict) or given.get("type") != "url_citation" or not _text(given.get("url")):
        return None
    cited = {name: value for name, value in given.items() if name != "type"}
    places = {name: _count(given.get(name)) for name in ("start_index", "end_index")}
    return {"type": "url_citation", "url_citation": {**cited, "title": _text(given.get("title")), **places}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 <= value < 2**53 else 0


def _created(response: Mapping[str, Any]) -> int:
    created = response.get("created_at")
    return int(created) if isinstance(created, (int, float)) and 0 < created < 2**53 else 0


def _dicts(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class _Told:
    """How much of one item the hub has heard."""

    __slots__ = ("call", "id", "kind", "number", "parts", "sealed", "thought", "wrote")

    def __init__(self, number: int) -> None:
        self.number = number
        self.kind = ""
        self.id = ""
        # Place among the calls, once it was opened.
        self.call: int | None = None
        self.wrote = False
        self.sealed = False
        # The paragraph of a summary, or part of reasoning, that is being told.
        self.thought: tuple[str, Any] | None = None
        # What of which parts of a message was told: texts, notes.
        self.parts: set[tuple[str, Any]] = set()


class Items:
    """The items of a streamed response, as they grow.

    What an upstream does not stream, but only tells when an item or the whole response is done, is said then.

    Args:
        writer: Takes what they say.
    """

    __slots__ = ("_calls", "_items", "_notes", "_thought", "_writer")

    def __init__(self, writer: ChunkWriter) -> None:
        self._writer = writer
        self._items: dict[Any, _Told] = {}
        self._calls = 0
        self._notes = 0
        self._thought = False

    def begin(self, response: Mapping[str, Any]) -> None:
        """The response begins: `response.created` and others like it."""
        self._writer.identify(
            id=_text(response.get("id")), model=_text(response.get("model")), created=_created(response)
        )

    def event(self, kind: str, value: Mapping[str, Any]) -> None:
        """Any event that is not about the whole response."""
        if "output_index" not in value and "item_id" not in value:
            return
        told = self._told(value)
        if kind == "response.output_text.delta":
            told.parts.add(("text", value.get("content_index")))
            entries = _dicts(value.get("logprobs"))
            logprobs = {"content": entries, "refusal": None} if entries else None
            self._writer.text(_text(value.get("delta")), logprobs=logprobs)
        elif kind == "response.refusal.delta":
            told.parts.add(("text", value.get("content_index")))
            self._writer.refusal(_text(value.get("delta")))
        elif kind == "response.output_text.annotation.added":
            told.parts.add(("notes", value.get("content_index")))
            self._note(value.get("annotation"))
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            index = "summary_index" if "summary" in kind else "content_index"
            self._think(told, (kind, value.get(index)), _text(value.get("delta")))
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            self._write(told, _text(value.get("delta")))
        elif kind == "response.output_item.added" and isinstance(value.get("item"), dict):
            self._is(told, value["item"])
            if told.kind in _CALLS:
                self._open(told, value["item"])
        elif kind == "response.output_item.done" and isinstance(value.get("item"), dict):
            self._done(told, value["item"])

    def end(self, response: Json) -> None:
        """The response is done."""
        self.begin(response)
        output = _dicts(response.get("output"))
        ids = {id for item in output if (id := _text(item.get("id")))}
        streamed = tuple(self._items.values())
        for place, item in enumerate(output):
            if (told := self._of(item, place, ids, streamed)) is not None:
                self._done(told, item)
        self._writer.start()
        for told in self._items.values():
            if told.call is not None and not told.wrote and told.kind == "function_call":
                self._write(told, "{}")
        if (usage := usage_of(response)) is not None:
            self._writer.usage(usage)
        self._writer.finish(finish_of(response, self._calls > 0))
        self._writer.end()

    # --- which item ------------------------------------------------------------------------------

    def _told(self, value: Mapping[str, Any]) -> _Told:
        index = value.get("output_index")
        key = index if isinstance(index, int) else _text(value.get("item_id"))
        if key not in self._items:
            self._items[key] = _Told(len(self._items))
        told = self._items[key]
        told.id = told.id or _text(value.get("item_id"))
        return told

    def _of(
        self, item: Mapping[str, Any], place: int, ids: AbstractSet[str], streamed: Sequence[_Told]
    ) -> _Told | None:
        """Which item of the stream stands at `place` of the whole output; None where it was told as another.

        Args:
            ids: Of all items of that output.
            streamed: What was told before it.
        """
        id, kind = _text(item.get("id")), _text(item.get("type"))
        if id and (same := [told for told in self._items.values() if told.id == id]):
            return same[0]
        there = self._items.get(place)
        if there is not None and there.kind in ("", kind) and there.id not in ids:
            return there
        # Some leave items out of the whole output, or name them anew, so that places shift: what was told, and is not
        # found there under its own name, may be this one. Nothing is said twice.
        if any(told.kind == kind and (not id or told.id not in ids) for told in streamed):
            return None
        return self._told({"item_id": id or f"#{place}"})

    def _is(self, told: _Told, item: Mapping[str, Any]) -> None:
        told.kind = _text(item.get("type"))
        told.id = _text(item.get("id")) or told.id

    # --- what it says ----------------------------------------------------------------------------

    def _done(self, told: _Told, item: Json) -> None:
        self._is(told, item)
        if told.kind in _CALLS:
            self._open(told, item)
            if not told.wrote:
                self._write(told, _text(item.get("arguments")) or _text(item.get("input")))
        elif told.kind == "reasoning":
            if told.thought is None and (thought := thought_of(item)):
                self._think(told, ("whole", 0), thought)
            if not told.sealed and (sealed := _sealed(item)) is not None:
                told.sealed = True
                self._writer.encrypted(sealed["data"], key=told.number, format=FORMAT, id=sealed.get("id"))
        elif told.kind == "message":
            for place, part in enumerate(_dicts(item.get("content"))):
                self._part(told, place, part)

    def _part(self, told: _Told, place: int, part: Json) -> None:
        if told.parts.isdisjoint({("text", place), ("text", None)}):
            told.parts.add(("text", place))
            if part.get("type") == "refusal":
                self._writer.refusal(_text(part.get("refusal")))
            else:
                entries = _dicts(part.get("logprobs"))
                self._writer.text(
                    _text(part.get("text")), logprobs={"content": entries, "refusal": None} if entries else None
                )
        if told.parts.isdisjoint({("notes", place), ("notes", None)}):
            told.parts.add(("notes", place))
            for note in _dicts(part.get("annotations")):
                self._note(note)

    def _open(self, told: _Told, item: Mapping[str, Any]) -> None:
        if told.call is not None:
            return
        told.call = self._calls
        self._calls += 1
        call = _call({**item, "arguments": "", "input": ""}, f"{self._writer.id}|{told.number}")
        if "function" in call:
            call["function"]["arguments"] = ""
        self._extend({"tool_calls": [{"index": told.call, **call}]})

    def _write(self, told: _Told, text: str) -> None:
        # A call of which nothing but its arguments is told yet has no name: it waits until it is done.
        if told.call is None or not text:
            return
        told.wrote = True
        piece = {"custom": {"input": text}} if told.kind == "custom_tool_call" else {"function": {"arguments": text}}
        self._extend({"tool_calls": [{"index": told.call, **piece}]})

    def _think(self, told: _Told, paragraph: tuple[str, Any], text: str) -> None:
        # A summary and the reasoning itself: one of them is enough.
        if not text or (told.thought is not None and told.thought[0] != paragraph[0]):
            return
        if self._thought and told.thought != paragraph:
            text = f"\n\n{text}"
        told.thought = paragraph
        self._thought = True
        self._writer.reasoning(text)

    def _note(self, note: Any) -> None:
        if (told := _note(note)) is not None:
            self._extend({"annotations": [{"index": self._notes, **told}]})
            self._notes += 1

    def _extend(self, delta: Json) -> None:
        self._writer.extend(cast("Delta", delta))
