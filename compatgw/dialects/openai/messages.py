"""A history as one upstream takes it: roles, ids, reasoning, parts and members that it would refuse.

Most messages need nothing: a role and a string go by untouched, and a history in which no
message changes is the caller's own list. Everything that clients echo of earlier answers
(reasoning, annotations, indexes of calls) is stripped here unless the row's quirks say that
it has to come back.

What does not live here: members beside `messages` (`request.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from compatgw.dialects import ids, media

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.dialects.base import Leftovers, Quirks

Message: TypeAlias = Mapping[str, Any]

# What answers of one vendor or another carry and clients send back; no request has it.
_ECHOES = frozenset(
    {
        "annotations", "citations", "executed_tools", "extra_content", "images", "provider_specific_fields",
        "reasoning", "reasoning_content", "reasoning_details", "thinking", "thinking_blocks", "thought_signature",
    }
)  # fmt: skip
_PLAIN = frozenset({"role", "content", "tool_calls"})
_NULLABLE = ("audio", "function_call", "refusal", "tool_calls")
_MEMBERS = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "name", "refusal", "tool_calls", "function_call", "audio"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
    "function": frozenset({"role", "content", "name"}),
}
# How quirks name members of messages, beside the top-level ones.
NAME = "messages[].name"
REFUSAL = "messages[].refusal"
CACHE = "cache_control"
_ID_LIMIT = 40
# Up to which length an id needs no look, by `tool_ids`; what becomes of one that does.
_ID_LIMITS = {"any": 2**31, "40": _ID_LIMIT}
_RENAMED: Mapping[str, Callable[[str], str]] = {
    "any": lambda own: own,
    "40": lambda own: own if len(own) <= _ID_LIMIT else ids.portable(own, _ID_LIMIT),
    "mistral": lambda own: ids.base62(own, 9),
}
_EXTENSIONS = {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md", "text/csv": "csv"}


def translate(messages: Sequence[Message], quirks: Quirks, left: Leftovers) -> Sequence[Message]:
    """The history for an upstream with these quirks; the same list when nothing changes.

    Raises:
        UnsupportedParameter: An image that the upstream would have to fetch, and does not.
    """
    history: _History | None = None
    out: list[Message] | None = None
    # Calls and results need a look at their ids only, unless something is wanted of them.
    limit = _ID_LIMITS.get(quirks.tool_ids, 0)
    if quirks.tool_names or quirks.reasoning_back == "tool_turns":
        limit = 0
    for index, message in enumerate(messages):
        role = message["role"]
        if len(message) == 2 and message.get("content").__class__ is str and role != "developer":
            continue
        if limit and (
            _plain_call(message, limit, quirks.content_null) if role == "assistant" else _plain_result(message, limit)
        ):
            continue
        if history is None:
            history = _History(quirks, left)
        changed = history.rules[message["role"]](message, index)
        if changed is not message:
            if out is None:
                out = list(messages)
            out[index] = changed
    result = messages if out is None else out
    if quirks.bridge:
        result = _bridged(result, quirks.bridge)
    return _alternated(result) if quirks.alternate else result


def _plain_call(message: Message, limit: int, content_null: bool) -> bool:
    """True for an assistant's turn of tool calls that no rule changes."""
    if not _PLAIN.issuperset(message):
        return False
    if message["content"].__class__ is not str if "content" in message else not content_null:
        return False
    calls = message.get("tool_calls")
    if not calls:
        return False
    for call in calls:
        function = call.get("function")
        if function is None or len(call) != 3 or len(function) != 2 or len(call["id"]) > limit:
            return False
    return True


def _plain_result(message: Message, limit: int) -> bool:
    """True for a tool's result that no rule changes."""
    return (
        message["role"] == "tool"
        and len(message) == 3
        and message.get("content").__class__ is str
        and len(message["tool_call_id"]) <= limit
    )


class _History:
    """Walks one history, in order; remembers what its tool calls were named."""

    def __init__(self, quirks: Quirks, left: Leftovers) -> None:
        self.quirks = quirks
        self.left = left
        self.names: dict[str, str] = {}
        self.rename = _RENAMED[quirks.tool_ids]
        self.rules: dict[str, Callable[[Message, int], Message]] = {
            "system": self.instructions,
            "developer": self.instructions,
            "user": self.user,
            "assistant": self.assistant,
            "tool": self.tool,
            "function": self.reduced,
        }

    def instructions(self, message: Message, index: int) -> Message:
        changed = self.user(message, index)
        if changed["role"] == "developer" and not self.quirks.developer:
            changed = {**changed, "role": "system"}
        return changed

    def user(self, message: Message, index: int) -> Message:
        changed = self.reduced(message, index)
        content = changed.get("content")
        if isinstance(content, list):
            parts = self.parts(content, index)
            if parts is not content:
                changed = {**changed, "content": parts}
        return changed

    def reduced(self, message: Message, _index: int) -> Message:
        """The message without members that are refused by name."""
        gone = [name for name in message if self.refused(name, message)]
        if not gone:
            return message
        return {name: value for name, value in message.items() if name not in gone}

    def refused(self, name: str, message: Message) -> bool:
        quirks = self.quirks
        if name == CACHE and CACHE in quirks.drop:
            self.left.hint(CACHE, message[name])
            return True
        if name == "name" and NAME in quirks.drop and message["role"] not in ("tool", "function"):
            self.left.hint(NAME, message[name])
            return True
        return quirks.known_only and name not in _MEMBERS[message["role"]] and f"messages[].{name}" not in quirks.rename

    # --- assistant and tool messages ---------------------------------------------------------

    def assistant(self, message: Message, index: int) -> Message:
        changed = {
            name: value
            for name, value in self.reduced(message, index).items()
            if name not in _ECHOES and not (value is None and name in _NULLABLE)
        }
        content = changed.get("content")
        if isinstance(content, list):
            changed["content"] = content = self.parts(_said(content, REFUSAL in self.quirks.drop), index)
        if "refusal" in changed and REFUSAL in self.quirks.drop:
            refusal = changed.pop("refusal")
            changed["content"] = content = content or refusal
        calls = changed.get("tool_calls")
        if calls:
            changed["tool_calls"] = [self.call(call) for call in calls]
        elif calls is not None:
            del changed["tool_calls"]
        self.remember(message, changed)
        if content is None or content == []:
            if not self.quirks.content_null or not (calls or "function_call" in changed or "audio" in changed):
                changed["content"] = ""
            elif content is not None:
                del changed["content"]
        return changed if changed != message else message

    def call(self, call: Message) -> Message:
        kind = "custom" if "custom" in call else "function"
        body = call[kind]
        if kind == "function":
            self.names[call["id"]] = body["name"]
            if len(body) > 2:
                body = {"name": body["name"], "arguments": body["arguments"]}
        changed = {"id": self.rename(call["id"]), "type": kind, kind: body}
        if "extra_content" in call and self.quirks.reasoning_back in ("always", "details"):
            changed["extra_content"] = call["extra_content"]
        return changed

    def remember(self, message: Message, changed: dict[str, Any]) -> None:
        """Puts back the reasoning that this upstream wants to see again."""
        back, field = self.quirks.reasoning_back, self.quirks.reasoning_field
        if back == "details" and message.get("annotations"):
            changed["annotations"] = message["annotations"]  # OpenRouter keeps what it read of a PDF in them
        if back == "never" or (back == "tool_turns" and "tool_calls" not in changed):
            return
        if back == "details" and message.get("reasoning_details"):
            changed["reasoning_details"] = message["reasoning_details"]
            return
        text = reasoning_of(message)
        if text or back == "tool_turns":
            changed[field] = text  # DeepSeek and Moonshot refuse a tool turn without the member, "" will do
        if "extra_content" in message and back != "tool_turns":
            changed["extra_content"] = message["extra_content"]

    def tool(self, message: Message, index: int) -> Message:
        id = message["tool_call_id"]
        changed = {**self.user(message, index), "tool_call_id": self.rename(id)}
        if self.quirks.tool_names:
            name = message.get("name") or self.names.get(id)
            if name:
                changed["name"] = name
        if changed.get("content") is None:
            changed["content"] = ""
        return changed if changed != message else message

    # --- parts -------------------------------------------------------------------------------

    def parts(self, parts: list[Any], index: int) -> list[Any]:
        out: list[Any] | None = None
        for number, part in enumerate(parts):
            changed = self.part(part, f"messages[{index}].content[{number}]")
            if changed is not part:
                if out is None:
                    out = list(parts)
                out[number] = changed
        return parts if out is None else out

    def part(self, part: Message, param: str) -> Message:
        if CACHE in part and CACHE in self.quirks.drop:
            self.left.hint(CACHE, part[CACHE])
            part = {name: value for name, value in part.items() if name != CACHE}
        kind = part["type"]
        if kind == "file":
            return _file(part, f"{param}.file")
        if kind == "image_url" and not self.quirks.image_urls and not media.is_data_url(part["image_url"]["url"]):
            raise self.left.refusal(
                f"{param}.image_url.url",
                "Its server does not fetch images: send the image as a data URL (data:<media type>;base64,<data>).",
            )
        return part


def reasoning_of(message: Message) -> str:
    """The reasoning that a replayed assistant message carries, under whatever name."""
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if isinstance(text, str) and text:
            return text
    texts = []
    for block in message.get("reasoning_details") or message.get("thinking_blocks") or ():
        if isinstance(block, dict):
            text = block.get("text") or block.get("summary") or block.get("thinking")
            if isinstance(text, str):
                texts.append(text)
    return "".join(texts)


def _said(parts: list[Any], refusals_as_text: bool) -> list[Any]:
    """The parts without reasoning, which no upstream but its own takes back."""
    if not any(part["type"] in ("thinking", "refusal") for part in parts):
        return parts
    return [
        {"type": "text", "text": part["refusal"]} if part["type"] == "refusal" and refusals_as_text else part
        for part in parts
        if part["type"] != "thinking"
    ]


def _file(part: Message, param: str) -> Message:
    file = part["file"]
    data = file.get("file_data")
    if "file_id" in file or (data is not None and media.is_data_url(data) and "filename" in file):
        return part
    read = media.from_file(file, param)
    name = read.filename or f"document.{_EXTENSIONS.get(read.media_type, 'bin')}"
    rest = {name: value for name, value in file.items() if name not in ("data", "media_type", "file_data", "filename")}
    url = f"data:{read.media_type};base64,{read.data}"
    return {**part, "file": {"filename": name, "file_data": url, **rest}}


# --- an order of roles ------------------------------------------------------------------------


def _bridged(messages: Sequence[Message], words: str) -> Sequence[Message]:
    """No user right behind a tool, and instructions only where an upstream of that order takes them."""
    out: list[Message] = []
    waiting: list[Message] = []
    spoke = 0
    for message in messages:
        role, before = message["role"], out[-1]["role"] if out else ""
        if role == "system" and before in ("assistant", "tool"):
            waiting.append(message)
            continue
        if role == "user" and before == "tool":
            out.append({"role": "assistant", "content": words})
        out.append(message)
        if role == "user":
            out += waiting
            waiting = []
        if role in ("user", "system"):
            spoke = len(out)
    # Where the user says no more, what they said last is the nearest.
    out[spoke:spoke] = waiting
    return out


# --- strict alternation ------------------------------------------------------------------------


def _alternated(messages: Sequence[Message]) -> list[Message]:
    """One system message, first; then no two neighbours of one role."""
    out: list[Message] = []
    system: Message | None = None
    for message in messages:
        role = message["role"]
        if role == "system":
            system = message if system is None else {**system, "content": joined(system, message)}
        elif out and out[-1]["role"] == role and _mergeable(out[-1]) and _mergeable(message):
            out[-1] = {**out[-1], "content": joined(out[-1], message)}
        else:
            out.append(message)
    return out if system is None else [system, *out]


def _mergeable(message: Message) -> bool:
    return message["role"] in ("user", "assistant") and "tool_calls" not in message


def joined(first: Message, second: Message) -> str | list[Any]:
    """The contents of two messages as one."""
    one, two = first.get("content") or "", second.get("content") or ""
    if isinstance(one, str) and isinstance(two, str):
        return f"{one}\n\n{two}" if one and two else one or two
    return [*_as_parts(one), *_as_parts(two)]


def _as_parts(content: str | list[Any]) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def instructed(messages: Sequence[Message], text: str) -> list[Message]:
    """The history with `text` among its instructions."""
    said = {"role": "system", "content": text}
    if messages and messages[0]["role"] in ("system", "developer"):
        return [{**messages[0], "content": joined(messages[0], said)}, *messages[1:]]
    return [said, *messages]
