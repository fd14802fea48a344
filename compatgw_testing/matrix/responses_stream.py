"""The grammar of OpenAI's Responses: what a response holds, and which events may follow which.

Written from the vendor's documents and checked strictly: what an SDK forgives is noted all the
same. What does not live here: requests (`responses.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.matrix.asked import SeenCall
from compatgw_testing.matrix.reading import check_call, check_texts, count, error, events, expect_type, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw_testing.matrix.asked import Seen
    from compatgw_testing.matrix.reading import Event, Json

_CUTS = {"max_output_tokens": "length", "content_filter": "content_filter"}
_TERMINAL = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
# What grows by deltas: the events of each, the list of parts that holds it, the member of the events that counts it,
# and its own member.
_GROWING: dict[str, tuple[str, str, str]] = {
    "response.output_text": ("content", "content_index", "text"),
    "response.refusal": ("content", "content_index", "refusal"),
    "response.reasoning_text": ("content", "content_index", "text"),
    "response.reasoning_summary_text": ("summary", "summary_index", "text"),
}
_PARTS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text", "summary_text": "text"}
_KINDS = {
    "response.output_text": "output_text",
    "response.refusal": "refusal",
    "response.reasoning_text": "reasoning_text",
    "response.reasoning_summary_text": "summary_text",
}


class Stream:
    """Reads one stream."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.number = 0
        self.id: object = None
        self.items: list[Json] = []
        self.done: list[Json] = []
        self.open_part: int | None = None
        self.over = ""
        self.marked = False

    def read(self) -> None:
        """All of it."""
        seen = self.seen
        expect_type(seen, "text/event-stream")
        for event in events(seen):
            if event.data == "[DONE]" and self.over and not self.marked:
                # Not among the events, though some servers write it, and clients do not mind.
                self.marked = True
                continue
            self._event(event)
        if seen.error is not None:
            seen.ended = "error"
        elif self.over:
            seen.ended = "whole"
        if seen.ended != "whole":
            # What had come is all that a client has.
            _said_in(self.items, seen)

    def _event(self, event: Event) -> None:
        seen, data = self.seen, parsed(event.data)
        if not isinstance(data, dict):
            seen.problems.append(f"an event is no JSON object: {event.data[:100]!r}")
            return
        kind = str(data.get("type"))
        if event.name != kind:
            seen.problems.append(f"the event {event.name!r} says that it is of type {kind!r}")
        if data.get("sequence_number") != self.number:
            seen.problems.append(f"{kind} has the number {data.get('sequence_number')!r}, not {self.number}")
        self.number += 1
        # A server may tell an error and then, once, how that left the response.
        if self.over and not (self.over == "error" and kind == "response.failed"):
            seen.problems.append(f"after {self.over} came {kind}")
            return
        if kind == "error":
            self.over = kind
            seen.error = error(data, seen)
            return
        self._told(kind, data)

    def _told(self, kind: str, data: Json) -> None:
        seen = self.seen
        if kind in ("response.created", "response.in_progress") or kind in _TERMINAL:
            self._response(kind, data.get("response"))
            return
        if self.number < 3:
            seen.problems.append(f"{kind} came before response.created and response.in_progress")
        steps: dict[str, Callable[[Json], None]] = {
            "response.output_item.added": self._added,
            "response.output_item.done": self._item_done,
            "response.content_part.added": lambda one: self._part_added(one, "content"),
            "response.content_part.done": lambda one: self._part_done(one, "content"),
            "response.reasoning_summary_part.added": lambda one: self._part_added(one, "summary"),
            "response.reasoning_summary_part.done": lambda one: self._part_done(one, "summary"),
            "response.output_text.annotation.added": self._annotated,
            "response.function_call_arguments.delta": self._argued,
            "response.function_call_arguments.done": self._arguments_done,
        }
        stem, _, verb = kind.rpartition(".")
        if kind in steps:
            steps[kind](data)
        elif stem in _GROWING and verb in ("delta", "done"):
            self._grown(stem, verb, data)
        else:
            seen.problems.append(f"there is no event {kind!r}")

    # The response.

    def _response(self, kind: str, response: object) -> None:
        seen = self.seen
        if not isinstance(response, dict):
            seen.problems.append(f"{kind} has the response {response!r}")
            return
        check_response(response, seen)
        self.id = response.get("id") if self.id is None else self.id
        if response.get("id") != self.id:
            seen.problems.append(f"the id of the response changes to {response.get('id')!r}")
        wanted = _TERMINAL.get(kind, "in_progress")
        if response.get("status") != wanted:
            seen.problems.append(f"{kind} has the status {response.get('status')!r}")
        if kind not in _TERMINAL:
            if self.number != (1 if kind == "response.created" else 2):
                seen.problems.append(f"{kind} is event {self.number}")
            if response.get("output") != []:
                seen.problems.append(f"{kind} has the output {response.get('output')!r}")
            return
        if self.number < 2:
            seen.problems.append(f"{kind} came before response.created")
        self.over = kind
        if kind == "response.failed":
            seen.error = seen.error or error(response.get("error"), seen)
            return
        if len(self.done) < len(self.items):
            seen.problems.append(f"{kind} came before item {len(self.done)} was done")
        if response.get("output") != self.done:
            seen.problems.append(f"{kind} has the output {response.get('output')!r}, the items were {self.done!r}")
        finished(response, seen)

    # Items.

    def _added(self, data: Json) -> None:
        seen, item = self.seen, data.get("item")
        if len(self.done) < len(self.items):
            seen.problems.append(f"item {len(self.items)} begins before the one before it is done")
        if data.get("output_index") != len(self.items):
            seen.problems.append(f"item {len(self.items)} has the index {data.get('output_index')!r}")
        if not isinstance(item, dict):
            seen.problems.append(f"an item is {item!r}")
            item = {}
        _check_item(item, seen)
        if any(one.get("id") == item.get("id") for one in self.items):
            seen.problems.append(f"two items have the id {item.get('id')!r}")
        for name, empty in (("content", []), ("summary", []), ("arguments", "")):
            if item.get(name) not in (None, empty):
                seen.problems.append(f"an item begins with {name} {item.get(name)!r}")
        if item.get("type") != "reasoning" and item.get("status") != "in_progress":
            seen.problems.append(f"an item begins with the status {item.get('status')!r}")
        self.items.append({**item, "content": [], "summary": [], "arguments": ""})
        self.open_part = None

    def _item_done(self, data: Json) -> None:
        seen, item = self.seen, data.get("item")
        held = self._open(data, at="output_item.done", named=False)
        if not isinstance(item, dict):
            seen.problems.append(f"an item is {item!r}")
            return
        _check_item(item, seen)
        if self.open_part is not None:
            seen.problems.append(f"item {data.get('output_index')!r} is done before its part {self.open_part}")
        for name in ("id", "type", "call_id", "name", "role"):
            if item.get(name) != held.get(name):
                seen.problems.append(f"{name} of an item changes from {held.get(name)!r} to {item.get(name)!r}")
        said = {name: _texts(item, name) for name in ("content", "summary")}
        for name, texts in said.items():
            if texts != _texts(held, name):
                seen.problems.append(f"{name} of an item is {texts!r}, its events said {_texts(held, name)!r}")
        if item.get("arguments", "") != held.get("arguments", ""):
            seen.problems.append(f"a call is done with {item.get('arguments')!r}, its events said {held!r}")
        if item.get("type") != "reasoning" and item.get("status") not in ("completed", "incomplete"):
            seen.problems.append(f"an item is done with the status {item.get('status')!r}")
        self.done.append(item)

    def _open(self, data: Json, at: str, *, named: bool = True) -> Json:
        """The item that these events are of: the last that began, and is not done."""
        index = data.get("output_index")
        if index != len(self.items) - 1 or len(self.done) == len(self.items):
            self.seen.problems.append(f"{at} is for item {index!r}, which is not open")
            return {}
        item = self.items[-1]
        if named and data.get("item_id") != item.get("id"):
            self.seen.problems.append(f"{at} has item_id {data.get('item_id')!r}, the item is {item.get('id')!r}")
        return item

    # Parts, and what grows in them.

    def _part_added(self, data: Json, held: str) -> None:
        seen, part = self.seen, data.get("part")
        item, index = self._open(data, f"{held} part added"), data.get(f"{held}_index")
        if self.open_part is not None:
            seen.problems.append(f"part {index!r} begins before part {self.open_part} is done")
        parts = item.setdefault(held, [])
        if index != len(parts):
            seen.problems.append(f"part {len(parts)} of an item has the index {index!r}")
        if not isinstance(part, dict) or part.get(_PARTS.get(str(part.get("type")), "?")) != "":
            seen.problems.append(f"a part begins as {part!r}")
            part = {"type": "output_text", "text": ""}
        _check_part(part, seen)
        parts.append({**part, **({"annotations": []} if "annotations" in part else {})})
        self.open_part = len(parts) - 1

    def _part(self, data: Json, held: str, at: str) -> Json:
        item, index = self._open(data, at), data.get(f"{held}_index")
        parts = item.get(held) or []
        if index != self.open_part or index != len(parts) - 1:
            self.seen.problems.append(f"{at} is for part {index!r}, which is not open")
            return {}
        part: Json = parts[-1]
        return part

    def _part_done(self, data: Json, held: str) -> None:
        part, given = self._part(data, held, f"{held} part done"), data.get("part")
        if not part:
            return
        member = _PARTS.get(str(part.get("type")), "?")
        same = isinstance(given, dict) and all(given.get(name) == part.get(name) for name in ("type", member))
        if not isinstance(given, dict) or not same:
            self.seen.problems.append(f"a part is done as {given!r}, its events said {part!r}")
        elif (given.get("annotations") or []) != (part.get("annotations") or []):
            self.seen.problems.append(f"a part is done with other annotations than its events had: {given!r}")
        else:
            _check_part(given, self.seen)
        if "whole" not in part:
            self.seen.problems.append(f"a part is done before its {member}")
        self.open_part = None

    def _grown(self, stem: str, verb: str, data: Json) -> None:
        seen, (held, index, member) = self.seen, _GROWING[stem]
        at = f"{stem}.{verb}"
        part = self._part({**data, f"{held}_index": data.get(index)}, held, at)
        if not part:
            return
        if part.get("type") != _KINDS[stem] or "whole" in part:
            seen.problems.append(f"{at} came for a part {part!r}")
        if stem == "response.output_text" and not isinstance(data.get("logprobs"), list):
            seen.problems.append(f"{at} has logprobs {data.get('logprobs')!r}")
        if verb == "done":
            if data.get(member) != part[member]:
                seen.problems.append(f"{at} says {data.get(member)!r}, its deltas said {part[member]!r}")
            part["whole"] = True
        elif isinstance(data.get("delta"), str):
            part[member] += data["delta"]
        else:
            seen.problems.append(f"{at} has the delta {data.get('delta')!r}")

    def _annotated(self, data: Json) -> None:
        part = self._part(data, "content", "annotation.added")
        notes = part.setdefault("annotations", [])
        if data.get("annotation_index") != len(notes) or not isinstance(data.get("annotation"), dict):
            self.seen.problems.append(f"annotation {len(notes)} is {data!r}")
        notes.append(data.get("annotation"))

    def _argued(self, data: Json) -> None:
        item = self._open(data, "function_call_arguments.delta")
        if item.get("type") != "function_call" or not isinstance(data.get("delta"), str) or "whole" in item:
            self.seen.problems.append(f"arguments {data.get('delta')!r} came for {item!r}")
            return
        item["arguments"] += data["delta"]

    def _arguments_done(self, data: Json) -> None:
        item = self._open(data, "function_call_arguments.done")
        if data.get("arguments") != item.get("arguments") or "whole" in item:
            self.seen.problems.append(f"arguments are done as {data.get('arguments')!r}, they were {item!r}")
        item["whole"] = True


def check_response(value: Json, seen: Seen) -> None:
    """What every response has."""
    if value.get("object") != "response":
        seen.problems.append(f"object is {value.get('object')!r}, not 'response'")
    check_texts(value, ("id", "model"), seen)
    if not isinstance(value.get("created_at"), int | float):
        seen.problems.append(f"created_at is {value.get('created_at')!r}")
    for name, wanted in (("output", list), ("tools", list), ("parallel_tool_calls", bool)):
        if not isinstance(value.get(name), wanted):
            seen.problems.append(f"{name} of the response is {value.get(name)!r}")
    for name in ("tool_choice", "error", "incomplete_details"):
        if name not in value:
            seen.problems.append(f"the response has no {name}")


def finished(response: Json, seen: Seen) -> None:
    """Fills in what a response that ended says; a client keeps its items."""
    output = [one for one in response.get("output") or () if isinstance(one, dict)]
    for item in output:
        _check_item(item, seen)
        if item.get("type") == "function_call":
            _called(item, seen)
    _said_in(output, seen)
    seen.id, seen.kept = str(response.get("id")), output
    details: Any = response.get("incomplete_details") or {}
    if response.get("status") == "incomplete":
        seen.finish = _CUTS.get(details.get("reason"), str(details.get("reason")))
        if details.get("reason") not in _CUTS:
            seen.problems.append(f"incomplete_details is {details!r}")
    else:
        seen.finish = "tool_calls" if seen.calls else "stop"
        if details:
            seen.problems.append(f"a complete response has incomplete_details {details!r}")
    _usage(response.get("usage"), seen)


def _called(item: Json, seen: Seen) -> None:
    call = SeenCall(
        id=str(item.get("call_id") or ""), name=str(item.get("name") or ""), arguments=str(item.get("arguments"))
    )
    seen.calls.append(call)
    check_call(call, seen)


def _said_in(items: list[Json], seen: Seen) -> None:
    """Words, thought and refusals of these items."""
    found: dict[str, list[str]] = {"text": [], "refusal": [], "reasoning": []}
    for item in items:
        if item.get("type") == "message":
            for part in item.get("content") or ():
                held = "text" if part.get("type") == "output_text" else "refusal"
                found[held].append(str(part.get(held) or ""))
        elif item.get("type") == "reasoning":
            # The thought itself, where it is shown, and its summary else.
            texts = _texts(item, "content") or _texts(item, "summary")
            found["reasoning"] += texts
    for held, texts in found.items():
        if texts:
            setattr(seen, held, "".join(texts))


def _check_item(item: Json, seen: Seen) -> None:
    kind = item.get("type")
    check_texts(item, ("id",), seen, "of an item ")
    if kind == "message":
        if item.get("role") != "assistant" or not isinstance(item.get("content"), list):
            seen.problems.append(f"a message is {item!r}")
        for part in item.get("content") or ():
            _check_part(part, seen)
    elif kind == "function_call":
        check_texts(item, ("call_id", "name"), seen, "of a call ")
        if not isinstance(item.get("arguments"), str):
            seen.problems.append(f"a call has the arguments {item.get('arguments')!r}")
    elif kind == "reasoning":
        if not isinstance(item.get("summary"), list):
            seen.problems.append(f"thought has the summary {item.get('summary')!r}")
    else:
        seen.problems.append(f"an item has the type {kind!r}")


def _check_part(part: Json, seen: Seen) -> None:
    kind = str(part.get("type"))
    if kind not in _PARTS or not isinstance(part.get(_PARTS[kind]), str):
        seen.problems.append(f"a part is {part!r}")
    if kind == "output_text" and not isinstance(part.get("annotations"), list):
        seen.problems.append(f"a text has the annotations {part.get('annotations')!r}")


def _texts(item: Json, held: str) -> list[str]:
    parts = item.get(held) or ()
    return [str(one.get(_PARTS.get(str(one.get("type")), "?"))) for one in parts if isinstance(one, dict)]


def _usage(given: object, seen: Seen) -> None:
    if not isinstance(given, dict):
        seen.problems.append(f"usage is {given!r}")
        return
    counts = [count(given.get(name)) for name in ("input_tokens", "output_tokens", "total_tokens")]
    if counts[0] is None or counts[1] is None or counts[0] + counts[1] != counts[2]:
        seen.problems.append(f"usage does not add up: {given!r}")
        return
    seen.usage = {"input": counts[0], "output": counts[1]}
    for name, part, member in (
        ("cached", "input_tokens_details", "cached_tokens"),
        ("cache_write", "input_tokens_details", "cache_write_tokens"),
        ("reasoning", "output_tokens_details", "reasoning_tokens"),
    ):
        if (value := count((given.get(part) or {}).get(member))) is not None:
            seen.usage[name] = value
        elif name != "cache_write":
            seen.problems.append(f"usage has no {part}.{member}")
