"""The items of a conversation become the hub's messages.

What the assistant thinks, says and calls stands in several items and in one message of the hub: reasoning
opens it, calls close it, and a text between calls and their results goes with them. Reasoning that leads to
nothing goes with the message before it, or away.

What does not live here: the rest of a request (`request.py`), what is inside of `encrypted_content` (`thoughts.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.errors import InvalidRequest
from compatgw.surfaces.responses import thoughts
from compatgw.surfaces.responses.tools import SHELL, command_call, text_call
from compatgw.wire.native import Foreign
from compatgw.wire.responses import MARK, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.surfaces.responses.tools import Toolbox

Json = dict[str, Any]

KEPT = "previous_response_id"
"""The path of items that the request does not hold itself."""

_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "extra_content")
# Members of parts that answers carry and no request of the hub has.
_ECHOES = frozenset({"type", "annotations", "logprobs", "id", "status"})
_NO_ITEM = (
    "Only messages, calls of functions, custom tools and 'local_shell', their outputs and reasoning can be translated."
)
_NO_FILE = "Send the image as an https or data URL in 'image_url'."


class Read(NamedTuple):
    """Messages, and what none of them can hold."""

    messages: list[Json]
    foreign: list[Foreign]


def read(items: Sequence[Mapping[str, Any]], tools: Toolbox, *, kept: int = 0, closed: bool = True) -> Read:
    """The messages that these items are.

    Args:
        items: Validated.
        tools: Say how the tools of calls are named.
        kept: How many of the first items are of the conversation before, and not of the request.
        closed: Nothing but these items is there: the output of a call that is not among them is an error.

    Raises:
        InvalidRequest: A part that its role cannot have, or an output without its call.
    """
    reader = _Reader(tools)
    for place, item in enumerate(items):
        reader.add(item, f"input[{place - kept}]" if place >= kept else KEPT)
    reader.close()
    if closed and not reader.foreign and reader.orphans:
        param, id = reader.orphans[0]
        raise InvalidRequest(
            f"'{param}' is the output of a call '{id[:64]}' that is not in 'input' before it. Send the call, too, or "
            "'previous_response_id'.",
            param=param,
        )
    return Read(reader.messages, reader.foreign)


class _Reader:
    """Walks the items, in order."""

    def __init__(self, tools: Toolbox) -> None:
        self.messages: list[Json] = []
        self.orphans: list[tuple[str, str]] = []
        self.foreign: list[Foreign] = []
        self._tools = tools
        self._turn: Json | None = None
        self._extra: Json = {}
        self._called: set[str] = set()

    def add(self, item: Mapping[str, Any], param: str) -> None:
        """Takes the next item."""
        kind = kind_of(item)
        if kind == "message":
            self._message(item, param)
        elif kind == "reasoning":
            self._reasoning(item)
        elif kind == "function_call":
            name = self._tools.sent(item["name"], item.get("namespace"))
            self._call(item["call_id"], name, item["arguments"].strip() or "{}")
        elif kind == "custom_tool_call":
            self._call(item["call_id"], self._tools.sent(item["name"], item.get("namespace")), text_call(item["input"]))
        elif kind == "local_shell_call":
            self._call(item["call_id"], SHELL, command_call(item["action"]))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._output(item["call_id"], item["output"], param)
        elif kind == "local_shell_call_output":
            self._output(item.get("call_id") or item.get("id") or "", item["output"], param)
        else:
            # What came of an earlier answer's own tools stands in its text, too; and what our own face made of an
            # answer is no trace of a tool at all.
            earlier = param == KEPT
            ours = str(item.get("id", "")).partition("_")[2].startswith(MARK)
            where = param if earlier else f"{param}.type"
            self.foreign.append(Foreign("input", item, where, not (earlier or ours), _NO_ITEM))

    def close(self) -> None:
        """What the assistant said so far is a message."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        if "content" in turn or "tool_calls" in turn:
            self.messages.append(turn)
        elif self.messages and self.messages[-1]["role"] == "assistant":
            _think(self.messages[-1], turn)

    def _message(self, item: Mapping[str, Any], param: str) -> None:
        role, content = item["role"], item["content"]
        where = f"{param}.content"
        if role != "assistant":
            self.close()
            if role == "user":
                self.messages.append({"role": role, "content": self._parts(content, where)})
            else:
                self.messages.append({"role": role, "content": _instructions(content, where)})
            return
        said = self._parts(content, where, assistant=True)
        turn = self._turn
        if turn is not None and "content" in turn and "tool_calls" not in turn:
            self.close()
        turn = self._turn = self._turn or {"role": "assistant"}
        turn["content"] = _joined(turn["content"], said) if "content" in turn else said

    def _reasoning(self, item: Mapping[str, Any]) -> None:
        found = thoughts.entries(item)
        if self._turn is not None and "content" in self._turn and "tool_calls" not in self._turn:
            self.close()
        turn = self._turn = self._turn or {"role": "assistant"}
        thought: Json = {"reasoning_details": found["details"]} if found["details"] else {}
        if found["text"]:
            thought["reasoning_content"] = found["text"]
        if found["extra"]:
            thought["extra_content"] = found["extra"]
        _think(turn, thought)
        self._extra.update(found["calls"])

    def _call(self, id: str, name: str, arguments: str) -> None:
        turn = self._turn = self._turn or {"role": "assistant"}
        call: Json = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        if id in self._extra:
            call["extra_content"] = self._extra.pop(id)
        turn.setdefault("tool_calls", []).append(call)
        self._called.add(id)

    def _output(self, id: str, output: Any, param: str) -> None:
        self.close()
        if id not in self._called:
            self.orphans.append((f"{param}.call_id", id))
        content = self._parts(output, f"{param}.output") if output else ""
        self.messages.append({"role": "tool", "tool_call_id": id, "content": content})

    # --- parts -----------------------------------------------------------------------------------

    def _parts(self, content: Any, where: str, *, assistant: bool = False) -> Any:
        if isinstance(content, str):
            return content
        parts = [self._part(part, f"{where}[{number}]", assistant) for number, part in enumerate(content)]
        if len(parts) == 1 and parts[0]["type"] == "text" and len(parts[0]) == 2:
            return parts[0]["text"]
        return parts or ""

    def _part(self, part: Mapping[str, Any], where: str, assistant: bool) -> Json:
        kind = part["type"]
        rest = {name: value for name, value in part.items() if name not in _ECHOES}
        if kind in ("input_text", "output_text"):
            return {"type": "text", **rest}
        if kind == "refusal":
            return {"type": "refusal", **rest} if assistant else {"type": "text", "text": part["refusal"]}
        if kind == "input_image":
            return self._image(rest, where)
        if assistant:
            raise InvalidRequest(
                f"'{where}.type' is '{kind}', which an assistant's message cannot have. Send it as the user's.",
                param=f"{where}.type",
            )
        if kind == "input_audio":
            return {"type": "input_audio", **rest}
        return _file(rest, where)

    def _image(self, rest: Json, where: str) -> Json:
        url, file, detail = rest.pop("image_url", None), rest.pop("file_id", None), rest.pop("detail", None)
        if url is None and file is None:
            raise InvalidRequest(
                f"'{where}' needs 'image_url' or 'file_id'.", param=f"{where}.image_url", code="missing_parameter"
            )
        if url is None:
            self.foreign.append(Foreign("input", file, f"{where}.file_id", True, _NO_FILE))
            return {"type": "text", "text": ""}
        image = {"url": url}
        if detail is not None:
            image["detail"] = detail
        return {"type": "image_url", "image_url": image, **rest}


def _file(rest: Json, where: str) -> Json:
    members = ("file_data", "file_url", "file_id", "filename")
    file = {name: rest.pop(name) for name in members if rest.get(name) is not None}
    if len(file.keys() - {"filename"}) != 1:
        raise InvalidRequest(
            f"'{where}' needs one of 'file_data', 'file_url' and 'file_id'.",
            param=f"{where}.file_data",
            code="invalid_value" if file.keys() - {"filename"} else "missing_parameter",
        )
    rest.pop("detail", None)
    return {"type": "file", "file": file, **rest}


def _instructions(content: Any, where: str) -> Any:
    if isinstance(content, str):
        return content
    for number, part in enumerate(content):
        if part["type"] not in ("input_text", "output_text"):
            raise InvalidRequest(
                f"'{where}[{number}].type' is '{part['type']}', but instructions are text. Send it as the user's.",
                param=f"{where}[{number}].type",
            )
    if len(content) == 1:
        return content[0]["text"]
    return [{"type": "text", "text": part["text"]} for part in content] or ""


def _joined(first: Any, second: Any) -> Any:
    """Two contents as one."""
    if not first or not second:
        return first or second
    return [*_as_parts(first), *_as_parts(second)]


def _as_parts(content: Any) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _think(message: Json, thought: Mapping[str, Any]) -> None:
    """Adds reasoning to a message."""
    for name in _REASONING:
        value = thought.get(name)
        if not value:
            continue
        before = message.get(name)
        if isinstance(value, str):
            message[name] = f"{before}\n\n{value}" if before else value
        elif isinstance(value, list):
            message[name] = [*(before or ()), *value]
        else:
            message[name] = {**(before or {}), **value}
