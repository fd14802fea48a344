"""A conversation of blocks becomes the hub's messages.

Results of calls come first in their turn, as messages of their own; text, images and documents of the user
follow. Images and documents inside of a result stand in the user's message behind it, because most vendors take
text alone as a result. Thinking comes back as `reasoning_content`, and in `reasoning_details` as its own vendor
wants it. Blocks of the vendor's own tools are left out and noted.

What does not live here: other members (`request.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.errors import InvalidRequest
from compatgw.surfaces.base import pruned
from compatgw.wire.messages import CLAUDE, is_sealed, own_id, unsealed
from compatgw.wire.native import Foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Block = Mapping[str, Any]
    Part = dict[str, Any]

CACHE = "cache_control"
# Claude Code's first block of system text names the one request that it stands in, which no cache survives.
BILLING = "x-anthropic-billing-header"
_KEPT = "Only Anthropic has this file; send its bytes as base64."
_UNKNOWN = "Only Anthropic's own servers know such a block; send text, images, documents and results of tools."
# Blocks that the vendor's own tools leave behind; what they found is in the text as well.
_LEFT_BEHIND = ("_tool_use", "_tool_result", "_listing")
_TRACES = frozenset({"container_upload", "compaction", "fallback", "tool_addition", "tool_removal", "browser_state"})


def tidied(body: Mapping[str, Any]) -> dict[str, Any]:
    """`body` without null members, down to the blocks of its messages; itself it is not changed."""
    out = pruned({**body})
    for name in ("messages", "system", "tools"):
        if isinstance(out.get(name), list):
            out[name] = [_tidy(value) for value in out[name]]
    for name in ("metadata", "output_config", "thinking", "tool_choice"):
        if isinstance(out.get(name), dict):
            out[name] = pruned(out[name])
    return out


def _tidy(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    out = pruned(value)
    if isinstance(out.get("content"), list):
        out = {**out, "content": [_tidy(inner) for inner in out["content"]]}
    return out


class History:
    """Reads one conversation.

    Args:
        name: The hub's name of a tool.
        foreign: Takes what the hub's messages do not hold.
    """

    def __init__(self, name: Callable[[str], str], foreign: list[Foreign]) -> None:
        self._name = name
        self._foreign = foreign
        self._out: list[dict[str, Any]] = []

    def read(self, members: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The messages of a body without null members that was found valid.

        Raises:
            InvalidRequest: A document that holds nothing.
        """
        if members.get("system"):
            self._system(members["system"], "system")
        readers = {"user": self._user, "assistant": self._assistant}
        for index, message in enumerate(members["messages"]):
            where = f"messages[{index}].content"
            readers.get(message["role"], self._system)(message["content"], where)
        return self._out

    # --- system text -------------------------------------------------------------------------

    def _system(self, content: Any, where: str) -> None:
        blocks = self._blocks(content)
        texts = [
            block
            for index, block in enumerate(blocks)
            if (self._known(block, ("text",), f"{where}[{index}]") and not block["text"].startswith(BILLING))
        ]
        parts = [_text(block) for block in texts if block["text"].strip()]
        if parts:
            self._out.append({"role": "system", "content": _said(parts, "\n\n")})

    def _blocks(self, content: Any) -> list[Block]:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    def _known(self, block: Block, kinds: tuple[str, ...], where: str) -> bool:
        """True for a block of these kinds; others are noted."""
        kind = block["type"]
        if kind in kinds:
            return True
        trace = kind in _TRACES or any(end in kind for end in _LEFT_BEHIND)
        self._foreign.append(
            Foreign(f"messages.{kind[:64]}", kind, f"{where}.type", semantic=not trace, why="" if trace else _UNKNOWN)
        )
        return False

    # --- the user's turns --------------------------------------------------------------------

    def _user(self, content: Any, where: str) -> None:
        if isinstance(content, str):
            self._out.append({"role": "user", "content": content})
            return
        shown: list[Part] = []
        said: list[Part] = []
        for index, block in enumerate(content):
            path = f"{where}[{index}]"
            if block["type"] == "tool_result":
                shown += self._result(block, path)
            else:
                said += self._parts(block, path)
        # Text that says nothing is refused by some vendors; alone it is what the caller sent.
        parts = [part for part in (*shown, *said) if part["type"] != "text" or part["text"].strip()] or said[:1]
        if parts:
            self._out.append({"role": "user", "content": _said(parts, "\n\n")})

    def _result(self, block: Block, where: str) -> list[Part]:
        """Writes the message of a result; returns parts that stand behind it."""
        id = own_id(block["tool_use_id"])
        content = block.get("content", "")
        texts: list[Part] = []
        shown: list[Part] = []
        for index, inner in enumerate(self._blocks(content)):
            for part in self._parts(inner, f"{where}.content[{index}]"):
                (texts if part["type"] == "text" else shown).append(part)
        text = "\n".join(part["text"] for part in texts if part["text"])
        if shown:
            note = "(What it shows is in the next message of the user.)"
            text = f"{text}\n{note}" if text else note
            shown.insert(0, {"type": "text", "text": f"Shown by the result of tool call {id}:"})
        if block.get("is_error") and not text.lower().startswith("error"):
            text = f"Error: {text}" if text else "Error"
        message = {"role": "tool", "tool_call_id": id, "content": text}
        self._out.append(_marked(message, block))
        return shown

    def _parts(self, block: Block, where: str) -> list[Part]:
        kinds = ("text", "image", "document", "search_result", "tool_reference")
        if not self._known(block, kinds, where):
            return []
        match block["type"]:
            case "text":
                return [_text(block)]
            case "image":
                return self._image(block, where)
            case "document":
                return self._document(block, where)
            case "search_result":
                found = "\n".join(inner["text"] for inner in block["content"])
                text = f'<search_result title="{block["title"]}" source="{block["source"]}">\n{found}\n</search_result>'
                return [_marked({"type": "text", "text": text}, block)]
        return [{"type": "text", "text": f"Tool that can be called: {self._name(block['tool_name'])}"}]

    def _image(self, block: Block, where: str) -> list[Part]:
        source = block["source"]
        if source["type"] == "file":
            self._kept(source, where)
            return []
        url = source["url"] if source["type"] == "url" else f"data:{source['media_type']};base64,{source['data']}"
        return [_marked({"type": "image_url", "image_url": {"url": url}}, block)]

    def _kept(self, source: Block, where: str) -> None:
        param = f"{where}.source.file_id"
        self._foreign.append(Foreign("messages.file", source["file_id"], param, semantic=True, why=_KEPT))

    def _document(self, block: Block, where: str) -> list[Part]:
        source, title = block["source"], block.get("title") or ""
        if (block.get("citations") or {}).get("enabled"):
            self._foreign.append(Foreign("messages.citations", True, f"{where}.citations"))
        before = [{"type": "text", "text": context}] if (context := block.get("context")) else []
        match source["type"]:
            case "file":
                self._kept(source, where)
                return before
            case "url":
                file = {"file_url": source["url"], **({"filename": title} if title else {})}
                return [*before, _marked({"type": "file", "file": file}, block)]
            case "base64":
                if not source["data"].strip():
                    param = f"{where}.source.data"
                    raise InvalidRequest(f"{param}: the document must not be empty", param=param)
                data = f"data:{source['media_type']};base64,{source['data']}"
                name = title or ("document.pdf" if source["media_type"] == "application/pdf" else "document")
                return [*before, _marked({"type": "file", "file": {"filename": name, "file_data": data}}, block)]
            case "text":
                return [*before, _marked(_titled(source["data"], title), block)]
        inner = source["content"]
        if isinstance(inner, str):
            return [*before, _marked(_titled(inner, title), block)]
        parts = [
            part for index, one in enumerate(inner) for part in self._parts(one, f"{where}.source.content[{index}]")
        ]
        return [*before, *({"type": "text", "text": title} for _ in range(bool(title))), *parts]

    # --- the assistant's turns ---------------------------------------------------------------

    def _assistant(self, content: Any, where: str) -> None:
        if isinstance(content, str):
            self._out.append({"role": "assistant", "content": content})
            return
        message: dict[str, Any] = {"role": "assistant"}
        texts: list[Part] = []
        calls: list[dict[str, Any]] = []
        thoughts: list[str] = []
        details: list[dict[str, Any]] = []
        for index, block in enumerate(content):
            kinds = ("text", "tool_use", "thinking", "redacted_thinking")
            if not self._known(block, kinds, f"{where}[{index}]"):
                continue
            if block["type"] == "text":
                texts.append(_text(block))
            elif block["type"] == "tool_use":
                arguments = orjson.dumps(block["input"]).decode()
                function = {"name": self._name(block["name"]), "arguments": arguments}
                calls.append({"id": own_id(block["id"]), "type": "function", "function": function})
                message = _marked(message, block)
            else:
                _recall(block, thoughts, details)
        texts = [part for part in texts if part["text"]]
        if texts:
            message["content"] = _said(texts, "")
        if calls:
            message["tool_calls"] = calls
        if not texts and not calls:
            return  # a turn of nothing but thoughts, or of the vendor's own tools, is none elsewhere
        if thoughts:
            message["reasoning_content"] = "".join(thoughts)
        if details:
            message["reasoning_details"] = [{**entry, "index": index} for index, entry in enumerate(details)]
        self._out.append(message)


def _recall(block: Block, thoughts: list[str], details: list[dict[str, Any]]) -> None:
    """What was thought: as text where it can be read, and as entries that the vendor of it takes back."""
    text, proof = block.get("thinking", ""), block.get("signature") or block.get("data") or ""
    if is_sealed(proof):
        for entry in unsealed(proof):
            if entry.get("type") == "reasoning.text" and len(entry) == 2:
                text = text or str(entry.get("text") or "")
            else:
                details.append(entry)
    elif block["type"] == "redacted_thinking":
        if proof:
            details.append({"type": "reasoning.encrypted", "data": proof, "format": CLAUDE})
    elif proof:
        details.append({"type": "reasoning.text", "text": text, "signature": proof, "format": CLAUDE})
    if text:
        thoughts.append(text)


def _text(block: Block) -> Part:
    return _marked({"type": "text", "text": block["text"]}, block)


def _titled(text: str, title: str) -> Part:
    return {"type": "text", "text": f'<document title="{title}">\n{text}\n</document>' if title else text}


def _marked(holder: dict[str, Any], block: Block) -> dict[str, Any]:
    """`holder` with the cache mark of `block`, if it has one."""
    return {**holder, CACHE: block[CACHE]} if CACHE in block else holder


def _said(parts: list[Part], between: str) -> Any:
    """Parts as the hub has content: plain text where nothing but text is said."""
    if all(part.keys() == {"type", "text"} for part in parts):
        return _joined((part["text"] for part in parts), between)
    return parts


def _joined(texts: Iterable[str], between: str) -> str:
    return between.join(texts)
