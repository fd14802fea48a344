"""Output items out of the hub's deltas, and the events that tell of them as they grow.

    response.output_item.added   one item after the other, `output_index` in order
        ... its parts and their deltas, each begun, filled and done ...
    response.output_item.done

Items never overlap. Upstreams may write several calls at one time: the first is told as it comes, pieces of
the others wait until its arguments are a whole object, or the answer is over. Reasoning that has no text, such
as signatures, stands in an item of its own before what it belongs to.

What does not live here: the response around the items (`answer.py`, `face.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.surfaces.responses import thoughts
from compatgw.surfaces.responses.tools import SHELL, command_of, text_of
from compatgw.wire.responses import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.surfaces.responses.tools import Name, Toolbox

Json = dict[str, Any]

_CITATIONS: Mapping[str, Mapping[str, Any]] = {
    "url_citation": {"start_index": 0, "end_index": 0, "title": "", "url": ""},
    "file_citation": {"file_id": "", "filename": "", "index": 0},
    "container_file_citation": {
        "container_id": "", "file_id": "", "filename": "", "start_index": 0, "end_index": 0,
    },
    "file_path": {"file_id": "", "index": 0},
}  # fmt: skip


class Writer:
    """Frames of the events of one stream, numbered from 0.

    Args:
        mute: Nothing is written: only the items count.
        after: Events up to this number are only counted.
    """

    __slots__ = ("_after", "_mute", "_out", "count")

    def __init__(self, *, mute: bool = False, after: int = -1) -> None:
        self._mute = mute
        self._after = after
        self._out: list[bytes] = []
        self.count = 0

    def write(self, kind: str, members: Mapping[str, Any]) -> None:
        """One event."""
        if self._mute:
            return
        if self.count > self._after:
            data = orjson.dumps({"type": kind, "sequence_number": self.count, **members})
            self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))
        self.count += 1

    def take(self) -> bytes:
        """The frames since the last call."""
        out, self._out = self._out, []
        return b"".join(out)


class Teller:
    """Tells one answer.

    Args:
        writer: Takes the events.
        word: What ids of items are made from.
        names: Under which tools were sent.
        thinks: Reasoning is told at all.

    Attributes:
        output: The items that are done.
    """

    __slots__ = ("_details", "_extra", "_head", "_later", "_names", "_thinks", "_word", "output", "writer")

    def __init__(self, writer: Writer, word: str, names: Toolbox, *, thinks: bool = True) -> None:
        self.writer = writer
        self.output: list[Json] = []
        self._word = word
        self._names = names
        self._thinks = thinks
        self._head: _Reasoning | _Message | _Call | None = None
        # What waits for the head, in order: whose it is, and what it says.
        self._later: list[tuple[object, Any]] = []
        self._details = thoughts.Details()
        self._extra: Json = {}

    def delta(self, delta: Mapping[str, Any], logprobs: Any = None) -> None:
        """Takes what a chunk, or a whole message, says."""
        # Nearly all chunks are this.
        if logprobs is None and len(delta) == 1 and (text := delta.get("content")):
            self._say("message", ("text", text, []))
            return
        if self._thinks:
            if text := delta.get("reasoning_content") or delta.get("reasoning"):
                self._say("reasoning", text)
            self._details.add(delta.get("reasoning_details") or ())
            if isinstance(delta.get("extra_content"), dict):
                self._extra = {**self._extra, "extra": {**self._extra.get("extra", {}), **delta["extra_content"]}}
        text = delta.get("content")
        shown = _logprobs(logprobs)
        if text or shown:
            self._say("message", ("text", text or "", shown))
        if refusal := delta.get("refusal"):
            self._say("message", ("refusal", refusal, []))
        for annotation in delta.get("annotations") or ():
            if (told := _annotation(annotation)) is not None:
                self._say("message", ("annotation", told, []))
        for place, call in enumerate(delta.get("tool_calls") or ()):
            self._say(call.get("index", place), call)
        for image in delta.get("images") or ():
            self._say(object(), image)

    def finish(self, *, cut: bool = False) -> None:
        """The answer is over.

        Args:
            cut: The last item is not whole.
        """
        while self._later:
            key, said = self._later.pop(0)
            if self._head is None or self._head.key != key:
                self._close()
                self._open(key, said)
            else:
                self._head.add(said, self.writer)
            if not isinstance(key, str):
                own = [one for of, one in self._later if of == key]
                self._later = [one for one in self._later if one[0] != key]
                for one in own:
                    self._goes_on(one)
        self._close("incomplete" if cut else "completed")
        self._seal()

    # --- one after the other ---------------------------------------------------------------------

    def _say(self, key: object, said: Any) -> None:
        head = self._head
        if head is not None and head.key == key:
            head.add(said, self.writer)
        elif self._later or (head is not None and not head.whole):
            self._later.append((key, said))
            if head is None or head.whole:
                self._drain()
        else:
            self._close()
            self._open(key, said)

    def _drain(self) -> None:
        """Tells what waited, as far as it goes."""
        moved = True
        while moved and self._later:
            moved = False
            waiting, self._later = self._later, []
            for key, said in waiting:
                head = self._head
                if head is not None and head.key == key:
                    head.add(said, self.writer)
                    moved = True
                elif self._later or (head is not None and not head.whole):
                    self._later.append((key, said))
                else:
                    self._close()
                    self._open(key, said)
                    moved = True

    def _goes_on(self, said: Any) -> None:
        if self._head is not None:
            self._head.add(said, self.writer)

    def _open(self, key: object, said: Any) -> None:
        if key == "reasoning":
            self._head = _Reasoning(self._id("rs"), len(self.output), self.writer)
        elif key == "message":
            self._seal()
            self._head = _Message(self._id("msg"), len(self.output), self.writer)
        elif isinstance(key, int):
            extra, id = said.get("extra_content"), said.get("id") or ""
            if extra and self._thinks:
                self._extra = {**self._extra, "calls": {**self._extra.get("calls", {}), id: extra}}
            self._seal()
            self._head = self._call(key, said, id)
        else:
            self._seal()
            self._image(said)
            return
        self._head.add(said, self.writer)

    def _call(self, key: int, said: Mapping[str, Any], id: str) -> _Call:
        custom = said.get("custom")
        inner = custom if isinstance(custom, dict) else said.get("function") or {}
        name = self._names.own(inner.get("name") or "")
        if isinstance(custom, dict):
            name = name._replace(kind="custom")
        prefix = {"custom": "ctc", SHELL: "lsh"}.get(name.kind, "fc")
        call = _Call(key, self._id(prefix), len(self.output), id, name, raw=isinstance(custom, dict))
        call.begin(self.writer)
        return call

    def _close(self, status: str = "completed") -> None:
        head, self._head = self._head, None
        if head is None:
            return
        secret = self._held() if isinstance(head, _Reasoning) else None
        item = head.done(status, self.writer, secret)
        self.output.append(item)

    def _seal(self) -> None:
        """What is held although no reasoning is being told goes into an item of its own."""
        if not self._thinks or not (self._details or self._extra):
            return
        item = _Reasoning(self._id("rs"), len(self.output), self.writer)
        self.output.append(item.done("completed", self.writer, self._held()))

    def _held(self) -> str | None:
        held, self._extra = {"details": self._details.take(), **self._extra}, {}
        return thoughts.sealed(held) if held["details"] or len(held) > 1 else None

    def _image(self, image: Any) -> None:
        url = image.get("image_url", {}).get("url", "") if isinstance(image, dict) else ""
        if not isinstance(url, str) or not url.startswith("data:"):
            if isinstance(url, str) and url:
                self._say("message", ("text", f"![image]({url})", []))
            return
        item = {"id": self._id("ig"), "type": "image_generation_call", "status": "in_progress", "result": None}
        at = {"output_index": len(self.output)}
        self.writer.write("response.output_item.added", {**at, "item": item})
        done = {**item, "status": "completed", "result": url.partition(",")[2]}
        self.writer.write("response.output_item.done", {**at, "item": done})
        self.output.append(done)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{MARK}{self._word}{len(self.output):02x}"


# --- items -----------------------------------------------------------------------------------


class _Reasoning:
    """Reasoning as one paragraph of a summary, or none."""

    __slots__ = ("_at", "_id", "_text")
    key: object = "reasoning"
    whole = True

    def __init__(self, id: str, index: int, writer: Writer) -> None:
        self._id = id
        self._at = {"item_id": id, "output_index": index, "summary_index": 0}
        self._text: list[str] = []
        item = {"id": id, "type": "reasoning", "summary": []}
        writer.write("response.output_item.added", {"output_index": index, "item": item})

    def add(self, text: str, writer: Writer) -> None:
        if not self._text:
            part = {"type": "summary_text", "text": ""}
            writer.write("response.reasoning_summary_part.added", {**self._at, "part": part})
        self._text.append(text)
        writer.write("response.reasoning_summary_text.delta", {**self._at, "delta": text})

    def done(self, _status: str, writer: Writer, secret: str | None) -> Json:
        item: Json = {"id": self._id, "type": "reasoning", "summary": []}
        if self._text:
            text = "".join(self._text)
            part = {"type": "summary_text", "text": text}
            writer.write("response.reasoning_summary_text.done", {**self._at, "text": text})
            writer.write("response.reasoning_summary_part.done", {**self._at, "part": part})
            item["summary"] = [part]
        if secret is not None:
            item["encrypted_content"] = secret
        writer.write("response.output_item.done", {"output_index": self._at["output_index"], "item": item})
        return item


class _Message:
    """Text and refusals, each a part."""

    __slots__ = ("_content", "_id", "_index", "_kind", "_logprobs", "_notes", "_text")
    key: object = "message"
    whole = True

    def __init__(self, id: str, index: int, writer: Writer) -> None:
        self._id = id
        self._index = index
        self._content: list[Json] = []
        self._kind = ""
        self._text: list[str] = []
        self._notes: list[Json] = []
        self._logprobs: list[Json] = []
        item = self._item("in_progress")
        writer.write("response.output_item.added", {"output_index": index, "item": item})

    def add(self, said: tuple[str, Any, list[Json]], writer: Writer) -> None:
        kind, value, logprobs = said
        if kind == "annotation":
            if self._kind != "text":
                self._begin("text", writer)
            at = {**self._at(), "annotation_index": len(self._notes)}
            self._notes.append(value)
            writer.write("response.output_text.annotation.added", {**at, "annotation": value})
            return
        if self._kind != kind:
            self._begin(kind, writer)
        self._text.append(value)
        if kind == "text":
            self._logprobs += logprobs
            writer.write("response.output_text.delta", {**self._at(), "delta": value, "logprobs": logprobs})
        else:
            writer.write("response.refusal.delta", {**self._at(), "delta": value})

    def done(self, status: str, writer: Writer, _secret: str | None) -> Json:
        self._end(writer)
        item = self._item(status)
        writer.write("response.output_item.done", {"output_index": self._index, "item": item})
        return item

    def _at(self) -> Json:
        return {"item_id": self._id, "output_index": self._index, "content_index": len(self._content)}

    def _item(self, status: str) -> Json:
        return {
            "id": self._id, "type": "message", "status": status, "role": "assistant", "content": list(self._content),
        }  # fmt: skip

    def _part(self, text: str) -> Json:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": list(self._notes), "logprobs": list(self._logprobs)}

    def _begin(self, kind: str, writer: Writer) -> None:
        self._end(writer)
        self._kind = kind
        writer.write("response.content_part.added", {**self._at(), "part": self._part("")})

    def _end(self, writer: Writer) -> None:
        if not self._kind:
            return
        at, text = self._at(), "".join(self._text)
        if self._kind == "text":
            writer.write("response.output_text.done", {**at, "text": text, "logprobs": list(self._logprobs)})
        else:
            writer.write("response.refusal.done", {**at, "refusal": text})
        part = self._part(text)
        writer.write("response.content_part.done", {**at, "part": part})
        self._content.append(part)
        self._kind, self._text, self._notes, self._logprobs = "", [], [], []


class _Call:
    """A call of a tool that the caller runs."""

    __slots__ = ("_call_id", "_checked", "_id", "_index", "_name", "_raw", "_text", "_whole", "key")

    def __init__(self, key: int, id: str, index: int, call_id: str, name: Name, *, raw: bool) -> None:
        self.key: object = key
        self._id = id
        self._index = index
        self._call_id = call_id
        self._name = name
        # The upstream knows custom tools itself: the text is no JSON.
        self._raw = raw
        self._text: list[str] = []
        self._checked = 0
        self._whole = False

    @property
    def whole(self) -> bool:
        """True when the arguments are an object: nothing can follow."""
        if not self._whole and self._checked != len(self._text) and not self._raw:
            self._checked = len(self._text)
            text = "".join(self._text)
            self._text = [text]
            self._checked = 1
            self._whole = text.rstrip().endswith("}") and _is_object(text)
        return self._whole

    def begin(self, writer: Writer) -> None:
        # What a shell is to run is only known when all of it is.
        if self._name.kind != SHELL:
            writer.write(
                "response.output_item.added", {"output_index": self._index, "item": self._item("in_progress", "")}
            )

    def add(self, said: Mapping[str, Any], writer: Writer) -> None:
        inner = said.get("custom") or said.get("function") or {}
        text = inner.get("input" if self._raw else "arguments") or ""
        if not text:
            return
        self._text.append(text)
        if self._name.kind == "function":
            at = {"item_id": self._id, "output_index": self._index}
            writer.write("response.function_call_arguments.delta", {**at, "delta": text})
        elif self._raw:
            at = {"item_id": self._id, "output_index": self._index}
            writer.write("response.custom_tool_call_input.delta", {**at, "delta": text})

    def done(self, status: str, writer: Writer, _secret: str | None) -> Json:
        text = "".join(self._text)
        at = {"item_id": self._id, "output_index": self._index}
        if self._name.kind == "custom":
            if not self._raw:
                text = text_of(text)
                if text:
                    writer.write("response.custom_tool_call_input.delta", {**at, "delta": text})
            writer.write("response.custom_tool_call_input.done", {**at, "input": text})
        elif self._name.kind == SHELL:
            return self._shell(status, text, writer)
        else:
            writer.write("response.function_call_arguments.done", {**at, "arguments": text})
        item = self._item(status, text)
        writer.write("response.output_item.done", {"output_index": self._index, "item": item})
        return item

    def _shell(self, status: str, text: str, writer: Writer) -> Json:
        action = command_of(text)
        if action is None:
            # No command: the caller has to see what the model wrote.
            self._name = self._name._replace(kind="function")
            self._id = f"fc_{self._id.partition('_')[2]}"
            self.begin(writer)
            if text:
                at = {"item_id": self._id, "output_index": self._index}
                writer.write("response.function_call_arguments.delta", {**at, "delta": text})
            return self.done(status, writer, None)
        item = {
            "id": self._id, "type": "local_shell_call", "status": "in_progress", "call_id": self._call_id,
            "action": action,
        }  # fmt: skip
        writer.write("response.output_item.added", {"output_index": self._index, "item": item})
        done = {**item, "status": status}
        writer.write("response.output_item.done", {"output_index": self._index, "item": done})
        return done

    def _item(self, status: str, text: str) -> Json:
        custom = self._name.kind == "custom"
        item: Json = {
            "id": self._id,
            "type": "custom_tool_call" if custom else "function_call",
            "status": status,
            "call_id": self._call_id,
            "name": self._name.name,
            "input" if custom else "arguments": text,
        }
        if self._name.namespace is not None:
            item["namespace"] = self._name.namespace
        return item


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _annotation(given: Any) -> Json | None:
    """A chat's annotation as this protocol has it, None for one that it does not know."""
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind not in _CITATIONS:
        return None
    inner = given.get(kind)
    members = inner if isinstance(inner, dict) else given
    found = {name: members.get(name) for name in _CITATIONS[kind] if members.get(name) is not None}
    return {"type": kind, **_CITATIONS[kind], **found}


def _logprobs(given: Any) -> list[Json]:
    entries: Sequence[Any] = (given.get("content") or ()) if isinstance(given, dict) else ()
    return [_logprob(entry, top=True) for entry in entries if isinstance(entry, dict)]


def _logprob(entry: Mapping[str, Any], *, top: bool = False) -> Json:
    token = str(entry.get("token") or "")
    raw = entry.get("bytes")
    out: Json = {
        "token": token,
        "bytes": raw if isinstance(raw, list) else list(token.encode("utf-8", "replace")),
        "logprob": entry.get("logprob"),
    }
    if top:
        others = entry.get("top_logprobs")
        out["top_logprobs"] = [_logprob(one) for one in (others or ()) if isinstance(one, dict)]
    return out
