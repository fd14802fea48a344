"""Responses that are kept: what of one is kept, how it is told again, and pages of its input.

What does not live here: keeping (`flow/conversations.py`), routes (`web/`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson
from pydantic import TypeAdapter, ValidationError

from compatgw.errors import InvalidRequest
from compatgw.surfaces.base import pruned
from compatgw.surfaces.responses.stream import Writer
from compatgw.wire.responses import MARK, ORIGIN, Item, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.surfaces.base import Parsed

Json = dict[str, Any]

DONE = frozenset({"completed", "incomplete"})
"""Status of responses that can be gone on with."""
WORKING = frozenset({"queued", "in_progress"})
"""Status of responses that somebody works on."""

MOST = 100
_PAGE = 20
_PREFIXES = {
    "message": "msg", "function_call": "fc", "function_call_output": "fco", "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco", "reasoning": "rs", "local_shell_call": "lsh", "local_shell_call_output": "lsho",
}  # fmt: skip


class Kept(NamedTuple):
    """A response with what led to it.

    Attributes:
        response: As the client was told.
        inputs: The items of its own request, each with an id.
        items: The whole conversation: what came before, the input, the output.
        events: The frames of its stream, where they are kept; b"" otherwise.
        previous: Id of the response that it goes on from, of a new one.
        before: How many of `items` came before.
    """

    response: Mapping[str, Any]
    inputs: tuple[Mapping[str, Any], ...] = ()
    items: tuple[Mapping[str, Any], ...] = ()
    events: bytes = b""
    previous: str | None = None
    before: int = 0


@cache
def _items() -> TypeAdapter[Any]:
    return TypeAdapter(Item)


def entry(parsed: Parsed, response: Mapping[str, Any], *, provider: str = "", events: bytes = b"") -> Kept:
    """What is kept of a call.

    Args:
        parsed: Its request, with the conversation before it.
        response: As the client is told.
        provider: Who wrote the output, where that was passed on as it came; "" for output of our own face.
        events: As in `Kept`.
    """
    asked = parsed.asked
    inputs = tuple(_whole(item, response["id"], place) for place, item in enumerate(asked["items"]))
    said = [item for given in response["output"] if (item := _said(given, provider)) is not None]
    before = asked["before"]
    return Kept(response, inputs, (*before, *inputs, *said), events, asked["previous"] if before else None, len(before))


def _whole(item: Mapping[str, Any], word: str, place: int) -> Json:
    """An item of a request with its kind and an id, and the content of a message in parts."""
    kind = kind_of(item) or "item"
    out = {**item, "type": kind}
    if not item.get("id"):
        out["id"] = f"{_PREFIXES.get(kind, 'item')}_{MARK}{word.rpartition('_')[2]}in{place:02x}"
    if kind == "message":
        out.setdefault("status", "completed")
        if isinstance(item["content"], str):
            part: Json = {"type": "input_text", "text": item["content"]}
            if item["role"] == "assistant":
                part = {"type": "output_text", "text": item["content"], "annotations": []}
            out["content"] = [part]
    return out


def _said(item: Any, provider: str) -> Json | None:
    """An item of an answer as a request may hold it; None for one that is broken."""
    if not isinstance(item, dict):
        return None
    item = pruned(item)
    try:
        _items().validate_python(item, strict=True)
    except ValidationError:
        return None
    return {**item, ORIGIN: provider} if provider else item


def deleted(id: str) -> Json:
    """What is told of a response that was deleted."""
    return {"id": id, "object": "response", "deleted": True}


# --- its input, page by page -----------------------------------------------------------------


def page(inputs: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> Json:
    """A page of the input items.

    Args:
        query: `limit` (1 to 100, default 20), `order` (`desc`, the default, or `asc`), `after` (an item's id).

    Raises:
        InvalidRequest: One of them has another value.
    """
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest("'order' must be 'asc' or 'desc'.", param="order")
    limit = _number(query.get("limit", str(_PAGE)), "limit", 1, MOST)
    items = [*inputs] if order == "asc" else [*reversed(inputs)]
    if (after := query.get("after")) is not None:
        place = next((place for place, item in enumerate(items) if item["id"] == after), None)
        if place is None:
            raise InvalidRequest("'after' must be the id of one of the items.", param="after")
        items = items[place + 1 :]
    found = items[:limit]
    return {
        "object": "list",
        "data": found,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": len(items) > len(found),
    }


def starting_after(query: Mapping[str, str]) -> int:
    """The number of the last event that the client has, -1 for none.

    Raises:
        InvalidRequest: It is no number.
    """
    value = query.get("starting_after")
    return -1 if value is None else _number(value, "starting_after", 0, 2**53)


def streams(query: Mapping[str, str]) -> bool:
    """Whether a response is retrieved as a stream.

    Raises:
        InvalidRequest: `stream` is neither `true` nor `false`.
    """
    value = query.get("stream", "false").lower()
    if value not in ("true", "false"):
        raise InvalidRequest("'stream' must be true or false.", param="stream")
    return value == "true"


def _number(value: str, name: str, least: int, most: int) -> int:
    fits = value.isascii() and value.isdigit() and len(value) <= len(str(most))
    number = int(value) if fits else -1
    if not least <= number <= most:
        raise InvalidRequest(f"'{name}' must be a whole number from {least} to {most}.", param=name)
    return number


# --- its events, again -----------------------------------------------------------------------


def replay(kept: Kept, after: int = -1) -> bytes:
    """The stream of a response that is over, from behind event `after`.

    Where its events were kept, these; else what they would be if each text came at once: always the same.
    """
    if kept.events:
        frames = [frame + b"\n\n" for frame in kept.events.split(b"\n\n") if frame]
        return b"".join(frame for frame in frames if number_of(frame) > after)
    response = kept.response
    writer = Writer(after=after)
    begun = {
        **response,
        "status": "in_progress",
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }
    writer.write("response.created", {"response": begun})
    writer.write("response.in_progress", {"response": begun})
    for index, item in enumerate(response["output"]):
        _again(writer, index, item)
    # A stream has no event for a response that was cancelled: it is told as what it is, a response that ended.
    status = response["status"] if response["status"] in DONE else "failed"
    writer.write(f"response.{status}", {"response": response})
    return writer.take()


def number_of(frame: bytes) -> int:
    """`sequence_number` of a frame, -1 where it has none."""
    data = frame.partition(b"data: ")[2]
    try:
        number = cast("Json", orjson.loads(data)).get("sequence_number")
    except (orjson.JSONDecodeError, AttributeError):
        return -1
    return number if isinstance(number, int) else -1


def _again(writer: Writer, index: int, item: Mapping[str, Any]) -> None:
    kind, empty = item.get("type"), dict(item)
    if "status" in empty:
        empty["status"] = "in_progress"
    at = {"item_id": item.get("id"), "output_index": index}
    member, name = _TEXTS.get(str(kind), ("", ""))
    if kind == "message":
        empty["content"] = []
    elif kind == "reasoning":
        empty["summary"] = []
        empty.pop("encrypted_content", None)
    elif member:
        empty[member] = ""
    writer.write("response.output_item.added", {"output_index": index, "item": empty})
    if kind == "message":
        for number, part in enumerate(item["content"]):
            _part(writer, {**at, "content_index": number}, part)
    elif kind == "reasoning":
        for number, part in enumerate(item.get("summary") or ()):
            _paragraph(writer, {**at, "summary_index": number}, part)
    elif member:
        if item[member]:
            writer.write(f"{name}.delta", {**at, "delta": item[member]})
        writer.write(f"{name}.done", {**at, member: item[member]})
    writer.write("response.output_item.done", {"output_index": index, "item": item})


_TEXTS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}


def _part(writer: Writer, at: Json, part: Mapping[str, Any]) -> None:
    if part["type"] == "refusal":
        writer.write("response.content_part.added", {**at, "part": {**part, "refusal": ""}})
        if part["refusal"]:
            writer.write("response.refusal.delta", {**at, "delta": part["refusal"]})
        writer.write("response.refusal.done", {**at, "refusal": part["refusal"]})
    else:
        logprobs = part.get("logprobs") or []
        empty = {**part, "text": "", "annotations": [], "logprobs": []}
        writer.write("response.content_part.added", {**at, "part": empty})
        if part["text"]:
            writer.write("response.output_text.delta", {**at, "delta": part["text"], "logprobs": logprobs})
        for number, note in enumerate(part.get("annotations") or ()):
            here = {**at, "annotation_index": number, "annotation": note}
            writer.write("response.output_text.annotation.added", here)
        writer.write("response.output_text.done", {**at, "text": part["text"], "logprobs": logprobs})
    writer.write("response.content_part.done", {**at, "part": part})


def _paragraph(writer: Writer, at: Json, part: Mapping[str, Any]) -> None:
    writer.write("response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}})
    if part["text"]:
        writer.write("response.reasoning_summary_text.delta", {**at, "delta": part["text"]})
    writer.write("response.reasoning_summary_text.done", {**at, "text": part["text"]})
    writer.write("response.reasoning_summary_part.done", {**at, "part": part})
